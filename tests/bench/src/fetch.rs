//! Part 2: a real `cargo fetch --locked` with an empty home, as every CI job begins, through Crateport, through nginx,
//! and directly; cold and warm, near and far. Time, and bytes on the wire.

pub(crate) mod cargo;

use std::time::Duration;

use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};

use self::cargo::Fetch;
use crate::child::{Cores, Part};
use crate::cpu::Group;
use crate::crateport::{Crateport, Setup};
use crate::link::Link;
use crate::nginx::Nginx;
use crate::registry::Project;
use crate::samples::Samples;
use crate::stand::{Ports, Stand};

/// How much is measured.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    /// How often each number is measured.
    pub(crate) rounds: usize,
    /// Sizes of lock files.
    pub(crate) packages: Vec<usize>,
    /// Round trips between a cache, or cargo itself, and the upstream.
    pub(crate) upstream_ms: Vec<u64>,
    /// Round trips between cargo and a warm cache.
    pub(crate) client_ms: Vec<u64>,
}

/// Through what cargo fetches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Through {
    /// Nothing: the upstream itself, over TLS with h2.
    Directly,
    /// nginx with its recipe.
    Nginx,
    /// Crateport with its defaults.
    Crateport,
}

/// What cargo speaks to a cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Scheme {
    /// Plain http, where cargo asks for h2c.
    Http,
    /// TLS with h2.
    Https,
}

/// Whether a cache has seen it all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Warmth {
    /// It has seen nothing.
    Cold,
    /// A fetch before this one has shown it everything.
    Warm,
}

/// One sort of fetch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct Sort {
    /// Packages in the lock file, about.
    pub(crate) packages: usize,
    /// Through what.
    pub(crate) through: Through,
    /// How.
    pub(crate) scheme: Scheme,
    /// Whether it was fetched before.
    pub(crate) warmth: Warmth,
    /// Round trip from cargo to the cache.
    pub(crate) client_ms: u64,
    /// Round trip to the upstream.
    pub(crate) upstream_ms: u64,
}

/// What was found of one sort.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Cell {
    /// Which.
    #[serde(flatten)]
    pub(crate) sort: Sort,
    /// From cargo's start to its end.
    pub(crate) seconds: Samples,
    /// That came down to cargo, with all protocols' own bytes above TCP.
    pub(crate) down_bytes: Samples,
    /// That cargo sent.
    pub(crate) up_bytes: Samples,
    /// The cache's CPU time.
    pub(crate) server_cpu_seconds: Samples,
    /// cargo's CPU time.
    pub(crate) cargo_cpu_seconds: Samples,
    /// Requests that reached the upstream.
    pub(crate) upstream_requests: Samples,
    /// Requests that cargo had to repeat.
    pub(crate) retries: Samples,
}

/// What part 2 found.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Found {
    /// The projects.
    pub(crate) projects: Vec<Project>,
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
            self.cells.push(Cell::new(sort));
            self.cells.len() - 1
        });
        self.cells.get_mut(at).context("a cell")
    }
}

/// The upstream behind its link.
struct Behind<'a> {
    stand: &'a Stand,
    upstream: Part,
    link: Link,
}

/// A cache that runs.
enum Cache {
    Nginx(Nginx),
    Crateport(Crateport),
}

/// Measures all of it.
pub(crate) fn measure(stand: &Stand, plan: &Plan) -> Result<Found> {
    let (upstream, ports) = stand.upstream(Cores::All)?;
    let link = Link::start(stand, ports.tls, Cores::All)?;
    let mut behind = Behind { stand, upstream, link };
    let mut found = Found::default();
    for &packages in &plan.packages {
        found.projects.push(stand.registry.project(packages)?);
    }
    for round in 0..plan.rounds {
        for &packages in &plan.packages {
            eprintln!("  round {} of {}, {packages} packages", round + 1, plan.rounds);
            for &upstream_ms in &plan.upstream_ms {
                behind.link.set_round_trip(Duration::from_millis(upstream_ms))?;
                behind.directly(&mut found, packages, upstream_ms)?;
                for scheme in [Scheme::Http, Scheme::Https] {
                    for through in [Through::Nginx, Through::Crateport] {
                        let sort = Sort {
                            packages,
                            through,
                            scheme,
                            warmth: Warmth::Cold,
                            client_ms: 0,
                            upstream_ms,
                        };
                        // How far the upstream is does not matter to a warm cache: once is enough.
                        let is_first = plan.upstream_ms.first() == Some(&upstream_ms);
                        let warm: &[u64] = if is_first { &plan.client_ms } else { &[] };
                        behind.through(&mut found, sort, warm)?;
                    }
                }
            }
        }
    }
    Ok(found)
}

impl Behind<'_> {
    fn directly(&mut self, found: &mut Found, packages: usize, upstream_ms: u64) -> Result<()> {
        let sort = Sort {
            packages,
            through: Through::Directly,
            scheme: Scheme::Https,
            warmth: Warmth::Cold,
            client_ms: 0,
            upstream_ms,
        };
        let index = format!("https://{}/index/", self.link.address);
        self.upstream.ask("reset")?;
        self.link.reset()?;
        let fetch = cargo::fetch(self.stand, packages, &index)?;
        let crossed = self.link.crossed()?;
        let cell = found.cell_mut(sort)?;
        cell.add(&fetch, crossed.down_bytes, crossed.up_bytes, Duration::ZERO);
        cell.upstream_requests.add(requests(&mut self.upstream)?);
        Ok(())
    }

    /// A cold fetch through a cache that was just started, then warm ones.
    fn through(&mut self, found: &mut Found, sort: Sort, warm_client_ms: &[u64]) -> Result<()> {
        let cache = Cache::start(self.stand, sort.through, self.link.address)?;
        let to = match sort.scheme {
            Scheme::Http => cache.ports().plain,
            Scheme::Https => cache.ports().tls,
        };
        let mut line = Link::start(self.stand, to, Cores::All)?;
        self.one(found, sort, &cache, &mut line)?;
        for &client_ms in warm_client_ms {
            line.set_round_trip(Duration::from_millis(client_ms))?;
            self.one(found, Sort { warmth: Warmth::Warm, client_ms, ..sort }, &cache, &mut line)?;
        }
        Ok(())
    }

    fn one(&mut self, found: &mut Found, sort: Sort, cache: &Cache, line: &mut Link) -> Result<()> {
        let scheme = if sort.scheme == Scheme::Http { "http" } else { "https" };
        let base = if sort.through == Through::Crateport { "/crates-io/index/" } else { "/index/" };
        let index = format!("{scheme}://{}{base}", line.address);
        self.upstream.ask("reset")?;
        line.reset()?;
        let group = cache.group()?;
        let before = group.cpu_time()?;
        let fetch = cargo::fetch(self.stand, sort.packages, &index);
        let fetch = fetch.with_context(|| format!("{sort:?}"))?;
        let cpu = group.cpu_time()? - before;
        let crossed = line.crossed()?;
        let cell = found.cell_mut(sort)?;
        cell.add(&fetch, crossed.down_bytes, crossed.up_bytes, cpu);
        cell.upstream_requests.add(requests(&mut self.upstream)?);
        Ok(())
    }
}

impl Cell {
    fn new(sort: Sort) -> Self {
        let none = Samples::default;
        Self {
            sort,
            seconds: none(),
            down_bytes: none(),
            up_bytes: none(),
            server_cpu_seconds: none(),
            cargo_cpu_seconds: none(),
            upstream_requests: none(),
            retries: none(),
        }
    }

    fn add(&mut self, fetch: &Fetch, down_bytes: u64, up_bytes: u64, server_cpu: Duration) {
        self.seconds.add(fetch.elapsed.as_secs_f64());
        self.down_bytes.add(down_bytes as f64);
        self.up_bytes.add(up_bytes as f64);
        self.server_cpu_seconds.add(server_cpu.as_secs_f64());
        self.cargo_cpu_seconds.add(fetch.cpu.as_secs_f64());
        self.retries.add(fetch.retries as f64);
    }
}

impl Cache {
    fn start(stand: &Stand, through: Through, upstream: std::net::SocketAddr) -> Result<Self> {
        Ok(match through {
            Through::Nginx => {
                Self::Nginx(Nginx::start(stand, "fetch-nginx", upstream, Cores::All)?)
            }
            _ => Self::Crateport(
                Setup::embedded("fetch-crateport", upstream, Cores::All).start(stand)?,
            ),
        })
    }

    fn ports(&self) -> &Ports {
        match self {
            Self::Nginx(nginx) => &nginx.ports,
            Self::Crateport(crateport) => &crateport.ports,
        }
    }

    fn group(&self) -> Result<Group> {
        match self {
            Self::Nginx(nginx) => nginx.group(),
            Self::Crateport(crateport) => crateport.group(),
        }
    }
}

fn requests(upstream: &mut Part) -> Result<f64> {
    let counts = upstream.ask("counts")?;
    counts.get("total").and_then(serde_json::Value::as_f64).context("a count")
}
