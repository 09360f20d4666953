//! `warm`: fetches what lock files and toolchains need, into a Crateport that serves or straight into a store.

mod over_http;
mod progress;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use crateport_operate::{
    Here, Lockfile, Needs, Place, Rustup, Sources, Toolchain, Wanted, Warmed, warm,
};
use crateport_telemetry::metrics::Registry;
use url::Url;

use self::over_http::OverHttp;
use self::progress::Progress;
use super::print;
use super::readable::size;
use crate::compose;
use crate::settings::Loaded;

/// What is to be warm.
#[derive(Debug)]
pub(crate) struct WarmOptions {
    /// The lock files.
    pub(crate) lockfiles: Vec<PathBuf>,
    /// The toolchains.
    pub(crate) toolchains: Toolchains,
    /// The Crateport that shall have it all; without one, the store does.
    pub(crate) to: Option<Url>,
    /// Things fetched at once.
    pub(crate) at_once: usize,
}

/// What is wanted of a dist origin.
#[derive(Debug)]
pub(crate) struct Toolchains {
    pub(crate) wanted: Vec<Toolchain>,
    /// rustup itself.
    pub(crate) rustup: Option<Rustup>,
}

/// What was fetched is on its way to the store.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(60);

/// Warms; the exit code is 1 when something could not be had.
pub(crate) async fn run(loaded: &Loaded, options: &WarmOptions) -> anyhow::Result<ExitCode> {
    let settings = &loaded.settings;
    let mut sources = compose::sources(settings);
    if let Some(to) = &options.to {
        sources.add_base(to.as_str());
    }
    let mut needs = needs(&sources, &options.lockfiles)?;
    let warmed = match &options.to {
        Some(to) => {
            let place = OverHttp::new(to, settings)?;
            needs.files = options.toolchains.files(&place).await?;
            run_in(&place, &needs, options.at_once).await?
        }
        None => {
            let metrics = Registry::new(env!("CARGO_PKG_VERSION"))?;
            let cache = compose::cache(settings, metrics.as_ref()).await?;
            let place = Here(cache.clone());
            needs.files = options.toolchains.files(&place).await?;
            let warmed = run_in(&place, &needs, options.at_once).await?;
            cache.drain(DRAIN_TIMEOUT).await;
            warmed
        }
    };
    let printed = print(&summary(&warmed));
    Ok(if warmed.is_complete() { printed } else { ExitCode::from(crate::FAILED) })
}

/// What some lock files need.
pub(crate) fn needs(sources: &Sources, lockfiles: &[PathBuf]) -> anyhow::Result<Needs> {
    let read = |path: &PathBuf| read(path).with_context(|| format!("{}", path.display()));
    let lockfiles = lockfiles.iter().map(read).collect::<anyhow::Result<Vec<_>>>()?;
    Ok(Needs::of(&lockfiles, sources))
}

impl Toolchains {
    /// Their files, each once.
    pub(crate) async fn files(&self, place: &dyn Place) -> anyhow::Result<Vec<Wanted>> {
        let mut needed = Vec::new();
        for toolchain in &self.wanted {
            let files = Box::pin(toolchain.files(place)).await;
            needed.extend(files.with_context(|| format!("the toolchain {}", toolchain.channel))?);
        }
        if let Some(rustup) = &self.rustup {
            needed.extend(Box::pin(rustup.files(place)).await.context("rustup itself")?);
        }
        let mut files: Vec<Wanted> = Vec::new();
        for file in needed {
            if !files.contains(&file) {
                files.push(file);
            }
        }
        Ok(files)
    }
}

fn read(path: &Path) -> anyhow::Result<Lockfile> {
    Ok(Lockfile::parse(&std::fs::read_to_string(path)?)?)
}

/// Warms one place and shows how far it is.
pub(crate) async fn run_in(
    place: &dyn Place,
    needs: &Needs,
    at_once: usize,
) -> anyhow::Result<Warmed> {
    let mut progress = Progress::begin();
    let warmed = Box::pin(warm(place, needs, at_once, |step| progress.show(&step))).await?;
    progress.end();
    Ok(warmed)
}

/// What came of it, in words.
pub(crate) fn summary(warmed: &Warmed) -> String {
    let mut text = format!(
        "{} were there already, {} fetched ({}), {} failed\n",
        warmed.present,
        warmed.fetched,
        size(warmed.fetched_bytes),
        warmed.failed.len()
    );
    for (what, why) in &warmed.failed {
        text += &format!("failed  {what}: {why}\n");
    }
    for what in &warmed.elsewhere {
        text += &format!("passed over  {what}: no registry is configured here with that index\n");
    }
    text
}
