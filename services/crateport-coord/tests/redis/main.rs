//! The coordinator of a fleet, with real servers: alone, behind sentinels, in a cluster; well and in every trouble.
//!
//! Bounds are counted (answers that were late, commands that were sent), not timed. What must happen in the end is
//! waited for under a deadline that no machine misses.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "test support: a panic is a failed test"
)]

mod announcements;
mod contract;
mod faults;
mod leases;
mod topology;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use crateport_coord::{
    Claim, Coordinator as _, Health, Lease, RedisConfig, RedisCoordinator, RedisLimits,
};
use crateport_testkit::redis::RedisServer;
use crateport_types::StoreKey;
use tokio::time::{sleep, timeout};

const DEADLINE: Duration = Duration::from_secs(30);
/// So long that nothing a test waits for can come from it.
const NEVER: Duration = Duration::from_secs(600);
const MOMENT: Duration = Duration::from_millis(10);

/// Patient with a loaded machine, quick to try again.
fn limits() -> RedisLimits {
    RedisLimits {
        connect: Duration::from_secs(5),
        discover: Duration::from_secs(10),
        response: Duration::from_secs(5),
        pause: Duration::from_millis(50),
        probe: Duration::from_millis(100),
        ..RedisLimits::default()
    }
}

fn config(url: &str, limits: RedisLimits) -> RedisConfig {
    RedisConfig { limits, ..RedisConfig::new(url.parse().unwrap()) }
}

/// A replica's coordinator, connected.
async fn replica(url: &str, limits: RedisLimits) -> Arc<RedisCoordinator> {
    let coordinator = Arc::new(RedisCoordinator::start(config(url, limits)).unwrap());
    becomes_up(&coordinator).await;
    coordinator
}

async fn becomes_up(coordinator: &RedisCoordinator) {
    let up = async {
        while coordinator.health() != Health::Up {
            sleep(MOMENT).await;
        }
    };
    if timeout(DEADLINE, up).await.is_err() {
        panic!("it does not come up: {:?}", coordinator.health());
    }
}

async fn becomes_down(coordinator: &RedisCoordinator) {
    until("it is down", || async { coordinator.health() != Health::Up }).await;
}

/// Waits until so many replicas listen.
async fn listens(server: &RedisServer, replicas: usize) {
    let listening = format!("crateport:ended\n{replicas}");
    until("replicas listen", || async {
        server.cli(&["PUBSUB", "NUMSUB", "crateport:ended"]).await == listening
    })
    .await;
}

async fn until<F: Future<Output = bool>>(what: &str, mut reached: impl FnMut() -> F) {
    let reached = async {
        while !reached().await {
            sleep(MOMENT).await;
        }
    };
    timeout(DEADLINE, reached).await.unwrap_or_else(|_| panic!("in vain: {what}"));
}

fn key(name: &str) -> StoreKey {
    StoreKey::config(&name.parse().unwrap())
}

/// Becomes the leader, as the cache would: follow, wait, try again.
async fn comes_to_lead(coordinator: &RedisCoordinator, key: &StoreKey) -> Lease {
    let led = async {
        loop {
            match coordinator.claim(key).await {
                Ok(Claim::Lead(lease)) => break lease,
                Ok(Claim::Follow { .. }) => drop(coordinator.wait(key, DEADLINE).await),
                Err(_) => sleep(MOMENT).await,
            }
        }
    };
    timeout(DEADLINE, led).await.expect("nobody else leads in the end")
}

async fn leads(coordinator: &RedisCoordinator, key: &StoreKey) -> Lease {
    match coordinator.claim(key).await.unwrap() {
        Claim::Lead(lease) => lease,
        Claim::Follow { .. } => panic!("{key} is led by somebody else"),
    }
}

async fn follows(coordinator: &RedisCoordinator, key: &StoreKey) {
    assert!(matches!(coordinator.claim(key).await.unwrap(), Claim::Follow { .. }));
}
