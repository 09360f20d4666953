//! Bundles that are carried to where there is no network, and caches that never ask for anything.

use std::path::Path;

use crateport_testkit::client::get;
use crateport_testkit::rustup::rustup_bytes;
use crateport_testkit::{
    Cargo, Crateport, CrateportOptions, Published, Rustup, S3Server, ScriptedUpstream, krate,
    release_rustup, toolchain,
};

use crate::audit::stored_crates;
use crate::house::{
    CRATES_IO, crate_url, fs_store, get_until, index_file_url, lockfile, on_bucket, options,
    outcome, text, until_none,
};
use crate::toolchains::distribution;

/// A cache that has a store, and nothing else in the world.
async fn offline(upstream: &ScriptedUpstream, store: &Path) -> Crateport {
    Crateport::start(options(upstream).store(store).argument("--offline")).await
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
    options(&upstream).run(&export).await.succeeds().says("holds 2 objects and 3 texts");
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
        run.stdout.contains("holds 1 object and") && run.stdout.contains("\n1 object more must"),
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
    get_until(&url, |answer| answer.text().lines().count() == 2).await;
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
async fn a_toolchain_and_rustup_itself_are_carried_to_where_there_is_no_network() {
    let upstream = ScriptedUpstream::start().await;
    toolchain("1.0.0", "2026-01-01").release(&upstream, &["stable"]);
    release_rustup(&upstream, "9.9.9", &rustup_bytes());
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let (first, second, far) = (at("first.tar.zst"), at("second.tar.zst"), at("there"));
    let (here, there) = (fs_store(&at("here")), fs_store(&far));
    let options = distribution(&upstream);
    let wanted = ["--toolchain", "stable", "--profile", "minimal", "--rustup", "--store", &here];
    let export = [&["export", "-o", text(&first)], &wanted[..]].concat();
    options.run(&export).await.succeeds();
    let more = ["--since-bundle", text(&first), "--component", "rust-docs"];
    let export = [&["export", "-o", text(&second)], &wanted[..], &more].concat();
    options.run(&export).await.succeeds().says("holds 1 object and");
    upstream.stop();
    for bundle in [&first, &second] {
        options.run(&["import", text(bundle), "--store", &there]).await.succeeds();
    }
    options.run(&["verify", "--store", &there]).await.succeeds();

    let offline = distribution(&upstream).store(&far).argument("--offline");
    let crateport = Crateport::start(offline).await;
    let home = Rustup::of(crateport.url());
    let url = format!("{}/rustup/rustup-init.sh", crateport.url());
    let install = format!("curl -fsSL {url} | sh -s -- -y --profile minimal");
    home.shell(&install).await.succeeds();
    home.run(&["component", "add", "rust-docs"]).await.succeeds();
    assert_eq!(home.prints("stable", "rustc").await, "rustc 1.0.0 (tiny)");
    home.run(&["self", "update"]).await.succeeds();
    assert_eq!(home.run(&["toolchain", "install", "beta"]).await.fails().status.code(), Some(1));
}

#[tokio::test]
async fn a_bundle_can_be_carried_into_a_bucket() {
    let (s3, upstream) = (S3Server::start().await, ScriptedUpstream::start().await);
    let a = krate("a", "1.0.0").payload(300_000).publish(&upstream);
    let (_cargo, lock) = lockfile(&upstream, &[("a", "1")]).await;
    let folder = tempfile::tempdir().unwrap();
    let (bundle, here) = (folder.path().join("bundle.tar.zst"), fs_store(&folder.path().join("a")));
    let export = ["export", "--lockfile", text(&lock), "-o", text(&bundle), "--store", &here];
    options(&upstream).run(&export).await.succeeds();
    upstream.stop();
    let far = on_bucket(options(&upstream), &s3);
    let (store, endpoint) = (format!("s3://{}/fleet", S3Server::BUCKET), s3.endpoint());
    let into = ["--store", &store, "--s3-endpoint", &endpoint];
    far.run(&[&["import", text(&bundle)], &into[..]].concat()).await.succeeds();
    far.run(&[&["verify"], &into[..]].concat()).await.succeeds();
    let settings = far.clone().argument("--offline").flag("--delivery", "redirect");
    let crateport = Crateport::start(settings).await;
    let answer = get(crate_url(&crateport, "a", "1.0.0")).send().await;
    assert_eq!(answer.status, 302);
    assert_eq!(get(answer.header("location").unwrap()).send().await.body, a.bytes);
    // Its base is the bucket, and so it is a registry by itself.
    assert!(s3.keys().iter().any(|key| key.ends_with("v1/crates-io/index/config.json")));
}

#[tokio::test]
async fn a_bundle_of_a_registry_that_nobody_is_served_here_is_refused() {
    let upstream = ScriptedUpstream::start().await;
    krate("a", "1.0.0").publish(&upstream);
    let (_cargo, lock) = lockfile(&upstream, &[("a", "1")]).await;
    let folder = tempfile::tempdir().unwrap();
    let (bundle, here) = (folder.path().join("bundle.tar.zst"), fs_store(&folder.path().join("a")));
    let export = ["export", "--lockfile", text(&lock), "-o", text(&bundle), "--store", &here];
    options(&upstream).run(&export).await.succeeds();
    let there = folder.path().join("b");
    let elsewhere = CrateportOptions::default()
        .config("[registries.crates-io]\nenabled = false\n")
        .run(&["import", text(&bundle), "--store", &fs_store(&there)])
        .await;
    elsewhere.fails().says("no registry or dist origin of that id is configured here");
    assert!(stored_crates(&there).is_empty());
}

#[tokio::test]
async fn a_cache_that_is_offline_never_asks_upstream() {
    let upstream = ScriptedUpstream::start().await;
    let a = krate("a", "1.0.0").publish(&upstream);
    let folder = tempfile::tempdir().unwrap();
    let online = Crateport::start(options(&upstream).store(folder.path())).await;
    assert_eq!(get(crate_url(&online, "a", "1.0.0")).send().await.body, a.bytes);
    until_none(async || stored_crates(folder.path()).is_empty().then_some("no crate")).await;
    let url = index_file_url(&online, &upstream, "a");
    get_until(&url, |answer| outcome(answer) == "hit").await;
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
