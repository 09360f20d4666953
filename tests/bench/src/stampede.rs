//! Part 3: three hundred clients at once. One cold crate, or three hundred of them; the upstream is a line of limited
//! bandwidth, so that fetching a crate takes a while in which all of the clients ask for it.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use futures_util::future::try_join_all;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::sync::Barrier;

use crate::child::{Cores, Part};
use crate::cpu::Group;
use crate::crateport::{Crateport, Setup};
use crate::fleet::Fleet;
use crate::link::Link;
use crate::load::{Address, Expected, Http1, Request};
use crate::nginx::Nginx;
use crate::registry::{STAMPEDE_COUNT, STAMPEDE_CRATE, STAMPEDE_MANY, VERSION, many};
use crate::samples::Samples;
use crate::stand::Stand;

/// Clients.
pub(crate) const CLIENTS: usize = STAMPEDE_COUNT;
/// The upstream's line: the one crate takes two seconds on it, three hundred small ones three.
const LINE_BYTES_PER_SECOND_ONE: u64 = 1_000_000;
const LINE_BYTES_PER_SECOND_MANY: u64 = 10_000_000;
const ROUND_TRIP: Duration = Duration::from_millis(30);
/// What is stored after the last answer is waited for, so that it is counted.
const QUIET: Duration = Duration::from_millis(500);

/// How much is measured.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    /// How often.
    pub(crate) rounds: usize,
}

/// Whom they ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Whom {
    /// nginx, with `proxy_cache_lock`.
    Nginx,
    /// One Crateport.
    Crateport,
    /// Three replicas, a hundred clients each.
    Fleet,
}

/// What they ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum What {
    /// All for the same crate.
    One,
    /// Each for another crate.
    Many,
}

/// What was found of one stampede.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Cell {
    /// Whom.
    pub(crate) whom: Whom,
    /// For what.
    pub(crate) what: What,
    /// GETs of crates that reached the upstream.
    pub(crate) upstream_crates: Samples,
    /// The most GETs of one crate.
    pub(crate) upstream_most: Samples,
    /// Until half of the clients had their first byte.
    pub(crate) first_byte_p50_ms: Samples,
    /// Until all of them had it.
    pub(crate) first_byte_last_ms: Samples,
    /// Until half of the clients had everything.
    pub(crate) last_byte_p50_ms: Samples,
    /// Until all of them had it.
    pub(crate) last_byte_last_ms: Samples,
    /// CPU time of the servers asked.
    pub(crate) cpu_ms: Samples,
    /// The most memory that was resident, all servers together.
    pub(crate) resident_bytes_peak: Samples,
}

/// What part 3 found.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Found {
    /// How long one client alone takes for the one crate from the upstream.
    pub(crate) transfer_one_ms: Samples,
    /// Every stampede.
    pub(crate) cells: Vec<Cell>,
}

/// Servers that run.
enum Servers {
    Nginx(Nginx),
    Crateport(Crateport),
    Fleet(Fleet),
}

/// When a client had its bytes.
struct Times {
    first_byte: Duration,
    last_byte: Duration,
}

/// How long the line takes for the bytes of the three hundred crates.
pub(crate) fn transfer_many() -> Duration {
    let bytes = (STAMPEDE_COUNT * STAMPEDE_MANY.1) as f64;
    Duration::from_secs_f64(bytes / LINE_BYTES_PER_SECOND_MANY as f64)
}

impl Whom {
    /// Whether it is Crateport.
    pub(crate) fn is_ours(self) -> bool {
        self != Self::Nginx
    }
}

impl Found {
    /// What was found of a stampede.
    pub(crate) fn cell(&self, whom: Whom, what: What) -> Option<&Cell> {
        self.cells.iter().find(|cell| (cell.whom, cell.what) == (whom, what))
    }
}

/// Measures all of it.
pub(crate) fn measure(stand: &Stand, plan: Plan) -> Result<Found> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (mut upstream, ports) = stand.upstream(Cores::All)?;
    // Clients of the line itself are plain, so that they need no TLS of their own.
    let mut plain = Link::start(stand, ports.plain, Cores::All)?;
    let mut link = Link::start(stand, ports.tls, Cores::All)?;
    let mut found = Found::default();
    for round in 0..plan.rounds {
        eprintln!("  round {} of {}", round + 1, plan.rounds);
        for what in [What::One, What::Many] {
            for line in [&mut plain, &mut link] {
                line.set_round_trip(ROUND_TRIP)?;
                line.set_bytes_per_second(match what {
                    What::One => LINE_BYTES_PER_SECOND_ONE,
                    What::Many => LINE_BYTES_PER_SECOND_MANY,
                })?;
            }
            if what == What::One {
                let alone = runtime.block_on(alone(plain.address))?;
                found.transfer_one_ms.add(alone.as_secs_f64() * 1e3);
            }
            for whom in [Whom::Nginx, Whom::Crateport, Whom::Fleet] {
                let servers = Servers::start(stand, whom, link.address)?;
                upstream.ask("reset")?;
                let group = servers.group()?;
                let before = group.cpu_time()?;
                let times = runtime.block_on(stampede(&servers.bases(), what));
                let times = times.with_context(|| format!("{whom:?} {what:?}"))?;
                std::thread::sleep(QUIET);
                let cpu = group.cpu_time()? - before;
                let cell = cell_mut(&mut found.cells, whom, what)?;
                cell.add(&times, cpu, &group, &mut upstream)?;
            }
        }
    }
    Ok(found)
}

/// One client that takes the one crate from the upstream.
async fn alone(upstream: SocketAddr) -> Result<Duration> {
    let address = Address::plain(upstream);
    let mut connection = Http1::connect(&address).await?;
    connection.look(&address, "/index/config.json", &[]).await?;
    let start = Instant::now();
    connection.look(&address, &path(What::One, 0, "/crates"), &[]).await?;
    Ok(start.elapsed())
}

/// All clients connect, then all ask at once.
async fn stampede(bases: &[(SocketAddr, &'static str)], what: What) -> Result<Vec<Times>> {
    let barrier = Barrier::new(CLIENTS);
    let clients = (0..CLIENTS).map(|number| {
        let barrier = &barrier;
        async move {
            let (socket, crates) = bases.get(number % bases.len()).context("a server")?;
            let address = Address::plain(*socket);
            let mut connection = Http1::connect(&address).await?;
            let expected = Expected { status: 200, body_bytes: None };
            let path = path(what, number, crates);
            let request = Request::get(&address.authority(), false, &path, &[], expected);
            barrier.wait().await;
            let answer = connection.ask(&request).await?;
            let size = match what {
                What::One => STAMPEDE_CRATE.1,
                What::Many => 1,
            };
            anyhow::ensure!(answer.body_bytes >= u64::try_from(size)?, "a whole crate");
            Ok(Times { first_byte: answer.first_byte, last_byte: answer.last_byte })
        }
    });
    try_join_all(clients).await
}

fn path(what: What, number: usize, crates: &str) -> String {
    let name = match what {
        What::One => STAMPEDE_CRATE.0.to_owned(),
        What::Many => many(number),
    };
    format!("{crates}/{name}/{VERSION}/download")
}

fn cell_mut(cells: &mut Vec<Cell>, whom: Whom, what: What) -> Result<&mut Cell> {
    let at = cells.iter().position(|cell| (cell.whom, cell.what) == (whom, what));
    let at = at.unwrap_or_else(|| {
        cells.push(Cell::new(whom, what));
        cells.len() - 1
    });
    cells.get_mut(at).context("a cell")
}

impl Cell {
    fn new(whom: Whom, what: What) -> Self {
        let none = Samples::default;
        Self {
            whom,
            what,
            upstream_crates: none(),
            upstream_most: none(),
            first_byte_p50_ms: none(),
            first_byte_last_ms: none(),
            last_byte_p50_ms: none(),
            last_byte_last_ms: none(),
            cpu_ms: none(),
            resident_bytes_peak: none(),
        }
    }

    fn add(
        &mut self,
        times: &[Times],
        cpu: Duration,
        group: &Group,
        upstream: &mut Part,
    ) -> Result<()> {
        let ms = |of: fn(&Times) -> Duration| -> Samples {
            times.iter().map(|times| of(times).as_secs_f64() * 1e3).collect()
        };
        let (first, last) = (ms(|times| times.first_byte), ms(|times| times.last_byte));
        self.first_byte_p50_ms.add(first.median());
        self.first_byte_last_ms.add(first.max());
        self.last_byte_p50_ms.add(last.median());
        self.last_byte_last_ms.add(last.max());
        self.cpu_ms.add(cpu.as_secs_f64() * 1e3);
        self.resident_bytes_peak.add(group.resident_bytes_peak()? as f64);
        let counts = upstream.ask("counts")?;
        let count = |key: &str| counts.get(key).and_then(Value::as_f64).context("a count");
        self.upstream_crates.add(count("crates")?);
        self.upstream_most.add(count("crate_most")?);
        Ok(())
    }
}

impl Servers {
    fn start(stand: &Stand, whom: Whom, upstream: SocketAddr) -> Result<Self> {
        Ok(match whom {
            Whom::Nginx => {
                Self::Nginx(Nginx::start(stand, "stampede-nginx", upstream, Cores::All)?)
            }
            Whom::Crateport => {
                let setup = Setup::embedded("stampede-crateport", upstream, Cores::All);
                Self::Crateport(setup.start(stand)?)
            }
            Whom::Fleet => {
                Self::Fleet(Fleet::start(stand, "stampede-fleet", upstream, Cores::All, |setup| {
                    // Through the replicas, as the others do it, and not by redirect.
                    setup.flag("--delivery", "stream")
                })?)
            }
        })
    }

    fn group(&self) -> Result<Group> {
        match self {
            Self::Nginx(nginx) => nginx.group(),
            Self::Crateport(crateport) => crateport.group(),
            Self::Fleet(fleet) => fleet.group(),
        }
    }

    /// Where clients connect, and where crates are there.
    fn bases(&self) -> Vec<(SocketAddr, &'static str)> {
        match self {
            Self::Nginx(nginx) => vec![(nginx.ports.plain, "/crates")],
            Self::Crateport(crateport) => vec![(crateport.ports.plain, "/crates-io/crates")],
            Self::Fleet(fleet) => {
                let replicas = fleet.replicas.iter();
                replicas.map(|replica| (replica.ports.plain, "/crates-io/crates")).collect()
            }
        }
    }
}
