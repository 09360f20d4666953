//! The real `crateport` binary as a child process, killed with its holder.
//!
//! Its contract with this kit: once ready it prints to stdout, for each listener, `listening on http://HOST:PORT` (or
//! `https://…`) in the order given, and then `ops on http://HOST:PORT`.

mod binary;
mod launch;
mod metrics;
mod options;
mod proc_files;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::process::{Signal, kill_process};
use tempfile::TempDir;

pub use self::binary::crateport_binary;
use self::launch::{Log, Running};
pub use self::options::CrateportOptions;
use crate::own_runtime::OwnRuntime;

/// How long it may take until it is ready.
const READY_DEADLINE: Duration = Duration::from_secs(30);
/// How long [`Crateport::wait`] waits.
const EXIT_DEADLINE: Duration = Duration::from_secs(60);
/// How long a dropped one may take to vanish after SIGKILL.
const REAP_DEADLINE: Duration = Duration::from_secs(5);
const LOG_DEADLINE: Duration = Duration::from_secs(20);

/// A running Crateport. When its test panics, everything it printed is shown.
pub struct Crateport {
    options: CrateportOptions,
    binary: PathBuf,
    /// Home, configuration and, unless the options name another folder, the store.
    folder: Arc<TempDir>,
    log: Arc<Log>,
    running: Running,
    runtime: OwnRuntime,
}

/// A Crateport that ended instead of becoming ready.
#[derive(Debug)]
pub struct FailedStart {
    /// How it ended; `None` if it neither ended nor became ready in time.
    pub status: Option<ExitStatus>,
    /// Everything it printed, stdout and stderr, line by line.
    pub output: String,
}

impl Crateport {
    /// Builds the binary if need be, starts it and waits until it is ready; fails the test if it does not get there.
    pub async fn start(options: CrateportOptions) -> Self {
        match Self::try_start(options).await {
            Ok(crateport) => crateport,
            Err(FailedStart { status, output }) => {
                panic!("crateport did not become ready ({status:?}):\n{output}")
            }
        }
    }

    /// The same for tests of settings that it must refuse.
    pub async fn try_start(options: CrateportOptions) -> Result<Self, FailedStart> {
        let binary = options.binary_path().await;
        let folder =
            tempfile::Builder::new().prefix("crateport-").tempdir().expect("a temporary folder");
        let (folder, log, runtime) =
            (Arc::new(folder), Arc::new(Log::default()), OwnRuntime::start("crateport"));
        let running = launch::launch(&runtime, &binary, &options, folder.path(), &log).await?;
        Ok(Self { options, binary, folder, log, running, runtime })
    }

    /// The first listener, `http://127.0.0.1:PORT`.
    pub fn url(&self) -> &str {
        &self.running.urls[0]
    }

    /// All listeners in the order of the options.
    pub fn urls(&self) -> &[String] {
        &self.running.urls
    }

    /// The ops listener, `http://127.0.0.1:PORT`.
    pub fn ops_url(&self) -> &str {
        &self.running.ops_url
    }

    /// Where the first listener is, for a [`crate::Balancer`] or a [`crate::ChaosProxy`] in front of it.
    #[track_caller]
    pub fn address(&self) -> SocketAddr {
        let address = self.url().split_once("://").and_then(|(_, address)| address.parse().ok());
        address.unwrap_or_else(|| panic!("{} has no address", self.url()))
    }

    /// What cargo is given after `sparse+`.
    pub fn index_url(&self, registry: &str) -> String {
        format!("{}/{registry}/index/", self.url())
    }

    /// The URL of a crate.
    pub fn crate_url(&self, registry: &str, name: &str, version: &str) -> String {
        format!("{}/{registry}/crates/{name}/{version}/download", self.url())
    }

    /// The folder given as `--store fs:…`.
    pub fn store(&self) -> PathBuf {
        self.options.store_folder(self.folder.path())
    }

    /// Its home, where its configuration lies too.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Kills it with SIGKILL and returns once it is gone.
    #[track_caller]
    pub fn kill9(&mut self) {
        self.signal(Signal::KILL);
        let mut exit = self.running.exit.clone();
        self.runtime.block(async move { exit.wait_for(Option::is_some).await.is_ok() });
    }

    /// Sends SIGTERM; [`Crateport::wait`] tells how it ended.
    pub fn terminate(&self) {
        self.signal(Signal::TERM);
    }

    /// Stops it where it is: connections stay, the kernel takes new ones, nothing is answered.
    pub fn freeze(&self) {
        self.signal(Signal::STOP);
    }

    /// Lets it go on.
    pub fn thaw(&self) {
        self.signal(Signal::CONT);
    }

    /// Sends SIGHUP: the settings are read anew.
    pub fn hang_up(&self) {
        self.signal(Signal::HUP);
    }

    /// Waits until it has ended; fails the test after 60 s.
    pub async fn wait(&mut self) -> ExitStatus {
        let mut exit = self.running.exit.clone();
        let ended =
            async move { exit.wait_for(Option::is_some).await.ok().and_then(|status| *status) };
        let ended = self.runtime.within(EXIT_DEADLINE, ended).await.flatten();
        ended.unwrap_or_else(|| panic!("crateport still ran after {EXIT_DEADLINE:?}"))
    }

    /// Whether it has not ended yet.
    pub fn is_running(&self) -> bool {
        self.running.exit.borrow().is_none()
    }

    /// Starts it again on the same store and the same ports; one that still runs is terminated first.
    pub async fn restart(&mut self) {
        if self.is_running() {
            self.terminate();
            self.wait().await;
        }
        self.options.keep_ports(&self.running.urls, &self.running.ops_url);
        let launched = launch::launch(
            &self.runtime,
            &self.binary,
            &self.options,
            self.folder.path(),
            &self.log,
        )
        .await;
        self.running = launched
            .unwrap_or_else(|failed| panic!("crateport did not restart ({:?})", failed.status));
    }

    /// Everything it has printed, stdout and stderr, line by line.
    pub fn log(&self) -> String {
        self.log.text()
    }

    /// Waits until a line it printed contains this text; fails the test after 20 s.
    pub async fn wait_for_log(&self, text: &str) {
        let (log, wanted) = (self.log.clone(), text.to_owned());
        let seen = async move {
            log.wait_until(|lines| lines.iter().any(|line| line.contains(&wanted))).await;
        };
        assert!(
            self.runtime.within(LOG_DEADLINE, seen).await.is_some(),
            "crateport did not say {text:?}"
        );
    }

    /// The sum of all samples of a metric that bear these labels; 0 if there is none.
    pub async fn metric(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        metrics::sum(&self.metrics().await, name, labels)
    }

    /// The text of `/metrics`.
    pub async fn metrics(&self) -> String {
        let answer = crate::client::get(format!("{}/metrics", self.ops_url())).send().await;
        assert_eq!(answer.status, 200, "/metrics");
        answer.text().to_owned()
    }

    /// Memory that is resident now.
    #[track_caller]
    pub fn rss_bytes(&self) -> u64 {
        proc_files::status_bytes(self.running.pid, "VmRSS:")
    }

    /// The most memory that was ever resident.
    #[track_caller]
    pub fn peak_rss_bytes(&self) -> u64 {
        proc_files::status_bytes(self.running.pid, "VmHWM:")
    }

    /// CPU time used so far, user and system.
    #[track_caller]
    pub fn cpu_time(&self) -> Duration {
        proc_files::cpu_time(self.running.pid)
    }

    /// Files, sockets and all else that is open now.
    #[track_caller]
    pub fn open_files(&self) -> usize {
        proc_files::open_files(self.running.pid)
    }

    fn signal(&self, signal: Signal) {
        // The number of a process that has ended may be another's by now.
        if self.is_running() {
            let _ = kill_process(self.running.pid, signal);
        }
    }
}

impl Drop for Crateport {
    fn drop(&mut self) {
        self.signal(Signal::KILL);
        let start = Instant::now();
        while self.is_running() && start.elapsed() < REAP_DEADLINE {
            std::thread::sleep(Duration::from_millis(1));
        }
        if std::thread::panicking() {
            eprintln!("--- crateport {} printed\n{}---", self.url(), self.log.text());
        }
    }
}

#[cfg(test)]
mod tests;
