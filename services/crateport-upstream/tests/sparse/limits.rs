//! Permits: how many requests are under way at once, and when one ends.

use std::sync::Arc;
use std::time::Duration;

use crateport_upstream::UpstreamLimits;
use crateport_upstream::contract::Act;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::support::{LINE, body, failure, index_file, limits, patient, serve, upstream};

#[tokio::test]
async fn no_more_requests_are_under_way_than_permits() {
    let (open, gate) = watch::channel(false);
    let server = serve(move |_| vec![Act::Until(gate.clone()), Act::ok("", LINE)]).await;
    let upstream = Arc::new(upstream(&server, UpstreamLimits { requests_max: 3, ..patient() }));
    let mut fetches = JoinSet::new();
    for _ in 0..10 {
        let upstream = Arc::clone(&upstream);
        fetches.spawn(async move { body(index_file(&upstream).await).await });
    }
    server.has_seen(3).await;
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    assert_eq!(server.requests().len(), 3);
    open.send(true).unwrap();
    for body in fetches.join_all().await {
        assert_eq!(body.unwrap(), LINE);
    }
    assert_eq!(server.requests().len(), 10);
}

#[tokio::test]
async fn the_permit_is_held_until_the_body_ends() {
    let server = serve(|_| vec![Act::ok("", LINE)]).await;
    let upstream = upstream(&server, UpstreamLimits { requests_max: 1, ..limits() });
    let first = index_file(&upstream).await;
    assert_eq!(failure(index_file(&upstream).await).await, "upstream-timeout");
    assert_eq!(server.requests().len(), 1, "waiting for a permit is within the deadline");
    body(first).await.unwrap();
    body(index_file(&upstream).await).await.unwrap();
}

#[tokio::test]
async fn cancelled_requests_leave_no_trace() {
    let server = serve(|seen| match seen.number {
        0..10 => vec![Act::Hang],
        _ => vec![Act::ok("", LINE)],
    })
    .await;
    let upstream = upstream(&server, UpstreamLimits { requests_max: 1, ..patient() });
    for number in 1..=10 {
        tokio::select! {
            biased;
            () = server.has_seen(number) => {}
            reply = index_file(&upstream) => panic!("{reply:?}"),
        }
    }
    let reply = tokio::time::timeout(Duration::from_secs(30), index_file(&upstream)).await;
    assert_eq!(body(reply.unwrap()).await.unwrap(), LINE);
}
