//! What only clusters and sentinels do: a node that dies, a master that changes.

use std::collections::HashMap;
use std::time::Duration;

use crateport_coord::{Coordinator as _, Note, RedisLimits};
use crateport_testkit::redis::{RedisCluster, SentinelSetup};

use super::{NEVER, becomes_up, comes_to_lead, follows, key, leads, limits, replica, until};

const MINUTE: Duration = Duration::from_secs(60);

#[tokio::test]
async fn announcements_cross_a_cluster() {
    let cluster = RedisCluster::start(3).await;
    let patient = || RedisLimits { poll: NEVER, ..limits() };
    let one = replica(&cluster.url(), patient()).await;
    // It listens at another node than the first one.
    let node = cluster.nodes()[2].address();
    let other = replica(&format!("redis+cluster://{node}"), patient()).await;
    for (server, listening) in [(0, 1), (2, 1)] {
        super::listens(&cluster.nodes()[server], listening).await;
    }
    for name in ["a", "b", "c", "d"] {
        let lease = leads(&one, &key(name)).await;
        follows(&other, &key(name)).await;
        let key = key(name);
        let wait = other.wait(&key, NEVER);
        let (waited, ended) =
            tokio::join!(tokio::time::timeout(super::DEADLINE, wait), lease.end(None));
        ended.unwrap();
        waited.unwrap().unwrap();
    }
}

#[tokio::test]
async fn a_dead_node_of_a_cluster_takes_only_its_own_keys_along() {
    let cluster = RedisCluster::start(3).await;
    let quick = RedisLimits { response: Duration::from_millis(500), ..limits() };
    let coordinator = replica(&cluster.url(), quick).await;
    let names: Vec<String> = (0..30).map(|number| format!("k{number}")).collect();
    for name in &names {
        coordinator.note(&key(name), &Note::Absent, MINUTE).await.unwrap();
    }
    cluster.nodes()[1].kill9();
    let (mut known, mut failed) = (0, 0);
    for name in &names {
        match coordinator.recall(&key(name)).await {
            Ok(note) => {
                assert_eq!(note, Some(Note::Absent));
                known += 1;
            }
            Err(_) => failed += 1,
        }
    }
    assert!(known > 0 && failed > 0, "{known} are known, {failed} failed");
    // A cluster forgets a node's keys with the node.
    cluster.nodes()[1].restart().await;
    becomes_up(&coordinator).await;
    for name in &names {
        comes_to_lead(&coordinator, &key(name)).await.end(None).await.unwrap();
    }
}

#[tokio::test]
async fn a_frozen_node_of_a_cluster_costs_a_few_late_answers_and_no_more() {
    let cluster = RedisCluster::start(3).await;
    let quick = RedisLimits {
        response: Duration::from_millis(300),
        probe: NEVER,
        pause: NEVER,
        ..limits()
    };
    let coordinator = replica(&cluster.url(), quick).await;
    cluster.nodes()[1].freeze();
    let mut kinds = HashMap::<&str, usize>::new();
    for number in 0..600 {
        let recalled = coordinator.recall(&key(&format!("k{number}"))).await;
        *kinds.entry(recalled.map_or_else(|error| error.kind(), |_| "ok")).or_default() += 1;
    }
    cluster.nodes()[1].thaw();
    // Sixteen parts, of which the node has six or seven, and three late answers for each.
    let count = |kind: &str| kinds.get(kind).copied().unwrap_or_default();
    assert!((1..=16 * 3).contains(&count("late")), "{kinds:?}");
    assert!(count("ok") >= 300, "{kinds:?}");
    assert_eq!(count("ok") + count("late") + count("down"), 600, "{kinds:?}");
}

#[tokio::test]
async fn a_new_master_is_found_through_the_sentinels() {
    let setup = SentinelSetup::start().await;
    let coordinator = replica(&setup.url(), limits()).await;
    leads(&coordinator, &key("a")).await.end(None).await.unwrap();
    setup.master().kill9();
    until("the replica is master", || async {
        setup.replica().cli(&["ROLE"]).await.starts_with("master")
    })
    .await;
    comes_to_lead(&coordinator, &key("a")).await.end(Some((Note::Absent, MINUTE))).await.unwrap();
    assert_eq!(
        setup.replica().cli(&["EXISTS", "crateport:{v1/a/index/config.json}:note"]).await,
        "1"
    );
}
