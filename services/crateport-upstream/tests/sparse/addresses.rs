//! The address guard, for what `config.json` names.

use crateport_upstream::contract::Act;
use crateport_upstream::{Ask, Upstream as _};

use crate::support::{always, body, build, config, failure, krate, patient};

#[tokio::test]
async fn a_dl_on_a_private_address_is_refused_unless_the_configuration_names_it() {
    let index = always(vec![]).await;
    let downloads = always(vec![Act::ok("", b"crate")]).await;
    let dl = format!("http://{}/dl", downloads.address());

    let strict = build(config(index.address(), patient()));
    assert_eq!(failure(krate(&strict, &dl).await).await, "upstream-forbidden");
    assert!(downloads.requests().is_empty());

    let mut named = config(index.address(), patient());
    named.allow = ["127.0.0.1".parse().unwrap()].into_iter().collect();
    assert_eq!(body(krate(&build(named), &dl).await).await.unwrap(), b"crate".as_slice());

    let mut own = config(index.address(), patient());
    own.token_hosts = vec![downloads.address().to_string().parse().unwrap()];
    assert_eq!(body(krate(&build(own), &dl).await).await.unwrap(), b"crate".as_slice());
}

#[tokio::test]
async fn a_dl_on_the_indexs_own_port_needs_no_permission() {
    let server = always(vec![Act::ok("", b"crate")]).await;
    let dl = format!("http://{}/dl", server.address());
    let upstream = build(config(server.address(), patient()));
    assert_eq!(body(krate(&upstream, &dl).await).await.unwrap(), b"crate".as_slice());
}

#[tokio::test]
async fn an_api_on_a_private_address_is_refused() {
    let index = always(vec![]).await;
    let upstream = build(config(index.address(), patient()));
    for api in ["http://192.168.0.1", "http://169.254.169.254", "http://localhost:1"] {
        let reply = upstream.fetch(Ask::Search { api, query: "q=a" }).await;
        assert_eq!(failure(reply).await, "upstream-forbidden", "{api}");
    }
}
