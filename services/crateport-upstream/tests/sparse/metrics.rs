//! What is counted.

use crateport_types::Validators;
use crateport_upstream::contract::Act;
use crateport_upstream::{SparseUpstream, UpstreamLimits, UpstreamMetrics};
use prometheus::{Registry, TextEncoder};

use crate::support::{LINE, config, index_file, index_file_if, krate, patient, serve};

#[tokio::test]
async fn every_attempt_on_the_wire_is_counted_by_what_came_of_it() {
    let server = serve(|seen| match seen.number {
        0 => vec![Act::status(500, "")],
        1 => vec![Act::ok("", LINE)],
        2 => vec![Act::status(304, "")],
        3 => vec![Act::status(404, "")],
        _ => vec![Act::status(429, "retry-after: 60\r\n")],
    })
    .await;
    let registry = Registry::new();
    let metrics = UpstreamMetrics::register(&registry).unwrap();
    let limits = UpstreamLimits { retries_max: 1, ..patient() };
    let upstream = SparseUpstream::new(config(server.address(), limits), metrics).unwrap();
    let etag = Validators { etag: Some("\"x\"".into()), last_modified: None };
    drop(index_file(&upstream).await);
    drop(index_file_if(&upstream, &etag).await);
    drop(krate(&upstream, &format!("http://{}/dl", server.address())).await);
    for _ in 0..3 {
        drop(index_file(&upstream).await);
    }

    let text = TextEncoder::new().encode_to_string(&registry.gather()).unwrap();
    for line in [
        r#"requests_total{registry="internal",resource="index",result="upstream-status"} 1"#,
        r#"requests_total{registry="internal",resource="index",result="ok"} 1"#,
        r#"requests_total{registry="internal",resource="index",result="not_modified"} 1"#,
        r#"requests_total{registry="internal",resource="crate",result="absent"} 1"#,
        r#"requests_total{registry="internal",resource="index",result="upstream-rate-limited"} 1"#,
        r#"request_duration_seconds_count{registry="internal",resource="index"} 4"#,
        r#"condition{registry="internal"} 2"#,
    ] {
        assert!(text.contains(&format!("crateport_upstream_{line}")), "{line} is not in\n{text}");
    }
}

#[test]
fn metrics_are_registered_once() {
    let registry = Registry::new();
    assert!(UpstreamMetrics::register(&registry).is_ok());
    assert!(UpstreamMetrics::register(&registry).is_err());
}
