//! Against crates.io itself, through this machine's own access to it. Needs the network; nothing else here does.

use std::time::Duration;

use crateport_testkit::client::Client;
use crateport_testkit::{Cargo, Crateport, CrateportOptions};

use crate::bare::Bare;
use crate::house::CRATES_IO;

const DEADLINE: Duration = Duration::from_secs(120);

/// The default registry, and a clear word if it cannot be reached.
async fn crateport() -> Crateport {
    let crateport = Crateport::start(CrateportOptions::default()).await;
    let url = format!("{}it/oa/itoa", crateport.index_url(CRATES_IO));
    let answer = Client::h1().get(url).send().await;
    assert!(
        answer.status == 200,
        "crates.io cannot be reached from this machine, and this test needs it: {}",
        answer.text()
    );
    crateport
}

fn cargo() -> Cargo {
    let main = "fn main() { println!(\"{}\", serde_json::json!([itoa::Buffer::new().format(4)])) }";
    Cargo::new()
        .deadline(DEADLINE)
        .project(|project| project.dep("serde_json", "1").dep("itoa", "1").main(main))
}

#[tokio::test]
async fn a_real_project_is_built_from_crates_io_and_again_without_it() {
    let mut crateport = crateport().await;
    let cargo = cargo().replaces_crates_io_with(&crateport.index_url(CRATES_IO));
    cargo.run(&["fetch"]).await.succeeds();
    let run = cargo.run(&["run", "--quiet"]).await.succeeds();
    assert_eq!(run.stdout, "[\"4\"]\n");
    crateport.restart().await;
    let cargo = cargo.fresh_home();
    cargo.run(&["fetch", "--locked"]).await.succeeds();
    let filled = crateport.metric("crateport_fills_total", &[("resource", "crate")]).await;
    assert!(filled.abs() < f64::EPSILON, "everything was in the store: {filled}");
}

/// Some machines reach crates.io through an intermediary that has no web API. What cargo can do there by itself, it can
/// do through Crateport; what it cannot, it is told in a sentence.
#[tokio::test]
async fn cargo_search_through_crateport_is_as_good_as_without_it() {
    let crateport = crateport().await;
    let search = ["search", "serde", "--limit", "3"];
    let directly = Cargo::new().deadline(DEADLINE).run(&search).await;
    let cargo = cargo().replaces_crates_io_with(&crateport.index_url(CRATES_IO));
    let through = cargo.run(&[&search[..], &["--registry", "mirror"]].concat()).await;
    if directly.status.success() {
        assert_eq!(through.succeeds().stdout, directly.stdout);
    } else {
        assert!(through.stderr.contains("search in crates-io"), "{}", through.report());
        through.fails();
    }
}

#[tokio::test]
async fn serve_without_any_setting_is_a_working_cache_of_crates_io() {
    drop(crateport().await);
    let arguments = ["--listen", "127.0.0.1:0", "--ops-listen", "127.0.0.1:0"];
    let bare = Bare::serve(&arguments, None).await;
    let cargo = cargo().config(bare.cargo_lines());
    cargo.run(&["fetch"]).await.succeeds();
    assert!(bare.data_home().join("crateport/v1/crates-io/crates/itoa").exists());
}
