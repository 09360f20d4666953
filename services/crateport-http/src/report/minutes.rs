//! How requests ended in the last 24 hours, to the minute.
//!
//! Counters only grow; a request adds to some of them and takes no lock. Once a minute whoever comes first writes down
//! where they stand, and what happened between two moments is the difference of what was written down then.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use crateport_types::{Outcome, ResourceKind};

use super::figures::Counts;

/// What is counted apart, in the order of a [`Mark`].
pub(super) const KINDS: [ResourceKind; 3] =
    [ResourceKind::Index, ResourceKind::Krate, ResourceKind::Dist];
/// Minutes that can be told of.
pub(super) const MINUTES_MAX: u64 = 24 * 60;

/// The counters, and where they stood.
#[derive(Debug)]
pub(super) struct Minutes {
    began: Instant,
    cells: [Cell; KINDS.len()],
    /// The last minute whose beginning is written down.
    minute: AtomicU64,
    /// Where the counters stood at the beginnings of minutes, that of `minute` last.
    marks: Mutex<VecDeque<Mark>>,
}

#[derive(Debug, Default)]
struct Cell {
    requests: AtomicU64,
    hits: AtomicU64,
    bytes: AtomicU64,
    hit_bytes: AtomicU64,
    failures: AtomicU64,
}

/// Where the counters stood.
pub(super) type Mark = [Counts; KINDS.len()];

impl Minutes {
    pub(super) fn new(began: Instant) -> Self {
        Self {
            began,
            cells: Default::default(),
            minute: AtomicU64::new(0),
            marks: Mutex::new(VecDeque::from([Mark::default()])),
        }
    }

    /// Counts a request that ended at `now`.
    pub(super) fn note(&self, kind: ResourceKind, outcome: Outcome, bytes: u64, now: Instant) {
        let place = KINDS.iter().position(|counted| *counted == kind);
        let Some(cell) = place.and_then(|place| self.cells.get(place)) else { return };
        self.turn(now);
        match outcome {
            Outcome::Hit | Outcome::Stale | Outcome::Join => {
                cell.requests.fetch_add(1, Relaxed);
                cell.hits.fetch_add(1, Relaxed);
                cell.bytes.fetch_add(bytes, Relaxed);
                cell.hit_bytes.fetch_add(bytes, Relaxed);
            }
            Outcome::Fill | Outcome::Revalidated => {
                cell.requests.fetch_add(1, Relaxed);
                cell.bytes.fetch_add(bytes, Relaxed);
            }
            Outcome::Unavailable => {
                cell.failures.fetch_add(1, Relaxed);
            }
            Outcome::Absent | Outcome::Forwarded | Outcome::Refused => {}
        }
    }

    /// Writes down where the counters stand, if a minute has begun since that was done.
    fn turn(&self, now: Instant) -> u64 {
        let minute = self.minute_of(now);
        if self.minute.load(Relaxed) < minute {
            let mut marks = self.marks();
            let before = self.minute.load(Relaxed);
            // Nothing happened in the minutes between.
            let missing = minute.saturating_sub(before).min(MINUTES_MAX + 1);
            let mark = self.stand();
            for _ in 0..missing {
                if marks.len() as u64 > MINUTES_MAX {
                    marks.pop_front();
                }
                marks.push_back(mark);
            }
            self.minute.store(minute.max(before), Relaxed);
        }
        minute
    }

    fn minute_of(&self, now: Instant) -> u64 {
        now.saturating_duration_since(self.began).as_secs() / 60
    }

    fn stand(&self) -> Mark {
        self.cells.each_ref().map(Cell::counts)
    }

    fn marks(&self) -> MutexGuard<'_, VecDeque<Mark>> {
        self.marks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What happened in the last `minutes`, and in the current one.
    pub(super) fn last(&self, minutes: u64, now: Instant) -> Mark {
        self.turn(now);
        let marks = self.marks();
        between(mark(&marks, minutes), self.stand())
    }

    /// What happened in each `minutes` of the time that can be told of, the oldest first. The last has the current
    /// minute too.
    pub(super) fn each(&self, minutes: u64, now: Instant) -> Vec<Mark> {
        self.turn(now);
        let marks = self.marks();
        let steps = MINUTES_MAX / minutes.max(1);
        let each = (0..steps).rev().map(|step| {
            let end = match step {
                0 => self.stand(),
                step => mark(&marks, step * minutes),
            };
            between(mark(&marks, (step + 1) * minutes), end)
        });
        each.collect()
    }
}

/// Where the counters stood so many minutes before the current one began; at 0 before the first.
fn mark(marks: &VecDeque<Mark>, minutes_ago: u64) -> Mark {
    let ago = usize::try_from(minutes_ago).unwrap_or(usize::MAX);
    let place = marks.len().checked_sub(1).and_then(|last| last.checked_sub(ago));
    place.and_then(|place| marks.get(place)).copied().unwrap_or_default()
}

fn between(from: Mark, to: Mark) -> Mark {
    let mut between = to;
    for (to, from) in between.iter_mut().zip(from) {
        *to = to.since(&from);
    }
    between
}

impl Cell {
    fn counts(&self) -> Counts {
        Counts {
            requests: self.requests.load(Relaxed),
            hits: self.hits.load(Relaxed),
            bytes: self.bytes.load(Relaxed),
            hit_bytes: self.hit_bytes.load(Relaxed),
            failures: self.failures.load(Relaxed),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn counted(mark: Mark) -> [u64; 3] {
        mark.map(|counts| counts.requests)
    }

    #[test]
    fn what_happened_is_in_the_hours_in_which_it_did() {
        let began = Instant::now();
        let minutes = Minutes::new(began);
        let at = |minute: u64| began + Duration::from_secs(60 * minute + 1);
        for (kind, outcome, bytes, minute) in [
            (ResourceKind::Krate, Outcome::Fill, 100, 0),
            (ResourceKind::Krate, Outcome::Hit, 100, 1),
            (ResourceKind::Index, Outcome::Stale, 10, 1),
            (ResourceKind::Index, Outcome::Absent, 1, 1),
            (ResourceKind::Page, Outcome::Hit, 1000, 1),
            (ResourceKind::Dist, Outcome::Unavailable, 7, 200),
            (ResourceKind::Dist, Outcome::Join, 1000, 200),
        ] {
            minutes.note(kind, outcome, bytes, at(minute));
        }
        for (now, window, expected) in [
            (200, 60, [0, 0, 1]),
            (200, 199, [1, 1, 1]),
            (200, 200, [1, 2, 1]),
            (200, 1440, [1, 2, 1]),
            (261, 60, [0, 0, 0]),
            (1440, 1440, [1, 2, 1]),
            (1441, 1440, [1, 1, 1]),
            (1641, 1440, [0, 0, 0]),
            (100_000, 1440, [0, 0, 0]),
        ] {
            assert_eq!(counted(minutes.last(window, at(now))), expected, "{now} {window}");
        }
    }

    #[test]
    fn quarters_of_an_hour_add_up_to_the_day() {
        let began = Instant::now();
        let minutes = Minutes::new(began);
        let at = |minute: u64| began + Duration::from_secs(60 * minute + 1);
        for minute in 0..100 {
            minutes.note(ResourceKind::Krate, Outcome::Hit, 3, at(minute));
        }
        let each = minutes.each(15, at(99));
        assert_eq!(each.len(), 96);
        let hits = each.iter().map(|mark| mark[1].hits).collect::<Vec<_>>();
        assert_eq!(hits.iter().sum::<u64>(), 100);
        assert_eq!(hits[90..], [15, 15, 15, 15, 15, 16]);
        assert_eq!(each.iter().map(|mark| mark[1].hit_bytes).sum::<u64>(), 300);
    }
}
