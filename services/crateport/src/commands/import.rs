//! `import`: unpacks a bundle into the store.

use std::path::Path;
use std::process::ExitCode;

use crateport_operate::Import;

use super::print;
use super::readable::size;
use crate::compose;
use crate::settings::Loaded;

/// Imports a bundle, verifying all of it.
pub(crate) async fn run(loaded: &Loaded, bundle: &Path) -> anyhow::Result<ExitCode> {
    let settings = &loaded.settings;
    let kept = compose::store(settings).await?;
    let scratch = compose::scratch(settings, kept.scratch)?;
    let dists = compose::dists(settings).collect();
    let import = Import { store: kept.store, scratch, dists };
    let imported = Box::pin(import.read(bundle)).await?;
    Ok(print(&format!(
        "imported {} crates ({}), {} dist files and {} index files; {} objects were here already\n",
        imported.crates,
        size(imported.crate_bytes),
        imported.dist_files,
        imported.index_files,
        imported.assumed
    )))
}
