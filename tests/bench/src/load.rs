//! The load: clients that cost next to nothing themselves, so that one processor of them can fill one of the server.
//!
//! Requests are made once, as bytes; of an answer the status and the length are checked and the rest is thrown away.
//! A session connects first and warms up, then sends a number of requests with a fixed number of them in flight.

mod h1;
mod h2;
mod latency;
mod pace;
mod request;
mod stream;
mod tickets;

use std::cell::RefCell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use futures_util::future::try_join_all;
use serde::{Deserialize, Serialize};

pub(crate) use self::h1::{Http1, Seen};
pub(crate) use self::latency::Latencies;
pub(crate) use self::request::{Expected, Request};
pub(crate) use self::stream::Address;
use self::tickets::Tickets;

/// How requests are put on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) enum Protocol {
    /// HTTP/1.1, plain, with keep-alive.
    #[serde(rename = "http/1.1")]
    Http1,
    /// HTTP/2, plain, by prior knowledge.
    #[serde(rename = "h2c")]
    H2c,
    /// HTTP/2 over TLS.
    #[serde(rename = "h2 tls")]
    H2Tls,
}

/// How many requests are in flight.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape {
    /// Connections.
    pub(crate) connections: usize,
    /// Requests in flight on each; 1 with HTTP/1.1.
    pub(crate) streams: usize,
}

/// What a run of requests showed.
#[derive(Debug)]
pub(crate) struct Report {
    /// Answers, all as expected.
    pub(crate) requests: u64,
    /// From the first request to the last byte of the last answer.
    pub(crate) elapsed: Duration,
    /// Of each answer, to its last byte.
    pub(crate) latencies: Latencies,
}

/// Open connections.
pub(crate) struct Session {
    connections: Connections,
    streams: usize,
}

enum Connections {
    Http1(Vec<Http1>),
    H2(Vec<h2::H2>),
}

impl Protocol {
    /// All, in the order of the page.
    pub(crate) const ALL: [Self; 3] = [Self::Http1, Self::H2c, Self::H2Tls];

    /// Its name on the page.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Http1 => "http/1.1",
            Self::H2c => "h2c",
            Self::H2Tls => "h2 tls",
        }
    }
}

impl Shape {
    /// So many requests in flight, spread as clients with this protocol spread them.
    pub(crate) fn of(protocol: Protocol, in_flight: usize) -> Self {
        match protocol {
            Protocol::Http1 => Self { connections: in_flight, streams: 1 },
            Protocol::H2c | Protocol::H2Tls => {
                let connections = in_flight.min(4);
                Self { connections, streams: in_flight / connections }
            }
        }
    }
}

impl Session {
    /// Opens the connections.
    pub(crate) async fn connect(
        address: &Address,
        protocol: Protocol,
        shape: Shape,
    ) -> Result<Self> {
        let connections = 0..shape.connections;
        let connections = match protocol {
            Protocol::Http1 => Connections::Http1(
                try_join_all(connections.map(|_| Http1::connect(address))).await?,
            ),
            Protocol::H2c | Protocol::H2Tls => {
                Connections::H2(try_join_all(connections.map(|_| h2::H2::connect(address))).await?)
            }
        };
        Ok(Self { connections, streams: shape.streams })
    }

    /// Sends so many of these requests, by turns, as fast as they are answered.
    pub(crate) async fn run(&mut self, requests: &[Request], count: u64) -> Result<Report> {
        ensure!(!requests.is_empty(), "nothing to ask for");
        let tickets = Tickets::new(requests, count);
        let latencies = Rc::new(RefCell::new(Latencies::default()));
        let start = Instant::now();
        match &mut self.connections {
            Connections::Http1(all) => {
                let runs = all.iter_mut().map(|one| one.run(&tickets, &latencies));
                try_join_all(runs).await?;
            }
            Connections::H2(all) => {
                let streams = self.streams;
                let runs = all.iter_mut().map(|one| one.run(&tickets, streams, &latencies));
                try_join_all(runs).await?;
            }
        }
        let elapsed = start.elapsed();
        Ok(Report { requests: count, elapsed, latencies: latencies.take() })
    }

    /// Sends these requests at a fixed rate, whether or not they are answered; HTTP/1.1 alone.
    pub(crate) async fn run_paced(
        &mut self,
        requests: &[Request],
        per_second: f64,
        duration: Duration,
    ) -> Result<Report> {
        match &mut self.connections {
            Connections::Http1(all) => pace::run(all, requests, per_second, duration).await,
            Connections::H2(_) => anyhow::bail!("only HTTP/1.1 is sent at a fixed rate"),
        }
    }
}
