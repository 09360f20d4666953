//! How much is measured: in full for the page, in a few minutes to see that something has not become slower.

use std::time::Duration;

use clap::ValueEnum;

use crate::{delivery, fetch, growth, soak, stampede, warm};

/// The parts of the benchmark.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Part {
    /// CPU time, throughput and latencies of warm answers.
    Warm,
    /// A real cargo.
    Fetch,
    /// Three hundred clients at once.
    Stampede,
    /// Many objects, many connections.
    Growth,
    /// A long time.
    Soak,
    /// Redirect or stream.
    Delivery,
}

/// Sizes of everything.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    /// Whether it is the quick one.
    pub(crate) is_quick: bool,
    /// Part 1.
    pub(crate) warm: warm::Plan,
    /// Part 2.
    pub(crate) fetch: fetch::Plan,
    /// Part 3.
    pub(crate) stampede: stampede::Plan,
    /// Part 4.
    pub(crate) growth: growth::Plan,
    /// Part 5.
    pub(crate) soak: soak::Plan,
    /// Part 6.
    pub(crate) delivery: delivery::Plan,
}

impl Part {
    /// Its name in the results.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Warm => "1 warm",
            Self::Fetch => "2 fetch",
            Self::Stampede => "3 stampede",
            Self::Growth => "4 growth",
            Self::Soak => "5 soak",
            Self::Delivery => "6 delivery",
        }
    }
}

impl Plan {
    /// A few minutes.
    pub(crate) fn quick() -> Self {
        Self {
            is_quick: true,
            warm: warm::Plan {
                rounds: 3,
                duration: Duration::from_millis(60),
                tail_duration: Duration::from_secs(2),
            },
            fetch: fetch::Plan {
                rounds: 1,
                packages: vec![400],
                upstream_ms: vec![30],
                client_ms: vec![30],
            },
            stampede: stampede::Plan { rounds: 1 },
            growth: growth::Plan {
                objects: vec![1, 1_000, 100_000],
                connections: vec![10, 1_000, 8_000],
                starts: 3,
                rounds: 3,
                requests: 20_000,
            },
            soak: soak::Plan { duration: Duration::from_secs(40) },
            delivery: delivery::Plan { rounds: 1, packages: 400 },
        }
    }

    /// The same with so many rounds in every part.
    pub(crate) fn set_rounds(&mut self, rounds: usize) {
        self.warm.rounds = rounds;
        self.fetch.rounds = rounds;
        self.stampede.rounds = rounds;
        self.growth.rounds = rounds;
        self.delivery.rounds = rounds;
    }

    /// What the baseline is compared with: less of everything else, more rounds of what is compared.
    pub(crate) fn check() -> Self {
        let warm = warm::Plan {
            rounds: 5,
            duration: Duration::from_millis(100),
            tail_duration: Duration::from_millis(500),
        };
        Self { warm, ..Self::quick() }
    }

    /// A few hours.
    pub(crate) fn full() -> Self {
        Self {
            is_quick: false,
            warm: warm::Plan {
                rounds: 7,
                duration: Duration::from_millis(700),
                tail_duration: Duration::from_secs(10),
            },
            fetch: fetch::Plan {
                rounds: 3,
                packages: vec![60, 400, 1000],
                upstream_ms: vec![0, 30, 100],
                client_ms: vec![0, 30],
            },
            stampede: stampede::Plan { rounds: 3 },
            growth: growth::Plan {
                objects: vec![1, 1_000, 100_000, 1_000_000],
                connections: vec![10, 1_000, 10_000],
                starts: 5,
                rounds: 5,
                requests: 50_000,
            },
            soak: soak::Plan { duration: Duration::from_secs(3600) },
            delivery: delivery::Plan { rounds: 5, packages: 400 },
        }
    }
}
