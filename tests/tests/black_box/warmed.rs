//! Caches and stores that are filled ahead of those who need them.

use crateport_testkit::client::Client;
use crateport_testkit::{Crateport, Fault, On, Rustup, ScriptedUpstream, Times, krate, toolchain};
use http::Method;
use serde_json::Value;

use crate::audit::stored_crates;
use crate::house::{crateport, fs_store, lockfile, options, text, until_none};
use crate::toolchains::{WASM, distribution};
use crate::tree;

/// A cache that fetches what it is asked for, and nothing ahead of it.
async fn literal(upstream: &ScriptedUpstream) -> Crateport {
    Crateport::start(options(upstream).flag("--fetch-ahead-max", "0")).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_warmed_is_there_when_upstream_is_gone() {
    let upstream = ScriptedUpstream::start().await;
    tree::publish(&upstream);
    let first = crateport(&upstream).await;
    let lock = {
        let cargo = tree::cargo(&first);
        cargo.run(&["generate-lockfile"]).await.succeeds();
        cargo.read_lock()
    };
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("Cargo.lock");
    std::fs::write(&path, &lock).unwrap();

    let second = literal(&upstream).await;
    upstream.forget_requests();
    let warm = ["warm", text(&path), "--to", second.url()];
    let first_run = options(&upstream).run(&warm).await.succeeds();
    let crates = tree::CRATES;
    assert!(first_run.stdout.contains("0 were there already"), "{}", first_run.stdout);
    assert!(
        first_run.stdout.contains(&format!(", {} fetched", 2 * crates)),
        "{}",
        first_run.stdout
    );
    let again = options(&upstream).run(&warm).await.succeeds();
    assert!(again.stdout.contains("0 fetched (0 B), 0 failed"), "{}", again.stdout);

    upstream.stop();
    let cargo = tree::cargo(&second).lock(&lock);
    cargo.run(&["fetch", "--locked"]).await.succeeds();
}

#[tokio::test]
async fn a_store_is_warmed_without_a_cache_and_says_what_it_lacks() {
    let upstream = ScriptedUpstream::start().await;
    krate("a", "1.0.0").dep("b", "1").publish(&upstream);
    let b = krate("b", "1.0.0").publish(&upstream);
    let (_cargo, path) = lockfile(&upstream, &[("a", "1")]).await;
    let folder = tempfile::tempdir().unwrap();
    let store = fs_store(folder.path());
    let gone = On::Path("/dl/b/1.0.0/download".to_owned());
    upstream.fault(gone, Fault::Status(404), Times::Always);
    let warm = ["warm", text(&path), "--store", &store, "--fetch-ahead-max", "0"];
    let run = options(&upstream).run(&warm).await.fails().says("failed  crates-io b 1.0.0: ");
    assert!(run.stdout.contains("3 fetched") && run.stdout.contains("1 failed"), "{}", run.stdout);
    upstream.heal();
    let run = options(&upstream).run(&warm).await.succeeds();
    assert!(run.stdout.starts_with("3 were there already, 1 fetched"), "{}", run.stdout);
    assert_eq!(stored_crates(folder.path()).len(), 2);

    // Another crate under the locked name is told, not taken for the same.
    let lock = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, lock.replace(&b.cksum, &"0".repeat(64))).unwrap();
    options(&upstream).run(&warm).await.fails().says("another checksum");
}

#[tokio::test]
async fn the_ops_listener_warms_with_a_lockfile_and_tells_each_step() {
    let upstream = ScriptedUpstream::start().await;
    krate("a", "1.0.0").dep("b", "1").publish(&upstream);
    krate("b", "1.0.0").publish(&upstream);
    let (_cargo, path) = lockfile(&upstream, &[("a", "1")]).await;
    let crateport = literal(&upstream).await;
    let url = format!("{}/warm", crateport.ops_url());
    let warm = async |body: Vec<u8>| {
        Client::h1().request(Method::POST, url.as_str()).body(body).send().await
    };
    let lock = std::fs::read(&path).unwrap();
    for (fetched, present) in [(4, 0), (0, 4)] {
        let answer = warm(lock.clone()).await;
        assert_eq!(answer.header("content-type"), Some("application/x-ndjson"));
        let lines = answer.text().lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        let lines = lines.collect::<Vec<_>>();
        assert_eq!(lines.len(), 5, "{}", answer.text());
        assert!(lines[..4].iter().all(|line| line["total"] == 4 && line["what"].is_string()));
        let summary = &lines[4]["summary"];
        assert_eq!((&summary["fetched"], &summary["present"]), (&fetched.into(), &present.into()));
        assert_eq!(summary["complete"], true);
    }
    assert_eq!(warm(b"<html>".to_vec()).await.status, 400);
}

#[tokio::test]
async fn the_ops_listener_tells_each_step_as_it_is_done() {
    let upstream = ScriptedUpstream::start().await;
    krate("a", "1.0.0").dep("b", "1").publish(&upstream);
    krate("b", "1.0.0").publish(&upstream);
    let (_cargo, path) = lockfile(&upstream, &[("a", "1")]).await;
    let crateport = literal(&upstream).await;
    let gate = upstream.hold(On::Path(upstream.crate_path("b", "1.0.0")));
    let url = format!("{}/warm", crateport.ops_url());
    let lock = std::fs::read(&path).unwrap();
    let mut answer = Client::h1().request(Method::POST, url.as_str()).body(lock).open().await;
    let mut told = Vec::new();
    while told.iter().filter(|byte| **byte == b'\n').count() < 3 {
        told.extend_from_slice(&answer.next().await.unwrap().expect("a step"));
    }
    gate.wait_for(1).await;
    gate.release();
    told.extend_from_slice(&answer.rest().await.unwrap());
    let last = String::from_utf8(told).unwrap().lines().last().unwrap().to_owned();
    assert!(last.contains("\"complete\":true"), "{last}");
}

#[tokio::test]
async fn a_warming_that_was_killed_goes_on_where_it_was() {
    let upstream = ScriptedUpstream::start().await;
    krate("a", "1.0.0").dep("b", "1").publish(&upstream);
    krate("b", "1.0.0").publish(&upstream);
    let (_cargo, path) = lockfile(&upstream, &[("a", "1")]).await;
    upstream.forget_requests();
    let folder = tempfile::tempdir().unwrap();
    let store = fs_store(folder.path());
    let warm = ["warm", text(&path), "--store", &store, "--fetch-ahead-max", "0"];
    let gate = upstream.hold(On::Path(upstream.crate_path("b", "1.0.0")));
    let options = options(&upstream);
    let is_half_done = until_none(async || {
        let kept = stored_crates(folder.path()).len();
        (kept < 1 || gate.waiting() < 1).then_some(kept)
    });
    tokio::select! {
        run = options.run(&warm) => panic!("{}", run.report()),
        () = is_half_done => {}
    }
    gate.release();
    options.run(&warm).await.succeeds().says("1 fetched");
    assert_eq!((upstream.crate_hits("a", "1.0.0"), upstream.crate_hits("b", "1.0.0")), (1, 2));
    assert_eq!(stored_crates(folder.path()).len(), 2);
}

#[tokio::test]
async fn a_terminal_shows_a_bar_and_a_pipe_does_not() {
    let upstream = ScriptedUpstream::start().await;
    krate("a", "1.0.0").publish(&upstream);
    let (_cargo, path) = lockfile(&upstream, &[("a", "1")]).await;
    let folder = tempfile::tempdir().unwrap();
    let store = fs_store(folder.path());
    let warm = ["warm", text(&path), "--store", &store];
    let shown = options(&upstream).run_on_terminal(&warm).await.succeeds();
    assert!(shown.stdout.contains("2/2"), "{}", shown.report());
    assert!(shown.stdout.trim_end().ends_with("0 failed"), "{}", shown.report());
    let piped = options(&upstream).run(&warm).await.succeeds();
    assert!(!piped.stderr.contains("2/2") && !piped.stdout.contains("2/2"), "{}", piped.report());
}

#[tokio::test]
async fn a_lock_that_names_another_crate_than_the_one_that_is_there_is_told() {
    let upstream = ScriptedUpstream::start().await;
    let a = krate("a", "1.0.0").publish(&upstream);
    let (_cargo, path) = lockfile(&upstream, &[("a", "1")]).await;
    let crateport = literal(&upstream).await;
    let warm = ["warm", text(&path), "--to", crateport.url()];
    options(&upstream).run(&warm).await.succeeds();
    let lock = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, lock.replace(&a.cksum, &"0".repeat(64))).unwrap();
    let run = options(&upstream).run(&warm).await.fails().says("another checksum");
    assert_eq!(run.status.code(), Some(1));
}

#[tokio::test]
async fn a_lock_that_names_a_registry_by_its_address_here_is_warmed_too() {
    let (upstream, internal) = (ScriptedUpstream::start().await, ScriptedUpstream::start().await);
    krate("mine", "1.0.0").publish(&internal);
    let settings = options(&upstream);
    let settings =
        settings.upstream_with("internal", &internal.index_url(), "allow = [\"127.0.0.1\"]");
    let crateport = Crateport::start(settings).await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("Cargo.lock");
    let source = format!("sparse+{}", crateport.index_url("internal"));
    let lock =
        format!("[[package]]\nname = \"mine\"\nversion = \"1.0.0\"\nsource = \"{source}\"\n");
    std::fs::write(&path, lock).unwrap();
    // It knows nothing of that registry but its address.
    let warm = ["warm", text(&path), "--to", crateport.url()];
    options(&upstream).run(&warm).await.succeeds().says("2 fetched");
    assert_eq!(internal.crate_hits("mine", "1.0.0"), 1);
    let warm = ["warm", text(&path), "--store", &fs_store(folder.path())];
    options(&upstream).run(&warm).await.fails().says("passed over  mine 1.0.0");
}

#[tokio::test]
async fn a_toolchain_is_warmed_and_rustup_finds_all_of_it() {
    let upstream = ScriptedUpstream::start().await;
    toolchain("1.0.0", "2026-01-01").extra_target(WASM).release(&upstream, &["stable"]);
    let crateport = Crateport::start(distribution(&upstream)).await;
    let wanted = ["--toolchain", "stable", "--profile", "minimal", "--target", WASM];
    let warm = [&["warm", "--to", crateport.url()], &wanted[..]].concat();
    let options = distribution(&upstream);
    options.run(&warm).await.succeeds().says("0 failed");
    let again = options.run(&warm).await.succeeds();
    assert!(again.stdout.contains(" 0 fetched"), "{}", again.stdout);
    upstream.stop();
    let rustup = Rustup::of(crateport.url()).installed().await;
    let install = ["toolchain", "install", "stable", "--profile", "minimal", "--no-self-update"];
    rustup.run(&[&install[..], &["--target", WASM]].concat()).await.succeeds();
    assert_eq!(rustup.prints("stable", "rustc").await, "rustc 1.0.0 (tiny)");
}
