//! A moment, to the second, in UTC: what reports and answers tell.

use std::fmt;
use std::str::FromStr;
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

use crate::Day;

/// A moment in UTC, from 1970 on. Prints as `2026-01-31T23:59:59Z` (RFC 3339), so that texts sort as moments do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Moment(u64);

/// The text is no moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no moment such as 2026-01-31T23:59:59Z")]
pub struct InvalidMoment;

const DAY_SECONDS: u64 = 86_400;

impl Moment {
    /// The second in which `moment` lies; what was before 1970 is moved there.
    #[must_use]
    pub fn of(moment: SystemTime) -> Self {
        Self(moment.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs())
    }

    /// From seconds since 1970.
    #[must_use]
    pub const fn of_seconds(seconds: u64) -> Self {
        Self(seconds)
    }

    /// Seconds since 1970.
    #[must_use]
    pub const fn seconds(self) -> u64 {
        self.0
    }

    /// How long before `later` it was.
    #[must_use]
    pub const fn until(self, later: Self) -> Duration {
        Duration::from_secs(later.0.saturating_sub(self.0))
    }

    /// The day in which it lies.
    #[must_use]
    pub fn day(self) -> Day {
        let since = Duration::from_secs(self.0);
        Day::of(SystemTime::UNIX_EPOCH.checked_add(since).unwrap_or(SystemTime::UNIX_EPOCH))
    }
}

impl From<Day> for Moment {
    fn from(day: Day) -> Self {
        Self::of(day.start())
    }
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let second = self.0 % DAY_SECONDS;
        let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
        write!(f, "{}T{hour:02}:{minute:02}:{second:02}Z", self.day())
    }
}

impl FromStr for Moment {
    type Err = InvalidMoment;

    fn from_str(text: &str) -> Result<Self, InvalidMoment> {
        let (day, time) = text.split_once('T').ok_or(InvalidMoment)?;
        let day: Day = day.parse().map_err(|_| InvalidMoment)?;
        let mut parts = time.strip_suffix('Z').ok_or(InvalidMoment)?.split(':');
        let mut number = |below: u64| {
            let part = parts.next().filter(|part| part.len() == 2).ok_or(InvalidMoment)?;
            let is_number = part.bytes().all(|byte| byte.is_ascii_digit());
            let number = part.parse::<u64>().ok().filter(|number| is_number && *number < below);
            number.ok_or(InvalidMoment)
        };
        let seconds = number(24)? * 3600 + number(60)? * 60 + number(60)?;
        if parts.next().is_some() {
            return Err(InvalidMoment);
        }
        Ok(Self(Self::from(day).0 + seconds))
    }
}

impl From<Moment> for String {
    fn from(moment: Moment) -> Self {
        moment.to_string()
    }
}

impl TryFrom<String> for Moment {
    type Error = InvalidMoment;

    fn try_from(text: String) -> Result<Self, InvalidMoment> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_those_of_the_calendar() {
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (1_769_903_999, "2026-01-31T23:59:59Z"),
            (1_769_904_000, "2026-02-01T00:00:00Z"),
        ] {
            assert_eq!(Moment(seconds).to_string(), text);
            assert_eq!(text.parse(), Ok(Moment(seconds)));
        }
        for text in [
            "",
            "2026-01-31",
            "2026-01-31T23:59:60Z",
            "2026-01-31T24:00:00Z",
            "2026-01-31T23:59:59",
            "2026-01-31T23:59Z",
            "2026-01-31T+3:59:59Z",
            "2026-02-30T00:00:00Z",
            "2026-01-31T23:59:59:00Z",
        ] {
            assert_eq!(text.parse::<Moment>(), Err(InvalidMoment), "{text}");
        }
    }
}
