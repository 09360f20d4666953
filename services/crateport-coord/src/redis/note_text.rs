//! How a note is written in Redis, and how old it is when it is read.
//!
//! ```text
//! 1 KEEP_MS WRITTEN_MS fresh SHA256 ASKED_AGO_MS CHECKED_AGO_MS
//! 1 KEEP_MS WRITTEN_MS absent
//! 1 KEEP_MS WRITTEN_MS failed REASON
//! ```
//!
//! Ages are told by Redis's own clock, never by a replica's. There are two witnesses, and the older age counts: how
//! much of `KEEP_MS` has run off by now, and how long ago `WRITTEN_MS` is, which is Redis's time when the note left its
//! writer (`-` if that was not known). The second one notices a note that lay in the socket of a frozen Redis.
//! What another release writes and this one does not know is no note.

use std::time::Duration;

use crateport_types::Reason;

use crate::Note;

const VERSION: &str = "1";
const FRESH: &str = "fresh";
const ABSENT: &str = "absent";
const FAILED: &str = "failed";
const UNKNOWN: &str = "-";

/// Every reason that a note can bear.
const REASONS: [Reason; 24] = [
    Reason::Fresh,
    Reason::Stored,
    Reason::Missing,
    Reason::Unchanged,
    Reason::Changed,
    Reason::UpstreamAbsent,
    Reason::RememberedAbsent,
    Reason::NotInIndex,
    Reason::UpstreamConnect,
    Reason::UpstreamTimeout,
    Reason::UpstreamSlow,
    Reason::UpstreamCut,
    Reason::UpstreamStatus,
    Reason::UpstreamRateLimited,
    Reason::UpstreamInvalid,
    Reason::UpstreamCircuitOpen,
    Reason::UpstreamForbidden,
    Reason::ChecksumMismatch,
    Reason::TooLarge,
    Reason::StoreFailed,
    Reason::Overloaded,
    Reason::Offline,
    Reason::BadRequest,
    Reason::Own,
];

/// The text of a note. `now_ms` is Redis's time, if it is known.
pub(super) fn write(note: &Note, keep_ms: u64, now_ms: Option<u64>) -> String {
    let now = now_ms.map_or_else(|| UNKNOWN.to_owned(), |now_ms| now_ms.to_string());
    let head = format!("{VERSION} {keep_ms} {now}");
    match note {
        Note::Fresh { checksum, asked_ago, checked_ago } => {
            let (asked_ms, checked_ms) = (up_to_ms(*asked_ago), up_to_ms(*checked_ago));
            format!("{head} {FRESH} {checksum} {asked_ms} {checked_ms}")
        }
        Note::Absent => format!("{head} {ABSENT}"),
        Note::Failed { reason } => format!("{head} {FAILED} {}", reason.as_str()),
    }
}

/// The note that was written, as old as it is now: `left_ms` before Redis drops it, at Redis's time `now_ms`, `late`
/// after Redis was asked. `None` if it has run out, or cannot be read.
pub(super) fn read(text: &str, left_ms: i64, now_ms: u64, late: Duration) -> Option<Note> {
    let mut words = text.split(' ');
    if words.next()? != VERSION {
        return None;
    }
    let keep_ms: u64 = words.next()?.parse().ok()?;
    let written_ms = words.next()?;
    // More left than there ever was, or no end: the clock was set back, and there is no telling.
    let kept_ms = keep_ms.checked_sub(u64::try_from(left_ms).ok()?)?;
    let since_ms = match written_ms {
        UNKNOWN => 0,
        written_ms => now_ms.saturating_sub(written_ms.parse().ok()?),
    };
    let age = Duration::from_millis(kept_ms.max(since_ms)) + late;
    if age >= Duration::from_millis(keep_ms) {
        return None;
    }
    let note = match words.next()? {
        FRESH => {
            let checksum = words.next()?.parse().ok()?;
            let mut ago = || Some(Duration::from_millis(words.next()?.parse().ok()?) + age);
            Note::Fresh { checksum, asked_ago: ago()?, checked_ago: ago()? }
        }
        ABSENT => Note::Absent,
        FAILED => {
            let word = words.next()?;
            let reason = REASONS.into_iter().find(|reason| reason.as_str() == word)?;
            Note::Failed { reason }
        }
        _ => return None,
    };
    words.next().is_none().then_some(note)
}

/// Whole milliseconds, rounded up: what is older than it seems is asked for again, what is younger is trusted.
pub(super) fn up_to_ms(time: Duration) -> u64 {
    u64::try_from(time.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use crateport_types::Sha256;

    use super::*;

    const ON_TIME: Duration = Duration::ZERO;

    fn fresh(ago_ms: u64) -> Note {
        let ago = Duration::from_millis(ago_ms);
        Note::Fresh { checksum: Sha256::of(b"x"), asked_ago: ago * 2, checked_ago: ago }
    }

    #[test]
    fn what_is_written_is_read() {
        let failed = REASONS.map(|reason| Note::Failed { reason });
        for note in failed.into_iter().chain([Note::Absent, fresh(7)]) {
            for now_ms in [None, Some(1_000)] {
                let text = write(&note, 60_000, now_ms);
                assert_eq!(read(&text, 60_000, 1_000, ON_TIME), Some(note.clone()), "{text}");
            }
        }
    }

    #[test]
    fn the_older_witness_counts() {
        // Kept for 60 s and written at 1000 s, by Redis's clock.
        for (written_ms, left_ms, now_ms, late_ms, age_ms) in [
            (Some(1_000_000), 60_000, 1_000_000, 0, Some(0)),
            (Some(1_000_000), 50_000, 1_010_000, 0, Some(10_000)),
            // It lay in a socket for 30 s before it was executed.
            (Some(1_000_000), 60_000, 1_030_000, 0, Some(30_000)),
            (Some(1_000_000), 60_000, 1_060_000, 0, None),
            // The clock of another node of the cluster is behind; then the time left tells.
            (Some(1_000_000), 50_000, 900_000, 0, Some(10_000)),
            (None, 50_000, 1_010_000, 0, Some(10_000)),
            (None, 50_000, 1_010_000, 100, Some(10_100)),
            // The clock was set back, or the note has no end.
            (None, 60_001, 1_000_000, 0, None),
            (None, -1, 1_000_000, 0, None),
            (None, 0, 1_000_000, 0, None),
        ] {
            let text = write(&fresh(0), 60_000, written_ms);
            let late = Duration::from_millis(late_ms);
            let age = read(&text, left_ms, now_ms, late).map(|note| match note {
                Note::Fresh { asked_ago, checked_ago, .. } => {
                    assert_eq!(asked_ago, checked_ago);
                    checked_ago
                }
                other => panic!("{other:?}"),
            });
            assert_eq!(age, age_ms.map(Duration::from_millis), "{text} {left_ms} {now_ms}");
        }
    }

    #[test]
    fn what_another_release_wrote_is_no_note() {
        for text in [
            "",
            "2 60000 - absent",
            "1 60000 - frozen",
            "1 60000 - failed for-a-reason-of-tomorrow",
            "1 60000 - absent really",
            "1 x - absent",
            "1 60000 x absent",
            "1 60000 - fresh abc 1 1",
            "1 60000 -",
        ] {
            assert_eq!(read(text, 60_000, 0, ON_TIME), None, "{text}");
        }
    }

    #[test]
    fn times_are_rounded_up() {
        for (time, ms) in [
            (Duration::ZERO, 0),
            (Duration::from_nanos(1), 1),
            (Duration::from_millis(1), 1),
            (Duration::from_micros(1001), 2),
            (Duration::MAX, u64::MAX),
        ] {
            assert_eq!(up_to_ms(time), ms);
        }
    }
}
