//! Who waits for a host, and since when: what makes it slow before it has failed.

use std::collections::BTreeMap;
use std::time::Instant;

/// The requests to one host that wait for it at this moment. Bounded by the permits of that host.
#[derive(Debug, Default)]
pub(crate) struct Waiting {
    next: u64,
    since: BTreeMap<u64, (Instant, Stage)>,
}

/// What is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// The headers.
    Answer,
    /// The next bytes of a body.
    Body,
}

impl Waiting {
    /// Someone begins to wait. Times must not run backwards.
    pub(crate) fn begin(&mut self, now: Instant, stage: Stage) -> u64 {
        self.next += 1;
        self.since.insert(self.next, (now, stage));
        self.next
    }

    /// They no longer do, for whatever reason.
    pub(crate) fn end(&mut self, id: u64) {
        self.since.remove(&id);
    }

    /// The host sent headers to someone: whoever waited for theirs until now proves nothing any more.
    pub(crate) fn answered(&mut self) {
        self.since.retain(|_, (_, stage)| *stage == Stage::Body);
    }

    /// The host sent a whole answer to someone.
    pub(crate) fn completed(&mut self) {
        self.since.clear();
    }

    /// Since when the host has been silent towards someone, with no success since.
    pub(crate) fn oldest(&self) -> Option<Instant> {
        self.since.first_key_value().map(|(_, (since, _))| *since)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn only_those_who_wait_since_the_last_success_count() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut waiting = Waiting::default();
        assert_eq!(waiting.oldest(), None);

        let first = waiting.begin(at(0), Stage::Answer);
        let second = waiting.begin(at(1), Stage::Answer);
        assert_eq!(waiting.oldest(), Some(at(0)));
        waiting.end(first);
        assert_eq!(waiting.oldest(), Some(at(1)));

        waiting.answered();
        assert_eq!(waiting.oldest(), None, "one success is enough");
        waiting.end(second);

        waiting.begin(at(2), Stage::Body);
        waiting.begin(at(3), Stage::Answer);
        waiting.answered();
        assert_eq!(waiting.oldest(), Some(at(2)), "headers do not excuse a stalled body");
        waiting.completed();
        assert_eq!(waiting.oldest(), None);
    }
}
