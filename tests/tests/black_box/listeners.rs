//! Listeners under the real cargo: TLS with h2, plain with the h2c upgrade.

use crateport_testkit::client::{Client, RawRequest, get};
use crateport_testkit::{Cargo, Crateport, CrateportOptions, KIB, ScriptedUpstream, TestCa, krate};
use tokio::task::JoinSet;

use crate::house::{CRATES_IO, crate_url, crateport, options, until_none};

async fn upstream() -> ScriptedUpstream {
    let upstream = ScriptedUpstream::start().await;
    for number in 0..20 {
        krate(&format!("leaf-{number}"), "1.0.0").publish(&upstream);
    }
    let a = (0..20).fold(krate("a", "1.0.0"), |a, number| a.dep(&format!("leaf-{number}"), "1"));
    a.publish(&upstream);
    upstream
}

fn with_tls(options: CrateportOptions, ca: &TestCa, folder: &std::path::Path) -> CrateportOptions {
    let (cert, key) = ca.issue().write_into(folder, "server");
    options.also_listens(&format!("127.0.0.1:0,cert={},key={}", cert.display(), key.display()))
}

fn requests(crateport: &Crateport, protocol: &str) -> usize {
    let mark = format!(" protocol={protocol} ");
    crateport.log().lines().filter(|line| line.contains(&mark)).count()
}

#[tokio::test]
async fn cargo_speaks_h2_to_a_tls_listener() {
    let (upstream, ca, folder) = (upstream().await, TestCa::new(), tempfile::tempdir().unwrap());
    let crateport = Crateport::start(with_tls(options(&upstream), &ca, folder.path())).await;
    let url = crateport.urls()[1].clone();
    assert!(url.starts_with("https://"), "{url}");
    let cargo = Cargo::new()
        .replaces_crates_io_with(&format!("{url}/{CRATES_IO}/index/"))
        .trusts(ca.pem())
        .project(|project| project.dep("a", "1"));
    cargo.run(&["fetch"]).await.succeeds();
    // 1 config.json, 21 index files, 21 crates.
    until_none(async || {
        let count = requests(&crateport, "h2");
        (count < 43).then(|| format!("{count}: {}", crateport.log()))
    })
    .await;
    assert_eq!((requests(&crateport, "http1"), requests(&crateport, "h2c")), (0, 0));
}

#[tokio::test]
async fn cargo_speaks_h2c_to_a_plain_listener() {
    let upstream = upstream().await;
    let crateport = crateport(&upstream).await;
    let cargo = Cargo::new()
        .replaces_crates_io_with(&crateport.index_url(CRATES_IO))
        .project(|project| project.dep("a", "1"));
    cargo.run(&["fetch"]).await.succeeds();
    until_none(async || {
        let count = requests(&crateport, "h2c");
        (count < 43).then(|| format!("{count}: {}", crateport.log()))
    })
    .await;
    let upgraded =
        crateport.metric("crateport_listen_events_total", &[("event", "upgraded")]).await;
    assert!(upgraded >= 1.0, "{upgraded}");
}

#[tokio::test]
async fn cargo_without_multiplexing_works_too() {
    let upstream = upstream().await;
    let crateport = crateport(&upstream).await;
    let cargo = Cargo::new()
        .replaces_crates_io_with(&crateport.index_url(CRATES_IO))
        .variable("CARGO_HTTP_MULTIPLEXING", "false")
        .project(|project| project.dep("a", "1"));
    cargo.run(&["fetch"]).await.succeeds();
    until_none(async || (requests(&crateport, "http1") < 43).then(|| crateport.log())).await;
}

#[tokio::test]
async fn an_upgrade_with_a_body_is_ignored() {
    let upstream = upstream().await;
    let crateport = crateport(&upstream).await;
    let answer = RawRequest::get(format!("{}/{CRATES_IO}/api/v1/crates/new", crateport.url()))
        .method("PUT")
        .header("Connection", "Upgrade, HTTP2-Settings")
        .header("Upgrade", "h2c")
        .header("HTTP2-Settings", "AAMAAABkAAQAAQAAAAIAAAAA")
        .header("Content-Length", "5")
        .send()
        .await;
    assert_eq!(answer.status, Some(405), "{}", answer.status_line);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_streams_run_at_once_on_one_connection() {
    let upstream = ScriptedUpstream::start().await;
    let a = krate("a", "1.0.0").payload(KIB).publish(&upstream);
    let crateport = crateport(&upstream).await;
    let gate = upstream.hold(crateport_testkit::On::Crates);
    let client = Client::h2();
    let mut streams = JoinSet::new();
    for _ in 0..200 {
        streams.spawn(client.get(crate_url(&crateport, "a", "1.0.0")).send());
    }
    crate::house::metric_is(&crateport, "crateport_http_requests_in_flight", &[], 200.0).await;
    let accepted = crateport.metric("crateport_listen_connections", &[]).await;
    assert!((accepted - 1.0).abs() < f64::EPSILON, "{accepted} connections");
    gate.release();
    assert!(streams.join_all().await.iter().all(|answer| answer.body == a.bytes));
}

#[tokio::test]
async fn a_certificate_that_changes_is_taken_up_and_a_broken_one_is_not() {
    let (upstream, old, new) = (upstream().await, TestCa::new(), TestCa::new());
    let folder = tempfile::tempdir().unwrap();
    let crateport = Crateport::start(with_tls(options(&upstream), &old, folder.path())).await;
    let url = format!("{}/", crateport.urls()[1]);
    assert_eq!(Client::trusting(&old).get(&url).send().await.status, 200);
    new.issue().write_into(folder.path(), "server");
    until_none(async || Client::trusting(&new).get(&url).try_send().await.err()).await;
    std::fs::write(folder.path().join("server.crt"), "no certificate").unwrap();
    let labels = [("event", "certificate-refused")];
    until_none(async || {
        let refused = crateport.metric("crateport_listen_events_total", &labels).await;
        (refused < 1.0).then_some("the broken certificate was not noticed")
    })
    .await;
    assert_eq!(Client::trusting(&new).get(&url).send().await.status, 200);
    assert_eq!(get(crateport.url()).send().await.status, 200);
}
