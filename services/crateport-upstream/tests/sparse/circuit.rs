//! A dead upstream costs one short wait and not one per request.

use std::time::Duration;

use crateport_upstream::contract::Act;
use crateport_upstream::{Condition, Upstream as _, UpstreamLimits};
use tokio::sync::watch;

use crate::support::{
    LINE, NEVER, always, body, failure, index_file, limits, patient, serve, upstream,
};

fn careful() -> UpstreamLimits {
    UpstreamLimits {
        failures_before_open: 3,
        open_for_min: NEVER,
        open_for_max: NEVER,
        slow_after: Duration::ZERO,
        ..limits()
    }
}

#[tokio::test]
async fn an_upstream_that_fails_again_and_again_is_left_alone() {
    for acts in [vec![Act::status(500, "")], vec![Act::Close], vec![Act::Hang]] {
        let server = always(acts.clone()).await;
        let upstream = upstream(&server, careful());
        for _ in 0..3 {
            assert_ne!(failure(index_file(&upstream).await).await, "upstream-circuit-open");
        }
        assert!(matches!(upstream.condition(), Condition::Down { .. }), "{acts:?}");
        for _ in 0..20 {
            assert_eq!(failure(index_file(&upstream).await).await, "upstream-circuit-open");
        }
        assert_eq!(server.requests().len(), 3, "{acts:?}");
    }
}

#[tokio::test]
async fn an_upstream_that_stalls_in_every_body_is_left_alone_too() {
    const SHORT: &str = "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{";
    let server = always(vec![Act::send(SHORT), Act::Hang]).await;
    let upstream = upstream(&server, careful());
    for _ in 0..3 {
        assert_eq!(failure(index_file(&upstream).await).await, "upstream-timeout");
    }
    assert_eq!(failure(index_file(&upstream).await).await, "upstream-circuit-open");
}

#[tokio::test]
async fn answers_that_are_no_failures_leave_the_circuit_closed() {
    for act in [Act::status(404, ""), Act::status(403, ""), Act::status(204, ""), Act::ok("", LINE)]
    {
        let server = always(vec![act.clone()]).await;
        let upstream = upstream(&server, UpstreamLimits { failures_before_open: 1, ..patient() });
        for _ in 0..5 {
            drop(index_file(&upstream).await);
        }
        assert_eq!(upstream.condition(), Condition::Healthy, "{act:?}");
        assert_eq!(server.requests().len(), 5, "{act:?}");
    }
}

#[tokio::test]
async fn the_retries_of_one_request_do_not_close_a_registry_that_has_one_bad_file() {
    let server = always(vec![Act::status(500, "")]).await;
    let limits = UpstreamLimits { retries_max: 2, failures_before_open: 3, ..patient() };
    let upstream = upstream(&server, limits);
    assert_eq!(failure(index_file(&upstream).await).await, "upstream-status");
    assert_eq!(upstream.condition(), Condition::Healthy);
    assert_eq!(server.requests().len(), 3);
}

#[tokio::test]
async fn the_error_that_opened_the_circuit_is_the_one_that_is_told() {
    let server = always(vec![Act::Close]).await;
    let limits = UpstreamLimits {
        retries_max: 2,
        failures_before_open: 1,
        open_for_min: NEVER,
        open_for_max: NEVER,
        ..patient()
    };
    let upstream = upstream(&server, limits);
    assert_eq!(failure(index_file(&upstream).await).await, "upstream-cut");
    assert_eq!(server.requests().len(), 1);
}

#[tokio::test]
async fn one_good_probe_brings_an_upstream_back() {
    let server = serve(|seen| match seen.number {
        0..3 => vec![Act::status(500, "")],
        _ => vec![Act::ok("", LINE)],
    })
    .await;
    let limits = UpstreamLimits {
        failures_before_open: 3,
        open_for_min: Duration::from_millis(1),
        ..patient()
    };
    let upstream = upstream(&server, limits);
    while server.requests().len() < 3 {
        drop(index_file(&upstream).await);
    }
    // Until the millisecond is over, requests are refused; the first one after it is the probe.
    loop {
        match body(index_file(&upstream).await).await {
            Ok(line) => break assert_eq!(line, LINE),
            Err(error) => assert_eq!(error.kind(), "upstream-circuit-open"),
        }
        tokio::task::yield_now().await;
    }
    assert_eq!(upstream.condition(), Condition::Healthy);
    assert_eq!(server.requests().len(), 4);
}

#[tokio::test]
async fn after_a_429_the_host_is_not_asked_until_its_time_has_come() {
    let server = always(vec![Act::status(429, "retry-after: 3600\r\n")]).await;
    let upstream = upstream(&server, patient());
    for _ in 0..5 {
        let error = index_file(&upstream).await.unwrap_err();
        assert_eq!(error.kind(), "upstream-rate-limited");
        assert!(error.retry_after().unwrap() <= Duration::from_secs(60));
    }
    assert!(matches!(upstream.condition(), Condition::Down { .. }));
    assert_eq!(server.requests().len(), 1);
}

#[tokio::test]
async fn a_hanging_upstream_is_slow_until_it_answers() {
    let (open, gate) = watch::channel(false);
    let server = serve(move |_| vec![Act::Until(gate.clone()), Act::ok("", LINE)]).await;
    let upstream = upstream(&server, UpstreamLimits { slow_after: Duration::ZERO, ..patient() });
    assert_eq!(upstream.condition(), Condition::Healthy);
    let (reply, ()) = tokio::join!(index_file(&upstream), async {
        server.has_seen(1).await;
        assert_eq!(upstream.condition(), Condition::Slow);
        open.send(true).unwrap();
    });
    body(reply).await.unwrap();
    assert_eq!(upstream.condition(), Condition::Healthy);
}
