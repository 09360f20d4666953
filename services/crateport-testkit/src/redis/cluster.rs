//! A Redis cluster: as many masters as are asked for, and no replicas.

use std::process::Command;
use std::time::{Duration, Instant};

use super::{RedisOptions, RedisServer, blocking, launch};

/// A node that is silent for so long is taken for dead.
const NODE_TIMEOUT_MS: &str = "1000";
/// How long the nodes may take to agree.
const AGREED_DEADLINE: Duration = Duration::from_secs(60);
const AGREED_POLL: Duration = Duration::from_millis(50);

/// A running cluster.
pub struct RedisCluster {
    nodes: Vec<RedisServer>,
}

impl RedisCluster {
    /// Starts a cluster and waits until its nodes agree. Slots of a dead node are the only ones that fail.
    pub async fn start(nodes: usize) -> Self {
        let mut started = Vec::new();
        for _ in 0..nodes {
            let bus_port = launch::free_port().to_string();
            let options = RedisOptions::default()
                .setting("cluster-enabled", &["yes"])
                .setting("cluster-node-timeout", &[NODE_TIMEOUT_MS])
                .setting("cluster-require-full-coverage", &["no"])
                .setting("cluster-port", &[&bus_port]);
            started.push(RedisServer::start_with(options).await);
        }
        let mut command = Command::new("redis-cli");
        command.args(["--cluster", "create"]);
        command.args(started.iter().map(|node| node.address().to_string()));
        command.arg("--cluster-yes");
        blocking(move || launch::output(command)).await;
        let start = Instant::now();
        for node in &started {
            while !node.cli(&["CLUSTER", "INFO"]).await.contains("cluster_state:ok") {
                assert!(start.elapsed() < AGREED_DEADLINE, "the nodes do not agree");
                tokio::time::sleep(AGREED_POLL).await;
            }
        }
        Self { nodes: started }
    }

    /// Its nodes.
    pub fn nodes(&self) -> &[RedisServer] {
        &self.nodes
    }

    /// `redis+cluster://HOST:PORT,…` of all nodes.
    pub fn url(&self) -> String {
        let nodes: Vec<String> = self.nodes.iter().map(|node| node.address().to_string()).collect();
        format!("redis+cluster://{}", nodes.join(","))
    }
}
