//! Which failures are tried again, counted by what the server saw.

use std::time::Duration;

use crateport_upstream::UpstreamLimits;
use crateport_upstream::contract::Act;

use crate::support::{LINE, NEVER, always, body, failure, index_file, patient, serve, upstream};

fn retrying() -> UpstreamLimits {
    UpstreamLimits { retries_max: 2, ..patient() }
}

#[tokio::test]
async fn a_503_with_retry_after_and_then_a_200_is_a_200() {
    let server = serve(|seen| match seen.number {
        0 => vec![Act::status(503, "retry-after: 0\r\n")],
        _ => vec![Act::ok("", LINE)],
    })
    .await;
    assert_eq!(body(index_file(&upstream(&server, retrying())).await).await.unwrap(), LINE);
    assert_eq!(server.requests().len(), 2);
}

#[tokio::test]
async fn a_retry_after_beyond_the_deadline_is_not_waited_for() {
    let server = always(vec![Act::status(503, "retry-after: 3600\r\n")]).await;
    let error = index_file(&upstream(&server, retrying())).await.unwrap_err();
    assert_eq!(error.retry_after(), Some(Duration::from_secs(3600)));
    assert_eq!(server.requests().len(), 1);
}

#[tokio::test]
async fn only_what_may_pass_is_tried_again() {
    for (acts, requests) in [
        (vec![Act::status(500, "")], 3),
        (vec![Act::status(502, "")], 3),
        (vec![Act::Close], 3),
        (vec![Act::Reset], 3),
        (vec![Act::status(501, "")], 1),
        (vec![Act::status(505, "")], 1),
        (vec![Act::status(400, "")], 1),
        (vec![Act::status(401, "")], 1),
        (vec![Act::status(429, "")], 1),
        (vec![Act::status(204, "")], 1),
        (vec![Act::send("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{"), Act::Close], 1),
    ] {
        let server = always(acts.clone()).await;
        failure(index_file(&upstream(&server, retrying())).await).await;
        assert_eq!(server.requests().len(), requests, "{acts:?}");
    }
}

#[tokio::test]
async fn a_timeout_is_tried_again_within_the_deadline() {
    let server = serve(|seen| match seen.number {
        0 => vec![Act::Hang],
        _ => vec![Act::ok("", LINE)],
    })
    .await;
    let limits = UpstreamLimits { answer_timeout: Duration::from_millis(500), ..retrying() };
    assert_eq!(body(index_file(&upstream(&server, limits)).await).await.unwrap(), LINE);
    assert_eq!(server.requests().len(), 2);
}

#[tokio::test]
async fn the_deadline_covers_all_attempts() {
    let server = always(vec![Act::Hang]).await;
    let limits = UpstreamLimits {
        answer_timeout: NEVER,
        deadline: Duration::from_millis(200),
        ..retrying()
    };
    assert_eq!(failure(index_file(&upstream(&server, limits)).await).await, "upstream-timeout");
    assert_eq!(server.requests().len(), 1);
}
