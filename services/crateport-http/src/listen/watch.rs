//! Judges, from what a connection is doing, whether it has waited for its peer too long.
//!
//! A connection has one timer. When it rings, [`Watch::judge`] looks at the connection's [`Seen`] and says when to look
//! again, or that it is over. Nothing is armed or disarmed per request.

use std::time::Duration;

use super::activity::Seen;
use super::limits::Limits;

/// The timeouts of one connection and what was last seen of it.
#[derive(Debug)]
pub(crate) struct Watch {
    heads: Heads,
    header_timeout: Duration,
    idle_timeout: Duration,
    body_timeout: Duration,
    retired: Option<Progress>,
}

/// Whether the time of single request heads is watched here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Heads {
    /// HTTP/1: a head comes alone on its connection.
    Watched,
    /// HTTP/2: heads are frames, and a peer that sends half of one is an idle peer.
    Unwatched,
}

/// What to do with the connection now. Times are since it was accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Look again at this time.
    Wait(Duration),
    /// Close it gracefully: nobody uses it. Then judge again.
    Retire,
    /// Cut it.
    Cut(Overdue),
}

/// Why a connection is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Overdue {
    /// The request head did not arrive in time.
    Head,
    /// The peer of a closing connection does not take what is still to be written.
    Stalled,
}

/// How far a closing connection had come when it was last seen to move.
#[derive(Debug, Clone, Copy)]
struct Progress {
    at: Duration,
    written_bytes: u64,
}

/// A closing connection moves if it writes more than this in a `body_timeout`. PINGs and their answers (17 bytes each)
/// stay well below it.
const PROGRESS_BYTES_MIN: u64 = 1024;

impl Watch {
    pub(crate) fn new(heads: Heads, limits: &Limits) -> Self {
        Self {
            heads,
            header_timeout: limits.header_timeout,
            idle_timeout: limits.idle_timeout,
            body_timeout: limits.body_timeout,
            retired: None,
        }
    }

    /// The connection is closing: from `now` on it must move to stay.
    pub(crate) fn retire(&mut self, now: Duration, seen: Seen) {
        self.retired.get_or_insert(Progress { at: now, written_bytes: seen.written_bytes });
    }

    /// What to do at the time `now`.
    pub(crate) fn judge(&mut self, now: Duration, seen: Seen) -> Verdict {
        // Whatever begins after this look is looked at again before it can be overdue.
        let next_look = now
            + match self.heads {
                Heads::Watched => self.header_timeout.min(self.idle_timeout),
                Heads::Unwatched => self.idle_timeout,
            };
        if seen.in_flight > 0 {
            return Verdict::Wait(next_look);
        }
        let mut deadline = next_look;
        if self.heads == Heads::Watched
            && let Some(head_since) = seen.head_since
        {
            let head_deadline = head_since + self.header_timeout;
            if head_deadline <= now {
                return Verdict::Cut(Overdue::Head);
            }
            deadline = deadline.min(head_deadline);
        }
        match &mut self.retired {
            None => {
                let idle_deadline = seen.idle_since + self.idle_timeout;
                if idle_deadline <= now {
                    return Verdict::Retire;
                }
                deadline = deadline.min(idle_deadline);
            }
            Some(progress) => {
                if seen.written_bytes.saturating_sub(progress.written_bytes) >= PROGRESS_BYTES_MIN {
                    *progress = Progress { at: now, written_bytes: seen.written_bytes };
                }
                let stall_deadline = progress.at + self.body_timeout;
                if stall_deadline <= now {
                    return Verdict::Cut(Overdue::Stalled);
                }
                deadline = deadline.min(stall_deadline);
            }
        }
        Verdict::Wait(deadline)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    /// Head 10 s, idle 60 s, body 30 s.
    fn watch(heads: Heads) -> Watch {
        let limits = Limits {
            header_timeout: seconds(10),
            idle_timeout: seconds(60),
            body_timeout: seconds(30),
            ..Limits::default()
        };
        Watch::new(heads, &limits)
    }

    fn seen(in_flight: u32, idle_since: u64, head_since: Option<u64>) -> Seen {
        Seen {
            in_flight,
            idle_since: seconds(idle_since),
            head_since: head_since.map(seconds),
            written_bytes: 0,
        }
    }

    #[test]
    fn a_connection_is_judged_by_the_request_it_waits_for() {
        use Heads::{Unwatched, Watched};
        use Verdict::{Cut, Retire, Wait};
        let table = [
            ("new, silent", Watched, 0, seen(0, 0, Some(0)), Wait(seconds(10))),
            ("silent to the end", Watched, 10, seen(0, 0, Some(0)), Cut(Overdue::Head)),
            ("half a head", Watched, 105, seen(0, 90, Some(100)), Wait(seconds(110))),
            ("half a head for too long", Watched, 110, seen(0, 90, Some(100)), Cut(Overdue::Head)),
            ("between requests", Watched, 100, seen(0, 90, None), Wait(seconds(110))),
            ("about to be idle", Watched, 145, seen(0, 90, None), Wait(seconds(150))),
            ("idle", Watched, 150, seen(0, 90, None), Retire),
            ("slow service", Watched, 1000, seen(1, 0, None), Wait(seconds(1010))),
            ("h2, between requests", Unwatched, 100, seen(0, 90, Some(95)), Wait(seconds(150))),
            ("h2, half a head is idle", Unwatched, 150, seen(0, 90, Some(95)), Retire),
            ("h2, slow service", Unwatched, 1000, seen(250, 0, None), Wait(seconds(1060))),
        ];
        for (name, heads, now, seen, expected) in table {
            assert_eq!(watch(heads).judge(seconds(now), seen), expected, "{name}");
        }
    }

    #[test]
    fn a_closing_connection_stays_while_its_peer_reads() {
        let mut watch = watch(Heads::Unwatched);
        let written = |written_bytes| Seen { written_bytes, ..seen(0, 0, None) };
        watch.retire(seconds(60), written(0));
        assert_eq!(watch.judge(seconds(60), written(0)), Verdict::Wait(seconds(90)));
        assert_eq!(watch.judge(seconds(90), written(4096)), Verdict::Wait(seconds(120)));
        assert_eq!(watch.judge(seconds(120), written(4096 + 34)), Verdict::Cut(Overdue::Stalled));
    }
}
