//! `import`: unpacks a bundle into the store.

use std::path::Path;
use std::process::ExitCode;

use crateport_operate::Import;

use super::print;
use super::readable::{counted, size};
use crate::compose;
use crate::settings::Loaded;

/// Imports a bundle, verifying all of it.
pub(crate) async fn run(loaded: &Loaded, bundle: &Path) -> anyhow::Result<ExitCode> {
    let settings = &loaded.settings;
    let kept = compose::store(settings).await?;
    let scratch = compose::scratch(settings, kept.scratch)?;
    let registries = compose::registries(settings).collect();
    let dists = compose::dists(settings).collect();
    let import = Import { store: kept.store, scratch, registries, dists };
    let imported = Box::pin(import.read(bundle)).await?;
    Ok(print(&format!(
        "imported {} ({}), {} ({}) and {}; {} had come with an earlier bundle\n",
        counted(imported.crates.objects, "crate"),
        size(imported.crates.bytes),
        counted(imported.dist_files.objects, "dist file"),
        size(imported.dist_files.bytes),
        counted(imported.index_files as u64, "index file"),
        counted(imported.assumed as u64, "object"),
    )))
}
