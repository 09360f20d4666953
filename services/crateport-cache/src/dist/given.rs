//! Which content of a file that changes is given, and the moment at which a newer one takes its place.
//!
//! rustup asks for a file's `.sha256` first and then, on another connection and perhaps of another replica, for the
//! file. Nothing in the second request tells what the answer to the first one was, so the two must agree by time:
//!
//! ```text
//! replica A    announces       A waits                            time ─►
//! store        │ current, next, from
//! .sha256      │ current…………│ wait ………………………………………………………………………………│ next
//!              │            └ all replicas have read the store    └ from + SKEW
//! file         │ current………………………………………………………………………………………………│ next
//!              │            │◄────────── grace ─────────►│◄ SKEW ►│ from
//! ```
//!
//! From the moment that a replica knows of the next content, it answers no `.sha256` until that content is given
//! everywhere. So whoever was told the current checksum has the grace time to ask for the file, and whoever is told
//! the next one finds the next file on every replica. A replica reads the store again before it answers when what it
//! knows is older than [`KNOWN_FOR`], and the clocks of replicas may differ by [`SKEW`].

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crateport_types::Sha256;
use serde::{Deserialize, Serialize};

/// How long a replica may go by what it has read of the store.
pub(super) const KNOWN_FOR: Duration = Duration::from_secs(1);
/// How far the clocks of two replicas may be apart.
pub(super) const SKEW: Duration = Duration::from_secs(1);

/// The contents of one file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Given {
    /// What is given until the next one is.
    pub(super) current: Sha256,
    /// What is given from some moment on.
    pub(super) next: Option<Next>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Next {
    pub(super) content: Sha256,
    /// From when on files have it, since 1970.
    pub(super) from: Duration,
}

/// What may be told of a checksum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Told {
    /// This one, and the file will agree.
    Sum(Sha256),
    /// Nothing yet.
    After(Duration),
}

#[derive(Serialize, Deserialize)]
struct Text {
    current: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<TextOfNext>,
}

#[derive(Serialize, Deserialize)]
struct TextOfNext {
    content: String,
    from_unix_ms: u64,
}

impl Given {
    /// The first content of a file, given at once: nobody was told anything before.
    pub(super) const fn first(content: Sha256) -> Self {
        Self { current: content, next: None }
    }

    /// The same with a newer content, announced at `now`.
    pub(super) fn followed_by(self, content: Sha256, now: SystemTime, grace: Duration) -> Self {
        let from = since_1970(now) + KNOWN_FOR + grace + SKEW;
        Self { current: self.newest(), next: Some(Next { content, from }) }
    }

    /// The content that a file has at `now`.
    pub(super) fn content(&self, now: SystemTime) -> Sha256 {
        match self.next {
            Some(next) if since_1970(now) >= next.from => next.content,
            _ => self.current,
        }
    }

    /// What a client may be told at `now` of the checksum.
    pub(super) fn sum(&self, now: SystemTime) -> Told {
        match self.next {
            None => Told::Sum(self.current),
            Some(next) => match (next.from + SKEW).checked_sub(since_1970(now)) {
                None | Some(Duration::ZERO) => Told::Sum(next.content),
                Some(left) => Told::After(left),
            },
        }
    }

    /// Whether there is a content that is not given everywhere yet.
    pub(super) fn is_pending(&self, now: SystemTime) -> bool {
        matches!(self.sum(now), Told::After(_))
    }

    /// The content that upstream had last.
    pub(super) fn newest(&self) -> Sha256 {
        self.next.map_or(self.current, |next| next.content)
    }

    /// The content that is not given any more, once that was so for `kept`.
    pub(super) fn outdated(&self, now: SystemTime, kept: Duration) -> Option<Sha256> {
        let next = self.next.filter(|next| since_1970(now) >= next.from + kept)?;
        (next.content != self.current).then_some(self.current)
    }

    /// As it is kept in the store.
    pub(super) fn to_json(self) -> Vec<u8> {
        let next = self.next.map(|next| TextOfNext {
            content: next.content.to_string(),
            from_unix_ms: u64::try_from(next.from.as_millis()).unwrap_or(u64::MAX),
        });
        // A struct of texts and numbers always serializes.
        serde_json::to_vec(&Text { current: self.current.to_string(), next }).unwrap_or_default()
    }

    /// Reads what was kept; `None` when it is damaged.
    pub(super) fn from_json(bytes: &[u8]) -> Option<Self> {
        let text: Text = serde_json::from_slice(bytes).ok()?;
        let next = match text.next {
            None => None,
            Some(next) => Some(Next {
                content: next.content.parse().ok()?,
                from: Duration::from_millis(next.from_unix_ms),
            }),
        };
        Some(Self { current: text.current.parse().ok()?, next })
    }
}

fn since_1970(time: SystemTime) -> Duration {
    time.duration_since(UNIX_EPOCH).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const GRACE: Duration = Duration::from_secs(5);

    fn at(seconds: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(1_000_000 + seconds)
    }

    #[test]
    fn a_checksum_waits_while_its_file_changes() {
        let (old, new) = (Sha256::of(b"old"), Sha256::of(b"new"));
        let first = Given::first(old);
        assert_eq!((first.sum(at(0)), first.content(at(0))), (Told::Sum(old), old));
        let given = first.followed_by(new, at(0), GRACE);
        for (seconds, told, content) in [
            (0, Told::After(Duration::from_secs(8)), old),
            (6, Told::After(Duration::from_secs(2)), old),
            (7, Told::After(Duration::from_secs(1)), new),
            (8, Told::Sum(new), new),
            (999, Told::Sum(new), new),
        ] {
            let now = at(seconds);
            assert_eq!((given.sum(now), given.content(now)), (told, content), "{seconds}");
            assert_eq!(given.is_pending(now), seconds < 8);
        }
        assert_eq!(given.newest(), new);
    }

    #[test]
    fn whoever_is_told_a_checksum_finds_its_file_whatever_the_clocks_say() {
        let (old, new) = (Sha256::of(b"old"), Sha256::of(b"new"));
        let ms = Duration::from_millis;
        // Replica A announces at its own time; B tells, C gives the file; each clock is off by its own amount.
        for off in
            [[0, 0, 0], [1000, 0, 0], [0, 1000, 0], [0, 0, 1000], [1000, 0, 1000], [0, 1000, 1000]]
        {
            let clock = |who: usize, t: u64| at(100) + ms(t + off[who]);
            let given = Given::first(old).followed_by(new, clock(0, 0), GRACE);
            for told_at in (0..20_000).step_by(100) {
                // B may not have read the announcement yet.
                let stale_until = u64::try_from(KNOWN_FOR.as_millis()).unwrap();
                let mut told = vec![given.sum(clock(1, told_at))];
                if told_at < stale_until {
                    told.push(Told::Sum(old));
                }
                for told in told {
                    let Told::Sum(sum) = told else { continue };
                    for asked_after in (0..=5000).step_by(100) {
                        let content = given.content(clock(2, told_at + asked_after));
                        assert_eq!(content, sum, "{off:?} {told_at} {asked_after}");
                    }
                }
            }
        }
    }

    #[test]
    fn a_content_that_is_given_no_more_is_kept_for_a_while() {
        let (old, new) = (Sha256::of(b"old"), Sha256::of(b"new"));
        let given = Given::first(old).followed_by(new, at(0), GRACE);
        let hour = Duration::from_secs(3600);
        assert_eq!(given.outdated(at(60), hour), None);
        assert_eq!(given.outdated(at(3700), hour), Some(old));
        assert_eq!(Given::first(old).outdated(at(99_999), hour), None);
        let same = Given::first(old).followed_by(old, at(0), GRACE);
        assert_eq!(same.outdated(at(99_999), hour), None);
    }

    #[test]
    fn what_is_kept_is_read_back_and_what_is_damaged_is_not() {
        let given = Given::first(Sha256::of(b"old"));
        let followed = given.followed_by(Sha256::of(b"new"), at(1), GRACE);
        for given in [given, followed] {
            assert_eq!(Given::from_json(&given.to_json()), Some(given));
        }
        for text in ["", "{}", "{\"current\":\"abc\"}", "<html>"] {
            assert_eq!(Given::from_json(text.as_bytes()), None, "{text}");
        }
    }
}
