//! Promise 4: a client that leaves stops nothing.

use crateport_testkit::client::get;
use crateport_testkit::{KIB, On, ScriptedUpstream, krate};

use crate::audit::{store_is_right, stored_crates};
use crate::house::{crate_url, crateport, outcome, until_none};

#[tokio::test]
async fn a_client_that_leaves_stops_nothing() {
    let upstream = ScriptedUpstream::start().await;
    let a = krate("a", "1.0.0").payload(500 * KIB).publish(&upstream);
    let crateport = crateport(&upstream).await;
    let url = crate_url(&crateport, "a", "1.0.0");
    let gate = upstream.hold_after(On::Crates, 100 * KIB);
    let mut client = get(&url).open().await;
    client.first_byte().await.unwrap();
    drop(client);
    crateport.wait_for_log("client-left").await;
    gate.release();
    // Nobody waits for it any more, and it is kept all the same.
    until_none(async || stored_crates(&crateport.store()).is_empty().then_some("not stored")).await;
    store_is_right(&crateport, &upstream).await;
    let answer = get(&url).send().await;
    assert_eq!((outcome(&answer), &answer.body), ("hit", &a.bytes));
    assert_eq!(upstream.crate_hits("a", "1.0.0"), 1);
}

#[tokio::test]
async fn clients_that_stay_are_served_when_the_one_who_began_the_fill_leaves() {
    let upstream = ScriptedUpstream::start().await;
    let a = krate("a", "1.0.0").payload(500 * KIB).publish(&upstream);
    let crateport = crateport(&upstream).await;
    let url = crate_url(&crateport, "a", "1.0.0");
    let gate = upstream.hold_after(On::Crates, 100 * KIB);
    let mut first = get(&url).open().await;
    first.first_byte().await.unwrap();
    let mut second = get(&url).open().await;
    second.first_byte().await.unwrap();
    drop(first);
    crateport.wait_for_log("client-left").await;
    gate.release();
    assert_eq!(second.rest().await.unwrap(), a.bytes);
    assert_eq!(upstream.crate_hits("a", "1.0.0"), 1);
}
