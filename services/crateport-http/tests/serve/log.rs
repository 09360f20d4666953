//! One line per request, which tells everything but secrets.

use std::io;
use std::sync::{Arc, Mutex};

use crateport_telemetry::logging::{LogConfig, LogFormat, init_to};
use crateport_testkit::client::get;
use crateport_testkit::{Fault, KIB, On, RawRequest, ScriptedUpstream, Times, krate};
use serde_json::Value;

use super::harness::{in_front_of, until};

/// What tells the requests of this test from those of its neighbours.
const USER_AGENT: &str = "logged/1";

/// Everything that this test and its neighbours logged.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Lines {
    /// The lines of this test's requests.
    fn requests(&self) -> Vec<Value> {
        let text = String::from_utf8(self.0.lock().unwrap().clone()).unwrap();
        let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        lines
            .filter(|line| line["message"] == "request" && line["user_agent"] == USER_AGENT)
            .collect()
    }
}

impl io::Write for Lines {
    fn write(&mut self, text: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(text);
        Ok(text.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn each_request_leaves_one_line_with_everything_but_secrets() {
    let lines = Lines::default();
    let config = LogConfig { format: LogFormat::Json, filter: "info".parse().unwrap(), otlp: None };
    // One for all threads: which events are wanted is decided once, by whichever thread comes upon them first.
    let _log = init_to(&config, lines.clone(), false).unwrap();

    let upstream = ScriptedUpstream::start().await;
    krate("serde", "1.0.0").publish(&upstream);
    krate("big", "1.0.0").payload(100 * KIB).publish(&upstream);
    let crateport = in_front_of(&upstream).start().await;
    let ask = |url: String| get(url).header("user-agent", USER_AGENT);
    let secret = ask(crateport.index_url("serde") + "?secret-query=1");
    secret.header("authorization", "secret-token").send().await;
    ask(crateport.index_url("serde")).send().await;
    ask(crateport.url("api/v1/crates?q=secret-query")).send().await;
    upstream.fault(On::Crates, Fault::Status(500), Times::Next(1));
    ask(crateport.crate_url("big", "1.0.0")).send().await;
    upstream.fault(On::Crates, Fault::Truncated, Times::Next(1));
    let url = crateport.crate_url("big", "1.0.0");
    RawRequest::get(url).header("user-agent", USER_AGENT).send().await;
    let gate = upstream.hold(On::Crates);
    let leaving = tokio::spawn(ask(crateport.crate_url("big", "1.0.0")).send());
    gate.wait_for(1).await;
    leaving.abort();
    until("every request has its line", async || lines.requests().len() >= 6).await;

    let requests = lines.requests();
    let fields = ["path", "resource", "status", "outcome", "reason", "delivery", "end"];
    let seen =
        requests.iter().map(|line| fields.map(|name| line[name].to_string().replace('"', "")));
    let (index, big) = ("/crates-io/index/se/rd/serde", "/crates-io/crates/big/1.0.0/download");
    let expected = [
        [index, "index", "200", "fill", "changed", "memory", "whole"],
        [index, "index", "200", "hit", "fresh", "memory", "whole"],
        ["/crates-io/api/v1/crates", "search", "200", "forwarded", "own", "memory", "whole"],
        [big, "crate", "503", "unavailable", "upstream-status", "memory", "whole"],
        [big, "crate", "200", "fill", "missing", "spool", "broken"],
        [big, "crate", "499", "unavailable", "upstream-slow", "empty", "client-left"],
    ];
    assert_eq!(seen.collect::<Vec<_>>(), expected.map(|line| line.map(str::to_owned)));
    assert_eq!(
        (&requests[0]["upstream_status"], &requests[3]["upstream_status"]),
        (&200.into(), &500.into())
    );
    assert_eq!(
        (&requests[0]["client"], &requests[0]["registry"]),
        (&"127.0.0.1".into(), &"crates-io".into())
    );
    assert_eq!(requests[0]["protocol"], "http1");
    assert_eq!(requests[0]["bytes"], upstream.index_bytes("serde").len());
    assert!(
        requests[0]["duration_ms"].as_f64().unwrap()
            >= requests[0]["answered_ms"].as_f64().unwrap()
    );
    assert!(requests[3]["detail"].as_str().unwrap().contains("answered 500"));
    let everything = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
    for secret in ["secret-token", "secret-query"] {
        assert!(!everything.contains(secret), "{secret} in {everything}");
    }
}
