//! The commands of cargo that ask a registry, each through Crateport.

use crateport_testkit::{Cargo, Crateport, Fault, On, ScriptedUpstream, Times, krate};

use crate::house::{CRATES_IO, crateport, hasty, options};

/// What `Cargo::replaces_crates_io_with` calls the registry.
const MIRROR: &str = "mirror";

fn cargo(crateport: &Crateport) -> Cargo {
    Cargo::new().replaces_crates_io_with(&crateport.index_url(CRATES_IO)).project(|project| project)
}

#[tokio::test]
async fn add_update_install_and_info_work_as_from_crates_io() {
    let upstream = ScriptedUpstream::start().await;
    krate("b-b", "1.0.0").publish(&upstream);
    krate("tool", "2.0.0")
        .dep("b-b", "1")
        .bin("fn main() { println!(\"tool two\") }")
        .feature("extra", &[])
        .publish(&upstream);
    // Each command must see what was published the moment before.
    let crateport = Crateport::start(options(&upstream).flag("--index-ttl", "0s")).await;
    let cargo = cargo(&crateport);

    // The other spelling is probed and found, as crates.io has it.
    cargo.run(&["add", "b_b"]).await.succeeds().says("b-b");
    cargo.run(&["build"]).await.succeeds();
    assert!(cargo.read_lock().contains("registry+https://github.com/rust-lang/crates.io-index"));

    krate("b-b", "1.1.0").publish(&upstream);
    cargo.run(&["update"]).await.succeeds().says("1.1.0");
    cargo.run(&["info", "tool", "--registry", MIRROR]).await.succeeds().says("extra");
    cargo.run(&["install", "tool", "--root", "installed"]).await.succeeds();
    assert!(cargo.work().join("installed/bin/tool").exists());
    cargo.run(&["add", "no-such-crate"]).await.fails().says("no-such-crate");
}

#[tokio::test]
async fn search_is_forwarded_to_upstreams_web_api() {
    let upstream = ScriptedUpstream::start().await;
    krate("findable", "1.2.3").publish(&upstream);
    let crateport = crateport(&upstream).await;
    let search = ["search", "find me", "--registry", MIRROR, "--limit", "7"];
    cargo(&crateport).run(&search).await.succeeds();
    let seen = upstream.last_request("/api/v1/crates");
    let query = seen.query.as_deref().unwrap_or_default();
    assert!(query.contains("per_page=7"), "{query}");
    assert!(seen.header("user-agent").unwrap_or_default().starts_with("crateport/"));
    let run = cargo(&crateport).run(&["search", "find", "--registry", MIRROR]).await.succeeds();
    run.says("findable = \"1.2.3\"");
}

#[tokio::test]
async fn search_says_clearly_that_upstream_has_no_web_api_or_does_not_answer() {
    let bare = ScriptedUpstream::builder().api(None).start().await;
    let crateport = crateport(&bare).await;
    let run = cargo(&crateport).run(&["search", "a", "--registry", MIRROR]).await.fails();
    run.says("does not support API commands");

    let down = ScriptedUpstream::start().await;
    let crateport = Crateport::start(hasty(&down)).await;
    cargo(&crateport).run(&["search", "a", "--registry", MIRROR]).await.succeeds();
    for fault in [Fault::Status(503), Fault::Hang, Fault::Html] {
        down.heal();
        down.fault(On::Search, fault.clone(), Times::Always);
        let run = cargo(&crateport).run(&["search", "a", "--registry", MIRROR]).await.fails();
        assert!(run.stderr.contains("search in crates-io"), "{fault:?}\n{}", run.report());
        assert!(run.stderr.contains("cannot be had now"), "{fault:?}\n{}", run.report());
    }
}

#[tokio::test]
async fn publish_and_yank_are_refused_with_a_sentence() {
    let upstream = ScriptedUpstream::start().await;
    krate("project", "9.0.0").publish(&upstream);
    let crateport = crateport(&upstream).await;
    let cargo = cargo(&crateport).token(MIRROR, "none");
    let run = cargo.run(&["yank", "project@9.0.0", "--registry", MIRROR]).await.fails();
    run.says("this is a cache");
    assert_eq!(upstream.requests().iter().filter(|seen| seen.method != "GET").count(), 0);
}

#[tokio::test]
async fn several_cargos_at_once_share_one_crateport() {
    let upstream = ScriptedUpstream::start().await;
    krate("b", "1.0.0").lib("pub fn b() {}").publish(&upstream);
    krate("a", "1.0.0").dep("b", "1").lib("pub fn a() { b::b() }").publish(&upstream);
    let crateport = crateport(&upstream).await;
    let fetch = || async {
        let cargo = cargo(&crateport).project(|project| project.dep("a", "1"));
        cargo.run(&["fetch"]).await.succeeds();
    };
    tokio::join!(fetch(), fetch(), fetch(), fetch());
    assert_eq!((upstream.crate_hits("a", "1.0.0"), upstream.index_hits("b")), (1, 1));
}
