//! SIGTERM: what is in flight comes to its end.

use crateport_testkit::client::get;
use crateport_testkit::{Crateport, KIB, On, ScriptedUpstream, krate};

use crate::audit::{store_is_right, stored_crates};
use crate::house::{crate_url, crateport, options};

#[tokio::test]
async fn sigterm_lets_a_download_in_flight_end() {
    let upstream = ScriptedUpstream::start().await;
    let a = krate("a", "1.0.0").payload(500 * KIB).publish(&upstream);
    let mut crateport = crateport(&upstream).await;
    let gate = upstream.hold_after(On::Crates, 100 * KIB);
    let mut client = get(crate_url(&crateport, "a", "1.0.0")).open().await;
    client.first_byte().await.unwrap();
    crateport.terminate();
    crateport.wait_for_log("stopping").await;
    let ready = get(format!("{}/readyz", crateport.ops_url())).send().await;
    assert_eq!(ready.status, 503, "load balancers are told");
    assert_eq!(get(format!("{}/livez", crateport.ops_url())).send().await.status, 200);
    gate.release();
    assert_eq!(client.rest().await.unwrap(), a.bytes);
    let status = crateport.wait().await;
    assert_eq!(status.code(), Some(0), "{status}");
    assert_eq!(stored_crates(&crateport.store()).len(), 1);
    store_is_right(&crateport, &upstream).await;
}

#[tokio::test]
async fn sigterm_lets_a_fill_end_whose_client_has_left() {
    let upstream = ScriptedUpstream::start().await;
    krate("a", "1.0.0").payload(500 * KIB).publish(&upstream);
    let mut crateport = crateport(&upstream).await;
    let gate = upstream.hold_after(On::Crates, 100 * KIB);
    let mut client = get(crate_url(&crateport, "a", "1.0.0")).open().await;
    client.first_byte().await.unwrap();
    drop(client);
    crateport.wait_for_log("client-left").await;
    crateport.terminate();
    crateport.wait_for_log("stopping").await;
    gate.release();
    assert_eq!(crateport.wait().await.code(), Some(0));
    assert_eq!(stored_crates(&crateport.store()).len(), 1);
}

#[tokio::test]
async fn sigterm_does_not_wait_longer_than_the_drain_timeout() {
    let upstream = ScriptedUpstream::start().await;
    krate("a", "1.0.0").payload(500 * KIB).publish(&upstream);
    let options = options(&upstream).flag("--drain-timeout", "300ms");
    let mut crateport = Crateport::start(options).await;
    let gate = upstream.hold_after(On::Crates, 100 * KIB);
    let mut client = get(crate_url(&crateport, "a", "1.0.0")).open().await;
    client.first_byte().await.unwrap();
    crateport.terminate();
    assert_eq!(crateport.wait().await.code(), Some(0));
    assert!(client.rest().await.is_err(), "a client sees that its download was cut");
    drop(gate);
    assert!(stored_crates(&crateport.store()).is_empty());
}
