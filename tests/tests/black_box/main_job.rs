//! The main job: cargo builds a project of several hundred crates through Crateport.

use std::net::TcpListener;

use crateport_testkit::{Cargo, ScriptedUpstream};

use crate::bare::Bare;
use crate::house::{hasty, options};
use crate::{audit, tree};

#[tokio::test]
async fn cargo_builds_a_large_tree_cold_warm_and_with_upstream_gone() {
    let upstream = ScriptedUpstream::start().await;
    let published = tree::publish(&upstream);
    // However long it takes to compile on a busy machine, a fetched file is not old.
    let options = options(&upstream).flag("--index-ttl", "1h");
    let mut crateport = crateport_testkit::Crateport::start(options).await;

    // Cold: each file is fetched once, although cargo wants all at the same time.
    let cargo = tree::cargo(&crateport);
    let built = cargo.run(&["run", "--quiet"]).await.succeeds();
    assert_eq!(built.stdout.trim(), tree::sum().to_string());
    for krate in &published {
        assert_eq!(upstream.index_hits(&krate.name), 1, "index file of {}", krate.name);
        assert_eq!(upstream.crate_hits(&krate.name, &krate.version), 1, "{}", krate.name);
    }
    assert_eq!(upstream.hits("/index/config.json"), 1);
    assert_eq!(audit::stored_crates(&crateport.store()).len(), tree::CRATES);
    audit::store_is_right(&crateport, &upstream).await;

    // Warm, as a fresh CI job has it: not a single request to upstream.
    upstream.forget_requests();
    let cargo = cargo.fresh_home();
    cargo.run(&["fetch", "--locked"]).await.succeeds();
    assert_eq!(upstream.total_hits(), 0);
    cargo.run(&["build", "--locked", "--offline"]).await.succeeds();

    // With upstream gone, and with a process that has nothing in memory.
    upstream.stop();
    let cargo = cargo.fresh_home();
    cargo.run(&["fetch", "--locked"]).await.succeeds();
    crateport.restart().await;
    let cargo = cargo.fresh_home();
    cargo.run(&["fetch", "--locked"]).await.succeeds();
    let cargo = cargo.fresh_home();
    std::fs::remove_file(cargo.work().join("Cargo.lock")).unwrap();
    cargo.run(&["fetch"]).await.succeeds();
}

#[tokio::test]
async fn cargo_fetches_a_large_tree_from_stale_files_while_upstream_hangs() {
    let upstream = ScriptedUpstream::start().await;
    tree::publish(&upstream);
    let crateport = crateport_testkit::Crateport::start(hasty(&upstream)).await;
    let cargo = tree::cargo(&crateport);
    cargo.run(&["fetch"]).await.succeeds();
    upstream.fault(
        crateport_testkit::On::All,
        crateport_testkit::Fault::Hang,
        crateport_testkit::Times::Always,
    );
    let cargo = cargo.fresh_home();
    cargo.run(&["fetch", "--locked"]).await.succeeds();
    let stale = [("registry", "crates-io"), ("outcome", "stale")];
    assert!(crateport.metric("crateport_http_requests_total", &stale).await >= 1.0);
}

#[tokio::test]
async fn serve_with_no_settings_prints_lines_that_cargo_can_use_as_they_are() {
    let upstream = ScriptedUpstream::start().await;
    crateport_testkit::krate("a", "1.0.0").lib("pub fn one() -> u8 { 1 }").publish(&upstream);
    let registry = format!("[registries.crates-io]\nindex = \"sparse+{}\"\n", upstream.index_url());
    // Somebody else may have the default ports.
    let free =
        ["127.0.0.1:8080", "127.0.0.1:8081"].map(TcpListener::bind).iter().all(Result::is_ok);
    let arguments: &[&str] =
        if free { &[] } else { &["--listen", "127.0.0.1:0", "--ops-listen", "127.0.0.1:0"] };
    let bare = Bare::serve(arguments, Some(&registry)).await;
    if free {
        assert!(bare.printed.contains("listening on http://127.0.0.1:8080\n"), "{}", bare.printed);
        assert!(bare.printed.contains("ops on http://127.0.0.1:8081\n"), "{}", bare.printed);
    }
    let cargo = Cargo::new()
        .config(bare.cargo_lines())
        .project(|project| project.dep("a", "1").main("fn main() { println!(\"{}\", a::one()) }"));
    let run = cargo.run(&["run", "--quiet"]).await.succeeds();
    assert_eq!(run.stdout, "1\n");
    assert_eq!(upstream.crate_hits("a", "1.0.0"), 1);
    let store = bare.data_home().join("crateport/v1/crates-io/crates/a/a-1.0.0.crate");
    assert!(store.exists(), "{} is not there", store.display());
    assert!(!bare.home().join(".local").exists(), "nothing lies outside of the data directory");
}
