//! The fault table once more, with the real cargo and its own retries: a fault that passes never fails a build.

use std::time::Duration;

use crateport_testkit::{Cargo, Crateport, Fault, KIB, On, ScriptedUpstream, Times, krate};

use crate::at_once;
use crate::audit::store_is_right;
use crate::faults::{Resource, applies, faults, is_failure, waiting_as_fits};
use crate::house::{CRATES_IO, hasty, until_none};

fn cargo(crateport: &Crateport) -> Cargo {
    // Its retries are its own default; the environment of the tests has none set.
    Cargo::new()
        .replaces_crates_io_with(&crateport.index_url(CRATES_IO))
        .deadline(Duration::from_secs(90))
        .project(|project| project.dep("a", "1").main("fn main() { println!(\"{}\", a::four()) }"))
}

async fn upstream() -> ScriptedUpstream {
    let upstream = ScriptedUpstream::start().await;
    krate("b", "1.0.0").lib("pub fn two() -> u8 { 2 }").payload(KIB).publish(&upstream);
    let a = krate("a", "1.0.0").dep("b", "1").lib("pub fn four() -> u8 { b::two() * 2 }");
    a.payload(KIB).publish(&upstream);
    upstream
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cargo_builds_through_every_fault_that_passes() {
    let mut rows = Vec::new();
    for (name, fault) in faults() {
        for resource in [Resource::Index, Resource::Crate] {
            if applies(&fault, resource) {
                for multiplexing in [true, false] {
                    let row = format!("{name} × {resource:?}, multiplexing: {multiplexing}");
                    let fault = fault.clone();
                    rows.push((row, move || passing(fault, resource, multiplexing)));
                }
            }
        }
    }
    at_once::all(rows).await;
}

async fn passing(fault: Fault, resource: Resource, multiplexing: bool) {
    let upstream = upstream().await;
    let crateport = Crateport::start(waiting_as_fits(&fault, &upstream)).await;
    upstream.fault(resource.on(&fault), fault.clone(), Times::Always);
    // Behind many a proxy, and to cargo by its setting, there is only HTTP/1.1.
    let cargo = cargo(&crateport).variable("CARGO_HTTP_MULTIPLEXING", multiplexing.to_string());
    let met = until_none(async || {
        let log = crateport.log();
        let met = log.contains("status=503") || log.contains("broken");
        (is_failure(&fault) && !met).then_some("cargo has not met the fault")
    });
    let run = cargo.run(&["run", "--quiet"]);
    tokio::pin!(run);
    // As soon as cargo has met the fault, it passes.
    let run = tokio::select! {
        run = &mut run => run,
        () = met => {
            upstream.heal();
            run.await
        }
    };
    assert_eq!(run.succeeds().stdout, "4\n");
    store_is_right(&crateport, &upstream).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cargo_builds_what_is_known_through_every_fault_that_lasts() {
    let rows = faults().into_iter().map(|(name, fault)| (name.to_owned(), move || lasting(fault)));
    at_once::all(rows.collect::<Vec<_>>()).await;
}

async fn lasting(fault: Fault) {
    let upstream = upstream().await;
    let mut crateport = Crateport::start(hasty(&upstream)).await;
    let cargo = cargo(&crateport);
    cargo.run(&["fetch"]).await.succeeds();
    store_is_right(&crateport, &upstream).await;
    if fault == Fault::WrongChecksum {
        upstream.fault(On::Crates, fault, Times::Always);
    } else {
        upstream.fault(On::All, fault, Times::Always);
    }
    let cargo = cargo.fresh_home();
    cargo.run(&["fetch", "--locked"]).await.succeeds();
    // Nor does it need anything that only memory had.
    crateport.restart().await;
    let cargo = cargo.fresh_home();
    cargo.run(&["fetch", "--locked"]).await.succeeds();
}
