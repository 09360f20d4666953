//! The last errors that clients have seen: so many and no more. The same again is counted, not kept again.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use super::figures::Trouble;

/// Errors that are remembered.
const TROUBLES_MAX: usize = 50;
/// Longer paths are cut.
const PATH_BYTES_MAX: usize = 200;
/// Longer sentences are cut.
const DETAIL_BYTES_MAX: usize = 400;

/// The last of them, the newest first.
#[derive(Debug, Default)]
pub(super) struct Troubles(Mutex<VecDeque<Trouble>>);

impl Troubles {
    pub(super) fn note(&self, mut trouble: Trouble) {
        trouble.path = printable(&trouble.path, PATH_BYTES_MAX);
        trouble.detail = printable(&trouble.detail, DETAIL_BYTES_MAX);
        let mut troubles = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let same = troubles.iter().position(|before| before.is_like(&trouble));
        match same.and_then(|place| troubles.remove(place)) {
            Some(before) => {
                // What came first tells more: later ones may say that it failed a moment ago.
                trouble.detail = before.detail;
                trouble.upstream_status = before.upstream_status.or(trouble.upstream_status);
                trouble.first = before.first;
                trouble.count = trouble.count.saturating_add(before.count);
            }
            None => troubles.truncate(TROUBLES_MAX - 1),
        }
        troubles.push_front(trouble);
    }

    pub(super) fn all(&self) -> Vec<Trouble> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }
}

/// What comes from outside may be long, and may tell a terminal what to do.
pub(super) fn printable(text: &str, bytes_max: usize) -> String {
    let end = text.floor_char_boundary(bytes_max);
    let cut = text.get(..end).unwrap_or_default();
    let shown = |c: char| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c };
    let mark = if end < text.len() { "…" } else { "" };
    cut.chars().map(shown).chain(mark.chars()).collect()
}

#[cfg(test)]
mod tests {
    use crateport_types::Moment;

    use super::*;

    fn trouble(path: &str, second: u64) -> Trouble {
        let at = Moment::of_seconds(second);
        Trouble {
            first: at,
            last: at,
            count: 1,
            origin: "crates-io".to_owned(),
            resource: "crate".to_owned(),
            path: path.to_owned(),
            status: 503,
            reason: "upstream-status".to_owned(),
            upstream_status: Some(500),
            detail: "it\u{1b}[31m failed".to_owned(),
        }
    }

    #[test]
    fn the_same_again_is_counted_and_the_oldest_goes() {
        let troubles = Troubles::default();
        for second in 0..10 {
            troubles.note(trouble("/a", second));
        }
        for number in 1..TROUBLES_MAX {
            troubles.note(trouble(&format!("/{number}"), 10));
        }
        let all = troubles.all();
        let oldest = &all[TROUBLES_MAX - 1];
        assert_eq!((all.len(), &*oldest.path, oldest.count), (TROUBLES_MAX, "/a", 10));
        assert_eq!((oldest.first.seconds(), oldest.last.seconds()), (0, 9));
        troubles.note(trouble("/a", 11));
        troubles.note(trouble("/new", 12));
        let all = troubles.all();
        assert_eq!((all.len(), &*all[0].path, &*all[1].path), (TROUBLES_MAX, "/new", "/a"));
        assert_eq!(all[1].count, 11);
    }

    #[test]
    fn what_is_kept_of_a_text_is_short_and_printable() {
        for (text, expected) in [
            ("ok", "ok"),
            ("a\u{1b}[31mb\n", "a\u{fffd}[31mb\u{fffd}"),
            ("12345678", "12345678"),
            ("123456789", "12345678…"),
            ("1234567ß", "1234567…"),
        ] {
            assert_eq!(printable(text, 8), expected);
        }
    }
}
