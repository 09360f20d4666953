//! How each fault is brought about, and how it passes.

use std::time::Duration;

use crateport_testkit::upstream::Fault as UpstreamFault;
use crateport_testkit::{ChaosProxy, Mode, On, S3Fault, S3Operation, Times, krate};

use super::{CLIENTS, Fault, KIB, Part, Wrong};
use crate::fleet::Fleet;

/// Longer than Redis may take, shorter than anything else waits.
const LATE: Duration = Duration::from_millis(400);
/// What the bucket takes for each operation.
const BUCKET_LATE: Duration = Duration::from_secs(1);
/// The one replica that is at fault.
const VICTIM: usize = 0;
const TRUNCATED_BYTES: usize = 100;

pub(super) async fn strike(part: Part, fault: Fault, fleet: &mut Fleet, way: &ChaosProxy) {
    match part {
        Part::Redis => redis(fault, fleet).await,
        Part::Bucket => bucket(fault, fleet),
        Part::Upstream => upstream(fault, fleet),
        Part::Replica => replica(fault, fleet).await,
        Part::Way => the_way(fault, fleet, way),
    }
    if fault == Fault::DownAtStart && matches!(part, Part::Redis | Part::Bucket | Part::Upstream) {
        for replica in &mut fleet.replicas {
            replica.restart().await;
        }
    }
}

pub(super) async fn heal(part: Part, fault: Fault, fleet: &mut Fleet, way: &ChaosProxy) {
    way.set(Mode::Pass);
    fleet.balancer.restart();
    fleet.s3_door.set(Mode::Pass);
    fleet.parts.s3.heal();
    fleet.parts.upstream.heal();
    for door in &fleet.doors {
        door.set(Mode::Pass);
    }
    if !fleet.replicas[VICTIM].is_running() {
        fleet.replicas[VICTIM].restart().await;
    }
    fleet.replicas[VICTIM].thaw();
    match (part, fault) {
        (Part::Redis, Fault::DownAtStart | Fault::Killed) => fleet.parts.redis.restart().await,
        (Part::Redis, Fault::Frozen) => fleet.parts.redis.thaw(),
        (Part::Redis, Fault::Wrong(Wrong::ReadOnly)) => {
            fleet.parts.redis.cli(&["REPLICAOF", "NO", "ONE"]).await;
        }
        (Part::Redis, Fault::Wrong(_)) => {
            fleet.parts.redis.cli(&["CONFIG", "SET", "maxmemory", "0"]).await;
        }
        (Part::Upstream, Fault::Emptied) => {
            let upstream = &fleet.parts.upstream;
            for name in ["warm", "cold"] {
                krate(name, "1.0.0").payload(20 * KIB).publish(upstream);
            }
            krate("known", "1.0.0").publish(upstream);
        }
        _ => {}
    }
    fleet.redis_door.set(Mode::Pass);
    fleet.wait_for_redis().await;
}

async fn redis(fault: Fault, fleet: &Fleet) {
    let redis = &fleet.parts.redis;
    match fault {
        Fault::DownAtStart | Fault::Killed => redis.kill9(),
        Fault::Frozen => redis.freeze(),
        Fault::Slow => fleet.redis_door.set(Mode::Delay(LATE)),
        Fault::Resets => fleet.redis_door.set(Mode::Reset),
        Fault::Emptied => drop(redis.cli(&["FLUSHALL"]).await),
        // There is no such master, so it goes on as a replica of nothing.
        Fault::Wrong(Wrong::ReadOnly) => drop(redis.cli(&["REPLICAOF", "127.0.0.1", "1"]).await),
        Fault::Wrong(_) => drop(redis.cli(&["CONFIG", "SET", "maxmemory", "1"]).await),
    }
}

fn bucket(fault: Fault, fleet: &Fleet) {
    let s3 = &fleet.parts.s3;
    let always = |fault| s3.fault(&S3Operation::ALL, fault, Times::Always);
    match fault {
        Fault::DownAtStart | Fault::Killed => fleet.s3_door.set(Mode::Refuse),
        Fault::Frozen => fleet.s3_door.set(Mode::Stall),
        Fault::Slow => always(S3Fault::Slow(BUCKET_LATE)),
        Fault::Resets => fleet.s3_door.set(Mode::Reset),
        Fault::Emptied => s3.empty(),
        Fault::Wrong(Wrong::ServiceUnavailable) => always(S3Fault::SLOW_DOWN),
        Fault::Wrong(Wrong::AccessDenied) => always(S3Fault::ACCESS_DENIED),
        Fault::Wrong(Wrong::ExpiredToken) => always(S3Fault::EXPIRED_TOKEN),
        // So many that every client may meet one, and few enough for a retry to come behind them.
        Fault::Wrong(Wrong::Truncated) => s3.fault(
            &[S3Operation::GetObject],
            S3Fault::TruncateBody(TRUNCATED_BYTES),
            Times::Next(CLIENTS),
        ),
        Fault::Wrong(_) => always(S3Fault::INTERNAL_ERROR),
    }
}

fn upstream(fault: Fault, fleet: &Fleet) {
    let upstream = &fleet.parts.upstream;
    let always = |fault| upstream.fault(On::All, fault, Times::Always);
    match fault {
        Fault::DownAtStart | Fault::Killed => always(UpstreamFault::Refuse),
        Fault::Frozen => always(UpstreamFault::Hang),
        Fault::Slow => always(UpstreamFault::Slow(LATE)),
        Fault::Resets => always(UpstreamFault::Reset),
        Fault::Emptied => ["warm", "cold", "known"].iter().for_each(|name| upstream.remove(name)),
        Fault::Wrong(Wrong::ServiceUnavailable) => always(UpstreamFault::Status(503)),
        Fault::Wrong(Wrong::Html) => always(UpstreamFault::Html),
        Fault::Wrong(Wrong::Truncated) => always(UpstreamFault::Truncated),
        // In an index file a flipped bit is only found where it breaks the JSON.
        Fault::Wrong(Wrong::Checksum) => {
            upstream.fault(On::Crates, UpstreamFault::WrongChecksum, Times::Always);
        }
        Fault::Wrong(_) => always(UpstreamFault::Status(500)),
    }
}

async fn replica(fault: Fault, fleet: &mut Fleet) {
    match fault {
        Fault::DownAtStart | Fault::Killed => fleet.replicas[VICTIM].kill9(),
        Fault::Frozen => fleet.replicas[VICTIM].freeze(),
        Fault::Slow => fleet.doors[VICTIM].set(Mode::Delay(LATE)),
        Fault::Resets => fleet.doors[VICTIM].set(Mode::Reset),
        Fault::Emptied | Fault::Wrong(_) => {
            fleet.replicas[VICTIM].kill9();
            fleet.replicas[VICTIM].restart().await;
        }
    }
}

fn the_way(fault: Fault, fleet: &Fleet, way: &ChaosProxy) {
    match fault {
        Fault::DownAtStart | Fault::Killed => fleet.balancer.stop(),
        Fault::Frozen => way.set(Mode::Stall),
        Fault::Slow => way.set(Mode::Delay(LATE)),
        _ => way.set(Mode::Reset),
    }
}
