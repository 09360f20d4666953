//! A real redis-server: started on a free port, without persistence, killed with its holder.
//!
//! Tests freeze it, kill it, restart it on its port, and tell it anything through `redis-cli`.

mod cluster;
mod launch;
mod sentinel;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::Child;
use std::sync::{Arc, Mutex, PoisonError};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

pub use self::cluster::RedisCluster;
pub use self::sentinel::SentinelSetup;
use crate::TestCa;

/// A running redis-server.
pub struct RedisServer(Arc<Server>);

struct Server {
    options: RedisOptions,
    folder: TempDir,
    port: u16,
    child: Mutex<Option<Child>>,
}

/// How a redis-server is to be started.
#[derive(Clone, Default)]
pub struct RedisOptions {
    arguments: Vec<String>,
    /// What `redis-cli` needs to be let in.
    cli_arguments: Vec<String>,
    files: Vec<(&'static str, String)>,
    is_encrypted: bool,
}

impl RedisOptions {
    /// A line of its configuration.
    #[must_use]
    pub fn setting(mut self, name: &str, values: &[&str]) -> Self {
        self.arguments.push(format!("--{name}"));
        self.arguments.extend(values.iter().map(|value| (*value).to_owned()));
        self
    }

    /// The password of the default user.
    #[must_use]
    pub fn password(mut self, password: &str) -> Self {
        self.cli_arguments.extend(["-a", password, "--no-auth-warning"].map(String::from));
        self.setting("requirepass", &[password])
    }

    /// Another user, with rules such as `on`, `>password`, `~prefix:*`, `+@all`.
    #[must_use]
    pub fn user(self, name: &str, rules: &[&str]) -> Self {
        let words: Vec<&str> = std::iter::once(name).chain(rules.iter().copied()).collect();
        self.setting("user", &words)
    }

    /// TLS only, with a certificate that this authority issues.
    #[must_use]
    pub fn tls(mut self, authority: &TestCa) -> Self {
        let certificate = authority.issue();
        self.files = vec![
            ("server.crt", certificate.chain_pem),
            ("server.key", certificate.key_pem),
            ("ca.crt", authority.pem().to_owned()),
        ];
        self.is_encrypted = true;
        self
    }

    /// A replica that cannot be written to.
    #[must_use]
    pub fn replica_of(self, master: &RedisServer) -> Self {
        self.setting("replicaof", &["127.0.0.1", &master.port().to_string()])
    }
}

impl RedisServer {
    /// Starts one; fails the test if that is not possible.
    pub async fn start() -> Self {
        Self::start_with(RedisOptions::default()).await
    }

    /// Starts one with options.
    pub async fn start_with(options: RedisOptions) -> Self {
        Self(blocking(move || Arc::new(launch::first(&options))).await)
    }

    /// Its port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.0.port
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        SocketAddr::from((Ipv4Addr::LOCALHOST, self.0.port))
    }

    /// `redis://127.0.0.1:PORT`, or `rediss://…`; without a login.
    pub fn url(&self) -> String {
        let scheme = if self.0.options.is_encrypted { "rediss" } else { "redis" };
        format!("{scheme}://{}", self.address())
    }

    /// Sends it a command, as `redis-cli` would, and returns what that prints.
    pub async fn cli(&self, words: &[&str]) -> String {
        let (server, words) = (self.0.clone(), words.iter().map(|word| (*word).to_owned()));
        let words: Vec<String> = words.collect();
        blocking(move || server.cli(&words)).await
    }

    /// How often a command was called since it started: `evalsha`, `ping`, ….
    pub async fn calls(&self, command: &str) -> u64 {
        let stats = self.cli(&["INFO", "commandstats"]).await;
        let begin = format!("cmdstat_{command}:calls=");
        let calls = stats.lines().find_map(|line| line.strip_prefix(&begin)?.split(',').next());
        calls.map_or(0, |calls| calls.parse().expect("a number of calls"))
    }

    /// Stops it where it is: connections stay, nothing is answered.
    pub fn freeze(&self) {
        self.signal(Signal::STOP);
    }

    /// Lets it go on.
    pub fn thaw(&self) {
        self.signal(Signal::CONT);
    }

    /// Kills it with SIGKILL and returns once it is gone.
    pub fn kill9(&self) {
        self.0.end();
    }

    /// Starts it again on its port, empty; one that still runs is killed first.
    pub async fn restart(&self) {
        let server = self.0.clone();
        blocking(move || {
            server.end();
            launch::again(&server);
        })
        .await;
    }

    /// Everything it printed.
    pub fn log(&self) -> String {
        self.0.log()
    }

    fn signal(&self, signal: Signal) {
        let child = self.0.child.lock().unwrap_or_else(PoisonError::into_inner);
        let pid = child.as_ref().and_then(|child| i32::try_from(child.id()).ok());
        let pid = pid.and_then(Pid::from_raw).expect("a redis-server that runs");
        kill_process(pid, signal).expect("a child can be signalled");
    }
}

impl Server {
    fn log_file(&self) -> PathBuf {
        self.folder.path().join("log")
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.log_file()).unwrap_or_default()
    }

    fn end(&self) {
        let child = self.child.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(mut child) = child {
            // It may have ended by itself.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.end();
        if std::thread::panicking() {
            eprintln!("--- redis-server on {} printed\n{}---", self.port, self.log());
        }
    }
}

/// Work that blocks, away from the tasks of the test.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(value) => value,
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}
