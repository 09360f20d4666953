//! Whether a replica should get requests, and what it can serve.
//!
//! Unready is a word to the load balancer: send them elsewhere. That helps when elsewhere is better off, and does harm
//! when all replicas say it at once. So a replica is ready as long as it can answer what it has never seen or what it
//! holds, be it with more work:
//!
//! | store   | upstreams       | serves      | ready |
//! | ------- | --------------- | ----------- | ----- |
//! | answers | all answer      | `all`       | yes   |
//! | answers | some are down   | `stale`     | yes: what was ever served; only what never was is refused |
//! | silent  | one answers     | `unstored`  | yes: index files from memory, crates from upstream, nothing is kept |
//! | silent  | all are down    | `memory`    | no: only hot index files are left |
//!
//! A store that is out is out for the whole fleet, so it takes nobody out of the load balancer. When upstream is gone at
//! the same time, the replica's own network is the likelier culprit than both at once, and another replica may do better.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{IntGauge, Registry};

/// Whether this replica wants requests: until it begins to shut down.
#[derive(Clone, Debug, Default)]
pub struct Readiness(Arc<AtomicBool>);

/// What a replica can serve.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Serves {
    All,
    Stale,
    Unstored,
    Memory,
}

struct ReadyCollector {
    readiness: Readiness,
    gauge: IntGauge,
}

impl Readiness {
    /// From now on load balancers should send requests elsewhere.
    pub fn end(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_over(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// Makes `metrics` tell.
    ///
    /// # Errors
    ///
    /// When it does already.
    pub fn register(&self, metrics: &Registry) -> Result<(), prometheus::Error> {
        let help = "1 while this replica wants requests; 0 from the beginning of its end.";
        let gauge = IntGauge::new("crateport_ready", help)?;
        metrics.register(Box::new(ReadyCollector { readiness: self.clone(), gauge }))
    }
}

impl Serves {
    /// Judges by whether the store answers, and by whether each upstream is down.
    pub(crate) fn judge(
        store_answers: bool,
        upstreams_down: impl IntoIterator<Item = bool>,
    ) -> Self {
        let (mut any_down, mut any_up, mut any) = (false, false, false);
        for is_down in upstreams_down {
            any = true;
            any_down |= is_down;
            any_up |= !is_down;
        }
        match store_answers {
            true if any_down => Self::Stale,
            true => Self::All,
            false if any_up || !any => Self::Unstored,
            false => Self::Memory,
        }
    }

    /// Whether that is worth a request.
    pub(crate) const fn is_enough(self) -> bool {
        match self {
            Self::All | Self::Stale | Self::Unstored => true,
            Self::Memory => false,
        }
    }

    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Stale => "stale",
            Self::Unstored => "unstored",
            Self::Memory => "memory",
        }
    }
}

impl Collector for ReadyCollector {
    fn desc(&self) -> Vec<&Desc> {
        self.gauge.desc()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        self.gauge.set(i64::from(!self.readiness.is_over()));
        self.gauge.collect()
    }
}

impl fmt::Debug for ReadyCollector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ReadyCollector").field(&self.readiness).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_who_has_neither_store_nor_upstream_is_better_replaced() {
        for (store_answers, upstreams_down, expected) in [
            (true, &[false, false][..], Serves::All),
            (true, &[], Serves::All),
            (true, &[false, true], Serves::Stale),
            (true, &[true, true], Serves::Stale),
            (false, &[false, false], Serves::Unstored),
            (false, &[true, false], Serves::Unstored),
            (false, &[true, true], Serves::Memory),
        ] {
            let serves = Serves::judge(store_answers, upstreams_down.iter().copied());
            assert_eq!(serves, expected, "{store_answers} {upstreams_down:?}");
            assert_eq!(serves.is_enough(), expected != Serves::Memory);
        }
    }
}
