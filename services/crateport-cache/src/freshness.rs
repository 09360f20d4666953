//! How long an index file is good for.
//!
//! Two promises meet here: with upstream healthy a file is never older than its TTL, and upstream sees at most one
//! revalidation of it per TTL. A request leaves upstream's side older by one round trip than it left ours, so there
//! are two clocks: the next revalidation may begin one TTL after the last one *began*, and the file may be served
//! until one TTL after the last one's answer *came*. In between lies one round trip, in which a client is served at
//! once while the refresh runs behind its back.

use std::time::Duration;

use tokio::time::Instant;

/// When upstream last confirmed a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Freshness {
    /// When the request left.
    pub(crate) asked: Instant,
    /// When the answer came.
    pub(crate) checked: Instant,
}

/// What may be done with a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Judgement {
    /// Serve it.
    Fresh,
    /// Serve it, and refresh it.
    Due,
    /// Refresh it before it is served, if that can be done.
    Stale,
}

/// Judges a file at `now`.
pub(crate) fn judge(now: Instant, freshness: Option<Freshness>, ttl: Duration) -> Judgement {
    match freshness {
        Some(freshness) if now < freshness.asked + ttl => Judgement::Fresh,
        Some(freshness) if now < freshness.checked + ttl => Judgement::Due,
        _ => Judgement::Stale,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_file_is_fresh_for_its_ttl_and_due_for_one_round_trip() {
        let start = Instant::now();
        let ms = Duration::from_millis;
        let freshness = Freshness { asked: start, checked: start + ms(40) };
        for (after_ms, expected) in [
            (0, Judgement::Fresh),
            (40, Judgement::Fresh),
            (999, Judgement::Fresh),
            (1000, Judgement::Due),
            (1039, Judgement::Due),
            (1040, Judgement::Stale),
            (9999, Judgement::Stale),
        ] {
            assert_eq!(
                judge(start + ms(after_ms), Some(freshness), ms(1000)),
                expected,
                "{after_ms} ms"
            );
        }
        assert_eq!(judge(start, None, ms(1000)), Judgement::Stale);
        assert_eq!(judge(start + ms(40), Some(freshness), Duration::ZERO), Judgement::Stale);
    }
}
