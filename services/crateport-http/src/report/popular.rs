//! The crates that are fetched most, counted in a table that does not grow (Metwally and others, "Efficient Computation
//! of Frequent and Top-k Elements in Data Streams", 2005).
//!
//! When the table is full, a crate that is not in it takes the place of the one fetched least, and its count: so no crate
//! is counted too low, and each is known to have been fetched at least as often as it was since it took its place.

use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crateport_types::CrateName;

/// Crates that are counted at once.
const COUNTED_MAX: usize = 256;
/// What was counted is forgotten after two of these.
const PERIOD: Duration = Duration::from_secs(12 * 3600);

/// The crates fetched most since the period before this one began.
#[derive(Debug)]
pub(super) struct Popular {
    hasher: RandomState,
    periods: Mutex<Periods>,
}

#[derive(Debug)]
struct Periods {
    /// When the current one began, and the one before it.
    began: [Instant; 2],
    current: Table,
    before: Table,
}

/// By a hash of registry and name: two crates of one hash are counted as one.
type Table = HashMap<u64, Entry>;

#[derive(Clone, Debug)]
struct Entry {
    origin: Box<str>,
    name: Box<str>,
    count: u64,
    /// Of these it is not known that they were its own.
    taken_over: u64,
}

/// A crate and how often it was fetched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fetched {
    pub(super) origin: Box<str>,
    pub(super) name: Box<str>,
    /// At least, and exactly if few crates were fetched.
    pub(super) count: u64,
}

impl Popular {
    pub(super) fn new(now: Instant) -> Self {
        let periods = Periods { began: [now; 2], current: Table::new(), before: Table::new() };
        Self { hasher: RandomState::new(), periods: Mutex::new(periods) }
    }

    /// Counts one. Allocates only for a crate that is not in the table.
    pub(super) fn note(&self, origin: &str, name: &CrateName, now: Instant) {
        let hash = self.hasher.hash_one((origin, name.as_str()));
        let mut periods = self.periods.lock().unwrap_or_else(PoisonError::into_inner);
        periods.turn(now);
        if let Some(entry) = periods.current.get_mut(&hash) {
            entry.count += 1;
            return;
        }
        let least = if periods.current.len() < COUNTED_MAX {
            None
        } else {
            periods.current.iter().min_by_key(|(_, entry)| entry.count).map(|(hash, _)| *hash)
        };
        let taken_over = least.and_then(|least| periods.current.remove(&least));
        let taken_over = taken_over.map_or(0, |least| least.count);
        let (origin, name) = (origin.into(), name.as_str().into());
        periods.current.insert(hash, Entry { origin, name, count: taken_over + 1, taken_over });
    }

    /// The first `count`, and since when they were counted.
    pub(super) fn top(&self, count: usize, now: Instant) -> (Vec<Fetched>, Instant) {
        let mut periods = self.periods.lock().unwrap_or_else(PoisonError::into_inner);
        periods.turn(now);
        let mut sums = periods.before.clone();
        for (hash, entry) in &periods.current {
            let sum = sums.entry(*hash).or_insert_with(|| Entry {
                count: 0,
                taken_over: 0,
                ..entry.clone()
            });
            sum.count += entry.count;
            sum.taken_over += entry.taken_over;
        }
        let fetched = |entry: Entry| Fetched {
            count: entry.count - entry.taken_over,
            origin: entry.origin,
            name: entry.name,
        };
        let mut top = sums.into_values().map(fetched).collect::<Vec<_>>();
        top.sort_unstable_by(|a, b| b.count.cmp(&a.count).then_with(|| a.name.cmp(&b.name)));
        top.truncate(count);
        let [_, since] = periods.began;
        (top, since)
    }
}

impl Periods {
    fn turn(&mut self, now: Instant) {
        let [began, _] = self.began;
        let passed = now.saturating_duration_since(began);
        if passed < PERIOD {
            return;
        }
        let current = std::mem::take(&mut self.current);
        // After two periods without a request there is nothing to tell of the last one.
        (self.before, self.began) = if passed < PERIOD * 2 {
            (current, [began + PERIOD, began])
        } else {
            (Table::new(), [now; 2])
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> CrateName {
        text.parse().unwrap()
    }

    #[test]
    fn the_most_fetched_are_found_among_many_that_are_not() {
        let now = Instant::now();
        let popular = Popular::new(now);
        for round in 0..2000 {
            popular.note("crates-io", &name("serde"), now);
            if round % 2 == 0 {
                popular.note("crates-io", &name("libc"), now);
            }
            popular.note("crates-io", &name(&format!("rare-{round}")), now);
        }
        let (top, _) = popular.top(2, now);
        let top = top.iter().map(|fetched| (&*fetched.name, fetched.count)).collect::<Vec<_>>();
        assert_eq!(top, [("serde", 2000), ("libc", 1000)]);
        assert!(popular.top(usize::MAX, now).0.len() <= COUNTED_MAX);
    }

    #[test]
    fn one_name_in_two_registries_is_two_crates_and_what_is_old_is_forgotten() {
        let began = Instant::now();
        let popular = Popular::new(began);
        popular.note("a", &name("x"), began);
        popular.note("b", &name("x"), began);
        let later = began + PERIOD;
        popular.note("b", &name("x"), later);
        let (top, since) = popular.top(9, later);
        let counts = top.iter().map(|fetched| (&*fetched.origin, fetched.count));
        assert_eq!(counts.collect::<Vec<_>>(), [("b", 2), ("a", 1)]);
        assert_eq!(since, began);
        let (top, since) = popular.top(9, began + PERIOD * 2);
        assert_eq!((top.len(), since), (1, later));
        assert!(popular.top(9, began + PERIOD * 5).0.is_empty());
    }
}
