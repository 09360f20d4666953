//! Purges: what an operator wants to be asked for again.

use crateport_testkit::client::{Client, get};
use crateport_testkit::{Crateport, RedisServer, ScriptedUpstream, krate};
use http::Method;

use crate::house::{
    crate_url, fs_store, get_until, index_file_url, options, outcome, until_none, with,
};

#[tokio::test]
async fn a_purge_has_upstream_asked_again_by_every_replica() {
    every_replica_asks_again("local").await;
}

#[tokio::test]
async fn a_purge_has_upstream_asked_again_by_a_fleet_that_shares_what_it_knows() {
    let redis = RedisServer::start().await;
    every_replica_asks_again(&redis.url()).await;
}

async fn every_replica_asks_again(coordination: &str) {
    let upstream = ScriptedUpstream::start().await;
    let a = krate("a", "1.0.0").publish(&upstream);
    let flags = ["--purge-poll", "200ms", "--coord", coordination];
    let first = Crateport::start(with(options(&upstream), &flags)).await;
    let shared = with(options(&upstream), &flags).store(first.store());
    let second = Crateport::start(shared.clone()).await;
    let replicas = [&first, &second];
    let warm_up = async || {
        for replica in replicas {
            get(crate_url(replica, "a", "1.0.0")).send().await;
            let url = crate_url(replica, "a", "1.0.0");
            get_until(&url, |answer| outcome(answer) == "hit").await;
            let url = index_file_url(replica, &upstream, "a");
            get_until(&url, |answer| outcome(answer) == "hit").await;
        }
    };
    warm_up().await;
    let store = fs_store(&first.store());
    for way in ["command", "ops listener"] {
        upstream.forget_requests();
        if way == "command" {
            let purge = ["purge", "crates-io", "a@1.0.0", "--store", &store];
            let run = shared.run(&[&purge[..], &flags].concat()).await;
            run.succeeds().says("dropped 1 crate; 1 index file will");
        } else {
            let url = format!("{}/purge?registry=crates-io&crate=a", second.ops_url());
            let answer = Client::h1().request(Method::POST, url).send().await;
            assert_eq!((answer.status, answer.text()), (200, "{\"crates\":1,\"index_files\":1}\n"));
        }
        for replica in replicas {
            let answer = get(index_file_url(replica, &upstream, "a")).send().await;
            assert_ne!(outcome(&answer), "stale", "{way}");
            // What one has learnt since, it may tell the other.
            assert!(upstream.index_hits("a") >= 1, "{way}");
        }
        let asked = if coordination == "local" { 2 } else { 1 };
        assert_eq!(upstream.index_hits("a"), asked, "{way}");
        let unconditional = upstream.requests_for(&upstream.index_path("a"));
        assert!(!unconditional[0].headers.contains_key("if-none-match"), "{way}");
        let answer = get(crate_url(&first, "a", "1.0.0")).send().await;
        assert_eq!((outcome(&answer), &answer.body), ("fill", &a.bytes), "{way}");
        warm_up().await;
        assert_eq!(upstream.crate_hits("a", "1.0.0"), 1, "{way}");
    }
    let url = format!("{}/purge?registry=unknown&crate=a", first.ops_url());
    assert_eq!(Client::h1().request(Method::POST, url).send().await.status, 400);
}

#[tokio::test]
async fn a_purge_does_not_lose_an_index_file_while_upstream_is_gone() {
    let upstream = ScriptedUpstream::start().await;
    krate("a", "1.0.0").publish(&upstream);
    let poll = ["--purge-poll", "200ms"];
    let crateport = Crateport::start(with(options(&upstream), &poll)).await;
    let url = index_file_url(&crateport, &upstream, "a");
    get_until(&url, |answer| outcome(answer) == "hit").await;
    let path = crateport
        .store()
        .join("v1/crates-io")
        .join(upstream.index_path("a").trim_start_matches('/'));
    until_none(async || (!path.exists()).then(|| path.clone())).await;
    upstream.stop();
    let url_of_purge = format!("{}/purge?registry=crates-io&crate=a", crateport.ops_url());
    assert_eq!(Client::h1().request(Method::POST, url_of_purge).send().await.status, 200);
    let answer = get(&url).send().await;
    assert_eq!((answer.status, outcome(&answer)), (200, "stale"));
}
