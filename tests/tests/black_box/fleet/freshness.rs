//! Promise 8 in a fleet: fresh when it can be, and upstream asked at most once per TTL by all replicas together.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crateport_testkit::client::{Client, get};
use crateport_testkit::{S3Fault, S3Operation, Times, krate};

use super::{Fleet, REPLICAS};
use crate::house::get_until;

const TTL: Duration = Duration::from_secs(1);
const TTLS: usize = 5;
const WRITE_TIME: Duration = Duration::from_millis(100);
const CLIENTS_PER_REPLICA: usize = 3;
/// What notes may be older than they say by the time they are read: part of a TTL.
const TOLERANCE: f64 = 0.1;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_revalidation_per_ttl_from_three_replicas_with_steady_clients() {
    for ahead in ["0", "16"] {
        for changes in [Changes::None, Changes::Always] {
            let fleet = Fleet::start_with(|options| {
                options.flag("--index-ttl", "1s").flag("--refresh-ahead-max", ahead)
            })
            .await;
            one_revalidation_per_ttl(&fleet, changes).await;
        }
    }
}

/// What becomes of the file meanwhile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Changes {
    None,
    /// A version is published after each request.
    Always,
}

async fn one_revalidation_per_ttl(fleet: &Fleet, changes: Changes) {
    let upstream = &fleet.parts.upstream;
    krate("a", "1.0.0").publish(upstream);
    // As long as a bucket may take.
    fleet.parts.s3.fault(&S3Operation::WRITES, S3Fault::Slow(WRITE_TIME), Times::Always);
    let began = Instant::now();
    let (stop, asked) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let clients = (0..REPLICAS * CLIENTS_PER_REPLICA).map(|number| {
        let url = fleet.index_file_url_at(number % REPLICAS, "a");
        let (stop, asked) = (Arc::clone(&stop), Arc::clone(&asked));
        tokio::spawn(async move {
            let client = Client::h1();
            while !stop.load(Ordering::Relaxed) {
                assert_eq!(client.get(&url).send().await.status, 200);
                asked.fetch_add(1, Ordering::Relaxed);
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        })
    });
    let clients = clients.collect::<Vec<_>>();
    let path = upstream.index_path("a");
    for hit in 1..=TTLS {
        upstream.wait_for_hits(&path, hit).await;
        if changes == Changes::Always {
            krate("a", &format!("1.0.{hit}")).publish(upstream);
        }
    }
    stop.store(true, Ordering::Relaxed);
    for client in clients {
        client.await.unwrap();
    }
    let (hits, elapsed) = (upstream.index_hits("a"), began.elapsed());
    let ttls = elapsed.as_secs_f64() / TTL.as_secs_f64();
    let hits_max = 1.0 + ttls / (1.0 - TOLERANCE);
    assert!(
        hits as f64 <= hits_max,
        "{changes:?}: {hits} requests within {ttls} TTLs: {:?}",
        upstream.gaps(&path)
    );
    assert!(asked.load(Ordering::Relaxed) > 10 * TTLS, "{asked:?}");
    let unmodified = if changes == Changes::None { hits - 1 } else { 0 };
    assert_eq!(upstream.not_modified(&path), unmodified);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_published_shows_at_every_replica_with_the_next_revalidation() {
    let fleet = Fleet::start_with(|options| {
        options.flag("--index-ttl", "1s").flag("--refresh-ahead-max", "0")
    })
    .await;
    let upstream = &fleet.parts.upstream;
    krate("a", "1.0.0").publish(upstream);
    for replica in 0..REPLICAS {
        assert_eq!(get(fleet.index_file_url_at(replica, "a")).send().await.status, 200);
    }
    let newer = krate("a", "1.1.0").publish(upstream);
    let current = upstream.index_bytes("a");
    for replica in 0..REPLICAS {
        let url = fleet.index_file_url_at(replica, "a");
        get_until(&url, |answer| answer.status == 200 && answer.body == current).await;
        let answer = get(fleet.crate_url_at(replica, &newer)).send().await;
        assert_eq!((answer.status, &answer.body), (200, &newer.bytes));
    }
    assert_eq!(upstream.crate_hits("a", "1.1.0"), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_that_has_just_started_knows_what_the_fleet_knows() {
    let mut fleet = Fleet::start().await;
    let upstream = &fleet.parts.upstream;
    krate("a", "1.0.0").publish(upstream);
    get_until(&fleet.index_file_url_at(0, "a"), |answer| answer.status == 200).await;
    super::store::bucket_is_right(&fleet.parts.s3, upstream).await;
    let key = format!("{}/v1/crates-io{}", super::PREFIX, upstream.index_path("a"));
    crate::house::until_none(async || {
        fleet.parts.s3.object(&key).is_none().then_some("it is not saved yet")
    })
    .await;
    fleet.replicas[1].restart().await;
    fleet.wait_for_redis().await;
    let answer = get(fleet.index_file_url_at(1, "a")).send().await;
    assert_eq!((answer.status, crate::house::outcome(&answer)), (200, "hit"));
    assert_eq!(fleet.parts.upstream.index_hits("a"), 1);
}
