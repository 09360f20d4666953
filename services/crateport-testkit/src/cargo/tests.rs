//! The real cargo straight on the scripted upstream.

use super::*;
use crate::krate::{Dependency, krate};
use crate::upstream::{Fault, On, ScriptedUpstream, Times};

const FOUR: &str = "fn main() { assert_eq!(a::four(), 4); println!(\"four\") }";

fn publish_two(upstream: &ScriptedUpstream) {
    krate("b", "1.0.0").lib("pub fn two() -> u8 { 2 }").publish(upstream);
    krate("a", "1.2.0")
        .dependency(Dependency::new("b", "1").optional())
        .feature("default", &["math"])
        .feature("math", &["dep:b"])
        .lib("pub fn four() -> u8 { b::two() * 2 }")
        .bin("fn main() { println!(\"installed\") }")
        .publish(upstream);
}

#[tokio::test]
async fn cargo_builds_a_project_from_the_scripted_upstream() {
    let upstream = ScriptedUpstream::start().await;
    publish_two(&upstream);
    let cargo = Cargo::new()
        .replaces_crates_io_with(&upstream.index_url())
        .project(|project| project.dep("a", "1").main(FOUR));
    let run = cargo.run(&["run", "--quiet"]).await.succeeds();
    assert_eq!(run.stdout, "four\n");
    assert_eq!((upstream.crate_hits("a", "1.2.0"), upstream.crate_hits("b", "1.0.0")), (1, 1));
    assert!(
        upstream
            .last_request("/index/config.json")
            .header("user-agent")
            .unwrap()
            .starts_with("cargo/")
    );

    let cargo = cargo.fresh_home();
    cargo.run(&["fetch", "--locked"]).await.succeeds();
    assert_eq!(upstream.crate_hits("a", "1.2.0"), 2, "a fresh home has nothing");
    cargo.run(&["fetch", "--locked"]).await.succeeds();
    assert_eq!(upstream.crate_hits("a", "1.2.0"), 2);
    cargo.run(&["install", "a", "--root", "installed"]).await.succeeds();
    assert!(cargo.work().join("installed/bin/a").exists());
}

#[tokio::test]
async fn cargo_speaks_h2_over_tls_and_follows_any_dl() {
    let dl = "/files/{lowerprefix}/{crate}-{version}.crate?sum={sha256-checksum}";
    let upstream = ScriptedUpstream::builder().tls().separate_download_port().dl(dl).start().await;
    publish_two(&upstream);
    let cargo = Cargo::new()
        .replaces_crates_io_with(&upstream.index_url())
        .trusts(upstream.ca().unwrap().pem())
        .project(|project| project.dep("a", "1"));
    cargo.run(&["fetch"]).await.succeeds();
    assert_eq!(upstream.crate_path("a", "1.2.0"), "/files/1/a-1.2.0.crate");
    assert_eq!(upstream.crate_hits("a", "1.2.0"), 1);
    assert!(upstream.requests().iter().all(|seen| seen.version == http::Version::HTTP_2));
}

#[tokio::test]
async fn cargo_uses_a_private_registry_with_a_token() {
    let public = ScriptedUpstream::start().await;
    krate("b", "1.0.0").publish(&public);
    let private = ScriptedUpstream::builder().token("secret").start().await;
    krate("mine", "0.1.0").publish(&private);
    let cargo = Cargo::new()
        .replaces_crates_io_with(&public.index_url())
        .registry("private", &private.index_url())
        .project(|project| project.dep("b", "1").dep_from("private", "mine", "0.1"));
    cargo.run(&["fetch"]).await.fails().says("credential-provider");
    let cargo = cargo.token("private", "secret");
    cargo.run(&["fetch"]).await.succeeds();
    assert!(cargo.read_lock().contains(&private.index_url()));
    assert_eq!((private.crate_hits("mine", "0.1.0"), public.crate_hits("mine", "0.1.0")), (1, 0));
}

#[tokio::test]
async fn cargo_judges_faults_itself() {
    let upstream = ScriptedUpstream::start().await;
    publish_two(&upstream);
    let cargo = Cargo::new()
        .replaces_crates_io_with(&upstream.index_url())
        .retries(0)
        .project(|project| project.dep("a", "1"));
    upstream.fault(On::Crates, Fault::WrongChecksum, Times::Always);
    cargo.run(&["fetch"]).await.fails().says("failed to verify the checksum");
    upstream.heal();
    upstream.fault(On::Crates, Fault::Truncated, Times::Always);
    cargo.run(&["fetch"]).await.fails().says("partial file");
    upstream.heal();
    upstream.fault(On::Index, Fault::Status(503), Times::Always);
    cargo.run(&["update"]).await.fails().says("got 503");
    upstream.heal();
    cargo.run(&["fetch"]).await.succeeds();
    cargo.run(&["search", "a", "--registry", MIRROR]).await.succeeds().says("1.2.0");
}

#[tokio::test]
#[should_panic(expected = "cargo was killed after")]
async fn a_cargo_that_hangs_is_killed() {
    let upstream = ScriptedUpstream::start().await;
    publish_two(&upstream);
    upstream.fault(On::Config, Fault::Hang, Times::Always);
    let cargo = Cargo::new()
        .replaces_crates_io_with(&upstream.index_url())
        .deadline(Duration::from_secs(1))
        .project(|project| project.dep("a", "1"));
    let _ = cargo.run(&["fetch"]).await;
}
