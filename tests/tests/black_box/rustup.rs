//! The real rustup through the real binary: cold, warm, and with upstream gone.

use crateport_testkit::rustup::{rustup_bytes, rustup_version};
use crateport_testkit::toolchain::record_rustup;
use crateport_testkit::{Crateport, Rustup, ScriptedUpstream, TestCa, release_rustup, toolchain};

use crate::toolchains::{STABLE, WASM, distribution, eager};

const INSTALL_STABLE: [&str; 5] = ["toolchain", "install", "stable", "--profile", "minimal"];

/// A server that has nothing yet, and no newer rustup.
async fn server() -> ScriptedUpstream {
    let upstream = ScriptedUpstream::start().await;
    record_rustup(&upstream, &rustup_version());
    upstream
}

#[tokio::test]
async fn a_toolchain_is_installed_cold_and_warm_and_with_upstream_gone() {
    let upstream = server().await;
    let released = toolchain("1.0.0", "2026-01-01").release(&upstream, &["stable"]);
    let mut crateport = Crateport::start(distribution(&upstream)).await;
    for _ in 0..2 {
        let rustup = Rustup::of(crateport.url()).installed().await;
        rustup.run(&INSTALL_STABLE).await.succeeds();
        assert_eq!(rustup.prints("stable", "rustc").await, "rustc 1.0.0 (tiny)");
        assert_eq!(rustup.prints("stable", "cargo").await, "cargo 1.0.0 (tiny)");
    }
    for component in ["rustc", "cargo", "rust-std"] {
        let path = released.path(component);
        assert_eq!(upstream.hits(path), 1, "{path}");
        assert_eq!(upstream.hits(&format!("{path}.sha256")), 0, "its manifest proves it");
    }
    assert_eq!((upstream.hits(STABLE), upstream.hits(&format!("{STABLE}.sha256"))), (1, 1));
    upstream.stop();
    for _ in 0..2 {
        let rustup = Rustup::of(crateport.url()).installed().await;
        rustup.run(&INSTALL_STABLE).await.succeeds();
        assert_eq!(rustup.prints("stable", "rustc").await, "rustc 1.0.0 (tiny)");
        crateport.restart().await;
    }
}

#[tokio::test]
async fn a_toolchain_is_installed_over_https() {
    let (upstream, ca, folder) = (server().await, TestCa::new(), tempfile::tempdir().unwrap());
    toolchain("1.0.0", "2026-01-01").release(&upstream, &["stable"]);
    let (cert, key) = ca.issue().write_into(folder.path(), "server");
    let listen = format!("127.0.0.1:0,cert={},key={}", cert.display(), key.display());
    let crateport = Crateport::start(distribution(&upstream).also_listens(&listen)).await;
    let url = crateport.urls()[1].clone();
    assert!(url.starts_with("https://"), "{url}");
    let rustup = Rustup::of(&url).trusts(ca.pem()).installed().await;
    rustup.run(&INSTALL_STABLE).await.succeeds();
    assert_eq!(rustup.prints("stable", "rustc").await, "rustc 1.0.0 (tiny)");
}

#[tokio::test]
async fn a_toolchain_is_checked_and_updated_and_upstream_may_be_gone_in_between() {
    let upstream = server().await;
    toolchain("1.0.0", "2026-01-01").release(&upstream, &["stable"]);
    let crateport = Crateport::start(eager(&upstream)).await;
    let rustup = Rustup::of(crateport.url()).installed().await;
    rustup.run(&INSTALL_STABLE).await.succeeds();
    rustup.run(&["check", "--no-self-update"]).await.says("stable").says("up to date");

    toolchain("1.1.0", "2026-02-12").release(&upstream, &["stable"]);
    rustup.run(&["check", "--no-self-update"]).await.says("1.0.0").says("1.1.0");
    rustup.run(&["update", "--no-self-update"]).await.succeeds().says("1.1.0");
    assert_eq!(rustup.prints("stable", "rustc").await, "rustc 1.1.0 (tiny)");

    upstream.stop();
    rustup.run(&["check", "--no-self-update"]).await.says("up to date");
    rustup.run(&["update", "--no-self-update"]).await.succeeds().says("unchanged");
}

#[tokio::test]
async fn components_and_targets_are_added() {
    let upstream = server().await;
    toolchain("1.0.0", "2026-01-01").extra_target(WASM).release(&upstream, &["stable"]);
    let crateport = Crateport::start(distribution(&upstream)).await;
    let rustup = Rustup::of(crateport.url()).installed().await;
    rustup.run(&INSTALL_STABLE).await.succeeds();
    rustup.run(&["component", "add", "rust-docs", "--toolchain", "stable"]).await.succeeds();
    rustup.run(&["target", "add", WASM, "--toolchain", "stable"]).await.succeeds();
    let list = rustup.run(&["target", "list", "--installed", "--toolchain", "stable"]).await;
    list.succeeds().says(WASM);
    let toolchains = std::fs::read_dir(rustup.rustup_home().join("toolchains")).unwrap();
    let stable = toolchains.map(|entry| entry.unwrap().path()).next().unwrap();
    assert!(stable.join(format!("lib/rustlib/{WASM}/lib/libstd.rlib")).exists());
    assert!(stable.join("share/doc/rust/html/index.html").exists());
}

#[tokio::test]
async fn a_pinned_version_and_a_dated_nightly_are_installed_and_never_asked_for_again() {
    let upstream = server().await;
    toolchain("1.0.0", "2026-01-01").release(&upstream, &["stable", "1.0.0", "1.0"]);
    toolchain("nightly", "2026-01-02").release(&upstream, &["nightly"]);
    let crateport = Crateport::start(eager(&upstream)).await;
    for round in 0..2 {
        let rustup = Rustup::of(crateport.url()).installed().await;
        for name in ["1.0.0", "nightly-2026-01-02"] {
            let install = ["toolchain", "install", name, "--profile", "minimal"];
            rustup.run(&install).await.succeeds();
        }
        assert_eq!(rustup.prints("1.0.0", "rustc").await, "rustc 1.0.0 (tiny)");
        assert_eq!(rustup.prints("nightly-2026-01-02", "rustc").await, "rustc nightly (tiny)");
        if round == 0 {
            upstream.forget_requests();
        }
    }
    // Whether there is a newer rustup is asked again; everything else is here for good.
    let others = upstream.total_hits() - upstream.hits("/rustup/release-stable.toml");
    assert_eq!(others, 0, "{:#?}", upstream.requests());
}

#[tokio::test]
async fn rustup_updates_itself() {
    let upstream = ScriptedUpstream::start().await;
    let program = rustup_bytes();
    release_rustup(&upstream, "9.9.9", &program);
    let crateport = Crateport::start(distribution(&upstream)).await;
    for round in 0..3 {
        let rustup = Rustup::of(crateport.url()).installed().await;
        rustup.run(&["check"]).await.says("9.9.9");
        rustup.run(&["self", "update"]).await.succeeds().says("downloading");
        rustup.run(&["--version"]).await.succeeds();
        if round == 1 {
            upstream.stop();
        }
    }
    let archive =
        upstream.requests().into_iter().filter(|seen| seen.path.ends_with("/rustup-init")).count();
    assert_eq!(archive, 1, "one fetch for all");
}

#[tokio::test]
async fn a_nightly_without_a_component_is_walked_backwards_with_few_questions_to_upstream() {
    let upstream = server().await;
    toolchain("nightly", "2026-01-03").release(&upstream, &["nightly"]);
    for day in ["2026-01-07", "2026-01-09"] {
        toolchain("nightly", day).without("cargo").release(&upstream, &["nightly"]);
    }
    let crateport = Crateport::start(distribution(&upstream)).await;
    let install = ["toolchain", "install", "nightly", "--profile", "minimal"];
    let rustup = Rustup::of(crateport.url()).installed().await;
    rustup.run(&install).await.succeeds().says("2026-01-03");
    // The channel's pair, the pairs of two days, and one question for each of four days without a nightly, in each
    // of the two formats; then three components.
    let manifests =
        upstream.requests().into_iter().filter(|seen| seen.path.contains("channel-rust")).count();
    assert!(manifests <= 2 + 2 * 2 + 4 * 2, "{manifests}: {:#?}", upstream.requests());
    upstream.forget_requests();
    let rustup = Rustup::of(crateport.url()).installed().await;
    rustup.run(&install).await.succeeds().says("2026-01-03");
    assert_eq!(upstream.total_hits(), 0, "{:#?}", upstream.requests());
}

#[tokio::test]
async fn a_broken_release_is_not_installed_and_the_next_one_is() {
    let upstream = server().await;
    let broken = toolchain("1.0.0", "2026-01-01").release(&upstream, &["stable"]);
    upstream.put_file(broken.path("rustc"), "not what the manifest promises");
    let crateport = Crateport::start(eager(&upstream)).await;
    let rustup = Rustup::of(crateport.url()).installed().await;
    rustup.run(&INSTALL_STABLE).await.fails();
    toolchain("1.0.1", "2026-01-02").release(&upstream, &["stable"]);
    rustup.run(&INSTALL_STABLE).await.succeeds();
    assert_eq!(rustup.prints("stable", "rustc").await, "rustc 1.0.1 (tiny)");
}
