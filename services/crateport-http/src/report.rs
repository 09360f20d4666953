//! The report: what the store holds, how requests ended lately, what is fetched most, what is slow, what failed.
//!
//! It is made in one place from counts of fixed size in memory, and told three ways: the page for people, `/stats` on the
//! ops listener, and `crateport stats`. What the store holds is true of the fleet, everything else of this replica.
//!
//! A request costs some additions, a fetched crate one short lock more, an error another.

mod figures;
mod minutes;
mod popular;
mod troubles;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use crateport_cache::{Cache, RecentFill};
use crateport_types::{CrateName, Moment, Named, Outcome, ResourceKind};
use crateport_upstream::{Condition, RecentTimes, UpstreamMetrics};

pub use self::figures::{
    Counts, Filled, Held, Origin, Report, TopCrate, Trouble, UpstreamTimes, Window,
};
use self::minutes::{Mark, Minutes};
use self::popular::Popular;
use self::troubles::{Troubles, printable};
use crate::inventory::{Inventory, Tally};

/// A report is at most so old: many who look at once cost one.
const REPORT_TTL: Duration = Duration::from_secs(2);
/// Hours that are told of.
const WINDOWS_HOURS: [u64; 3] = [1, 6, 24];
/// Minutes of one bar of a plot.
pub(crate) const BAR_MINUTES: u64 = 15;
/// Crates that are named.
const TOP_CRATES_MAX: usize = 20;
/// Longer paths are cut.
const WHAT_BYTES_MAX: usize = 200;

/// Makes reports. Cheap to clone; clones share their counts.
#[derive(Clone, Debug)]
pub struct Reports(Arc<Counting>);

#[derive(Debug)]
struct Counting {
    names: Names,
    cache: Cache,
    upstreams: UpstreamMetrics,
    inventory: Inventory,
    since: Moment,
    minutes: Minutes,
    popular: Popular,
    troubles: Troubles,
    last: Mutex<Option<(Instant, Arc<Report>)>>,
}

/// Who tells.
#[derive(Clone, Debug)]
struct Names {
    replica: String,
    version: &'static str,
}

impl Reports {
    /// Begins to count, within a Tokio runtime.
    #[must_use]
    pub fn new(
        replica: &str,
        version: &'static str,
        cache: Cache,
        upstreams: UpstreamMetrics,
    ) -> Self {
        let now = Instant::now();
        Self(Arc::new(Counting {
            names: Names { replica: replica.to_owned(), version },
            inventory: Inventory::new(cache.clone()),
            cache,
            upstreams,
            since: Moment::of(SystemTime::now()),
            minutes: Minutes::new(now),
            popular: Popular::new(now),
            troubles: Troubles::default(),
            last: Mutex::default(),
        }))
    }

    /// How this replica and its store are. Begins to count the store when that was not done for long.
    pub(crate) fn report(&self) -> Arc<Report> {
        let now = Instant::now();
        let mut last = self.0.last.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((made, report)) = &*last
            && now.saturating_duration_since(*made) < REPORT_TTL
        {
            return Arc::clone(report);
        }
        let report = Arc::new(self.0.make(now));
        *last = Some((now, Arc::clone(&report)));
        report
    }

    /// The same, once the store was counted, which is waited for so long.
    pub(crate) async fn counted(&self, patience: Duration) -> Arc<Report> {
        if self.0.inventory.counted(patience).await {
            let mut last = self.0.last.lock().unwrap_or_else(PoisonError::into_inner);
            if last.as_ref().is_some_and(|(_, report)| report.counted.is_none()) {
                *last = None;
            }
        }
        self.report()
    }

    /// Counts a request that ended now.
    pub(crate) fn ended(&self, kind: ResourceKind, outcome: Outcome, bytes: u64, now: Instant) {
        self.0.minutes.note(kind, outcome, bytes, now);
    }

    /// Counts a crate that is being fetched.
    pub(crate) fn fetched(&self, registry: &str, name: &CrateName, now: Instant) {
        self.0.popular.note(registry, name, now);
    }

    /// Takes note of an error that a client sees.
    pub(crate) fn failed(&self, trouble: Trouble) {
        self.0.troubles.note(trouble);
    }
}

impl Counting {
    fn make(&self, now: Instant) -> Report {
        let made = Moment::of(SystemTime::now());
        let (top, top_since) = self.popular.top(TOP_CRATES_MAX, now);
        let ago = now.saturating_duration_since(top_since).as_secs();
        let top = top.into_iter().map(|fetched| TopCrate {
            registry: fetched.origin.into(),
            krate: fetched.name.into(),
            requests: fetched.count,
        });
        let mut upstreams = self.upstreams.recent_times();
        upstreams.sort_by_key(|times| std::cmp::Reverse(times.p95));
        let windows = WINDOWS_HOURS.map(|hours| window(hours, self.minutes.last(hours * 60, now)));
        let quarters = self.minutes.each(BAR_MINUTES, now);
        let held = self.inventory.look();
        Report {
            replica: self.names.replica.clone(),
            version: self.names.version.to_owned(),
            made,
            since: self.since,
            counted: held.as_ref().map(|held| held.counted),
            origins: self.origins(held.as_deref()),
            windows: windows.into(),
            quarters: quarters.iter().map(sum).collect(),
            top_crates: top.collect(),
            top_crates_since: Moment::of_seconds(made.seconds().saturating_sub(ago)),
            upstreams: upstreams.into_iter().map(times).collect(),
            errors: self.troubles.all(),
            fills: self.cache.recent_fills().iter().map(filled).collect(),
        }
    }

    fn origins(&self, all: Option<&crate::inventory::Held>) -> Vec<Origin> {
        let held = |kind: ResourceKind, tally: Tally| Held {
            kind: kind.as_str().to_owned(),
            objects: tally.objects,
            bytes: tally.bytes,
        };
        let registries = self.cache.registries().map(|(id, condition)| {
            let of = |all: &crate::inventory::Held| {
                let holding = all.registries.iter().find(|holding| holding.registry == *id)?;
                Some(vec![
                    held(ResourceKind::Index, holding.index),
                    held(ResourceKind::Krate, holding.crates),
                ])
            };
            (id.as_str(), false, condition, all.and_then(of))
        });
        let dists = self.cache.dists().map(|(id, condition)| {
            let of = |all: &crate::inventory::Held| {
                let (_, files) = all.dists.iter().find(|(dist, _)| dist == id)?;
                Some(vec![held(ResourceKind::Dist, *files)])
            };
            (id.as_str(), true, condition, all.and_then(of))
        });
        let origins = registries.chain(dists).map(|(id, is_dist, condition, held)| Origin {
            id: id.to_owned(),
            is_dist,
            upstream: word(condition).to_owned(),
            held: held.unwrap_or_default(),
        });
        origins.collect()
    }
}

/// How an upstream is, in a word.
pub(crate) const fn word(condition: Condition) -> &'static str {
    match condition {
        Condition::Healthy => "healthy",
        Condition::Slow => "slow",
        Condition::Down { .. } => "down",
        Condition::Offline => "offline",
    }
}

fn window(hours: u64, mark: Mark) -> Window {
    let [index, krate, dist] = mark;
    Window { hours, all: sum(&mark), index, krate, dist }
}

fn sum(mark: &Mark) -> Counts {
    mark.iter().fold(Counts::default(), |sum, counts| sum.and(counts))
}

fn times(times: RecentTimes) -> UpstreamTimes {
    UpstreamTimes {
        origin: times.origin,
        resource: times.resource.to_owned(),
        attempts: times.attempts as u64,
        failed: times.failed as u64,
        median_ms: milliseconds(times.median),
        p95_ms: milliseconds(times.p95),
        slowest_ms: milliseconds(times.slowest),
    }
}

fn filled(fill: &RecentFill) -> Filled {
    let what = match fill.key.named() {
        Named::Krate(_, name, version) => format!("{name} {version}"),
        _ => {
            let begins = format!("/{}/", fill.origin);
            let path = fill.key.as_str().split_once(&*begins);
            printable(path.map_or(fill.key.as_str(), |(_, path)| path), WHAT_BYTES_MAX)
        }
    };
    Filled {
        ended: Moment::of(fill.ended),
        origin: fill.origin.clone(),
        resource: fill.resource.as_str().to_owned(),
        what,
        bytes: fill.size_bytes,
        took_ms: milliseconds(fill.took),
        is_kept: fill.is_kept,
    }
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
