//! Promise 2 in a fleet: one fetch per object, however many clients want it through however many replicas.

use std::collections::HashSet;
use std::time::Duration;

use crateport_testkit::client::{Client, get};
use crateport_testkit::{CrateportOptions, KIB, MIB, On, S3Fault, S3Operation, Times, krate};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::store::{bucket_is_right, stored_crates};
use super::{Fleet, REPLICAS};
use crate::house::{outcome, until_none};

const CLIENTS: usize = 300;
const CLIENTS_PER_REPLICA: usize = CLIENTS / REPLICAS;
const WRITE_TIME: Duration = Duration::from_millis(300);
/// As much as comes before upstream stands still.
const EARLY_BYTES: usize = 64 * KIB;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_fetch_for_300_clients_of_one_cold_crate_of_10_mb_and_the_first_byte_comes_early() {
    let served = stampede(Fleet::start().await, REPLICAS).await;
    // Upstream stood still, and everyone at every replica had the first byte.
    assert_eq!(served.iter().filter(|served| !served.was_redirected).count(), CLIENTS);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_fetch_for_300_clients_of_replicas_that_cannot_reach_each_other() {
    let silent = |options: CrateportOptions| options.flag("--advertise-address", "none");
    let served = stampede(Fleet::start_with(silent).await, 1).await;
    let leader = &served[0].replica;
    let streamed = served.iter().filter(|served| !served.was_redirected);
    let by_the_leader = streamed.filter(|served| served.replica == *leader).count();
    assert_eq!(by_the_leader, CLIENTS_PER_REPLICA, "they read along");
}

/// How a client of one large crate got its bytes.
#[derive(Debug)]
struct Served {
    replica: String,
    /// By redirect to the bucket, as a client is served that came when the crate was there.
    was_redirected: bool,
}

/// So many replicas give the first byte to all of their clients while upstream stands still. The first to be served
/// stands first.
async fn stampede(fleet: Fleet, early_replicas: usize) -> Vec<Served> {
    let upstream = &fleet.parts.upstream;
    let large = krate("large", "1.0.0").payload(10 * MIB).publish(upstream);
    let url = fleet.crate_url(&large);
    let gate = upstream.hold_after(On::Crates, EARLY_BYTES);
    let (early, mut early_at) = mpsc::unbounded_channel();
    let mut clients = JoinSet::new();
    for _ in 0..CLIENTS {
        let (request, early, expected) = (get(&url), early.clone(), large.bytes.clone());
        clients.spawn(async move {
            let mut answer = request.open().await;
            let replica = answer.header("x-served-by").unwrap_or_default().to_owned();
            let location = answer.header("location").map(str::to_owned);
            if let Some(location) = &location {
                answer = get(location).open().await;
            }
            let status = answer.status;
            assert_eq!(status, 200, "{location:?}");
            answer.first_byte().await.unwrap();
            let _ = early.send(Served { replica, was_redirected: location.is_some() });
            // Compared as it comes: 300 whole copies would be a lot.
            let mut left = &expected[..];
            while let Some(piece) = answer.next().await.unwrap() {
                let (now, later) = left.split_at(piece.len());
                assert!(piece == now, "a wrong byte");
                left = later;
            }
            assert!(left.is_empty(), "{} bytes are missing", left.len());
        });
    }
    drop(early);
    gate.wait_for(1).await;
    fleet.wait_for_in_flight(CLIENTS as f64).await;
    let mut served = Vec::new();
    while served.len() < early_replicas * CLIENTS_PER_REPLICA {
        served.push(early_at.recv().await.expect("clients that live"));
    }
    let replicas: HashSet<_> = served.iter().map(|served| served.replica.clone()).collect();
    assert_eq!(replicas.len(), early_replicas, "{replicas:?}");
    assert_eq!(gate.waiting(), 1);
    gate.release();
    clients.join_all().await;
    while let Some(later) = early_at.recv().await {
        served.push(later);
    }
    assert_eq!(upstream.crate_hits("large", "1.0.0"), 1);
    assert_eq!(upstream.index_hits("large"), 1);
    everything_is_stored(&fleet, 1).await;
    bucket_is_right(&fleet.parts.s3, upstream).await;
    served
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_fetch_for_each_of_200_cold_crates_at_once() {
    let fleet = Fleet::start().await;
    let upstream = &fleet.parts.upstream;
    let published = (0..200)
        .map(|number| krate(&format!("many-{number}"), "1.0.0").payload(4 * KIB).publish(upstream))
        .collect::<Vec<_>>();
    // Three builds begin at the same time, each at another replica, as cargo does it: over one connection each.
    let mut clients = JoinSet::new();
    for _ in 0..REPLICAS {
        let client = Client::h2();
        for krate in published.clone() {
            let request = client.get(fleet.crate_url(&krate));
            clients.spawn(async move {
                let answer = request.send().await;
                assert_eq!((answer.status, &answer.body), (200, &krate.bytes), "{}", krate.name);
            });
        }
    }
    clients.join_all().await;
    for replica in 0..REPLICAS {
        assert_eq!(fleet.balancer.connections_to(replica), 1);
    }
    for krate in &published {
        assert_eq!(upstream.crate_hits(&krate.name, "1.0.0"), 1, "{}", krate.name);
        assert_eq!(upstream.index_hits(&krate.name), 1, "{}", krate.name);
    }
    bucket_is_right(&fleet.parts.s3, upstream).await;
    everything_is_stored(&fleet, published.len()).await;
}

/// Clients have their bytes before the bucket has.
async fn everything_is_stored(fleet: &Fleet, crates: usize) {
    until_none(async || {
        let stored = stored_crates(&fleet.parts.s3).len();
        (stored != crates).then(|| format!("{stored} crates are stored"))
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_fetch_for_300_clients_of_one_cold_index_file() {
    let fleet = Fleet::start().await;
    let upstream = &fleet.parts.upstream;
    krate("a", "1.0.0").publish(upstream);
    // Longer than the other replicas need to hear that it was fetched.
    fleet.parts.s3.fault(&S3Operation::WRITES, S3Fault::Slow(WRITE_TIME), Times::Always);
    let gate = upstream.hold(On::Index);
    let mut clients = JoinSet::new();
    for _ in 0..CLIENTS {
        clients.spawn(get(fleet.index_file_url("a")).send());
    }
    gate.wait_for(1).await;
    fleet.wait_for_in_flight(CLIENTS as f64).await;
    gate.release();
    let answers = clients.join_all().await;
    let whole = upstream.index_bytes("a");
    assert!(answers.iter().all(|answer| answer.status == 200 && answer.body == whole));
    assert_eq!(upstream.index_hits("a"), 1);
    let fresh = answers.iter().filter(|answer| matches!(outcome(answer), "fill" | "join")).count();
    assert_eq!(fresh, CLIENTS);
}
