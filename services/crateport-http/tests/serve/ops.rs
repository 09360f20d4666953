//! The ops listener: health, metrics, version, and what a shutdown looks like from there.

use crateport_store::StoreFault;
use crateport_testkit::client::get;
use crateport_testkit::{Fault, On, ScriptedUpstream, Times, krate};

use super::harness::{NEVER, in_front_of, json};

#[tokio::test]
async fn health_tells_of_the_store_and_the_upstream() {
    let upstream = ScriptedUpstream::start().await;
    let setup = in_front_of(&upstream).with(|setup| {
        setup.asking.failures_before_open = 1;
        (setup.asking.open_for_min, setup.asking.open_for_max) = (NEVER, NEVER);
    });
    let mut crateport = setup.start().await;
    assert_eq!(crateport.ops("/livez").await.text(), "ok\n");
    let ready = crateport.ops("/readyz").await;
    assert_eq!(ready.status, 200);
    assert_eq!(json(&ready)["upstreams"]["crates-io"], "healthy");
    let version = json(&crateport.ops("/version").await);
    assert_eq!(
        (&version["version"], &version["replica"]),
        (&"0.0.0-test".into(), &"replica-7".into())
    );

    assert_eq!(json(&ready)["serves"], "all");

    // A store that is gone is gone for every replica, and upstream can still be asked.
    crateport.store.set(Some(StoreFault::Reads));
    let unstored = crateport.ops("/readyz").await;
    assert_eq!((unstored.status, &json(&unstored)["serves"]), (200, &"unstored".into()));
    assert_ne!(json(&unstored)["store"], "ok");

    upstream.fault(On::All, Fault::Reset, Times::Always);
    crateport.index("any").await;
    let unready = crateport.ops("/readyz").await;
    assert_eq!((unready.status, &json(&unready)["ready"]), (503, &false.into()));
    assert_eq!(json(&unready)["serves"], "memory");
    assert_eq!(crateport.ops("/livez").await.status, 200);

    crateport.store.set(None);
    let ready = crateport.ops("/readyz").await;
    assert_eq!((ready.status, &json(&ready)["upstreams"]["crates-io"]), (200, &"down".into()));
    assert_eq!(json(&ready)["serves"], "stale");

    crateport.readiness.end();
    let draining = crateport.ops("/readyz").await;
    assert_eq!((draining.status, &json(&draining)["draining"]), (503, &true.into()));
    crateport.stop().await;
}

#[tokio::test]
async fn the_metrics_have_their_names_and_no_label_from_outside() {
    let upstream = ScriptedUpstream::start().await;
    let published = krate("serde", "1.0.0").publish(&upstream);
    let crateport = in_front_of(&upstream).start().await;
    crateport.index("serde").await;
    crateport.index("serde").await;
    crateport.krate("serde", "1.0.0").await;
    crateport.keeps("serde", "1.0.0").await;
    crateport.krate("serde", "1.0.0").await;
    crateport.search("q=needle").await;
    for path in ["/outsider/index/config.json", "/outsider", "/crates-io/index/ou/ts/outsider"] {
        get(format!("{}{path}", crateport.base)).header("user-agent", "outsider").send().await;
    }
    let length = published.bytes.len();
    for (sample, value) in [
        (
            r#"crateport_http_requests_total{outcome="fill",registry="crates-io",resource="index",status="200"}"#,
            1,
        ),
        (
            r#"crateport_http_requests_total{outcome="hit",registry="crates-io",resource="index",status="200"}"#,
            1,
        ),
        (
            r#"crateport_http_requests_total{outcome="hit",registry="crates-io",resource="crate",status="200"}"#,
            1,
        ),
        (
            r#"crateport_http_requests_total{outcome="refused",registry="",resource="config",status="404"}"#,
            1,
        ),
        (
            r#"crateport_http_requests_total{outcome="absent",registry="crates-io",resource="index",status="404"}"#,
            1,
        ),
        (r#"crateport_http_request_duration_seconds_count{outcome="hit",resource="crate"}"#, 1),
        (r#"crateport_http_first_byte_seconds_count{outcome="hit",resource="crate"}"#, 1),
        (
            r#"crateport_served_bytes_total{delivery="stream",outcome="hit",resource="crate"}"#,
            length,
        ),
        (
            r#"crateport_served_bytes_total{delivery="spool",outcome="fill",resource="crate"}"#,
            length,
        ),
        (r#"crateport_filled_bytes_total{resource="crate"}"#, length),
        ("crateport_spool_bytes", 0),
        ("crateport_ready", 1),
        (r#"crateport_fills_total{resource="crate",result="stored"}"#, 1),
        (
            r#"crateport_upstream_requests_total{registry="crates-io",resource="crate",result="ok"}"#,
            1,
        ),
        (
            r#"crateport_upstream_request_duration_seconds_count{registry="crates-io",resource="crate"}"#,
            1,
        ),
        ("crateport_http_requests_in_flight", 0),
        ("crateport_fills_in_flight", 0),
        ("crateport_index_memory_files", 1),
    ] {
        let expected = f64::from(u32::try_from(value).unwrap());
        super::harness::until(sample, async || crateport.metric(sample).await == expected).await;
    }
    let metrics = crateport.ops("/metrics").await;
    assert!(metrics.header("content-type").unwrap().starts_with("text/plain"));
    for outside in ["outsider", "serde", "needle", "127.0.0.1"] {
        assert!(!metrics.text().contains(outside), "{outside} in {}", metrics.text());
    }
}
