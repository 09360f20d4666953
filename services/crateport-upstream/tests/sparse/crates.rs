//! Crates: as they are, with their size.

use crateport_upstream::Reply;
use crateport_upstream::contract::Act;

use crate::support::{always, failure, krate, patient, upstream};

#[tokio::test]
async fn a_crate_comes_as_it_is_with_its_size() {
    let server = always(vec![Act::ok("", b"crate")]).await;
    let dl = format!("http://{}/dl/{{crate}}-{{version}}.crate", server.address());
    let Ok(Reply::Found(found)) = krate(&upstream(&server, patient()), &dl).await else {
        panic!("not found");
    };
    assert_eq!(found.size_bytes, Some(5));
    assert_eq!(found.collect(100).await.unwrap(), b"crate".as_slice());
    let seen = server.requests().remove(0);
    assert_eq!(seen.target, "/dl/serde-1.0.0.crate");
    assert_eq!(seen.header("accept-encoding").as_deref(), Some("identity"));
    assert_eq!(seen.header("cargo-protocol"), None);
}

#[tokio::test]
async fn a_crate_that_comes_encoded_is_refused() {
    let server = always(vec![Act::ok("content-encoding: gzip\r\n", b"crate")]).await;
    let dl = format!("http://{}/dl", server.address());
    let reply = krate(&upstream(&server, patient()), &dl).await;
    assert_eq!(failure(reply).await, "upstream-invalid");
}
