//! The fault table of a fleet, generated: {Redis, bucket, upstream, one replica, the way to the balancer} × {down at
//! start, killed, frozen, slow, resets, emptied, wrong answers} × {warm hit, cold fill, revalidation}.
//!
//! Each column (a part and its fault) has a fleet of its own, whose three rows are asked by clients that work before,
//! during and after the fault; [`expected`] states what they see meanwhile. At the end no wrong byte was served or
//! stored, nothing hung, and connections, files and memory are given back.

mod client;
mod expected;
mod strike;

use std::time::Duration;

use crateport_testkit::{ChaosProxy, CrateportOptions, KIB, MIB, Published, krate};
use tokio::task::JoinSet;

use self::client::{Asker, Wanted, matches};
use self::expected::{Seen, expected};
use self::strike::{heal, strike};
use super::store::{bucket_is_right, stored_crates};
use super::{Fleet, Parts, REPLICAS};
use crate::at_once;
use crate::house::{CRATES_IO, get_until, outcome, until_none};

/// What is at fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Redis,
    Bucket,
    Upstream,
    /// One of three.
    Replica,
    /// Between the clients and the balancer.
    Way,
}

/// What its fault is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    /// And the replicas are started without it.
    DownAtStart,
    Killed,
    Frozen,
    Slow,
    Resets,
    Emptied,
    Wrong(Wrong),
}

/// What it says instead of what it should.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wrong {
    ReadOnly,
    OutOfMemory,
    InternalError,
    ServiceUnavailable,
    AccessDenied,
    ExpiredToken,
    Truncated,
    Html,
    Checksum,
}

/// What a client wants while it lasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Situation {
    /// A crate that is in the bucket.
    WarmHit,
    /// A crate of which nothing is known, and its index file before it, as cargo asks for them.
    ColdFill,
    /// An index file of which there is a newer one.
    Revalidation,
}

impl Part {
    const ALL: [Self; 5] = [Self::Redis, Self::Bucket, Self::Upstream, Self::Replica, Self::Way];

    fn wrong(self) -> &'static [Wrong] {
        match self {
            Self::Redis => &[Wrong::ReadOnly, Wrong::OutOfMemory],
            Self::Bucket => &[
                Wrong::InternalError,
                Wrong::ServiceUnavailable,
                Wrong::AccessDenied,
                Wrong::ExpiredToken,
                Wrong::Truncated,
            ],
            Self::Upstream => &[
                Wrong::InternalError,
                Wrong::ServiceUnavailable,
                Wrong::Html,
                Wrong::Truncated,
                Wrong::Checksum,
            ],
            // These say nothing of their own.
            Self::Replica | Self::Way => &[],
        }
    }

    fn faults(self) -> Vec<Fault> {
        use Fault::{DownAtStart, Emptied, Frozen, Killed, Resets, Slow};
        let mut faults = vec![DownAtStart, Killed, Frozen, Slow, Resets];
        // A way holds nothing.
        faults.extend((self != Self::Way).then_some(Emptied));
        faults.extend(self.wrong().iter().copied().map(Fault::Wrong));
        faults
    }
}

impl Situation {
    const ALL: [Self; 3] = [Self::WarmHit, Self::ColdFill, Self::Revalidation];
}

/// Clients of each row, each on a connection of its own: every replica is met twice.
const CLIENTS: usize = 2 * REPLICAS;
/// cargo gives up when nothing has come for so long. No request may take longer, whatever the fault.
const REQUEST_BOUND: Duration = Duration::from_secs(30);
/// Where a client must find out by itself that nobody is there.
const CLIENT_PATIENCE: Duration = Duration::from_secs(3);
/// More than the fleet needs for what it does here, and less than a leak of bodies or buffers would be.
const MEMORY_GROWTH_BYTES_MAX: u64 = 96 * MIB as u64;
/// The same for files and sockets; idle connections to Redis, S3 and upstream are among them.
const FILES_GROWTH_MAX: usize = 48;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_fault_of_a_fleet_shows_clients_what_the_table_says() {
    let mut columns = Vec::new();
    for part in Part::ALL {
        for fault in part.faults() {
            columns.push((format!("{part:?} {fault:?}"), move || run(part, fault)));
        }
    }
    assert!(columns.len() * Situation::ALL.len() > 100, "{} columns", columns.len());
    at_once::all(columns).await;
}

/// What is published, and what the clients knew before.
struct Scene {
    warm: Published,
    cold: Published,
    /// Of the index file that is revalidated.
    known: bytes::Bytes,
}

async fn run(part: Part, fault: Fault) {
    let parts = Parts::start().await;
    let mut fleet = Fleet::on(parts, |options, _| options_for(options, part, fault)).await;
    fleet.wait_for_redis().await;
    if part == Part::Replica && matches!(fault, Fault::Slow | Fault::Resets) {
        fleet = fleet.behind_doors().await;
    }
    let way = ChaosProxy::in_front_of(fleet.balancer.address()).await;
    let scene = prime(&fleet, &way).await;
    let before = Usage::of(&fleet);

    strike(part, fault, &mut fleet, &way).await;
    let newer = (part, fault) != (Part::Upstream, Fault::Emptied);
    if newer {
        krate("known", "1.1.0").publish(&fleet.parts.upstream);
    }
    let complaints = {
        let row = |situation| row(part, fault, situation, &fleet, &way, &scene);
        let [warm, cold, revalidation] = Situation::ALL.map(row);
        let rows: [Option<String>; 3] = tokio::join!(warm, cold, revalidation).into();
        rows.into_iter().flatten().collect::<Vec<_>>()
    };
    if part == Part::Redis {
        let hits = fleet.parts.upstream.crate_hits("cold", "1.0.0");
        assert!(hits <= REPLICAS, "upstream was asked {hits} times for the cold crate");
    }

    heal(part, fault, &mut fleet, &way).await;
    everything_is_served(&fleet, &way, &scene).await;
    bucket_is_right(&fleet.parts.s3, &fleet.parts.upstream).await;
    before.is_back(&fleet).await;
    assert!(complaints.is_empty(), "{}", complaints.join("; "));
}

fn options_for(options: CrateportOptions, part: Part, fault: Fault) -> CrateportOptions {
    let hangs = (part, fault) == (Part::Upstream, Fault::Frozen);
    let answer_timeout = if hangs { "1s" } else { "15s" };
    options
        .flag("--index-ttl", "1ms")
        .flag("--absent-ttl", "100ms")
        .flag("--refresh-ahead-max", "0")
        // What can be refreshed is, however busy the machine.
        .flag("--refresh-patience", "20s")
        .flag("--upstream-cool-off-max", "1s")
        .flag("--upstream-answer-timeout", answer_timeout)
        .flag("--delivery", "stream")
}

/// Before the fault, everyone is served and everything known is in the bucket.
async fn prime(fleet: &Fleet, way: &ChaosProxy) -> Scene {
    let upstream = &fleet.parts.upstream;
    let warm = krate("warm", "1.0.0").payload(20 * KIB).publish(upstream);
    let cold = krate("cold", "1.0.0").payload(20 * KIB).publish(upstream);
    krate("known", "1.0.0").publish(upstream);
    for replica in 0..REPLICAS {
        for name in ["warm", "known"] {
            let current = upstream.index_bytes(name);
            get_until(&fleet.index_file_url_at(replica, name), |answer| answer.body == current)
                .await;
        }
        get_until(&fleet.crate_url_at(replica, &warm), |answer| answer.body == warm.bytes).await;
    }
    until_none(async || stored_crates(&fleet.parts.s3).is_empty().then_some("nothing stored"))
        .await;
    get_until(&format!("{}/", way.url()), |answer| answer.status == 200).await;
    Scene { warm, cold, known: upstream.index_bytes("known") }
}

/// Says what is wrong with a row, if anything is.
async fn row(
    part: Part,
    fault: Fault,
    situation: Situation,
    fleet: &Fleet,
    way: &ChaosProxy,
    scene: &Scene,
) -> Option<String> {
    let expected = expected(part, fault, situation);
    let silence = matches!((part, fault), (Part::Replica | Part::Way, Fault::Frozen));
    let patience = if silence { CLIENT_PATIENCE } else { REQUEST_BOUND };
    let upstream = &fleet.parts.upstream;
    let krate_url = |krate: &Published| {
        format!("{}/{CRATES_IO}/crates/{}/{}/download", way.url(), krate.name, krate.version)
    };
    let index_url = |name: &str| format!("{}/{CRATES_IO}{}", way.url(), upstream.index_path(name));
    let index = |name: &str| Wanted::only(index_url(name), upstream_index(fleet, name));
    let wanted = match situation {
        Situation::WarmHit => {
            vec![Wanted::only(krate_url(&scene.warm), scene.warm.bytes.clone())]
        }
        Situation::ColdFill => {
            vec![index("cold"), Wanted::only(krate_url(&scene.cold), scene.cold.bytes.clone())]
        }
        Situation::Revalidation => {
            vec![Wanted { older: Some(scene.known.clone()), ..index("known") }]
        }
    };
    let mut clients = JoinSet::new();
    for _ in 0..CLIENTS {
        let asker = Asker { patience, retries: expected == Seen::Retried };
        let wanted = wanted.clone();
        clients.spawn(async move { asker.ask_for_all(&wanted).await });
    }
    let mut complaints = Vec::new();
    while let Some(told) = clients.join_next().await {
        let told = told.expect("a client that does not panic");
        if !matches(expected, &told) {
            complaints.push(format!("{told:?}"));
        }
    }
    complaints.sort();
    complaints.dedup();
    let complaint = || format!("{situation:?} was to be {expected:?}: {}", complaints.join(", "));
    (!complaints.is_empty()).then(complaint)
}

/// The index file as it stands; nothing where upstream has lost it.
fn upstream_index(fleet: &Fleet, name: &str) -> bytes::Bytes {
    if fleet.parts.upstream.has(name) {
        fleet.parts.upstream.index_bytes(name)
    } else {
        bytes::Bytes::new()
    }
}

/// After the fault, every replica and the way through the balancer give out everything, old and new.
async fn everything_is_served(fleet: &Fleet, way: &ChaosProxy, scene: &Scene) {
    let upstream = &fleet.parts.upstream;
    let newer = krate("known", "1.2.0").publish(upstream);
    let current = upstream.index_bytes("known");
    let bases = fleet.replicas.iter().map(|replica| replica.url().to_owned());
    for base in bases.chain([way.url()]) {
        let index = super::index_file_url(&base, upstream, "known");
        get_until(&index, |answer| answer.status == 200 && answer.body == current).await;
        for krate in [&scene.warm, &scene.cold, &newer] {
            // A bucket that has just come back may miss the first puts; it has everything in the end.
            let url = super::crate_url(&base, krate);
            let answer = get_until(&url, |answer| outcome(answer) == "hit").await;
            assert_eq!((answer.status, answer.body), (200, krate.bytes.clone()));
        }
    }
    until_none(async || {
        let stored = stored_crates(&fleet.parts.s3);
        (stored.len() != 3).then_some(stored)
    })
    .await;
}

/// What the replicas hold, to be compared.
struct Usage {
    memory_bytes: Vec<u64>,
    files: Vec<usize>,
}

impl Usage {
    fn of(fleet: &Fleet) -> Self {
        let replicas = || fleet.replicas.iter();
        Self {
            memory_bytes: replicas().map(crateport_testkit::Crateport::rss_bytes).collect(),
            files: replicas().map(crateport_testkit::Crateport::open_files).collect(),
        }
    }

    async fn is_back(&self, fleet: &Fleet) {
        until_none(async || {
            for gauge in ["crateport_http_requests_in_flight", "crateport_fills_in_flight"] {
                let value = fleet.metric(gauge, &[]).await;
                if value > 0.0 {
                    return Some(format!("{gauge} is {value}"));
                }
            }
            let now = Self::of(fleet);
            let files = now.files.iter().zip(&self.files);
            if files.into_iter().any(|(now, before)| *now > before + FILES_GROWTH_MAX) {
                return Some(format!("{:?} files were open, and now {:?}", self.files, now.files));
            }
            let memory = now.memory_bytes.iter().zip(&self.memory_bytes);
            let grew = memory.map(|(now, before)| now.saturating_sub(*before)).max();
            grew.filter(|bytes| *bytes > MEMORY_GROWTH_BYTES_MAX)
                .map(|bytes| format!("memory grew by {} MiB", bytes / MIB as u64))
        })
        .await;
    }
}
