//! Durations, sizes and counts.

use std::time::Duration;

use super::Word;

/// A duration that may be zero.
#[derive(Debug)]
pub(crate) struct Ttl;

/// A duration after which something ends: never zero.
#[derive(Debug)]
pub(crate) struct Timeout;

/// Bytes, at least one.
#[derive(Debug)]
pub(crate) struct Size;

/// Bytes, perhaps none.
#[derive(Debug)]
pub(crate) struct SizeOrZero;

/// How many, at least one.
#[derive(Debug)]
pub(crate) struct Count;

/// How many, perhaps none.
#[derive(Debug)]
pub(crate) struct CountOrZero;

/// Counts become permits and stream numbers, which hold at most 31 bits.
const COUNT_MAX: u32 = i32::MAX as u32;

/// A day's worth of hours and of everything smaller stays far from where a clock overflows.
const DURATION_MAX: Duration = Duration::from_hours(366 * 24);

const DURATION_UNITS: [(&str, u64); 5] =
    [("ms", 1), ("s", 1000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)];

const SIZE_UNITS: [(&str, u64); 9] = [
    ("b", 1),
    ("kb", 1000),
    ("mb", 1_000_000),
    ("gb", 1_000_000_000),
    ("tb", 1_000_000_000_000),
    ("kib", 1 << 10),
    ("mib", 1 << 20),
    ("gib", 1 << 30),
    ("tib", 1 << 40),
];

impl Word for Ttl {
    type Value = Duration;
    const VALUE_NAME: &'static str = "DURATION";
    const ALLOWED: &'static str = "a duration such as 250ms, 60s, 10m or 1h";

    fn parse_word(text: &str) -> Result<Duration, String> {
        let (number, unit) = number_and_unit(text)?;
        if unit.is_empty() {
            return Err("it has no unit".to_owned());
        }
        let (_, millis) = DURATION_UNITS
            .into_iter()
            .find(|(name, _)| *name == unit)
            .ok_or_else(|| format!("`{unit}` is no unit of time"))?;
        let duration = number.checked_mul(millis).map(Duration::from_millis);
        duration.filter(|it| *it <= DURATION_MAX).ok_or_else(|| "it is too long".to_owned())
    }
}

impl Word for Timeout {
    type Value = Duration;
    const VALUE_NAME: &'static str = Ttl::VALUE_NAME;
    const ALLOWED: &'static str = Ttl::ALLOWED;

    fn parse_word(text: &str) -> Result<Duration, String> {
        let duration = Ttl::parse_word(text)?;
        if duration.is_zero() {
            Err("it must be longer than zero".to_owned())
        } else {
            Ok(duration)
        }
    }
}

impl Word for SizeOrZero {
    type Value = u64;
    const VALUE_NAME: &'static str = "SIZE";
    const ALLOWED: &'static str = "a number of bytes such as 16MiB, 500GiB, 1MB or 65536";

    fn parse_word(text: &str) -> Result<u64, String> {
        let (number, unit) = number_and_unit(text)?;
        let lower = unit.to_ascii_lowercase();
        let factor = match SIZE_UNITS.into_iter().find(|(name, _)| *name == lower) {
            Some((_, factor)) => factor,
            None if unit.is_empty() => 1,
            None => return Err(format!("`{unit}` is no unit of size")),
        };
        number.checked_mul(factor).ok_or_else(|| "it is too large".to_owned())
    }
}

impl Word for Size {
    type Value = u64;
    const VALUE_NAME: &'static str = SizeOrZero::VALUE_NAME;
    const ALLOWED: &'static str = SizeOrZero::ALLOWED;

    fn parse_word(text: &str) -> Result<u64, String> {
        let size = SizeOrZero::parse_word(text)?;
        if size == 0 { Err("it must be more than zero".to_owned()) } else { Ok(size) }
    }
}

impl Word for CountOrZero {
    type Value = u32;
    const VALUE_NAME: &'static str = "NUMBER";
    const ALLOWED: &'static str = "a whole number from 0";

    fn parse_word(text: &str) -> Result<u32, String> {
        let count: u32 = text.parse().map_err(|_| "it is no whole number".to_owned())?;
        if count > COUNT_MAX { Err(format!("it is more than {COUNT_MAX}")) } else { Ok(count) }
    }
}

impl Word for Count {
    type Value = u32;
    const VALUE_NAME: &'static str = CountOrZero::VALUE_NAME;
    const ALLOWED: &'static str = "a whole number from 1";

    fn parse_word(text: &str) -> Result<u32, String> {
        let count = CountOrZero::parse_word(text)?;
        if count == 0 { Err("it must be at least 1".to_owned()) } else { Ok(count) }
    }
}

/// A duration for a flag that is no setting.
pub(crate) fn parse_timeout(text: &str) -> Result<Duration, String> {
    Timeout::parse_word(text)
}

fn number_and_unit(text: &str) -> Result<(u64, &str), String> {
    let digits_end = text.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(text.len());
    let (digits, unit) = text.split_at(digits_end);
    if digits.is_empty() {
        return Err("it does not begin with a whole number".to_owned());
    }
    let number = digits.parse().map_err(|_| "the number is too large".to_owned())?;
    Ok((number, unit.trim_start()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_need_a_unit() {
        for (text, expected) in [
            ("250ms", Some(Duration::from_millis(250))),
            ("60s", Some(Duration::from_mins(1))),
            ("10m", Some(Duration::from_mins(10))),
            ("1h", Some(Duration::from_hours(1))),
            ("1d", Some(Duration::from_hours(24))),
            ("0s", Some(Duration::ZERO)),
            ("60", None),
            ("", None),
            ("s", None),
            ("-1s", None),
            ("1.5s", None),
            ("1w", None),
            ("99999999999999999999s", None),
            ("18446744073709551615h", None),
            ("400d", None),
        ] {
            assert_eq!(Ttl::parse_word(text).ok(), expected, "{text}");
        }
        assert!(Timeout::parse_word("0s").is_err());
    }

    #[test]
    fn sizes_are_bytes_or_have_a_unit() {
        for (text, expected) in [
            ("65536", Some(65_536)),
            ("16MiB", Some(16 << 20)),
            ("500GiB", Some(500 << 30)),
            ("1MB", Some(1_000_000)),
            ("1 kib", Some(1024)),
            ("0", Some(0)),
            ("16M", None),
            ("MiB", None),
            ("16777216TiB", None),
        ] {
            assert_eq!(SizeOrZero::parse_word(text).ok(), expected, "{text}");
        }
        assert!(Size::parse_word("0").is_err());
    }

    #[test]
    fn counts_are_whole_and_bounded() {
        for (text, expected) in
            [("0", Some(0)), ("250", Some(250)), ("-1", None), ("4294967295", None), ("many", None)]
        {
            assert_eq!(CountOrZero::parse_word(text).ok(), expected, "{text}");
        }
        assert!(Count::parse_word("0").is_err());
    }
}
