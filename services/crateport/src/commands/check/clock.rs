//! Whether this machine's clock agrees with upstream's.
//!
//! A wrong clock makes certificates look expired and ages of files wrong.

use std::time::{Duration, SystemTime};

use super::Finding;

/// A `Date` has whole seconds and may be as old as a cache in between allows; less than this is no difference.
const DIFFERENCE_MAX: Duration = Duration::from_secs(60);

/// Compares `ours` with upstream's `Date`, both of the moment when the answer came.
pub(super) fn judge(ours: SystemTime, theirs: SystemTime) -> Finding {
    let (difference, word) = match ours.duration_since(theirs) {
        Ok(ahead) => (ahead, "ahead of"),
        Err(behind) => (behind.duration(), "behind"),
    };
    let seconds = difference.as_secs();
    if difference <= DIFFERENCE_MAX {
        Finding::Ok(format!("the clock is within {} s of upstream's", DIFFERENCE_MAX.as_secs()))
    } else {
        Finding::Warning(format!(
            "the clock is {seconds} s {word} upstream's: set it, for instance with NTP"
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_more_than_a_minute_off_is_told_with_the_direction() {
        let theirs = httpdate::parse_http_date("Sun, 06 Nov 1994 08:49:37 GMT").unwrap();
        let seconds = Duration::from_secs;
        assert!(matches!(judge(theirs, theirs), Finding::Ok(_)));
        assert!(matches!(judge(theirs + seconds(60), theirs), Finding::Ok(_)));
        for (ours, expected) in [
            (theirs + seconds(90), "the clock is 90 s ahead of upstream's"),
            (theirs - seconds(3600), "the clock is 3600 s behind upstream's"),
        ] {
            let Finding::Warning(text) = judge(ours, theirs) else { panic!() };
            assert!(text.starts_with(expected), "{text}");
        }
    }
}
