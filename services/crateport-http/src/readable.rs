//! Numbers as people read them.

use crateport_types::Moment;

/// Bytes with a binary prefix and no more digits than anyone reads.
#[must_use]
pub fn size(bytes: u64) -> String {
    const UNITS: [(u64, &str); 4] =
        [(1 << 40, "TiB"), (1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
    match UNITS.iter().find(|(unit_bytes, _)| bytes >= *unit_bytes) {
        Some((unit_bytes, unit)) => {
            format!("{}.{} {unit}", bytes / unit_bytes, bytes % unit_bytes * 10 / unit_bytes)
        }
        None => format!("{bytes} B"),
    }
}

/// `1,234,567`.
#[must_use]
pub fn count(number: u64) -> String {
    let digits = number.to_string();
    let comma = |place: usize| place > 0 && (digits.len() - place).is_multiple_of(3);
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if comma(place) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `5 min ago`, in the largest unit that fits.
#[must_use]
pub fn ago(then: Moment, now: Moment) -> String {
    let seconds = then.until(now).as_secs();
    match [(86_400, "d"), (3600, "h"), (60, "min")].iter().find(|(unit_s, _)| seconds >= *unit_s) {
        Some((unit_s, unit)) => format!("{} {unit} ago", seconds / unit_s),
        None => format!("{seconds} s ago"),
    }
}

/// `250 ms`, `2.5 s`.
#[must_use]
pub fn took(milliseconds: u64) -> String {
    if milliseconds < 1000 {
        return format!("{milliseconds} ms");
    }
    format!("{}.{} s", milliseconds / 1000, milliseconds % 1000 / 100)
}

/// `97%`, and a dash where there is nothing to divide.
#[must_use]
pub fn percent(percent: Option<u64>) -> String {
    percent.map_or_else(|| "–".to_owned(), |percent| format!("{percent}%"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_readable() {
        for (bytes, expected) in
            [(0, "0 B"), (1023, "1023 B"), (1536, "1.5 KiB"), (5 << 40, "5.0 TiB")]
        {
            assert_eq!(size(bytes), expected);
        }
        for (number, expected) in
            [(0, "0"), (999, "999"), (1000, "1,000"), (1_234_567, "1,234,567")]
        {
            assert_eq!(count(number), expected);
        }
        for (seconds, expected) in [
            (0, "0 s ago"),
            (59, "59 s ago"),
            (60, "1 min ago"),
            (7199, "1 h ago"),
            (1 << 20, "12 d ago"),
        ] {
            let at = Moment::of_seconds;
            assert_eq!(ago(at(0), at(seconds)), expected);
        }
        assert_eq!(ago(Moment::of_seconds(9), Moment::of_seconds(7)), "0 s ago");
        assert_eq!(
            (took(999), took(1000), took(65_432)),
            ("999 ms".into(), "1.0 s".into(), "65.4 s".into())
        );
        assert_eq!((percent(Some(7)), percent(None)), ("7%".to_owned(), "–".to_owned()));
    }
}
