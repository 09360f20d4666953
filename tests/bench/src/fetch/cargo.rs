//! One `cargo fetch --locked`: an empty home in memory, a copy of the project, nothing of the caller's configuration.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use nix::sys::resource::{UsageWho, getrusage};
use tempfile::TempDir;

use crate::stand::Stand;

/// A file system in memory, where there is one.
const MEMORY: &str = "/dev/shm";
/// What cargo needs of the caller's environment.
const KEPT_VARIABLES: [&str; 5] = ["PATH", "HOME", "RUSTUP_HOME", "RUSTUP_TOOLCHAIN", "TMPDIR"];
/// What cargo says when it repeats a request.
const RETRY: &str = "spurious network error";

/// What a fetch showed.
pub(crate) struct Fetch {
    /// From start to end.
    pub(crate) elapsed: Duration,
    /// cargo's own CPU time.
    pub(crate) cpu: Duration,
    /// Requests that were repeated.
    pub(crate) retries: usize,
}

/// Fetches the project of this size from the registry with this index.
pub(crate) fn fetch(stand: &Stand, packages: usize, index: &str) -> Result<Fetch> {
    let folder = folder()?;
    let (home, work) = (folder.path().join("home"), folder.path().join("work"));
    fs::create_dir_all(&home)?;
    copy(&stand.registry.project_folder(packages), &work)?;
    let config = format!(
        "[source.crates-io]\nreplace-with = \"bench\"\n[registries.bench]\nindex = \"sparse+{index}\"\n[http]\ncainfo = \"{}\"\n",
        stand.authority().display()
    );
    fs::write(home.join("config.toml"), config)?;
    let mut command = Command::new("cargo");
    command.args(["fetch", "--locked"]).current_dir(&work).env_clear();
    let kept = |name| Some((name, std::env::var_os(name)?));
    command.envs(KEPT_VARIABLES.into_iter().filter_map(kept)).env("CARGO_HOME", &home);
    command.env("CARGO_TERM_COLOR", "never").stdin(Stdio::null());
    let before = children_cpu()?;
    let start = Instant::now();
    let output = command.output().context("starting cargo")?;
    let elapsed = start.elapsed();
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "cargo fetch from {index}: {said}");
    let cpu = children_cpu()?.saturating_sub(before);
    Ok(Fetch { elapsed, cpu, retries: said.matches(RETRY).count() })
}

fn folder() -> Result<TempDir> {
    let memory = PathBuf::from(MEMORY);
    let parent = if memory.is_dir() { memory } else { std::env::temp_dir() };
    Ok(tempfile::Builder::new().prefix("crateport-bench-").tempdir_in(parent)?)
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to.join("src"))?;
    for file in ["Cargo.toml", "Cargo.lock", "src/main.rs"] {
        fs::copy(from.join(file), to.join(file))?;
    }
    Ok(())
}

/// CPU time of all children that have ended.
fn children_cpu() -> Result<Duration> {
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN)?;
    let seconds = |time: nix::sys::time::TimeVal| {
        Duration::from_secs(u64::try_from(time.tv_sec()).unwrap_or(0))
            + Duration::from_micros(u64::try_from(time.tv_usec()).unwrap_or(0))
    };
    Ok(seconds(usage.user_time()) + seconds(usage.system_time()))
}
