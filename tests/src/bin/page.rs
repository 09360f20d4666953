//! A Crateport on this machine whose page has something to show: crates and a toolchain that were filled, hits, errors.
//!
//! `tests/page/run` looks at it in a browser. It prints its address, and ends with Ctrl-C or SIGTERM.

use std::error::Error;

use crateport_testkit::client::get;
use crateport_testkit::{
    Crateport, CrateportOptions, Fault, KIB, On, ScriptedUpstream, Times, krate, toolchain,
};
use tokio::signal::unix::{SignalKind, signal};

/// Long ones and short ones, as on crates.io.
const CRATES: [&str; 24] = [
    "serde",
    "syn",
    "proc-macro2",
    "quote",
    "libc",
    "cfg-if",
    "rand",
    "bitflags",
    "regex-automata",
    "windows-targets-with-a-very-long-name-that-somebody-will-publish",
    "unicode-ident",
    "itoa",
    "memchr",
    "hashbrown",
    "tokio",
    "aho-corasick",
    "once-cell",
    "smallvec",
    "autocfg",
    "rustix",
    "getrandom",
    "parking-lot-core",
    "thiserror-impl",
    "a",
];

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> Result<(), Box<dyn Error>> {
    let (mut interrupt, mut terminate) =
        (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    let upstream = ScriptedUpstream::start().await;
    for (number, name) in CRATES.iter().enumerate() {
        krate(name, "1.0.0").payload((number + 1) * 9 * KIB).publish(&upstream);
    }
    let released = toolchain("1.95.0", "2026-04-16").release(&upstream, &["stable"]);
    let lines = "allow = [\"127.0.0.1\"]";
    let options = CrateportOptions::default()
        .upstream_with("crates-io", &upstream.index_url(), lines)
        .upstream_with("internal-registry", &upstream.index_url(), lines)
        .dist_with("rustup", &upstream.url(), lines)
        .flag("--replica", "crateport-0.crateport.build-infrastructure.svc.cluster.local");
    let crateport = Crateport::start(options).await;
    for (number, name) in CRATES.iter().enumerate() {
        let index = format!("{}/crates-io{}", crateport.url(), upstream.index_path(name));
        for _ in 0..=(CRATES.len() - number) / 2 {
            get(&index).send().await;
            get(crateport.crate_url("crates-io", name, "1.0.0")).send().await;
        }
    }
    get(crateport.crate_url("internal-registry", "serde", "1.0.0")).send().await;
    get(format!("{}/rustup{}", crateport.url(), released.path("rustc"))).send().await;
    upstream.fault(On::Index, Fault::Status(502), Times::Always);
    for name in ["unseen", "a-crate-with-a-very-long-name-that-cannot-be-fetched-just-now"] {
        get(format!("{}/crates-io{}", crateport.url(), upstream.index_path(name))).send().await;
    }
    // The store is counted when somebody looks for the first time.
    get(format!("{}/stats", crateport.ops_url())).send().await;
    println!("{}", crateport.url());
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    Ok(())
}
