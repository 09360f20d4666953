//! `purge`: has upstream asked again for a crate, by every replica.

use std::process::ExitCode;

use anyhow::bail;
use crateport_cache::{holds_after, purge};

use super::print;
use crate::cli::PurgeOptions;
use crate::compose;
use crate::settings::Loaded;

/// Purges, and returns once it holds on every replica that reaches the store.
pub(crate) async fn run(loaded: &Loaded, options: &PurgeOptions) -> anyhow::Result<ExitCode> {
    let settings = &loaded.settings;
    let PurgeOptions { registry, name, version } = options;
    if !settings.registries.iter().any(|known| known.id == *registry && known.is_enabled) {
        bail!("no registry `{registry}` is configured here");
    }
    let store = compose::store(settings).await?.store;
    let coordinator = compose::coordinator(settings)?;
    let purged = Box::pin(purge(&*store, &*coordinator, registry, name, version.as_ref())).await?;
    tokio::time::sleep(holds_after(settings.purge_poll)).await;
    let (crates, index) = (purged.crates, purged.index_files);
    Ok(print(&format!(
        "dropped {crates} crates; {index} index files will be asked for again; it holds on every \
         replica that reaches the store\n"
    )))
}
