//! A day of the calendar, in UTC.

use std::fmt;
use std::str::FromStr;
use std::time::{Duration, SystemTime};

/// A day in UTC, from 1970-01-01 on. Prints as `2026-01-31`, so that texts sort as days do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Day(u32);

/// The text is no day.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no day such as 2026-01-31")]
pub struct InvalidDay;

const DAY_SECONDS: u64 = 86_400;
/// 9999-12-31, beyond which texts no longer sort.
const DAY_MAX: u32 = 2_932_896;

impl Day {
    /// The day of a moment. What lies outside of what can be told is moved to the nearest day.
    #[must_use]
    pub fn of(moment: SystemTime) -> Self {
        let since = moment.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Self(u32::try_from(since.as_secs() / DAY_SECONDS).unwrap_or(DAY_MAX).min(DAY_MAX))
    }

    /// When it begins.
    #[must_use]
    pub fn start(self) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(u64::from(self.0) * DAY_SECONDS)
    }

    /// The day before; that of the first day is the first day.
    #[must_use]
    pub fn before(self) -> Self {
        Self(self.0.saturating_sub(1))
    }

    /// Year, month and day of the month. The calendar repeats every 400 years, which begin in March here.
    fn civil(self) -> (u32, u32, u32) {
        let days = self.0 + 719_468;
        let (era, of_era) = (days / 146_097, days % 146_097);
        let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
        let of_year = of_era - (365 * year + year / 4 - year / 100);
        let from_march = (5 * of_year + 2) / 153;
        let day = of_year - (153 * from_march + 2) / 5 + 1;
        let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
        (era * 400 + year + u32::from(month <= 2), month, day)
    }

    fn from_civil(year: u32, month: u32, day: u32) -> Option<Self> {
        let year = year - u32::from(month <= 2);
        let (era, of_era) = (year / 400, year % 400);
        let from_march = if month > 2 { month - 3 } else { month + 9 };
        let of_year = (153 * from_march + 2) / 5 + day - 1;
        let days = era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year;
        days.checked_sub(719_468).map(Self)
    }
}

impl FromStr for Day {
    type Err = InvalidDay;

    fn from_str(text: &str) -> Result<Self, InvalidDay> {
        let mut parts = text.split('-');
        let mut number = |digits: usize| {
            let part = parts.next().filter(|part| part.len() == digits)?;
            part.bytes().all(|byte| byte.is_ascii_digit()).then(|| part.parse::<u32>().ok())?
        };
        let (Some(year @ 1970..), Some(month @ 1..=12), Some(day @ 1..=31)) =
            (number(4), number(2), number(2))
        else {
            return Err(InvalidDay);
        };
        let found = Self::from_civil(year, month, day).ok_or(InvalidDay)?;
        // A day that its month has not comes out as one of the next.
        (parts.next().is_none() && found.civil() == (year, month, day))
            .then_some(found)
            .ok_or(InvalidDay)
    }
}

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = self.civil();
        write!(f, "{year:04}-{month:02}-{day:02}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_those_of_the_calendar() {
        for (days, text) in [
            (0, "1970-01-01"),
            (59, "1970-03-01"),
            (11_016, "2000-02-29"),
            (20_484, "2026-01-31"),
            (DAY_MAX, "9999-12-31"),
        ] {
            assert_eq!(Day(days).to_string(), text);
            assert_eq!(text.parse(), Ok(Day(days)));
            assert_eq!(Day::of(Day(days).start()), Day(days));
        }
        for text in
            ["", "2026-02-29", "2026-1-1", "2026-13-01", "1969-12-31", "2026-01-01-", "+026-01-01"]
        {
            assert_eq!(text.parse::<Day>(), Err(InvalidDay), "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn a_printed_day_parses_to_itself(days in 0..DAY_MAX) {
            proptest::prop_assert_eq!(Day(days).to_string().parse::<Day>(), Ok(Day(days)));
        }
    }
}
