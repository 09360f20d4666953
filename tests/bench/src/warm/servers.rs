//! The servers of part 1, all on the same processor, and the requests that each of them gets.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use crateport_testkit::redis::RedisServer;
use serde::{Deserialize, Serialize};
use tokio::runtime::Runtime;

use super::{Case, Cell};
use crate::child::{Cores, Part};
use crate::cpu::Group;
use crate::crateport::{Crateport, Setup};
use crate::floor;
use crate::load::{Address, Expected, Http1, Protocol, Request};
use crate::nginx::Nginx;
use crate::s3::S3;
use crate::samples::Samples;
use crate::stand::{Ports, Stand};

/// Who is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Server {
    /// A minimal hyper server of static bytes of the same size.
    Floor,
    /// nginx with its recipe.
    Nginx,
    /// Crateport with its defaults, its files in a directory.
    Crateport,
    /// The same without a log line per request.
    CrateportQuiet,
    /// A replica of a fleet on Redis and S3, streaming crates.
    ReplicaStream,
    /// A replica of a fleet on Redis and S3, redirecting to it.
    ReplicaRedirect,
}

/// How long it may take until an answer is warm.
const SETTLE_DEADLINE: Duration = Duration::from_secs(10);
const SETTLE_POLL: Duration = Duration::from_millis(50);

/// The memory of one server under all of the warm load.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Memory {
    /// Whose.
    pub(crate) server: Server,
    /// The most that was ever resident.
    pub(crate) resident_bytes_peak: f64,
}

/// All of them, running.
pub(super) struct Servers {
    authority: PathBuf,
    floor: (Part, Ports),
    nginx: Nginx,
    crateports: Vec<(Server, Crateport)>,
    _redis: RedisServer,
    _s3: S3,
    _upstream: Part,
}

/// What a server said to a first request.
struct Probe {
    status: u16,
    body_bytes: u64,
    etag: Option<String>,
}

impl Server {
    /// All, in the order of the page.
    pub(crate) const ALL: [Self; 6] = [
        Self::Floor,
        Self::Nginx,
        Self::Crateport,
        Self::CrateportQuiet,
        Self::ReplicaStream,
        Self::ReplicaRedirect,
    ];

    /// Its name on the page.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Floor => "floor",
            Self::Nginx => "nginx",
            Self::Crateport => "Crateport",
            Self::CrateportQuiet => "Crateport, log=warn",
            Self::ReplicaStream => "replica, delivery=stream",
            Self::ReplicaRedirect => "replica, delivery=redirect",
        }
    }

    /// Whether it is what the others are measured by.
    pub(crate) fn is_measure(self) -> bool {
        matches!(self, Self::Floor | Self::Nginx)
    }

    /// Where its index and its crates are; the floor has neither.
    pub(super) fn bases(self) -> (&'static str, &'static str) {
        match self {
            Self::Floor | Self::Nginx => ("/index", "/crates"),
            _ => ("/crates-io/index", "/crates-io/crates"),
        }
    }

    fn is_asked(self, case: Case) -> bool {
        match case {
            Case::Redirect => matches!(self, Self::Floor | Self::ReplicaRedirect),
            Case::Crate(_) => self != Self::ReplicaRedirect,
            // What is in memory is the same whatever the store.
            _ => !matches!(self, Self::ReplicaStream | Self::ReplicaRedirect),
        }
    }
}

impl Servers {
    pub(super) fn start(stand: &Stand, runtime: &Runtime) -> Result<Self> {
        let (upstream, upstream_ports) = stand.upstream(Cores::Beside)?;
        let upstream_address = upstream_ports.tls;
        let s3 = S3::start(stand)?;
        let redis = runtime.block_on(RedisServer::start());
        let setup = |name: &str| Setup::embedded(name, upstream_address, Cores::Server);
        let replica = |name: &str, delivery: &str| {
            let setup = s3
                .keeps(setup(name), name)?
                .flag("--coord", redis.url())
                .flag("--advertise-address", "127.0.0.1");
            Ok::<_, anyhow::Error>(setup.flag("--delivery", delivery))
        };
        let crateports = [
            (Server::Crateport, setup("crateport")),
            (Server::CrateportQuiet, setup("crateport-quiet").flag("--log", "warn")),
            (Server::ReplicaStream, replica("replica-stream", "stream")?),
            (Server::ReplicaRedirect, replica("replica-redirect", "redirect")?),
        ];
        let crateports =
            crateports.into_iter().map(|(server, setup)| Ok((server, setup.start(stand)?)));
        Ok(Self {
            authority: stand.authority(),
            floor: stand.server("floor", &[], Cores::Server)?,
            nginx: Nginx::start(stand, "nginx", upstream_address, Cores::Server)?,
            crateports: crateports.collect::<Result<_>>()?,
            _redis: redis,
            _s3: s3,
            _upstream: upstream,
        })
    }

    /// How a server is reached.
    pub(super) fn address(&self, server: Server, protocol: Protocol) -> Result<Address> {
        let ports = match server {
            Server::Floor => &self.floor.1,
            Server::Nginx => &self.nginx.ports,
            _ => &self.crateport(server)?.ports,
        };
        match (protocol, server) {
            (Protocol::H2Tls, _) => Address::tls(ports.tls, &self.authority, "h2"),
            (Protocol::H2c, Server::Nginx) => Ok(Address::plain(self.nginx.h2c)),
            _ => Ok(Address::plain(ports.plain)),
        }
    }

    /// Its processes.
    pub(super) fn group(&self, server: Server) -> Result<Group> {
        match server {
            Server::Floor => self.floor.0.group(),
            Server::Nginx => self.nginx.group(),
            _ => self.crateport(server)?.group(),
        }
    }

    fn crateport(&self, server: Server) -> Result<&Crateport> {
        let found = self.crateports.iter().find(|(known, _)| *known == server);
        Ok(&found.context("a server that runs")?.1)
    }

    /// The most memory that each of them ever had.
    pub(super) fn peaks(&self) -> Result<Vec<Memory>> {
        let servers = Server::ALL.into_iter();
        let peak = |server| {
            let resident_bytes_peak = self.group(server)?.resident_bytes_peak()? as f64;
            Ok(Memory { server, resident_bytes_peak })
        };
        servers.map(peak).collect()
    }

    /// Everything that is to be measured, each answer seen twice and so warm; servers side by side.
    pub(super) fn cells(&self, runtime: &Runtime) -> Result<Vec<(Cell, Request)>> {
        let mut cells = Vec::new();
        for case in Case::all() {
            // The floor's bodies are as long as Crateport's.
            let model =
                if case == Case::Redirect { Server::ReplicaRedirect } else { Server::Crateport };
            let model = runtime.block_on(self.probe(model, case))?;
            for protocol in Protocol::ALL {
                for server in Server::ALL.into_iter().filter(|server| server.is_asked(case)) {
                    let cell = runtime.block_on(self.cell(server, case, protocol, &model));
                    cells.push(
                        cell.with_context(|| format!("{} of {}", case.name(), server.name()))?,
                    );
                }
            }
        }
        Ok(cells)
    }

    async fn cell(
        &self,
        server: Server,
        case: Case,
        protocol: Protocol,
        model: &Probe,
    ) -> Result<(Cell, Request)> {
        let address = self.address(server, protocol)?;
        let (authority, is_encrypted) = (address.authority(), address.is_encrypted());
        let request = |path: &str, headers: &[(&str, &str)], status, body_bytes| {
            let expected = Expected { status, body_bytes };
            Request::get(&authority, is_encrypted, path, headers, expected)
        };
        let (request, body_bytes) = if server == Server::Floor {
            let path = floor::path(model.status, model.body_bytes);
            // A redirect and a 304 have no body here.
            let body_bytes =
                if model.status < 300 || model.status == 404 { model.body_bytes } else { 0 };
            (request(&path, case.headers(), model.status, Some(body_bytes)), body_bytes)
        } else {
            let (index, crates) = server.bases();
            let path = case.path(index, crates);
            let probe = self.probe(server, case).await?;
            let mut headers = case.headers().to_vec();
            if let (Case::NotModified, Some(etag)) = (case, &probe.etag) {
                headers.push(("if-none-match", etag));
            }
            // config.json names the port that it was asked at, and a signed address changes its length.
            let is_fixed = !matches!(case, Case::Config | Case::Redirect);
            let length = is_fixed.then_some(probe.body_bytes);
            (request(&path, &headers, probe.status, length), probe.body_bytes)
        };
        let cell = Cell {
            case,
            protocol,
            server,
            body_bytes,
            cpu_us: Samples::default(),
            per_second: Samples::default(),
            p50_us: Samples::default(),
            p99_us: Samples::default(),
        };
        Ok((cell, request))
    }

    /// Asks twice: the first answer makes it warm, the second one is what the others must be.
    async fn probe(&self, server: Server, case: Case) -> Result<Probe> {
        let address = self.address(server, Protocol::Http1)?;
        let (index, crates) = server.bases();
        let path = case.path(index, crates);
        let mut connection = Http1::connect(&address).await?;
        let mut headers = case.headers().to_vec();
        let etag;
        if case == Case::NotModified {
            let first = connection.look(&address, &path, &headers).await?;
            etag = first.header("etag").context("an etag")?.to_owned();
            headers.push(("if-none-match", &etag));
        }
        connection.look(&address, &path, &headers).await?;
        let start = Instant::now();
        let seen = loop {
            // What was fetched for the first answer is being stored meanwhile.
            tokio::time::sleep(SETTLE_POLL).await;
            let seen = connection.look(&address, &path, &headers).await?;
            if case.statuses().contains(&seen.status) {
                break seen;
            }
            ensure!(start.elapsed() < SETTLE_DEADLINE, "{path} is answered {}", seen.status);
        };
        let is_gzip = seen.header("content-encoding") == Some("gzip");
        ensure!(is_gzip == matches!(case, Case::IndexGzip(_)), "{path}: gzip: {is_gzip}");
        Ok(Probe {
            status: seen.status,
            body_bytes: seen.body_bytes,
            etag: seen.header("etag").map(str::to_owned),
        })
    }
}
