//! Traces as a collector gets them: one span per request and one per fill, linked, within the trace of who asked.

use crateport_testkit::client::get;
use crateport_testkit::{
    Collector, Crateport, CrateportOptions, Fault, On, ScriptedUpstream, SeenSpan, Times, krate,
};
use serde_json::Value;

use crate::house::{self, crate_url, index_file_url, until_none};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const CALLER: &str = "00f067aa0ba902b7";

fn options(upstream: &ScriptedUpstream, collector: &Collector) -> CrateportOptions {
    house::options(upstream)
        .flag("--otlp-endpoint", collector.endpoint())
        .flag("--log-format", "json")
        .flag("--replica", "replica-7")
        .variable("OTEL_BSP_SCHEDULE_DELAY", "50")
}

fn traceparent() -> String {
    format!("00-{TRACE}-{CALLER}-01")
}

async fn named(collector: &Collector, name: &'static str) -> SeenSpan {
    collector.wait_for(move |span| span.name == name).await
}

#[tokio::test]
async fn a_request_joins_its_callers_trace_and_a_fill_is_linked_to_the_request_that_began_it() {
    let (upstream, collector) = (ScriptedUpstream::start().await, Collector::start().await);
    let published = krate("a", "1.0.0").publish(&upstream);
    let crateport = Crateport::start(options(&upstream, &collector)).await;
    let asking = get(crate_url(&crateport, "a", "1.0.0"))
        .header("traceparent", &traceparent())
        .header("tracestate", "vendor=secret");
    assert_eq!(asking.send().await.status, 200);

    let request = named(&collector, "GET crate").await;
    assert_eq!((&*request.trace_id, &*request.parent_id), (TRACE, CALLER));
    assert_eq!(request.kind, "server");
    let size = published.bytes.len().to_string();
    for (name, value) in [
        ("http.request.method", "GET"),
        ("http.response.status_code", "200"),
        ("http.response.body.size", &size),
        ("crateport.registry", "crates-io"),
        ("crateport.resource", "crate"),
        ("crateport.outcome", "fill"),
        ("crateport.delivery", "spool"),
        ("crateport.end", "whole"),
    ] {
        assert_eq!(request.attribute(name), value, "{name} of {request:#?}");
    }
    for (name, value) in [("service.name", "crateport"), ("service.instance.id", "replica-7")] {
        assert_eq!(request.resource[name], value);
    }

    // What outlives the request is a trace of its own, linked to it.
    let by = (request.trace_id.clone(), request.span_id.clone());
    for (name, asking) in [("fill crate", "upstream crate"), ("refresh index", "upstream index")] {
        let work = named(&collector, name).await;
        assert_eq!((&*work.parent_id, &work.links), ("", &vec![by.clone()]), "{work:#?}");
        assert_ne!(work.trace_id, TRACE);
        assert_eq!(work.attribute("crateport.result"), "stored", "{work:#?}");
        // It asked upstream, which was told so, and of nothing else.
        let child = work.span_id.clone();
        let asked =
            collector.wait_for(move |span| span.parent_id == child && span.name == asking).await;
        assert_eq!((&*asked.kind, &asked.trace_id), ("client", &work.trace_id));
        assert_eq!(asked.attribute("http.response.status_code"), "200");
        let path = match name {
            "fill crate" => upstream.crate_path("a", "1.0.0"),
            _ => upstream.index_path("a"),
        };
        let sent = upstream.last_request(&path);
        let expected = format!("00-{}-{}-01", asked.trace_id, asked.span_id);
        assert_eq!(sent.header("traceparent"), Some(&*expected));
        assert_eq!(sent.header("tracestate"), None, "what may tell of the inside stays here");
    }

    // The log line of the request leads to its span.
    let line = || {
        let log = crateport.log();
        let mut lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        lines.find(|line| line["message"] == "request")
    };
    until_none(async || line().is_none().then_some("no line")).await;
    let line = line().unwrap();
    assert_eq!((&line["trace_id"], &line["span_id"]), (&TRACE.into(), &(&*request.span_id).into()));
}

#[tokio::test]
async fn a_hit_begins_no_work_and_an_upstream_that_fails_is_seen() {
    let (upstream, collector) = (ScriptedUpstream::start().await, Collector::start().await);
    krate("a", "1.0.0").publish(&upstream);
    let crateport = Crateport::start(options(&upstream, &collector)).await;
    let url = index_file_url(&crateport, &upstream, "a");
    get(&url).send().await;
    get(&url).header("traceparent", &traceparent()).send().await;
    let hit = collector.wait_for(|span| span.attribute("crateport.outcome") == "hit").await;
    assert_eq!((&*hit.trace_id, hit.is_error), (TRACE, false));
    let by = (hit.trace_id.clone(), hit.span_id.clone());
    assert!(!collector.spans().iter().any(|span| span.links.contains(&by)));

    upstream.fault(On::Index, Fault::Status(502), Times::Always);
    get(index_file_url(&crateport, &upstream, "unseen")).send().await;
    let failed = collector.wait_for(|span| span.is_error && span.kind == "server").await;
    assert_eq!(failed.attribute("http.response.status_code"), "503");
    let asked = collector.wait_for(|span| span.is_error && span.kind == "client").await;
    assert_eq!(asked.attribute("http.response.status_code"), "502");
    assert_eq!(asked.attribute("error.type"), "upstream-status");
    let again = collector.wait_for(|span| span.attribute("http.request.resend_count") == "1").await;
    assert_eq!(again.parent_id, asked.parent_id, "both attempts are part of the same refresh");
}

#[tokio::test]
async fn the_last_spans_leave_before_the_process_ends() {
    let (upstream, collector) = (ScriptedUpstream::start().await, Collector::start().await);
    krate("a", "1.0.0").publish(&upstream);
    let options = options(&upstream, &collector).variable("OTEL_BSP_SCHEDULE_DELAY", "60000");
    let mut crateport = Crateport::start(options).await;
    get(index_file_url(&crateport, &upstream, "a")).send().await;
    assert!(collector.spans().is_empty());
    crateport.terminate();
    assert_eq!(crateport.wait().await.code(), Some(0));
    named(&collector, "GET index").await;
    named(&collector, "refresh index").await;
}
