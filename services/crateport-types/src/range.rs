//! Byte ranges of a request (RFC 9110, section 14).

use std::ops::Range;

/// One range as a client wrote it, before the length is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ByteRange {
    /// `bytes=a-` and `bytes=a-b`, both ends included.
    From(u64, Option<u64>),
    /// `bytes=-n`: the last n bytes.
    Last(u64),
}

/// What is to be sent of an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RangeRequest {
    /// All of it, with 200.
    Whole,
    /// A part of it, with 206.
    Part(Range<u64>),
    /// Nothing, with 416.
    Unsatisfiable,
}

impl ByteRange {
    /// Reads a `Range` header. `None` means that the header is to be ignored: another unit, malformed, or several
    /// ranges at once, which no client of ours sends and which a server may answer with the whole.
    #[must_use]
    pub fn parse(header: &str) -> Option<Self> {
        let spec = header.trim().strip_prefix("bytes=")?;
        let (first, last) = spec.split_once('-')?;
        let (first, last) = (first.trim(), last.trim());
        if first.is_empty() {
            return Some(Self::Last(number(last)?));
        }
        let first = number(first)?;
        let last = if last.is_empty() { None } else { Some(number(last)?) };
        match last {
            Some(last) if last < first => None,
            last => Some(Self::From(first, last)),
        }
    }

    /// What the range means for an object of `size_bytes`.
    #[must_use]
    pub fn of(self, size_bytes: u64) -> RangeRequest {
        let part = match self {
            Self::From(first, last) => {
                first..last.map_or(size_bytes, |last| last.saturating_add(1).min(size_bytes))
            }
            Self::Last(count) => size_bytes.saturating_sub(count)..size_bytes,
        };
        if part.is_empty() { RangeRequest::Unsatisfiable } else { RangeRequest::Part(part) }
    }
}

/// Digits only: `u64::from_str` would take a sign.
fn number(text: &str) -> Option<u64> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_form_of_a_range_means_what_the_standard_says() {
        use RangeRequest::{Part, Unsatisfiable};
        for (header, expected) in [
            ("bytes=0-0", Part(0..1)),
            ("bytes=2-", Part(2..10)),
            ("bytes=2-4", Part(2..5)),
            ("bytes=2-99", Part(2..10)),
            ("bytes=-3", Part(7..10)),
            ("bytes=-99", Part(0..10)),
            ("bytes=10-", Unsatisfiable),
            ("bytes=-0", Unsatisfiable),
            ("bytes=0-18446744073709551615", Part(0..10)),
        ] {
            assert_eq!(ByteRange::parse(header).unwrap().of(10), expected, "{header}");
        }
        assert_eq!(ByteRange::From(0, None).of(0), Unsatisfiable);
    }

    #[test]
    fn what_cannot_be_understood_is_ignored() {
        for header in [
            "",
            "bytes",
            "bytes=",
            "bytes=-",
            "bytes=a-b",
            "bytes=4-2",
            "bytes=0-1,3-4",
            "lines=0-1",
            "bytes=+1-2",
        ] {
            assert_eq!(ByteRange::parse(header), None, "{header}");
        }
    }

    proptest::proptest! {
        #[test]
        fn a_part_lies_inside_the_object(header in "bytes=[0-9]{0,22}-[0-9]{0,22}", size_bytes: u64) {
            if let Some(RangeRequest::Part(part)) = ByteRange::parse(&header).map(|range| range.of(size_bytes)) {
                proptest::prop_assert!(part.start < part.end && part.end <= size_bytes);
            }
        }
    }
}
