//! Who waits is told, and when it is not told it finds out.

use std::sync::Arc;
use std::time::Duration;

use crateport_coord::{Coordinator as _, RedisCoordinator, RedisLimits};
use crateport_testkit::redis::{RedisOptions, RedisServer};
use crateport_types::StoreKey;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::{DEADLINE, MOMENT, NEVER, follows, key, leads, limits, listens, replica, until};

/// Looks only when there is a reason.
fn deaf_without_announcements() -> RedisLimits {
    RedisLimits { poll: NEVER, lease_ttl: NEVER, lease_held_max: NEVER, ..limits() }
}

/// Begins to wait, and returns when it has looked at the lease once.
async fn begin_to_wait(
    server: &RedisServer,
    coordinator: &Arc<RedisCoordinator>,
    key: StoreKey,
) -> JoinHandle<()> {
    follows(coordinator, &key).await;
    let looks = server.calls("get").await;
    let coordinator = Arc::clone(coordinator);
    let waiting = tokio::spawn(async move { coordinator.wait(&key, NEVER).await.unwrap() });
    until("it looked", || async { server.calls("get").await > looks }).await;
    waiting
}

async fn ends(waiting: JoinHandle<()>) {
    timeout(DEADLINE, waiting).await.expect("it still waits").unwrap();
}

#[tokio::test]
async fn an_announcement_wakes_all_who_wait_on_all_replicas() {
    let server = RedisServer::start().await;
    let one = replica(&server.url(), deaf_without_announcements()).await;
    let other = replica(&server.url(), deaf_without_announcements()).await;
    listens(&server, 2).await;
    let lease = leads(&one, &key("a")).await;
    let mut waiting = Vec::new();
    for coordinator in [&one, &other, &other] {
        waiting.push(begin_to_wait(&server, coordinator, key("a")).await);
    }
    lease.end(None).await.unwrap();
    for waiting in waiting {
        ends(waiting).await;
    }
}

#[tokio::test]
async fn the_end_of_an_earlier_lease_wakes_nobody() {
    let server = RedisServer::start().await;
    let one = replica(&server.url(), deaf_without_announcements()).await;
    let other = replica(&server.url(), deaf_without_announcements()).await;
    listens(&server, 2).await;
    let lease = leads(&one, &key("a")).await;
    let waiting = begin_to_wait(&server, &other, key("a")).await;
    server.cli(&["PUBLISH", "crateport:ended", "an-earlier-token v1/a/index/config.json"]).await;
    server.cli(&["PUBLISH", "crateport:ended", "nonsense"]).await;
    // It looked because of the first; it does not end because of it.
    until("it looked", || async { server.calls("publish").await == 2 }).await;
    tokio::time::sleep(MOMENT).await;
    assert!(!waiting.is_finished());
    lease.end(None).await.unwrap();
    ends(waiting).await;
}

#[tokio::test]
async fn announcements_come_again_after_every_outage() {
    let server = RedisServer::start().await;
    let one = replica(&server.url(), deaf_without_announcements()).await;
    let other = replica(&server.url(), deaf_without_announcements()).await;
    for outage in 0..4 {
        listens(&server, 2).await;
        super::becomes_up(&one).await;
        super::becomes_up(&other).await;
        let lease = super::comes_to_lead(&one, &key("a")).await;
        let waiting = begin_to_wait(&server, &other, key("a")).await;
        lease.end(None).await.unwrap();
        ends(waiting).await;
        match outage {
            0 => drop(server.cli(&["CLIENT", "KILL", "TYPE", "pubsub"]).await),
            1 => server.restart().await,
            2 => {
                // Longer than any number of tries that a client would make by itself.
                server.kill9();
                tokio::time::sleep(Duration::from_secs(2)).await;
                server.restart().await;
            }
            _ => {}
        }
    }
}

#[tokio::test]
async fn a_frozen_connection_for_announcements_is_replaced() {
    let server = RedisServer::start().await;
    let proxy = crateport_testkit::ChaosProxy::in_front_of(server.address()).await;
    let quick =
        RedisLimits { response: Duration::from_millis(500), ..deaf_without_announcements() };
    let one = replica(&server.url(), deaf_without_announcements()).await;
    let other = replica(&format!("redis://{}", proxy.address()), quick).await;
    listens(&server, 2).await;
    proxy.set(crateport_testkit::Mode::Stall);
    let connections = proxy.connections();
    until("it tries again", || async { proxy.connections() >= connections + 2 }).await;
    proxy.set(crateport_testkit::Mode::Pass);
    super::becomes_up(&other).await;
    until("it hears again", || async {
        let lease = super::comes_to_lead(&one, &key("a")).await;
        let waiting = begin_to_wait(&server, &other, key("a")).await;
        lease.end(None).await.unwrap();
        let heard = timeout(Duration::from_secs(1), waiting).await;
        heard.is_ok()
    })
    .await;
}

#[tokio::test]
async fn a_missed_announcement_is_made_up_for_after_the_next_subscription() {
    let server = RedisServer::start().await;
    let one = replica(&server.url(), deaf_without_announcements()).await;
    let other = replica(&server.url(), deaf_without_announcements()).await;
    listens(&server, 2).await;
    let lease = leads(&one, &key("a")).await;
    let waiting = begin_to_wait(&server, &other, key("a")).await;
    server.cli(&["DEL", "crateport:{v1/a/index/config.json}:lease"]).await;
    assert!(!waiting.is_finished());
    server.cli(&["CLIENT", "KILL", "TYPE", "pubsub"]).await;
    ends(waiting).await;
    drop(lease);
}

#[tokio::test]
async fn a_missed_announcement_is_made_up_for_by_looking_every_now_and_then() {
    let options =
        RedisOptions::default().user("mute", &["on", ">p", "~*", "resetchannels", "+@all"]);
    let server = RedisServer::start_with(options).await;
    let url = server.url().replace("://", "://mute:p@");
    let quick = || RedisLimits { poll: MOMENT, ..limits() };
    let (one, other) = (replica(&url, quick()).await, replica(&url, quick()).await);
    listens(&server, 0).await;
    let lease = leads(&one, &key("a")).await;
    let waiting = begin_to_wait(&server, &other, key("a")).await;
    // The announcement is refused, and the lease has ended all the same.
    lease.end(None).await.unwrap_err();
    ends(waiting).await;
    leads(&other, &key("a")).await.end(None).await.unwrap_err();
}
