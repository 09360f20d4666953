//! Part 6: from which size on a crate should leave by redirect. A real `cargo fetch --locked` with an empty home through
//! a warm replica, whose crates lie in S3: cargo reaches both over links of their own. What is redirected costs the
//! replica no bytes, but cargo has only two connections to the S3 server, which speaks HTTP/1.1.

use std::time::Duration;

use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};

use crate::child::Cores;
use crate::crateport::Setup;
use crate::fetch::{Scheme, cargo};
use crate::link::Link;
use crate::s3::S3;
use crate::samples::Samples;
use crate::stand::Stand;

/// How much is measured.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    /// How often.
    pub(crate) rounds: usize,
    /// Packages in the lock file.
    pub(crate) packages: usize,
}

/// Sizes from which crates are redirected, and none for none at all.
pub(crate) const SIZES: [Option<u64>; 6] =
    [None, Some(4 << 20), Some(1 << 20), Some(256 << 10), Some(64 << 10), Some(0)];
/// Round trips to the replica and to the S3 server, in milliseconds: within a region, where an S3 server takes some time
/// before its first byte, and from afar.
pub(crate) const DISTANCES_MS: [(u64, u64); 2] = [(1, 20), (30, 50)];

/// One sort of fetch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Sort {
    /// What cargo speaks to the replica.
    pub(crate) scheme: Scheme,
    /// Round trip to it.
    pub(crate) replica_ms: u64,
    /// Round trip to the S3 server.
    pub(crate) s3_ms: u64,
    /// From which size on crates are redirected.
    pub(crate) redirect_bytes_min: Option<u64>,
}

/// What was found of one sort.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Cell {
    /// Which.
    #[serde(flatten)]
    pub(crate) sort: Sort,
    /// From cargo's start to its end.
    pub(crate) seconds: Samples,
    /// The replica's CPU time.
    pub(crate) server_cpu_seconds: Samples,
    /// That came from the replica.
    pub(crate) replica_bytes: Samples,
    /// That came from the S3 server.
    pub(crate) s3_bytes: Samples,
}

/// What part 6 found.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Found {
    /// Packages in the lock file.
    pub(crate) packages: usize,
    /// All sorts.
    pub(crate) cells: Vec<Cell>,
}

impl Found {
    /// What was found of a sort.
    pub(crate) fn cell(&self, sort: Sort) -> Option<&Cell> {
        self.cells.iter().find(|cell| cell.sort == sort)
    }

    fn cell_mut(&mut self, sort: Sort) -> Result<&mut Cell> {
        let at = self.cells.iter().position(|cell| cell.sort == sort).unwrap_or_else(|| {
            let none = Samples::default;
            self.cells.push(Cell {
                sort,
                seconds: none(),
                server_cpu_seconds: none(),
                replica_bytes: none(),
                s3_bytes: none(),
            });
            self.cells.len() - 1
        });
        self.cells.get_mut(at).context("a cell")
    }
}

/// Measures all of it.
pub(crate) fn measure(stand: &Stand, plan: &Plan) -> Result<Found> {
    let (_upstream, ports) = stand.upstream(Cores::All)?;
    let s3 = S3::start(stand)?;
    let mut to_s3 = Link::start(stand, s3.address()?, Cores::All)?;
    let mut found = Found { packages: plan.packages, cells: Vec::new() };
    for round in 0..plan.rounds {
        for redirect_bytes_min in SIZES {
            eprintln!("  round {} of {}, {redirect_bytes_min:?}", round + 1, plan.rounds);
            let setup = Setup::embedded("delivery", ports.tls, Cores::All);
            let setup = s3
                .keeps(setup, "delivery")?
                .flag("--s3-public-endpoint", format!("http://{}", to_s3.address));
            let setup = match redirect_bytes_min {
                Some(bytes) => setup.flag("--redirect-size-min", bytes.to_string()),
                None => setup.flag("--delivery", "stream"),
            };
            let replica = setup.start(stand)?;
            for (scheme, name, to) in [
                (Scheme::Http, "http", replica.ports.plain),
                (Scheme::Https, "https", replica.ports.tls),
            ] {
                let mut to_replica = Link::start(stand, to, Cores::All)?;
                let index = format!("{name}://{}/crates-io/index/", to_replica.address);
                // Afterwards everything is known here.
                cargo::fetch(stand, plan.packages, &index)?;
                for (replica_ms, s3_ms) in DISTANCES_MS {
                    to_replica.set_round_trip(Duration::from_millis(replica_ms))?;
                    to_s3.set_round_trip(Duration::from_millis(s3_ms))?;
                    to_replica.reset()?;
                    to_s3.reset()?;
                    let group = replica.group()?;
                    let before = group.cpu_time()?;
                    let sort = Sort { scheme, replica_ms, s3_ms, redirect_bytes_min };
                    let fetch = cargo::fetch(stand, plan.packages, &index);
                    let fetch = fetch.with_context(|| format!("{sort:?}"))?;
                    let cpu = group.cpu_time()? - before;
                    let cell = found.cell_mut(sort)?;
                    cell.seconds.add(fetch.elapsed.as_secs_f64());
                    cell.server_cpu_seconds.add(cpu.as_secs_f64());
                    cell.replica_bytes.add(to_replica.crossed()?.down_bytes as f64);
                    cell.s3_bytes.add(to_s3.crossed()?.down_bytes as f64);
                }
                to_s3.set_round_trip(Duration::ZERO)?;
            }
        }
    }
    Ok(found)
}
