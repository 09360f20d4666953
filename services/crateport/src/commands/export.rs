//! `export`: packs what lock files need into a bundle.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::bail;
use crateport_operate::{Export, Here, read_manifest_of};
use crateport_telemetry::metrics::Registry;

use super::print;
use super::readable::{counted, size};
use super::warm::{Toolchains, needs, run_in, summary};
use crate::compose;
use crate::settings::Loaded;

/// What is packed.
#[derive(Debug)]
pub(crate) struct ExportOptions {
    /// The lock files.
    pub(crate) lockfiles: Vec<PathBuf>,
    /// The toolchains.
    pub(crate) toolchains: Toolchains,
    /// The bundle.
    pub(crate) output: PathBuf,
    /// An earlier bundle, on which this one builds.
    pub(crate) since_bundle: Option<PathBuf>,
    /// Things fetched at once.
    pub(crate) at_once: usize,
}

/// What was fetched is on its way to the store.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(60);

/// Fetches what the store lacks, and packs all of it.
pub(crate) async fn run(loaded: &Loaded, options: &ExportOptions) -> anyhow::Result<ExitCode> {
    let settings = &loaded.settings;
    let mut needs = needs(&compose::sources(settings), &options.lockfiles)?;
    let earlier = match &options.since_bundle {
        Some(path) => read_manifest_of(path)?.into_iter().collect(),
        None => Default::default(),
    };
    let metrics = Registry::new(env!("CARGO_PKG_VERSION"))?;
    let cache = compose::cache(settings, metrics.as_ref()).await?;
    let place = Here(cache.clone());
    needs.files = options.toolchains.files(&place).await?;
    let warmed = run_in(&place, &needs, options.at_once).await?;
    cache.drain(DRAIN_TIMEOUT).await;
    if !warmed.is_complete() {
        print(&summary(&warmed));
        bail!("no bundle is written, because it would not be whole");
    }
    let export = Export { store: cache.store().clone(), earlier };
    let exported = Box::pin(export.write(&needs, &options.output)).await?;
    let mut text = format!(
        "{} holds {} and {} ({})\n",
        options.output.display(),
        counted(exported.objects as u64, "object"),
        counted(exported.texts as u64, "text"),
        size(exported.size_bytes),
    );
    if exported.left_out > 0 {
        let left_out = counted(exported.left_out as u64, "object");
        text += &format!("{left_out} more must be there already, from an earlier bundle\n");
    }
    Ok(print(&text))
}
