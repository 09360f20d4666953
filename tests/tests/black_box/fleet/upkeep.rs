//! The operator's hands on a fleet.

use crateport_testkit::client::get;
use crateport_testkit::{KIB, S3Server, krate};

use super::{Fleet, PREFIX, REPLICAS};
use crate::house::{get_until, outcome};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_client_is_sent_to_what_a_purge_drops() {
    let more = [("--delivery", "redirect"), ("--purge-poll", "200ms")];
    let fleet = Fleet::start_with(|options| {
        more.iter().fold(options, |options, (flag, value)| options.flag(flag, *value))
    })
    .await;
    let a = krate("a", "1.0.0").payload(100 * KIB).publish(&fleet.parts.upstream);
    for replica in 0..REPLICAS {
        get_until(&fleet.crate_url_at(replica, &a), |answer| answer.status == 302).await;
    }
    let clients = (0..REPLICAS).map(|replica| {
        let (url, bytes) = (fleet.crate_url_at(replica, &a), a.bytes.clone());
        tokio::spawn(async move {
            loop {
                let mut answer = get(&url).send().await;
                if answer.status == 302 {
                    answer = get(answer.header("location").unwrap()).send().await;
                }
                assert_eq!(answer.status, 200, "{answer:?}");
                assert!(answer.body == bytes);
            }
        })
    });
    let clients = clients.collect::<Vec<_>>();
    fleet.parts.upstream.forget_requests();
    let (store, endpoint) = (format!("s3://{}/{PREFIX}", S3Server::BUCKET), fleet.s3_door.url());
    let redis = format!("redis://{}", fleet.redis_door.address());
    let purge = ["purge", "crates-io", "a", "--store", &store, "--s3-endpoint", &endpoint];
    let purge = [&purge[..], &["--coord", &redis, "--purge-poll", "200ms"]].concat();
    let environment = fleet.parts.s3.environment().into_iter();
    let options = environment.fold(crate::house::options(&fleet.parts.upstream), |options, it| {
        options.variable(it.0, it.1)
    });
    options.run(&purge).await.succeeds().says("dropped 1 crate;");
    for replica in 0..REPLICAS {
        let url = fleet.index_file_url_at(replica, "a");
        get_until(&url, |answer| outcome(answer) == "hit").await;
    }
    for client in clients {
        assert!(!client.is_finished(), "{:?}", client.await);
        client.abort();
    }
    assert_eq!(fleet.parts.upstream.crate_hits("a", "1.0.0"), 1, "one fetch for the fleet");
}
