//! How long upstreams took lately, for reports: so many attempts of each kind and no more, in memory.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crateport_types::ResourceKind;

/// Attempts that are remembered of each origin and kind of resource.
const ATTEMPTS_MAX: usize = 256;
/// What is older says nothing of today.
const AGE_MAX: Duration = Duration::from_secs(24 * 3600);

/// The last attempts, by origin and kind: origins are few, because they are configured.
#[derive(Debug, Default)]
pub(crate) struct RecentAttempts(Mutex<BTreeMap<Asked, VecDeque<Attempt>>>);

/// Which origin, and for what kind of thing.
type Asked = (Box<str>, &'static str);

#[derive(Clone, Copy, Debug)]
struct Attempt {
    ended: Instant,
    took: Duration,
    is_answered: bool,
}

/// How long the last attempts to ask an upstream took.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecentTimes {
    /// The registry or dist origin.
    pub origin: String,
    /// What was asked for.
    pub resource: &'static str,
    /// How many attempts these are: at most the last 256, of the last 24 hours.
    pub attempts: usize,
    /// How many of them had no answer that could be used.
    pub failed: usize,
    /// Half of them took no longer to their headers, or to their failure.
    pub median: Duration,
    /// 95 of 100 took no longer.
    pub p95: Duration,
    /// None took longer.
    pub slowest: Duration,
}

impl RecentAttempts {
    pub(crate) fn note(
        &self,
        origin: &str,
        kind: ResourceKind,
        ended: Instant,
        took: Duration,
        is_answered: bool,
    ) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let attempts = all.entry((origin.into(), kind.as_str())).or_default();
        attempts.truncate(ATTEMPTS_MAX - 1);
        attempts.push_front(Attempt { ended, took, is_answered });
    }

    pub(crate) fn times(&self, now: Instant) -> Vec<RecentTimes> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let times = all.iter().filter_map(|((origin, resource), attempts)| {
            let is_recent =
                |attempt: &&Attempt| now.saturating_duration_since(attempt.ended) <= AGE_MAX;
            let recent = attempts.iter().take_while(is_recent);
            let failed = recent.clone().filter(|attempt| !attempt.is_answered).count();
            let mut took = recent.map(|attempt| attempt.took).collect::<Vec<_>>();
            took.sort_unstable();
            Some(RecentTimes {
                origin: origin.to_string(),
                resource,
                attempts: took.len(),
                failed,
                median: at(&took, 50)?,
                p95: at(&took, 95)?,
                slowest: *took.last()?,
            })
        });
        times.collect()
    }
}

/// The one that `percent` of all are no longer than (the nearest rank).
fn at(sorted: &[Duration], percent: usize) -> Option<Duration> {
    let rank = (sorted.len() * percent).div_ceil(100);
    sorted.get(rank.saturating_sub(1)).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_those_of_the_nearest_rank() {
        let milliseconds = |count: u64| (1..=count).map(Duration::from_millis).collect::<Vec<_>>();
        for (count, median, p95) in [(1, 1, 1), (2, 1, 2), (20, 10, 19), (100, 50, 95)] {
            let sorted = milliseconds(count);
            let expected = [median, p95].map(|at| Some(Duration::from_millis(at)));
            assert_eq!([at(&sorted, 50), at(&sorted, 95)], expected, "{count}");
        }
        assert_eq!(at(&[], 50), None);
    }

    #[test]
    fn what_is_old_or_too_much_is_forgotten() {
        let (recent, began) = (RecentAttempts::default(), Instant::now());
        let note = |kind, after: u64, is_answered| {
            let ended = began + Duration::from_secs(after);
            recent.note("a", kind, ended, Duration::from_secs(after), is_answered);
        };
        for second in 0..300 {
            note(ResourceKind::Krate, second, second % 2 == 0);
        }
        note(ResourceKind::Index, 0, false);
        let times = recent.times(began + AGE_MAX + Duration::from_secs(1));
        assert_eq!(times.len(), 1, "{times:?}");
        assert_eq!((times[0].resource, times[0].attempts, times[0].failed), ("crate", 256, 128));
        assert_eq!(times[0].slowest, Duration::from_secs(299));
        assert_eq!(recent.times(began).len(), 2);
    }
}
