//! `purge`: has upstream asked again for a crate, by every replica.

use std::process::ExitCode;

use anyhow::bail;
use crateport_cache::{Purge, purge};

use super::print;
use super::readable::counted;
use crate::compose;
use crate::settings::Loaded;

/// Purges, and returns once it holds on every replica that reaches the store.
pub(crate) async fn run(loaded: &Loaded, what: &Purge) -> anyhow::Result<ExitCode> {
    let settings = &loaded.settings;
    let registry = &what.registry;
    if !settings.registries.iter().any(|known| known.id == *registry && known.is_enabled) {
        bail!("no registry `{registry}` is configured here");
    }
    let store = compose::store(settings).await?.store;
    let coordinator = compose::coordinator(settings, None)?;
    let purged = Box::pin(purge(&*store, &*coordinator, what, settings.purge_poll)).await?;
    Ok(print(&format!(
        "dropped {}; {} will be asked for again; it holds on every replica that reaches the store\n",
        counted(purged.crates, "crate"),
        counted(purged.index_files, "index file")
    )))
}
