//! The real cargo with its own retries, while a part of the fleet fails under it: the build goes on.

use std::time::Duration;

use crateport_testkit::{Cargo, Gate, KIB, On, S3Fault, S3Operation, Times, krate};

use super::store::bucket_is_right;
use super::{Fleet, Parts};
use crate::at_once;
use crate::house::until_none;

/// On a busy machine, with cargo's own pauses between its tries.
const DEADLINE: Duration = Duration::from_secs(170);
const BUCKET_LATE: Duration = Duration::from_millis(300);
/// More than the SDK's own attempts for a few operations.
const REFUSALS: usize = 60;
/// As many as make a fetch that has a middle.
const CRATES: usize = 60;
/// Whose fill is under way when the blow falls.
const MIDDLE: usize = CRATES / 2;
/// How often is looked whether it is.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// What happens in the middle of a fetch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Blow {
    RedisIsKilled,
    RedisIsFrozen,
    TheBucketIsSlowAndRefuses,
    TheBucketIsGone,
    TheReplicaIsKilled,
}

impl Blow {
    const ALL: [Self; 5] = [
        Self::RedisIsKilled,
        Self::RedisIsFrozen,
        Self::TheBucketIsSlowAndRefuses,
        Self::TheBucketIsGone,
        Self::TheReplicaIsKilled,
    ];
}

async fn fleet() -> Fleet {
    let parts = Parts::start().await;
    for number in 0..CRATES {
        krate(&name(number), "1.0.0").payload(30 * KIB).publish(&parts.upstream);
    }
    let fleet = Fleet::on(parts, |options, _| options.flag("--refresh-ahead-max", "0")).await;
    fleet.wait_for_redis().await;
    fleet
}

fn cargo(fleet: &Fleet) -> Cargo {
    Cargo::new()
        .replaces_crates_io_with(&fleet.index_url())
        .deadline(DEADLINE)
        .project(|project| (0..CRATES).fold(project, |all, number| all.dep(&name(number), "1")))
}

fn name(number: usize) -> String {
    format!("leaf-{number}")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cargo_fetches_through_every_blow_to_the_fleet() {
    at_once::all(Blow::ALL.map(|blow| (format!("{blow:?}"), move || fetch_through(blow)))).await;
}

async fn fetch_through(blow: Blow) {
    let mut fleet = fleet().await;
    let first = cargo(&fleet);
    let path = fleet.parts.upstream.crate_path(&name(MIDDLE), "1.0.0");
    let gate = fleet.parts.upstream.hold(On::Path(path));
    // A cold fetch, and the blow falls in its middle.
    {
        let run = first.run(&["fetch"]);
        tokio::pin!(run);
        let run = tokio::select! {
            _ = &mut run => panic!("cargo ended before it had everything"),
            () = strike(blow, &mut fleet, gate) => run.await,
        };
        run.succeeds();
    }
    // A warm one while it lasts, and one after it has passed.
    cargo(&fleet).lock(&first.read_lock()).run(&["fetch", "--locked"]).await.succeeds();
    heal(&mut fleet).await;
    let fresh = cargo(&fleet);
    fresh.run(&["fetch"]).await.succeeds();
    assert_eq!(fresh.read_lock(), first.read_lock());
    bucket_is_right(&fleet.parts.s3, &fleet.parts.upstream).await;
}

async fn strike(blow: Blow, fleet: &mut Fleet, gate: Gate) {
    // The deadline is cargo's.
    while gate.waiting() == 0 {
        tokio::time::sleep(LOOK_EVERY).await;
    }
    let s3 = &fleet.parts.s3;
    match blow {
        Blow::RedisIsKilled => fleet.parts.redis.kill9(),
        Blow::RedisIsFrozen => fleet.parts.redis.freeze(),
        Blow::TheBucketIsSlowAndRefuses => {
            s3.fault(&S3Operation::ALL, S3Fault::Slow(BUCKET_LATE), Times::Always);
            s3.fault(&S3Operation::ALL, S3Fault::SLOW_DOWN, Times::Next(REFUSALS));
        }
        Blow::TheBucketIsGone => s3.stop(),
        Blow::TheReplicaIsKilled => {
            let serving = serving(fleet).await;
            fleet.replicas[serving].kill9();
        }
    }
    gate.release();
}

/// The replica that cargo is connected to.
async fn serving(fleet: &Fleet) -> usize {
    let mut serving = None;
    until_none(async || {
        for (number, replica) in fleet.replicas.iter().enumerate() {
            if replica.metric("crateport_http_requests_in_flight", &[]).await > 0.0 {
                serving = Some(number);
            }
        }
        serving.is_none().then_some("nobody serves")
    })
    .await;
    serving.expect("one that serves")
}

async fn heal(fleet: &mut Fleet) {
    fleet.parts.s3.heal();
    fleet.parts.redis.restart().await;
    for replica in &mut fleet.replicas {
        if !replica.is_running() {
            replica.restart().await;
        }
    }
    fleet.wait_for_redis().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cargo_fetches_all_that_is_known_when_upstream_redis_and_a_replica_are_gone() {
    let mut fleet = fleet().await;
    let first = cargo(&fleet);
    first.run(&["fetch"]).await.succeeds();
    bucket_is_right(&fleet.parts.s3, &fleet.parts.upstream).await;
    until_none(async || {
        let stored = super::store::stored_crates(&fleet.parts.s3).len();
        (stored != CRATES).then(|| format!("{stored} crates are stored"))
    })
    .await;
    fleet.parts.upstream.stop();
    fleet.parts.redis.kill9();
    fleet.replicas[0].kill9();
    // Nor do the others know anything that is not in the bucket.
    fleet.replicas[1].restart().await;
    fleet.replicas[2].restart().await;
    cargo(&fleet).lock(&first.read_lock()).run(&["fetch", "--locked"]).await.succeeds();
    let fresh = cargo(&fleet);
    fresh.run(&["fetch"]).await.succeeds();
    assert_eq!(fresh.read_lock(), first.read_lock());
}
