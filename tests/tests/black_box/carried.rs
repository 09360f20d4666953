//! Crates carried ahead of those who need them: warmed caches, bundles, and a cache without a network.

use std::path::{Path, PathBuf};

use crateport_testkit::client::{Client, get};
use crateport_testkit::{
    Cargo, Crateport, CrateportOptions, Fault, On, Published, Rustup, ScriptedUpstream, Times,
    krate, toolchain,
};
use http::Method;
use serde_json::Value;

use crate::audit::stored_crates;
use crate::house::{CRATES_IO, crate_url, crateport, index_file_url, options, outcome};
use crate::toolchains::distribution;
use crate::tree;

/// A lock file as cargo writes it, in a folder of its own.
async fn lockfile(upstream: &ScriptedUpstream, dependencies: &[(&str, &str)]) -> (Cargo, PathBuf) {
    let crateport = crateport(upstream).await;
    let cargo =
        Cargo::new().replaces_crates_io_with(&crateport.index_url(CRATES_IO)).project(|project| {
            let project = dependencies
                .iter()
                .fold(project, |project, (name, version)| project.dep(name, version));
            project.main("fn main() {}")
        });
    cargo.run(&["generate-lockfile"]).await.succeeds();
    let path = cargo.work().join("Cargo.lock");
    (cargo, path)
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn fs_store(folder: &Path) -> String {
    format!("fs:{}", folder.display())
}

/// A cache that fetches what it is asked for, and nothing ahead of it.
async fn literal(upstream: &ScriptedUpstream) -> Crateport {
    Crateport::start(options(upstream).flag("--fetch-ahead-max", "0")).await
}

/// A cache that has a store, and nothing else in the world.
async fn offline(upstream: &ScriptedUpstream, store: &Path) -> Crateport {
    Crateport::start(options(upstream).store(store).argument("--offline")).await
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bundle_is_carried_to_where_there_is_no_network_and_builds_there() {
    let upstream = ScriptedUpstream::start().await;
    krate("a", "1.0.0")
        .dep("b", "1")
        .lib("pub fn four() -> u8 { b::two() * 2 }")
        .publish(&upstream);
    krate("b", "1.0.0").lib("pub fn two() -> u8 { 2 }").publish(&upstream);
    krate("b", "2.0.0").publish(&upstream);
    krate("other", "1.0.0").publish(&upstream);
    let (_cargo, path) = lockfile(&upstream, &[("a", "1")]).await;
    let (here, there) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let bundle = here.path().join("bundle.tar.zst");
    let (here, far) = (fs_store(&here.path().join("store")), fs_store(there.path()));
    let lock = text(&path);
    let export = ["export", "--lockfile", lock, "-o", text(&bundle), "--store", &here];
    options(&upstream).run(&export).await.succeeds().says("holds 2 objects");
    upstream.stop();
    let import = ["import", text(&bundle), "--store", &far];
    options(&upstream).run(&import).await.succeeds().says("imported 2 crates");
    options(&upstream).run(&["verify", "--store", &far]).await.succeeds();

    let crateport = offline(&upstream, there.path()).await;
    let index = crateport.index_url(CRATES_IO);
    let cargo = Cargo::new()
        .replaces_crates_io_with(&index)
        .project(|project| project.dep("a", "1").main("fn main() { assert_eq!(a::four(), 4) }"));
    cargo.run(&["run"]).await.succeeds();
    // What is not there is not resolved, and so never downloaded in vain.
    for (name, version, said) in
        [("b", "2", "failed to select a version"), ("other", "1", "no matching package")]
    {
        let cargo = Cargo::new().replaces_crates_io_with(&index).retries(0);
        let cargo = cargo.project(|project| project.dep(name, version).main("fn main() {}"));
        cargo.run(&["fetch"]).await.fails().says(said);
    }
    let answer = get(crate_url(&crateport, "a", "1.0.0")).send().await;
    assert_eq!((answer.status, outcome(&answer)), (200, "hit"));
    assert_eq!(answer.header("x-crateport-mode"), Some("offline"));
    let answer = get(index_file_url(&crateport, &upstream, "other")).send().await;
    assert_eq!((answer.status, outcome(&answer)), (404, "absent"));
    assert!(answer.text().contains("this cache is offline"), "{}", answer.text());
}

#[tokio::test]
async fn a_bundle_builds_on_an_earlier_one() {
    let upstream = ScriptedUpstream::start().await;
    let publish =
        |name: &str, version: &str| -> Published { krate(name, version).publish(&upstream) };
    publish("a", "1.0.0");
    publish("b", "1.0.0");
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let stores = ["here", "there", "elsewhere"].map(|name| fs_store(&at(name)));
    let (first, second) = (at("first.tar.zst"), at("second.tar.zst"));
    let options = options(&upstream);
    let (_cargo, lock) = lockfile(&upstream, &[("a", "1"), ("b", "1")]).await;
    let export = ["export", "--lockfile", text(&lock), "--store", &stores[0], "-o"];
    options.run(&[&export[..], &[text(&first)]].concat()).await.succeeds();

    publish("a", "1.1.0");
    let (_cargo, lock) = lockfile(&upstream, &[("a", "1.1"), ("b", "1")]).await;
    let export = ["export", "--lockfile", text(&lock), "--store", &stores[0], "-o"];
    let since = [text(&second), "--since-bundle", text(&first), "--index-ttl", "0s"];
    let run = options.run(&[&export[..], &since].concat()).await.succeeds();
    assert!(
        run.stdout.contains("holds 1 objects")
            && run.stdout.contains("1 objects are in the earlier"),
        "{}",
        run.stdout
    );

    let import = async |bundle: &Path, store: &str| {
        options.run(&["import", text(bundle), "--store", store]).await
    };
    import(&second, &stores[2]).await.fails().says("builds on an earlier one");
    import(&first, &stores[1]).await.succeeds();
    // A cache that serves meanwhile sees what came.
    let crateport = Crateport::start(
        options.clone().store(at("there")).argument("--offline").flag("--purge-poll", "100ms"),
    )
    .await;
    let url = index_file_url(&crateport, &upstream, "a");
    assert_eq!(get(&url).send().await.text().lines().count(), 1);
    import(&second, &stores[1]).await.succeeds();
    crate::house::get_until(&url, |answer| answer.text().lines().count() == 2).await;
    for version in ["1.0.0", "1.1.0"] {
        assert_eq!(get(crate_url(&crateport, "a", version)).send().await.status, 200);
    }
    options.run(&["verify", "--store", &stores[1]]).await.succeeds();
}

#[tokio::test]
async fn a_bundle_that_was_altered_or_cut_brings_nothing_to_light() {
    let upstream = ScriptedUpstream::start().await;
    krate("a", "1.0.0").payload(300_000).publish(&upstream);
    let (_cargo, lock) = lockfile(&upstream, &[("a", "1")]).await;
    let folder = tempfile::tempdir().unwrap();
    let bundle = folder.path().join("bundle.tar.zst");
    let store = fs_store(&folder.path().join("here"));
    let export = ["export", "--lockfile", text(&lock), "-o", text(&bundle), "--store", &store];
    options(&upstream).run(&export).await.succeeds();
    let whole = std::fs::read(&bundle).unwrap();
    let altered = |at: usize| {
        let mut bytes = whole.clone();
        bytes[at] ^= 1;
        bytes
    };
    let broken = [
        altered(whole.len() / 2),
        altered(whole.len() - 2),
        whole[..whole.len() / 2].to_vec(),
        Vec::new(),
    ];
    for (number, bytes) in broken.into_iter().enumerate() {
        std::fs::write(&bundle, bytes).unwrap();
        let far = folder.path().join(format!("there-{number}"));
        let import = ["import", text(&bundle), "--store", &fs_store(&far)];
        options(&upstream).run(&import).await.fails();
        assert!(!far.join("v1/crates-io/index").exists(), "case {number}");
    }
}

#[tokio::test]
async fn a_toolchain_is_warmed_and_carried_to_where_there_is_no_network() {
    let upstream = ScriptedUpstream::start().await;
    toolchain("1.0.0", "2026-01-01").release(&upstream, &["stable"]);
    let (here, there) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let install = ["toolchain", "install", "stable", "--profile", "minimal", "--no-self-update"];
    let wanted = ["--toolchain", "stable", "--profile", "minimal"];
    let options = distribution(&upstream).store(here.path());
    let crateport = Crateport::start(options.clone()).await;
    let warm = [&["warm", "--to", crateport.url()], &wanted[..]].concat();
    options.run(&warm).await.succeeds().says("0 failed");
    let again = options.run(&warm).await.succeeds();
    assert!(again.stdout.contains("0 fetched"), "{}", again.stdout);
    let hits = upstream.total_hits();
    let rustup = Rustup::of(crateport.url()).installed().await;
    rustup.run(&install).await.succeeds();
    assert_eq!(upstream.total_hits(), hits, "all of it was there");
    drop(crateport);

    let (bundle, store) = (there.path().join("bundle.tar.zst"), fs_store(here.path()));
    let export = [&["export", "-o", text(&bundle), "--store", &store], &wanted[..]].concat();
    options.run(&export).await.succeeds();
    upstream.stop();
    let far = there.path().join("store");
    let import = ["import", text(&bundle), "--store", &fs_store(&far)];
    options.run(&import).await.succeeds().says(" dist files");
    options.run(&["verify", "--store", &fs_store(&far)]).await.succeeds();
    let crateport =
        Crateport::start(distribution(&upstream).store(&far).argument("--offline")).await;
    let rustup = Rustup::of(crateport.url()).installed().await;
    rustup.run(&install).await.succeeds();
    assert_eq!(rustup.prints("stable", "rustc").await, "rustc 1.0.0 (tiny)");
}

#[tokio::test]
async fn a_cache_that_is_offline_never_asks_upstream() {
    let upstream = ScriptedUpstream::start().await;
    let a = krate("a", "1.0.0").publish(&upstream);
    let folder = tempfile::tempdir().unwrap();
    let online = Crateport::start(options(&upstream).store(folder.path())).await;
    assert_eq!(get(crate_url(&online, "a", "1.0.0")).send().await.body, a.bytes);
    crate::house::until_none(async || {
        stored_crates(folder.path()).is_empty().then_some("no crate")
    })
    .await;
    let url = index_file_url(&online, &upstream, "a");
    crate::house::get_until(&url, |answer| outcome(answer) == "hit").await;
    let mut online = online;
    online.terminate();
    assert!(online.wait().await.success());

    upstream.forget_requests();
    let settings: CrateportOptions =
        options(&upstream).flag("--index-ttl", "0s").flag("--config-ttl", "0s");
    let crateport = Crateport::start(settings.store(folder.path()).argument("--offline")).await;
    for (path, status) in [
        ("crates-io/index/config.json", 200),
        ("crates-io/index/1/a", 200),
        ("crates-io/crates/a/1.0.0/download", 200),
        ("crates-io/crates/a/2.0.0/download", 404),
        ("crates-io/index/1/b", 404),
        ("crates-io/crates/b/1.0.0/download", 404),
        ("crates-io/api/v1/crates?q=a", 404),
        ("", 200),
    ] {
        let answer = get(format!("{}/{path}", crateport.url())).send().await;
        assert_eq!(
            (answer.status, answer.header("x-crateport-mode")),
            (status, Some("offline")),
            "{path}"
        );
    }
    let ready = get(format!("{}/readyz", crateport.ops_url())).send().await;
    assert!(
        ready.status == 200 && ready.text().contains("\"crates-io\":\"offline\""),
        "{}",
        ready.text()
    );
    assert_eq!(upstream.total_hits(), 0);
}
