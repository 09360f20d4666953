//! Leases over their life: signs of life, death, the cap, the end.

use std::time::{Duration, Instant};

use crateport_coord::{Coordinator as _, Note, RedisLimits};
use crateport_testkit::redis::RedisServer;
use crateport_types::Reason;
use tokio::runtime::Runtime;

use super::{NEVER, comes_to_lead, follows, key, leads, limits, replica, until};

const MINUTE: Duration = Duration::from_secs(60);

#[tokio::test]
async fn a_lease_lives_as_long_as_its_holder_shows_signs() {
    let server = RedisServer::start().await;
    let ttl = Duration::from_millis(900);
    let quick = || RedisLimits { lease_ttl: ttl, ..limits() };
    let one = replica(&server.url(), quick()).await;
    let other = replica(&server.url(), quick()).await;
    let began = Instant::now();
    let lease = leads(&one, &key("a")).await;
    // Without its signs it would be gone twice over.
    until("signs of life", || async {
        follows(&other, &key("a")).await;
        server.calls("pexpire").await >= 7 && began.elapsed() > ttl * 2
    })
    .await;
    lease.end(None).await.unwrap();
    leads(&other, &key("a")).await.end(None).await.unwrap();
    let signs = server.calls("pexpire").await;
    tokio::time::sleep(ttl).await;
    assert_eq!(server.calls("pexpire").await, signs, "signs are given for a lease that has ended");
}

#[tokio::test]
async fn a_holder_that_died_is_succeeded_after_the_ttl_and_not_before() {
    let server = RedisServer::start().await;
    let ttl = Duration::from_secs(1);
    let quick = RedisLimits { lease_ttl: ttl, poll: Duration::from_millis(20), ..limits() };
    let (url, dying) = (server.url(), quick.clone());
    let began = Instant::now();
    // With its runtime everything of this replica ends at once, as if it were killed.
    std::thread::spawn(move || {
        let runtime = Runtime::new().unwrap();
        runtime.block_on(async {
            let one = replica(&url, dying).await;
            std::mem::forget(leads(&one, &key("a")).await);
        });
        runtime.shutdown_background();
    })
    .join()
    .unwrap();
    let other = replica(&server.url(), quick).await;
    let lease = comes_to_lead(&other, &key("a")).await;
    assert!(began.elapsed() >= ttl, "two held it within the time of one");
    lease.end(None).await.unwrap();
}

#[tokio::test]
async fn a_lease_is_held_no_longer_than_the_cap() {
    let server = RedisServer::start().await;
    let quick = || RedisLimits {
        lease_ttl: Duration::from_millis(300),
        lease_held_max: Duration::from_millis(700),
        poll: Duration::from_millis(20),
        ..limits()
    };
    let one = replica(&server.url(), quick()).await;
    let other = replica(&server.url(), RedisLimits { lease_ttl: MINUTE, ..quick() }).await;
    let hanging = leads(&one, &key("a")).await;
    let lease = comes_to_lead(&other, &key("a")).await;

    // The one that hung wakes up. It takes nothing from its successor.
    let late = (Note::Absent, MINUTE);
    hanging.end(Some(late)).await.unwrap();
    follows(&one, &key("a")).await;
    assert_eq!(one.recall(&key("a")).await.unwrap(), Some(Note::Absent), "better than nothing");
    let failed = Note::Failed { reason: Reason::UpstreamTimeout };
    lease.end(Some((failed.clone(), MINUTE))).await.unwrap();
    assert_eq!(one.recall(&key("a")).await.unwrap(), Some(failed));
}

#[tokio::test]
async fn who_lost_a_lease_does_not_overwrite_the_note_of_the_successor() {
    let server = RedisServer::start().await;
    let one = replica(&server.url(), limits()).await;
    let other = replica(&server.url(), limits()).await;
    let lost = leads(&one, &key("a")).await;
    server.cli(&["FLUSHALL"]).await;
    leads(&other, &key("a")).await.end(Some((Note::Absent, MINUTE))).await.unwrap();
    let failed = Note::Failed { reason: Reason::UpstreamTimeout };
    lost.end(Some((failed, MINUTE))).await.unwrap();
    assert_eq!(other.recall(&key("a")).await.unwrap(), Some(Note::Absent));
}

#[tokio::test]
async fn leases_and_notes_of_two_fleets_on_one_redis_do_not_meet() {
    let server = RedisServer::start().await;
    let one = replica(&server.url(), limits()).await;
    let config = crateport_coord::RedisConfig {
        prefix: "staging:".to_owned(),
        ..super::config(&server.url(), limits())
    };
    let other = crateport_coord::RedisCoordinator::start(config).unwrap();
    super::becomes_up(&other).await;
    let (first, second) = (leads(&one, &key("a")).await, leads(&other, &key("a")).await);
    first.end(Some((Note::Absent, MINUTE))).await.unwrap();
    assert_eq!(other.recall(&key("a")).await.unwrap(), None);
    second.end(None).await.unwrap();
}

#[tokio::test]
async fn a_dropped_coordinator_leaves_no_connection() {
    let server = RedisServer::start().await;
    let one = replica(&server.url(), RedisLimits { poll: NEVER, ..limits() }).await;
    let lease = leads(&one, &key("a")).await;
    drop(lease);
    drop(one);
    until("all connections are closed", || async {
        // The one that asks is there too.
        server.cli(&["CLIENT", "LIST"]).await.lines().count() == 1
    })
    .await;
}
