//! Part 5: the soak. A fleet under a synthetic CI: jobs with empty homes and jobs with warm ones, which ask for packages
//! as popular as a Zipf distribution makes them, a real cargo now and then, publishes upstream, restarts of replicas.
//! Memory stays flat, and nothing goes wrong that cargo would not repeat.

mod jobs;

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use self::jobs::{Jobs, Popularity};
use crate::child::{Cores, Part};
use crate::cpu::Group;
use crate::crateport::Crateport;
use crate::fleet::{Fleet, REPLICAS, Restart};
use crate::registry::graph;
use crate::samples::Samples;
use crate::stand::Stand;

/// Moments at which memory is looked at.
const LOOKS: u32 = 120;
/// One crate gets a new version this often.
const PUBLISH_EVERY: Duration = Duration::from_secs(1);
/// A real cargo fetches this often.
const CARGO_EVERY: Duration = Duration::from_secs(15);
const CARGO_PACKAGES: usize = 60;
/// Restarts of a replica in the whole time, by turns gentle and not.
const RESTARTS: u32 = 8;
const POLL: Duration = Duration::from_millis(20);

/// How long it takes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    /// From the first job to the last.
    pub(crate) duration: Duration,
}

/// Memory at a moment.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Look {
    /// Since the beginning.
    pub(crate) seconds: f64,
    /// Of each replica; one that was restarted begins anew.
    pub(crate) resident_bytes: Vec<f64>,
}

/// What part 5 found.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Found {
    /// How long it took.
    pub(crate) seconds: f64,
    /// Jobs that began with an empty home.
    pub(crate) cold_jobs: u64,
    /// Jobs that began with a warm one.
    pub(crate) warm_jobs: u64,
    /// Runs of a real cargo.
    pub(crate) cargo_runs: u64,
    /// Runs of a real cargo that failed.
    pub(crate) cargo_failures: u64,
    /// Requests of all jobs.
    pub(crate) requests: u64,
    /// Requests that were repeated because a replica was being restarted, as cargo repeats them.
    pub(crate) repeated: u64,
    /// Requests that failed although they were repeated as often as cargo does, or with a wrong answer.
    pub(crate) errors: u64,
    /// What the first errors said.
    pub(crate) first_errors: Vec<String>,
    /// Versions that were published upstream.
    pub(crate) publishes: u64,
    /// Restarts of a replica.
    pub(crate) restarts: u64,
    /// Requests that reached the upstream.
    pub(crate) upstream_requests: u64,
    /// The most GETs of one crate: more than one means that a fill was done twice.
    pub(crate) upstream_crate_most: u64,
    /// Latencies of all answers, in milliseconds: half, and 99 of 100, of them.
    pub(crate) p50_ms: f64,
    /// The latter.
    pub(crate) p99_ms: f64,
    /// Memory over time.
    pub(crate) looks: Vec<Look>,
}

impl Found {
    /// The largest that a replica ever was.
    pub(crate) fn resident_bytes_max(&self) -> f64 {
        let all = self.looks.iter().flat_map(|look| look.resident_bytes.iter().copied());
        all.fold(0.0, f64::max)
    }

    /// How the memory of the replica that stays moved from the second quarter to the last one, as a ratio of medians.
    pub(crate) fn growth(&self) -> f64 {
        let median = |from: f64, to: f64| {
            let range = from * self.seconds..to * self.seconds;
            let looks = self.looks.iter().filter(|look| range.contains(&look.seconds));
            looks
                .filter_map(|look| look.resident_bytes.first().copied())
                .collect::<Samples>()
                .median()
        };
        median(0.75, 1.1) / median(0.25, 0.5).max(1.0)
    }
}

/// Runs it.
pub(crate) fn measure(stand: &Stand, plan: Plan) -> Result<Found> {
    let (mut upstream, ports) = stand.upstream(Cores::All)?;
    let mut fleet = Fleet::start(stand, "soak", ports.tls, Cores::All, |setup| setup)?;
    let popularity = Popularity::read(&stand.registry)?;
    let addresses: Vec<_> = fleet.replicas.iter().map(|replica| replica.ports.clone()).collect();
    let cargo_index = addresses.first().context("a replica")?.plain;
    let jobs = Jobs::start(&popularity, &addresses, plan.duration);
    let cargo = cargo_runs(stand, cargo_index, plan.duration);
    let mut found = Found::default();
    let start = Instant::now();
    let (mut looks, mut publishes, mut restarts) = (0, 0, 0);
    while start.elapsed() < plan.duration {
        std::thread::sleep(POLL);
        let elapsed = start.elapsed();
        if elapsed > plan.duration / LOOKS * looks {
            looks += 1;
            found.looks.push(look(&fleet, elapsed)?);
        }
        if elapsed > PUBLISH_EVERY * (publishes + 1) {
            publishes += 1;
            upstream.ask(&format!("publish {}", popularity.name(publishes)))?;
        }
        if elapsed > plan.duration / (RESTARTS + 1) * (restarts + 1) {
            // The first replica stays: it shows what time alone does, and cargo asks it.
            let number = 1 + usize::try_from(restarts)? % (REPLICAS - 1);
            let how = if restarts % 4 < 2 { Restart::Terminate } else { Restart::Kill };
            fleet.restart(stand, number, how)?;
            restarts += 1;
        }
    }
    jobs.finish(&mut found)?;
    let runs = cargo.join().map_err(|_| anyhow::anyhow!("the thread of cargo has panicked"))?;
    (found.cargo_runs, found.cargo_failures) = runs;
    found.seconds = start.elapsed().as_secs_f64();
    found.publishes = u64::from(publishes);
    found.restarts = u64::from(restarts);
    count(&mut upstream, &mut found)?;
    Ok(found)
}

fn look(fleet: &Fleet, elapsed: Duration) -> Result<Look> {
    let groups = fleet.replicas.iter().map(Crateport::group).collect::<Result<Vec<Group>>>()?;
    let bytes = groups.iter().map(|group| Ok(group.resident_bytes()? as f64));
    Ok(Look { seconds: elapsed.as_secs_f64(), resident_bytes: bytes.collect::<Result<_>>()? })
}

fn count(upstream: &mut Part, found: &mut Found) -> Result<()> {
    let counts = upstream.ask("counts")?;
    let count = |key: &str| counts.get(key).and_then(Value::as_u64).context("a count");
    found.upstream_requests = count("total")?;
    found.upstream_crate_most = count("crate_most")?;
    Ok(())
}

/// Runs cargo now and then; says how often, and how often in vain.
fn cargo_runs(
    stand: &Stand,
    replica: std::net::SocketAddr,
    duration: Duration,
) -> std::thread::JoinHandle<(u64, u64)> {
    let stand = stand.clone();
    debug_assert!(graph::SIZES.contains(&CARGO_PACKAGES));
    std::thread::spawn(move || {
        let (start, mut runs, mut failures) = (Instant::now(), 0, 0);
        let index = format!("http://{replica}/crates-io/index/");
        while start.elapsed() + CARGO_EVERY / 2 < duration {
            let run = Instant::now();
            runs += 1;
            if let Err(error) = crate::fetch::cargo::fetch(&stand, CARGO_PACKAGES, &index) {
                eprintln!("  {error:#}");
                failures += 1;
            }
            std::thread::sleep(CARGO_EVERY.saturating_sub(run.elapsed()));
        }
        (runs, failures)
    })
}
