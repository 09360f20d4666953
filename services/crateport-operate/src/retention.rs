//! What is removed, as a function of sizes and times.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

/// What is kept.
#[derive(Clone, Copy, Debug, Default)]
pub struct Retention {
    /// What was not used for so long goes.
    pub unused_for: Option<Duration>,
    /// If the store holds more bytes, the least recently used go until it does not.
    pub size_bytes_max: Option<u64>,
    /// What was used within this time stays, whatever else is said.
    pub grace: Duration,
}

/// What becomes of an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It stays.
    Keep,
    /// It was used or written a short while ago, and stays.
    Graced,
    /// It goes, because it was not used for too long.
    Unused,
    /// It goes to make room.
    Surplus,
}

/// A moment, in minutes since 1970: rounded up, so that nothing seems older than it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(crate) struct Minute(pub(crate) u32);

/// Sizes by last use, of what could be removed to make room.
#[derive(Debug, Default)]
pub(crate) struct Ages(BTreeMap<Minute, u64>);

/// Judges one object after the other.
#[derive(Debug)]
pub(crate) struct Judge {
    graced_since: Minute,
    unused_before: Minute,
    /// What was used before this goes to make room.
    surplus_before: Minute,
    /// So much more goes of what was used in that minute.
    surplus_bytes_left: u64,
}

const MINUTE_SECONDS: u64 = 60;

impl Minute {
    pub(crate) fn of(moment: SystemTime) -> Self {
        let since = moment.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Self::of_seconds(since.as_secs())
    }

    pub(crate) fn of_seconds(since_1970_s: u64) -> Self {
        Self(u32::try_from(since_1970_s.div_ceil(MINUTE_SECONDS)).unwrap_or(u32::MAX))
    }

    /// Rounded down: what is of this minute was used at this moment or after.
    fn limit(now: SystemTime, ago: Duration) -> Self {
        let since = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let seconds = since.saturating_sub(ago).as_secs();
        Self(u32::try_from(seconds / MINUTE_SECONDS).unwrap_or(u32::MAX))
    }

    pub(crate) fn start(self) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(u64::from(self.0) * MINUTE_SECONDS)
    }
}

impl Ages {
    pub(crate) fn add(&mut self, last_used: Minute, size_bytes: u64) {
        *self.0.entry(last_used).or_default() += size_bytes;
    }
}

impl Judge {
    /// A judge of age alone, before it is known how much room must be made.
    pub(crate) fn new(retention: &Retention, now: SystemTime) -> Self {
        let unused = retention.unused_for.map(|ago| Minute::limit(now, ago));
        Self {
            graced_since: Minute::limit(now, retention.grace),
            unused_before: unused.unwrap_or_default(),
            surplus_before: Minute::default(),
            surplus_bytes_left: 0,
        }
    }

    /// The same, making room for `surplus_bytes` besides, of what `ages` tells.
    pub(crate) fn making_room(self, surplus_bytes: u64, ages: &Ages) -> Self {
        let mut left = surplus_bytes;
        for (minute, size_bytes) in &ages.0 {
            if *size_bytes >= left {
                return Self { surplus_before: *minute, surplus_bytes_left: left, ..self };
            }
            left -= size_bytes;
        }
        let end = ages.0.last_key_value().map_or(Minute::default(), |(last, _)| Minute(last.0 + 1));
        Self { surplus_before: end, surplus_bytes_left: 0, ..self }
    }

    pub(crate) fn is_graced(&self, last_used: Minute) -> bool {
        last_used >= self.graced_since
    }

    /// Judges one object. What goes to make room is counted.
    pub(crate) fn judge(&mut self, last_used: Minute, size_bytes: u64) -> Verdict {
        if self.is_graced(last_used) {
            Verdict::Graced
        } else if last_used < self.unused_before {
            Verdict::Unused
        } else if last_used < self.surplus_before {
            Verdict::Surplus
        } else if last_used == self.surplus_before && self.surplus_bytes_left > 0 {
            self.surplus_bytes_left = self.surplus_bytes_left.saturating_sub(size_bytes);
            Verdict::Surplus
        } else {
            Verdict::Keep
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn minutes(count: u64) -> Duration {
        Duration::from_secs(60 * count)
    }

    #[test]
    fn the_least_recently_used_go_first_and_only_as_many_as_must() {
        use Verdict::{Graced, Keep, Surplus, Unused};
        let now = SystemTime::UNIX_EPOCH + minutes(1000);
        // Used so many minutes ago, with so many bytes.
        let objects = [(1, 10), (20, 10), (40, 10), (40, 10), (60, 10), (500, 10)];
        let objects = objects.map(|(ago, bytes)| (Minute::of(now - minutes(ago)), bytes));
        for (unused_for, size_bytes_max, grace, expected) in [
            (None, None, 0, [Keep, Keep, Keep, Keep, Keep, Keep]),
            (Some(100), None, 10, [Graced, Keep, Keep, Keep, Keep, Unused]),
            (Some(0), None, 30, [Graced, Graced, Unused, Unused, Unused, Unused]),
            (None, Some(60), 0, [Keep, Keep, Keep, Keep, Keep, Keep]),
            (None, Some(45), 0, [Keep, Keep, Keep, Keep, Surplus, Surplus]),
            (None, Some(31), 0, [Keep, Keep, Surplus, Keep, Surplus, Surplus]),
            (None, Some(0), 30, [Graced, Graced, Surplus, Surplus, Surplus, Surplus]),
            (Some(100), Some(45), 0, [Keep, Keep, Keep, Keep, Surplus, Unused]),
        ] {
            let retention = Retention {
                unused_for: unused_for.map(minutes),
                size_bytes_max,
                grace: minutes(grace),
            };
            let mut first = Judge::new(&retention, now);
            let (mut ages, mut total, mut unused) = (Ages::default(), 0, 0);
            for (last_used, size_bytes) in objects {
                total += size_bytes;
                match first.judge(last_used, size_bytes) {
                    Unused => unused += size_bytes,
                    Keep => ages.add(last_used, size_bytes),
                    Graced | Surplus => {}
                }
            }
            let surplus = size_bytes_max.map_or(0, |max| (total - unused).saturating_sub(max));
            let mut judge = Judge::new(&retention, now).making_room(surplus, &ages);
            let verdicts = objects.map(|(last_used, bytes)| judge.judge(last_used, bytes));
            assert_eq!(verdicts, expected, "{retention:?}");
        }
    }

    #[test]
    fn nothing_seems_older_than_it_is() {
        assert_eq!((Minute::of_seconds(60), Minute::of_seconds(61)), (Minute(1), Minute(2)));
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(119);
        assert_eq!(Minute::limit(now, Duration::ZERO), Minute(1));
    }
}
