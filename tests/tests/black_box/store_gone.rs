//! The store is gone, for every replica at once: they stay in the load balancer, and serve what they can.

use crateport_testkit::client::{Answer, get};
use crateport_testkit::{
    Crateport, S3Fault, S3Operation, S3Server, ScriptedUpstream, Times, krate,
};
use serde_json::Value;

use crate::house::{crate_url, get_until, hasty, index_file_url, on_bucket, outcome, until_none};

async fn readiness(crateport: &Crateport) -> (u16, Value) {
    let answer = get(format!("{}/readyz", crateport.ops_url())).send().await;
    (answer.status, serde_json::from_slice(&answer.body).unwrap())
}

fn seen(answer: &Answer) -> (u16, &str) {
    (answer.status, outcome(answer))
}

#[tokio::test]
async fn replicas_without_their_store_stay_ready_and_serve_from_memory_and_upstream() {
    let (s3, upstream) = (S3Server::start().await, ScriptedUpstream::start().await);
    let published = krate("a", "1.0.0").publish(&upstream);
    let options = || on_bucket(crate::house::options(&upstream), &s3);
    let replicas = [Crateport::start(options()).await, Crateport::start(options()).await];
    for replica in &replicas {
        let url = index_file_url(replica, &upstream, "a");
        get_until(&url, |answer| outcome(answer) == "hit").await;
        let (status, told) = readiness(replica).await;
        assert_eq!((status, &told["serves"], &told["store"]), (200, &"all".into(), &"ok".into()));
    }
    s3.stop();
    for replica in &replicas {
        let (status, told) = readiness(replica).await;
        assert_eq!((status, &told["serves"]), (200, &"unstored".into()), "{told}");
        assert_ne!(told["store"], "ok");
        let hot = get(index_file_url(replica, &upstream, "a")).send().await;
        assert_eq!(seen(&hot), (200, "hit"));
        let filled = get(crate_url(replica, "a", "1.0.0")).send().await;
        assert_eq!((seen(&filled), &filled.body), ((200, "fill"), &published.bytes));
    }
    s3.restart();
    for replica in &replicas {
        until_none(async || {
            let (_, told) = readiness(replica).await;
            (told["serves"] != "all").then_some(told)
        })
        .await;
        get_until(&crate_url(replica, "a", "1.0.0"), |answer| outcome(answer) == "hit").await;
    }
}

#[tokio::test]
async fn a_store_that_hangs_fails_no_probe() {
    let (s3, upstream) = (S3Server::start().await, ScriptedUpstream::start().await);
    let crateport = Crateport::start(on_bucket(crate::house::options(&upstream), &s3)).await;
    s3.fault(&S3Operation::ALL, S3Fault::Hang, Times::Always);
    let (status, told) = readiness(&crateport).await;
    assert_eq!((status, &told["serves"]), (200, &"unstored".into()), "{told}");
}

#[tokio::test]
async fn a_replica_with_neither_store_nor_upstream_asks_for_no_requests() {
    let (s3, upstream) = (S3Server::start().await, ScriptedUpstream::start().await);
    krate("a", "1.0.0").publish(&upstream);
    let crateport = Crateport::start(on_bucket(hasty(&upstream), &s3)).await;
    let url = index_file_url(&crateport, &upstream, "a");
    get(&url).send().await;
    s3.stop();
    upstream.stop();
    until_none(async || {
        // What is in memory is served all the same.
        let answer = get(&url).send().await;
        assert_eq!(seen(&answer), (200, "stale"));
        let (status, told) = readiness(&crateport).await;
        (status != 503 || told["serves"] != "memory").then_some(told)
    })
    .await;
}
