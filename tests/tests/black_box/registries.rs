//! Several registries behind one Crateport, one of them with a token.

use crateport_testkit::client::get;
use crateport_testkit::{Cargo, Crateport, CrateportOptions, ScriptedUpstream, krate};

const TOKEN: &str = "a-secret-of-the-company";

struct Two {
    public: ScriptedUpstream,
    private: ScriptedUpstream,
    options: CrateportOptions,
}

async fn two() -> Two {
    let public = ScriptedUpstream::start().await;
    krate("b", "1.0.0").lib("pub fn two() -> u8 { 2 }").publish(&public);
    let private = ScriptedUpstream::builder().token(TOKEN).start().await;
    krate("mine", "0.1.0").lib("pub fn three() -> u8 { 3 }").publish(&private);
    let options = CrateportOptions::default()
        .upstream("crates-io", &public.index_url())
        .upstream_with("company", &private.index_url(), &format!("token = \"{TOKEN}\""));
    Two { public, private, options }
}

#[tokio::test]
async fn cargo_builds_from_two_registries_and_needs_no_token_of_its_own() {
    let Two { public, private, options } = two().await;
    let crateport = Crateport::start(options).await;
    let cargo = Cargo::new()
        .replaces_crates_io_with(&crateport.index_url("crates-io"))
        .registry("company", &crateport.index_url("company"))
        .project(|project| {
            let project = project.dep("b", "1").dep_from("company", "mine", "0.1");
            project.main("fn main() { println!(\"{}\", b::two() + mine::three()) }")
        });
    let run = cargo.run(&["run", "--quiet"]).await.succeeds();
    assert_eq!(run.stdout, "5\n");
    assert_eq!((private.crate_hits("mine", "0.1.0"), public.crate_hits("mine", "0.1.0")), (1, 0));
}

#[tokio::test]
async fn a_token_goes_to_its_own_registry_and_nowhere_else() {
    let Two { public, private, options } = two().await;
    let crateport = Crateport::start(options).await;
    for (registry, name, version) in [("crates-io", "b", "1.0.0"), ("company", "mine", "0.1.0")] {
        let answer = get(crateport.crate_url(registry, name, version)).send().await;
        assert_eq!(answer.status, 200, "{registry}");
        // Not even a client's own credentials are passed on.
        let index = format!("{}config.json", crateport.index_url(registry));
        let answer = get(index).header("authorization", "of-the-client").send().await;
        assert!(!answer.text().contains("auth-required"), "{}", answer.text());
    }
    assert!(public.total_hits() > 0 && private.total_hits() > 0);
    assert!(public.requests().iter().all(|seen| seen.header("authorization").is_none()));
    assert!(private.requests().iter().all(|seen| seen.header("authorization") == Some(TOKEN)));
    let seen = format!("{}{}", crateport.log(), crateport.metrics().await);
    assert!(!seen.contains(TOKEN), "the token shows in the log or the metrics");
}

#[tokio::test]
async fn registries_do_not_see_each_others_crates() {
    let Two { public: _public, private, options } = two().await;
    let crateport = Crateport::start(options).await;
    for (registry, name, version) in [("crates-io", "mine", "0.1.0"), ("company", "b", "1.0.0")] {
        let answer = get(crateport.crate_url(registry, name, version)).send().await;
        assert_eq!(answer.status, 404, "{name} in {registry}");
    }
    let answer = get(format!("{}1/b", crateport.index_url("nowhere"))).send().await;
    assert_eq!(answer.status, 404);
    assert!(answer.text().contains("nowhere"), "{}", answer.text());
    assert_eq!(private.hits("/dl/b/1.0.0/download"), 0);
}

#[tokio::test]
async fn a_registry_that_is_down_does_not_slow_the_others() {
    let Two { public, private, options } = two().await;
    let crateport = Crateport::start(options).await;
    private.stop();
    let down = get(crateport.crate_url("company", "mine", "0.1.0")).send().await;
    assert_eq!(down.status, 503);
    let up = get(crateport.crate_url("crates-io", "b", "1.0.0")).send().await;
    assert_eq!((up.status, public.crate_hits("b", "1.0.0")), (200, 1));
}
