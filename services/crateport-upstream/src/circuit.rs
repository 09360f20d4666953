//! When a host is left alone: after failures in a row, or at its own request.
//!
//! A pure state machine: the time, and the chance that jitter needs, are passed in. It promises that a dead host is
//! asked by one request at a time and ever more seldom, and that one good answer ends that.

use std::time::{Duration, Instant};

use crate::UpstreamLimits;

/// What is known of a host's health.
#[derive(Debug)]
pub(crate) struct Circuit {
    failures_before_open: u32,
    open_for_min: Duration,
    open_for_max: Duration,
    state: State,
    /// Requests in a row that got no answer.
    unanswered: u32,
    /// Answers in a row whose body broke off. Counted apart, because a host that stalls in every body still sends
    /// its headers.
    unfinished: u32,
    /// How often in a row the host was left alone.
    opened: u32,
    probes: u64,
    cool_off_until: Option<Instant>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Closed,
    /// Left alone. From `until` on, one request may try.
    Open {
        until: Instant,
    },
    /// That one request is under way.
    Probing(u64),
}

/// Leave to ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Admission {
    /// One of many.
    Ordinary,
    /// The one that finds out whether the host is back.
    Probe(u64),
}

/// Where a request failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// No usable answer came.
    Unanswered,
    /// An answer came, and its body broke off.
    Unfinished,
}

/// Why a host is left alone, and for how long still.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// It failed too often.
    Open(Duration),
    /// It asked for fewer requests.
    CoolingOff(Duration),
}

impl Circuit {
    /// A host of which nothing is known.
    pub(crate) const fn new(limits: &UpstreamLimits) -> Self {
        Self {
            failures_before_open: limits.failures_before_open,
            open_for_min: limits.open_for_min,
            open_for_max: limits.open_for_max,
            state: State::Closed,
            unanswered: 0,
            unfinished: 0,
            opened: 0,
            probes: 0,
            cool_off_until: None,
        }
    }

    /// Why a request would be refused now, if it would.
    pub(crate) fn refusal(&self, now: Instant) -> Option<Refusal> {
        if let Some(left) = self.cool_off_until.and_then(|until| left(until, now)) {
            return Some(Refusal::CoolingOff(left));
        }
        match self.state {
            State::Closed => None,
            State::Open { until } => left(until, now).map(Refusal::Open),
            State::Probing(_) => Some(Refusal::Open(self.open_for_min)),
        }
    }

    /// Leave to ask now, or why not. What is admitted must end in one of the methods below.
    pub(crate) fn admit(&mut self, now: Instant) -> Result<Admission, Refusal> {
        if let Some(refusal) = self.refusal(now) {
            return Err(refusal);
        }
        if self.state == State::Closed {
            return Ok(Admission::Ordinary);
        }
        self.probes += 1;
        self.state = State::Probing(self.probes);
        Ok(Admission::Probe(self.probes))
    }

    /// The host answered; a body may follow.
    pub(crate) const fn answered(&mut self) {
        self.state = State::Closed;
        self.unanswered = 0;
    }

    /// The host answered, and the answer is whole.
    pub(crate) const fn completed(&mut self) {
        self.answered();
        self.unfinished = 0;
        self.opened = 0;
    }

    /// The host did not answer, or not to the end. `chance` is between 0 and 1.
    pub(crate) fn failed(
        &mut self,
        admission: Admission,
        failure: Failure,
        now: Instant,
        chance: f64,
    ) {
        match (self.state, admission) {
            (State::Closed, _) => {}
            (State::Probing(current), Admission::Probe(own)) if current == own => {
                return self.open(now, chance);
            }
            // A request from before the host was left alone tells nothing new.
            (State::Open { .. } | State::Probing(_), _) => return,
        }
        let count = match failure {
            Failure::Unanswered => &mut self.unanswered,
            Failure::Unfinished => &mut self.unfinished,
        };
        *count = count.saturating_add(1);
        if *count >= self.failures_before_open {
            // One more of the same kind is enough the next time, until an answer has been whole.
            *count = self.failures_before_open.saturating_sub(1);
            self.open(now, chance);
        }
    }

    /// The request ended without telling anything of the host. A probe gives its place to the next request.
    pub(crate) fn abandoned(&mut self, admission: Admission, now: Instant) {
        if let Admission::Probe(own) = admission
            && self.state == State::Probing(own)
        {
            self.state = State::Open { until: now };
        }
    }

    /// The host asked to be left alone for `wait`.
    pub(crate) fn cool_off(&mut self, now: Instant, wait: Duration) {
        let until = now + wait;
        self.cool_off_until = self.cool_off_until.map_or(Some(until), |old| Some(old.max(until)));
    }

    /// Whether nothing would be lost by forgetting this host.
    pub(crate) fn is_forgettable(&self, now: Instant) -> bool {
        self.refusal(now).is_none() && self.state == State::Closed
    }

    fn open(&mut self, now: Instant, chance: f64) {
        let doubled = self.open_for_min.saturating_mul(1 << self.opened.min(16));
        let longest = doubled.min(self.open_for_max);
        self.opened = self.opened.saturating_add(1);
        // Half of it is fixed and half is left to chance, so that replicas do not come back together.
        let open_for = longest / 2 + (longest / 2).mul_f64(chance.clamp(0.0, 1.0));
        self.state = State::Open { until: now + open_for };
    }
}

/// What is left until `until`, if anything is.
fn left(until: Instant, now: Instant) -> Option<Duration> {
    until.checked_duration_since(now).filter(|left| !left.is_zero())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// One thing that happens to a circuit; `At` moves the clock to so many milliseconds.
    #[derive(Clone, Copy, Debug)]
    enum Event {
        At(u64),
        Fail,
        Break,
        Answer,
        Complete,
        CoolOff(u64),
        /// A probe begins and must be admitted.
        Probe,
        ProbeFails,
        ProbeAnswers,
        ProbeBreaks,
        ProbeVanishes,
    }

    fn play(events: &[Event]) -> (Circuit, Instant) {
        let mut circuit = Circuit::new(&UpstreamLimits::default());
        let start = Instant::now();
        let mut now = start;
        let mut probe = Admission::Ordinary;
        for event in events {
            match *event {
                Event::At(ms) => now = start + Duration::from_millis(ms),
                Event::Fail => {
                    circuit.failed(Admission::Ordinary, Failure::Unanswered, now, 1.0);
                }
                Event::Break => {
                    circuit.failed(Admission::Ordinary, Failure::Unfinished, now, 1.0);
                }
                Event::Answer | Event::ProbeAnswers => circuit.answered(),
                Event::Complete => circuit.completed(),
                Event::CoolOff(ms) => circuit.cool_off(now, Duration::from_millis(ms)),
                Event::Probe => {
                    probe = circuit.admit(now).unwrap();
                    assert!(matches!(probe, Admission::Probe(_)), "{events:?}");
                }
                Event::ProbeFails => circuit.failed(probe, Failure::Unanswered, now, 1.0),
                Event::ProbeBreaks => circuit.failed(probe, Failure::Unfinished, now, 1.0),
                Event::ProbeVanishes => circuit.abandoned(probe, now),
            }
        }
        (circuit, now)
    }

    #[test]
    fn a_host_is_left_alone_after_failures_in_a_row_and_for_as_long_as_it_should() {
        use Event::*;
        let open = |seconds: u64| Some(Refusal::Open(SECOND * u32::try_from(seconds).unwrap()));
        let opened = [Fail, Fail, Fail];
        let table: Vec<(Vec<Event>, Option<Refusal>)> = vec![
            (vec![], None),
            (vec![Fail, Fail], None),
            (opened.to_vec(), open(1)),
            (vec![Fail, Fail, Answer, Fail, Fail], None),
            (vec![Fail, Fail, Complete, Fail, Fail], None),
            // A request from before does not prolong it; a good one ends it.
            ([&opened[..], &[At(500), Fail]].concat(), Some(Refusal::Open(SECOND / 2))),
            ([&opened[..], &[Answer]].concat(), None),
            // In its time one probe is admitted, and only one.
            ([&opened[..], &[At(1000)]].concat(), None),
            ([&opened[..], &[At(1000), Probe]].concat(), open(1)),
            ([&opened[..], &[At(1000), Probe, Fail]].concat(), open(1)),
            ([&opened[..], &[At(1000), Probe, ProbeVanishes]].concat(), None),
            ([&opened[..], &[At(1000), Probe, ProbeVanishes, Probe]].concat(), open(1)),
            ([&opened[..], &[At(1000), Probe, ProbeAnswers]].concat(), None),
            ([&opened[..], &[At(1000), Probe, ProbeAnswers, Fail, Fail]].concat(), None),
            // Failed probes double the time, to its limit.
            ([&opened[..], &[At(1000), Probe, ProbeFails]].concat(), open(2)),
            (
                [&opened[..], &[At(1000), Probe, ProbeFails, At(3000), Probe, ProbeFails]].concat(),
                open(4),
            ),
            (
                [
                    &opened[..],
                    &[At(1000), Probe, ProbeFails, At(3000), Probe, ProbeAnswers, Complete],
                    &opened[..],
                ]
                .concat(),
                open(1),
            ),
            // Answers whose bodies break off count too, though their headers came.
            (vec![Answer, Break, Answer, Break, Answer], None),
            (vec![Answer, Break, Answer, Break, Answer, Break], open(1)),
            (vec![Answer, Break, Answer, Break, Complete, Answer, Break], None),
            (vec![Break, Break, Break, At(1000), Probe, ProbeAnswers, ProbeBreaks], open(2)),
            // At its own request.
            (vec![CoolOff(5000)], Some(Refusal::CoolingOff(5 * SECOND))),
            (vec![CoolOff(5000), CoolOff(1000)], Some(Refusal::CoolingOff(5 * SECOND))),
            (vec![CoolOff(5000), Complete, At(4000)], Some(Refusal::CoolingOff(SECOND))),
            (vec![CoolOff(5000), At(5000)], None),
        ];
        for (events, expected) in table {
            let (circuit, now) = play(&events);
            assert_eq!(circuit.refusal(now), expected, "{events:?}");
        }
    }

    #[test]
    fn the_time_alone_is_bounded_and_jittered() {
        let limits = UpstreamLimits::default();
        for (opened, chance, expected) in [
            (0, 0.0, SECOND / 2),
            (0, 1.0, SECOND),
            (3, 0.5, SECOND * 6),
            (5, 1.0, SECOND * 30),
            (u32::MAX, 1.0, SECOND * 30),
        ] {
            let mut circuit = Circuit { opened, ..Circuit::new(&limits) };
            let now = Instant::now();
            circuit.open(now, chance);
            assert_eq!(circuit.refusal(now), Some(Refusal::Open(expected)));
        }
    }

    #[test]
    fn a_late_word_of_an_older_probe_does_not_free_the_place_of_the_current_one() {
        let (mut circuit, now) = play(&[Event::Fail, Event::Fail, Event::Fail, Event::At(1000)]);
        let older = circuit.admit(now).unwrap();
        circuit.answered();
        for _ in 0..3 {
            circuit.failed(Admission::Ordinary, Failure::Unanswered, now, 1.0);
        }
        let later = now + 2 * SECOND;
        let current = circuit.admit(later).unwrap();
        assert_ne!(older, current);
        circuit.abandoned(older, later);
        circuit.failed(older, Failure::Unanswered, later, 1.0);
        assert!(circuit.admit(later).is_err());
        circuit.abandoned(current, later);
        assert!(circuit.admit(later).is_ok());
    }
}
