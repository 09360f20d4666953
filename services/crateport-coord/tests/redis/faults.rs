//! Every trouble that a Redis can be in: what is asked fails at once, and everything works again by itself.

use std::time::{Duration, Instant};

use crateport_coord::{Coordinator as _, Health, Note, RedisCoordinator, RedisLimits};
use crateport_testkit::redis::{RedisOptions, RedisServer};
use crateport_testkit::{ChaosProxy, Mode};
use crateport_types::{Sha256, StoreKey};
use tokio::time::timeout;

use super::{
    DEADLINE, MOMENT, NEVER, becomes_down, becomes_up, comes_to_lead, config, follows, key, leads,
    limits, listens, replica, until,
};

const MINUTE: Duration = Duration::from_secs(60);

/// Notices soon that there is no answer.
fn impatient() -> RedisLimits {
    RedisLimits { response: Duration::from_millis(300), ..limits() }
}

/// Asks everything once; every answer must be an error.
async fn nothing_works(coordinator: &RedisCoordinator, key: &StoreKey) {
    let asked = async {
        coordinator.recall(key).await.unwrap_err();
        coordinator.note(key, &Note::Absent, MINUTE).await.unwrap_err();
        coordinator.forget(key).await.unwrap_err();
        coordinator.claim(key).await.unwrap_err();
        coordinator.wait(key, NEVER).await.unwrap_err();
    };
    timeout(DEADLINE, asked).await.expect("errors come at once");
}

/// Everything works, as soon as it is up again.
async fn everything_works(coordinator: &RedisCoordinator, key: &StoreKey) {
    becomes_up(coordinator).await;
    let lease = comes_to_lead(coordinator, key).await;
    lease.end(Some((Note::Absent, MINUTE))).await.unwrap();
    assert_eq!(coordinator.recall(key).await.unwrap(), Some(Note::Absent));
    coordinator.wait(key, NEVER).await.unwrap();
    coordinator.forget(key).await.unwrap();
}

#[tokio::test]
async fn one_that_is_down_at_the_start_is_used_when_it_comes() {
    let server = RedisServer::start().await;
    server.kill9();
    let coordinator = RedisCoordinator::start(config(&server.url(), limits())).unwrap();
    assert!(matches!(coordinator.settled().await, Health::Down { .. }));
    nothing_works(&coordinator, &key("a")).await;
    server.restart().await;
    everything_works(&coordinator, &key("a")).await;
}

#[tokio::test]
async fn one_that_is_killed_and_started_again_is_used_again() {
    let server = RedisServer::start().await;
    let coordinator = replica(&server.url(), limits()).await;
    let lease = leads(&coordinator, &key("a")).await;
    server.kill9();
    becomes_down(&coordinator).await;
    nothing_works(&coordinator, &key("a")).await;
    assert!(lease.end(None).await.unwrap_err().is_transient());
    server.restart().await;
    everything_works(&coordinator, &key("a")).await;
}

#[tokio::test]
async fn a_frozen_one_costs_three_late_answers_and_no_more() {
    let server = RedisServer::start().await;
    let quiet = RedisLimits { probe: NEVER, pause: NEVER, ..impatient() };
    let coordinator = replica(&server.url(), quiet).await;
    server.freeze();
    let mut kinds = Vec::new();
    for _ in 0..20 {
        kinds.push(coordinator.recall(&key("a")).await.unwrap_err().kind());
    }
    assert_eq!(kinds[..3], ["late"; 3]);
    assert_eq!(kinds[3..], ["down"; 17]);
    server.thaw();
}

#[tokio::test]
async fn a_frozen_one_is_used_again_when_it_thaws_and_its_orphaned_lease_is_given_back() {
    let server = RedisServer::start().await;
    let eternal = |limits| RedisLimits { lease_ttl: NEVER, ..limits };
    let coordinator = replica(&server.url(), eternal(impatient())).await;
    let other = replica(&server.url(), eternal(impatient())).await;
    server.freeze();
    // The question lies in Redis's socket, and will be executed when nobody waits for the answer any more.
    assert_eq!(coordinator.claim(&key("a")).await.unwrap_err().kind(), "late");
    until("it is left alone", || async {
        coordinator.recall(&key("a")).await.is_err_and(|error| error.kind() == "down")
    })
    .await;
    nothing_works(&coordinator, &key("a")).await;
    server.thaw();
    comes_to_lead(&other, &key("a")).await.end(None).await.unwrap();
    everything_works(&coordinator, &key("a")).await;
}

#[tokio::test]
async fn a_note_that_lay_in_a_frozen_redis_is_not_younger_than_it_is() {
    let server = RedisServer::start().await;
    let coordinator = replica(&server.url(), impatient()).await;
    let other = replica(&server.url(), limits()).await;
    let fresh = Note::Fresh {
        checksum: Sha256::of(b"x"),
        asked_ago: Duration::ZERO,
        checked_ago: Duration::ZERO,
    };
    server.freeze();
    let checked = Instant::now();
    assert_eq!(coordinator.note(&key("a"), &fresh, MINUTE).await.unwrap_err().kind(), "late");
    tokio::time::sleep(Duration::from_secs(1)).await;
    let frozen = checked.elapsed();
    server.thaw();
    let arrived = async {
        loop {
            if let Some(note) = other.recall(&key("a")).await.unwrap() {
                break note;
            }
            tokio::time::sleep(MOMENT).await;
        }
    };
    match timeout(DEADLINE, arrived).await.unwrap() {
        // Redis counts milliseconds.
        Note::Fresh { checked_ago, .. } => assert!(checked_ago + MOMENT >= frozen),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_flushed_one_loses_leases_and_notes_and_nothing_else() {
    let server = RedisServer::start().await;
    let one = replica(&server.url(), limits()).await;
    let other = replica(&server.url(), limits()).await;
    let lease = leads(&one, &key("a")).await;
    one.note(&key("b"), &Note::Absent, MINUTE).await.unwrap();
    server.cli(&["FLUSHALL"]).await;
    server.cli(&["SCRIPT", "FLUSH"]).await;
    assert_eq!(one.recall(&key("b")).await.unwrap(), None);
    let second = leads(&other, &key("a")).await;
    lease.end(None).await.unwrap();
    follows(&one, &key("a")).await;
    second.end(None).await.unwrap();
    everything_works(&one, &key("a")).await;
}

#[tokio::test]
async fn a_killed_connection_costs_one_error_at_most() {
    let server = RedisServer::start().await;
    let coordinator = replica(&server.url(), limits()).await;
    for _ in 0..5 {
        // Good for long enough to be replaced at once.
        let probes = server.calls("time").await;
        until("it is probed", || async { server.calls("time").await >= probes + 3 }).await;
        server.cli(&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]).await;
        let mut errors = 0;
        while coordinator.recall(&key("a")).await.is_err() {
            errors += 1;
        }
        assert!(errors <= 1, "{errors} errors");
    }
}

#[tokio::test]
async fn a_read_only_one_is_left_alone_until_it_is_a_master() {
    let master = RedisServer::start().await;
    let server = RedisServer::start_with(RedisOptions::default().replica_of(&master)).await;
    let coordinator = RedisCoordinator::start(config(&server.url(), limits())).unwrap();
    assert!(matches!(coordinator.settled().await, Health::Down { .. }));
    nothing_works(&coordinator, &key("a")).await;
    server.cli(&["REPLICAOF", "NO", "ONE"]).await;
    everything_works(&coordinator, &key("a")).await;
    // And the other way round, while it is in use.
    server.cli(&["REPLICAOF", "127.0.0.1", &master.port().to_string()]).await;
    becomes_down(&coordinator).await;
    nothing_works(&coordinator, &key("a")).await;
}

#[tokio::test]
async fn a_full_one_refuses_at_once_and_lets_leases_end() {
    let server = RedisServer::start().await;
    let quiet = RedisLimits { probe: NEVER, ..limits() };
    let (one, other) =
        (replica(&server.url(), quiet).await, replica(&server.url(), limits()).await);
    let lease = leads(&one, &key("a")).await;
    one.note(&key("b"), &Note::Absent, MINUTE).await.unwrap();
    server.cli(&["CONFIG", "SET", "maxmemory-policy", "noeviction", "maxmemory", "1"]).await;
    let error = one.claim(&key("b")).await.unwrap_err();
    assert_eq!(error.kind(), "refused", "{error}");
    assert_eq!(one.note(&key("b"), &Note::Absent, MINUTE).await.unwrap_err().kind(), "refused");
    assert_eq!(one.recall(&key("b")).await.unwrap(), Some(Note::Absent), "it can still be read");
    // A lease that ends makes room, so its note is taken.
    lease.end(Some((Note::Absent, MINUTE))).await.unwrap();
    assert_eq!(one.recall(&key("a")).await.unwrap(), Some(Note::Absent));
    assert_eq!(server.cli(&["EXISTS", "crateport:{v1/a/index/config.json}:lease"]).await, "0");
    // The one that probes knows by itself.
    becomes_down(&other).await;
    nothing_works(&other, &key("a")).await;
    server.cli(&["CONFIG", "SET", "maxmemory", "0"]).await;
    everything_works(&one, &key("a")).await;
    everything_works(&other, &key("b")).await;
}

#[tokio::test]
async fn one_that_sleeps_is_late_and_then_used_again() {
    let server = RedisServer::start().await;
    let coordinator = replica(&server.url(), impatient()).await;
    let sleeps = server.cli(&["DEBUG", "SLEEP", "2"]);
    let asks = async {
        until("it sleeps", || async { coordinator.recall(&key("a")).await.is_err() }).await;
        becomes_down(&coordinator).await;
        nothing_works(&coordinator, &key("a")).await;
    };
    tokio::join!(sleeps, asks);
    everything_works(&coordinator, &key("a")).await;
}

#[tokio::test]
async fn a_network_in_any_trouble_fails_at_once_and_heals_by_itself() {
    let server = RedisServer::start().await;
    let proxy = ChaosProxy::in_front_of(server.address()).await;
    let coordinator = replica(&format!("redis://{}", proxy.address()), impatient()).await;
    for mode in [Mode::Refuse, Mode::Reset, Mode::Stall, Mode::Delay(MINUTE), Mode::Throttle(1)] {
        proxy.set(mode);
        until("it is left alone", || async {
            coordinator.recall(&key("a")).await.is_err_and(|error| error.kind() == "down")
        })
        .await;
        nothing_works(&coordinator, &key("a")).await;
        proxy.set(Mode::Pass);
        everything_works(&coordinator, &key("a")).await;
    }
    listens(&server, 1).await;
}

#[tokio::test]
async fn a_wrong_password_is_told_without_being_shown() {
    let server = RedisServer::start_with(RedisOptions::default().password("right")).await;
    let url = server.url().replace("://", "://:wr0ng@");
    let coordinator = RedisCoordinator::start(config(&url, limits())).unwrap();
    let Health::Down { reason } = coordinator.settled().await else { panic!("it is let in") };
    let error = coordinator.recall(&key("a")).await.unwrap_err().to_string();
    for text in [reason, error, format!("{coordinator:?}")] {
        assert!(!text.contains("wr0ng"), "{text}");
    }
    server.cli(&["CONFIG", "SET", "requirepass", "wr0ng"]).await;
    everything_works(&coordinator, &key("a")).await;
}
