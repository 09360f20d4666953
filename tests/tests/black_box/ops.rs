//! Seen from outside: health, metrics, version, and one log line per request.

use crateport_testkit::client::get;
use crateport_testkit::{Crateport, Fault, On, ScriptedUpstream, Times, krate};
use serde_json::Value;

use crate::house::{crate_url, crateport, hasty, index_file_url, metric_is, options, until_none};

#[tokio::test]
async fn health_and_version_are_on_the_ops_listener_and_nowhere_else() {
    let upstream = ScriptedUpstream::start().await;
    let crateport = Crateport::start(hasty(&upstream)).await;
    let ops = |path: &str| get(format!("{}{path}", crateport.ops_url())).send();
    assert_eq!(ops("/livez").await.status, 200);
    assert_eq!(ops("/readyz").await.status, 200);
    let version = serde_json::from_slice::<Value>(&ops("/version").await.body).unwrap();
    assert_eq!(version["version"], env!("CARGO_PKG_VERSION"));
    for path in ["/livez", "/readyz", "/metrics", "/version"] {
        assert_eq!(get(format!("{}{path}", crateport.url())).send().await.status, 404, "{path}");
    }
    // An upstream that is down makes nobody unready, and is told.
    upstream.stop();
    until_none(async || {
        get(index_file_url(&crateport, &upstream, "a")).send().await;
        let ready = ops("/readyz").await;
        assert_eq!(ready.status, 200);
        (!ready.text().contains("\"down\"")).then(|| ready.text().to_owned())
    })
    .await;
}

#[tokio::test]
async fn metrics_have_the_names_that_dashboards_use() {
    let upstream = ScriptedUpstream::start().await;
    krate("a", "1.0.0").publish(&upstream);
    let crateport = crateport(&upstream).await;
    get(crate_url(&crateport, "a", "1.0.0")).send().await;
    get(index_file_url(&crateport, &upstream, "a")).send().await;
    let request =
        [("registry", "crates-io"), ("resource", "crate"), ("outcome", "fill"), ("status", "200")];
    metric_is(&crateport, "crateport_http_requests_total", &request, 1.0).await;
    let index = [("resource", "index"), ("outcome", "hit")];
    metric_is(&crateport, "crateport_http_requests_total", &index, 1.0).await;
    metric_is(&crateport, "crateport_http_request_duration_seconds_count", &index, 1.0).await;
    let upstream_ok = [("registry", "crates-io"), ("resource", "crate"), ("result", "ok")];
    metric_is(&crateport, "crateport_upstream_requests_total", &upstream_ok, 1.0).await;
    let fill = [("resource", "crate"), ("result", "stored")];
    metric_is(&crateport, "crateport_fills_total", &fill, 1.0).await;
    let text = crateport.metrics().await;
    for name in ["crateport_served_bytes_total", "crateport_upstream_request_duration_seconds"] {
        assert!(text.contains(name), "{name} is missing");
    }
    // Labels come from enums and from the configuration, never from what a client sends.
    get(format!("{}/evil-registry/index/1/a", crateport.url())).send().await;
    get(crate_url(&crateport, "evil-crate", "6.6.6")).send().await;
    assert!(!crateport.metrics().await.contains("evil"));
}

#[tokio::test]
async fn each_request_is_one_json_line_from_which_it_can_be_explained() {
    let upstream = ScriptedUpstream::start().await;
    krate("a", "1.0.0").publish(&upstream);
    let options = options(&upstream).flag("--log-format", "json");
    let crateport = Crateport::start(options).await;
    get(crate_url(&crateport, "a", "1.0.0")).send().await;
    upstream.fault(On::Index, Fault::Status(502), Times::Always);
    get(index_file_url(&crateport, &upstream, "unseen")).send().await;
    let lines = || {
        let log = crateport.log();
        let lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let requests = lines.filter(|line| {
            line.to_string().contains("user_agent") || line.to_string().contains("answered_ms")
        });
        requests.collect::<Vec<_>>()
    };
    until_none(async || (lines().len() < 2).then(|| crateport.log())).await;
    let lines = lines();
    assert_eq!(lines.len(), 2, "{lines:?}");
    let field = |line: &Value, name: &str| {
        line.get(name).or_else(|| line["fields"].get(name)).cloned().unwrap_or_default()
    };
    for (line, name, wanted) in [
        (0, "status", Value::from(200)),
        (0, "registry", "crates-io".into()),
        (0, "resource", "crate".into()),
        (0, "outcome", "fill".into()),
        (0, "reason", "missing".into()),
        (0, "end", "whole".into()),
        (1, "status", 503.into()),
        (1, "resource", "index".into()),
        (1, "outcome", "unavailable".into()),
        (1, "reason", "upstream-status".into()),
        (1, "upstream_status", 502.into()),
    ] {
        assert_eq!(field(&lines[line], name), wanted, "{name} in {}", lines[line]);
    }
}
