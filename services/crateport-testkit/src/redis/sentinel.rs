//! A master, a replica, and one sentinel that makes the replica master when the master is gone.

use std::net::{Ipv4Addr, TcpStream};
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::{RedisOptions, RedisServer, launch};

const READY_DEADLINE: Duration = Duration::from_secs(20);
const READY_POLL: Duration = Duration::from_millis(20);
/// The name of the master, as the sentinel knows it.
const MASTER: &str = "main";

/// A running set-up.
pub struct SentinelSetup {
    master: RedisServer,
    replica: RedisServer,
    port: u16,
    sentinel: Child,
    _folder: TempDir,
}

impl SentinelSetup {
    /// Starts all three and waits until the sentinel knows the replica.
    pub async fn start() -> Self {
        let master = RedisServer::start().await;
        let replica = RedisServer::start_with(RedisOptions::default().replica_of(&master)).await;
        let start = Instant::now();
        while !replica.cli(&["INFO", "replication"]).await.contains("master_link_status:up") {
            assert!(start.elapsed() < READY_DEADLINE, "the replica does not follow its master");
            tokio::time::sleep(READY_POLL).await;
        }
        let folder = tempfile::Builder::new().prefix("crateport-sentinel-").tempdir();
        let folder = folder.expect("a temporary folder");
        let port = launch::free_port();
        let lines = [
            "bind 127.0.0.1".to_owned(),
            format!("port {port}"),
            format!("sentinel monitor {MASTER} 127.0.0.1 {} 1", master.port()),
            format!("sentinel down-after-milliseconds {MASTER} 500"),
            format!("sentinel failover-timeout {MASTER} 2000"),
        ];
        let file = folder.path().join("sentinel.conf");
        std::fs::write(&file, lines.join("\n")).expect("a writable folder");
        let mut command = Command::new("redis-server");
        command.arg(&file).arg("--sentinel");
        let sentinel = launch::spawn(command, &folder.path().join("log"));
        let setup = Self { master, replica, port, sentinel, _folder: folder };
        while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err()
            || !setup.cli(&["SENTINEL", "REPLICAS", MASTER]).contains("127.0.0.1")
        {
            assert!(start.elapsed() < READY_DEADLINE, "the sentinel does not get ready");
            tokio::time::sleep(READY_POLL).await;
        }
        setup
    }

    /// `redis+sentinel://HOST:PORT/main`.
    pub fn url(&self) -> String {
        format!("redis+sentinel://127.0.0.1:{}/{MASTER}", self.port)
    }

    /// The master at the start.
    pub fn master(&self) -> &RedisServer {
        &self.master
    }

    /// The replica at the start.
    pub fn replica(&self) -> &RedisServer {
        &self.replica
    }

    /// Asks the sentinel.
    fn cli(&self, words: &[&str]) -> String {
        let mut command = Command::new("redis-cli");
        command.args(["-p", &self.port.to_string()]).args(words);
        launch::output(command)
    }
}

impl Drop for SentinelSetup {
    fn drop(&mut self) {
        let _ = self.sentinel.kill();
        let _ = self.sentinel.wait();
    }
}
