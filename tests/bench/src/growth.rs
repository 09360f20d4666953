//! Part 4: growth. Known objects from one to a million, connections from ten to ten thousand: start-up time, memory and
//! CPU time per request.

mod store;

use std::time::Duration;

use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};
use tokio::runtime::Runtime;

use crate::child::Cores;
use crate::crateport::{Crateport, Setup};
use crate::load::{Address, Expected, Http1, Protocol, Request, Session, Shape};
use crate::registry::{Random, index_path};
use crate::samples::Samples;
use crate::stand::Stand;

/// Requests in flight while CPU time is measured.
const IN_FLIGHT: usize = 32;
/// Different objects that are asked for: more would only take longer to see first.
const ASKED_MAX: usize = 20_000;
/// Nothing goes stale meanwhile, and every connection is let in and stays.
const FLAGS: [(&str, &str); 4] = [
    ("--index-ttl", "1h"),
    ("--connections-max", "16000"),
    ("--idle-timeout", "1h"),
    ("--refresh-ahead-max", "0"),
];
/// Connections that are opened at once.
const OPENED_AT_ONCE: usize = 200;
const QUIET: Duration = Duration::from_millis(300);

/// How much is measured.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    /// Numbers of known objects.
    pub(crate) objects: Vec<usize>,
    /// Numbers of open connections.
    pub(crate) connections: Vec<usize>,
    /// How often it is started.
    pub(crate) starts: usize,
    /// How often CPU time is measured.
    pub(crate) rounds: usize,
    /// Requests each time.
    pub(crate) requests: u64,
}

/// What was found with so many objects in the store.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Objects {
    /// How many.
    pub(crate) known: usize,
    /// From the start of the process until it serves.
    pub(crate) start_ms: Samples,
    /// Memory at rest, just started.
    pub(crate) resident_bytes_started: Samples,
    /// Memory after some of them were asked for.
    pub(crate) resident_bytes_after: Samples,
    /// How many those were.
    pub(crate) asked: usize,
    /// CPU time of a request for a random one of them when it is asked for the first time since the start.
    pub(crate) cpu_us_first: Samples,
    /// The same later.
    pub(crate) cpu_us: Samples,
}

/// What was found with so many connections open.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Connections {
    /// How many.
    pub(crate) open: usize,
    /// Memory with all of them open.
    pub(crate) resident_bytes: Samples,
    /// CPU time per request on 32 others.
    pub(crate) cpu_us: Samples,
}

/// What part 4 found.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Found {
    /// By known objects.
    pub(crate) objects: Vec<Objects>,
    /// By open connections.
    pub(crate) connections: Vec<Connections>,
}

/// Measures all of it.
pub(crate) fn measure(stand: &Stand, plan: &Plan) -> Result<Found> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (upstream, ports) = stand.upstream(Cores::Client)?;
    let mut found = Found::default();
    for &known in &plan.objects {
        eprintln!("  {known} objects");
        found.objects.push(objects(stand, &runtime, ports.tls, plan, known)?);
    }
    for &open in &plan.connections {
        eprintln!("  {open} connections");
        found.connections.push(connections(stand, &runtime, ports.tls, plan, open)?);
    }
    drop(upstream);
    Ok(found)
}

fn setup(upstream: std::net::SocketAddr) -> Setup {
    let setup = Setup::embedded("growth", upstream, Cores::Server);
    FLAGS.into_iter().fold(setup, |setup, (flag, value)| setup.flag(flag, value))
}

fn objects(
    stand: &Stand,
    runtime: &Runtime,
    upstream: std::net::SocketAddr,
    plan: &Plan,
    known: usize,
) -> Result<Objects> {
    let folder = store::prepare(stand, known)?;
    let setup = Setup { store: Some(folder), ..setup(upstream) };
    let mut found = Objects {
        known,
        start_ms: Samples::default(),
        resident_bytes_started: Samples::default(),
        resident_bytes_after: Samples::default(),
        asked: known.min(ASKED_MAX),
        cpu_us_first: Samples::default(),
        cpu_us: Samples::default(),
    };
    for _ in 1..plan.starts {
        let crateport = setup.start(stand)?;
        found.start_ms.add(crateport.started_in.as_secs_f64() * 1e3);
    }
    let crateport = setup.start(stand)?;
    found.start_ms.add(crateport.started_in.as_secs_f64() * 1e3);
    std::thread::sleep(QUIET);
    let group = crateport.group()?;
    found.resident_bytes_started.add(group.resident_bytes()? as f64);
    let requests = requests(&crateport, known, found.asked);
    let first = cpu(runtime, &crateport, &requests, u64::try_from(requests.len())?)?;
    found.cpu_us_first.add(first);
    for _ in 0..plan.rounds {
        found.cpu_us.add(cpu(runtime, &crateport, &requests, plan.requests)?);
    }
    found.resident_bytes_after.add(group.resident_bytes()? as f64);
    Ok(found)
}

fn connections(
    stand: &Stand,
    runtime: &Runtime,
    upstream: std::net::SocketAddr,
    plan: &Plan,
    open: usize,
) -> Result<Connections> {
    let crateport = setup(upstream).start(stand)?;
    let address = Address::plain(crateport.ports.plain);
    let requests = requests(&crateport, 1, 1);
    let request = requests.first().context("a request")?;
    let mut found =
        Connections { open, resident_bytes: Samples::default(), cpu_us: Samples::default() };
    // Each has been used once and then stays.
    let mut held = Vec::with_capacity(open);
    runtime.block_on(async {
        while held.len() < open {
            let count = OPENED_AT_ONCE.min(open - held.len());
            let opened = (0..count).map(|_| async {
                let mut connection = Http1::connect_small(&address).await?;
                connection.ask(request).await?;
                Ok::<_, anyhow::Error>(connection)
            });
            held.extend(futures_util::future::try_join_all(opened).await?);
        }
        Ok::<_, anyhow::Error>(())
    })?;
    std::thread::sleep(QUIET);
    found.resident_bytes.add(crateport.group()?.resident_bytes()? as f64);
    for _ in 0..plan.rounds {
        found.cpu_us.add(cpu(runtime, &crateport, &requests, plan.requests)?);
    }
    Ok(found)
}

/// GETs of so many of the known objects, chosen at random, the same in every run.
fn requests(crateport: &Crateport, known: usize, count: usize) -> Vec<Request> {
    let authority = crateport.ports.plain.to_string();
    let mut random = Random::new(u64::try_from(known).unwrap_or(0));
    let expected = Expected { status: 200, body_bytes: None };
    let numbers =
        (0..count).map(|number| if known == count { number } else { random.below(known) });
    let paths = numbers.map(|number| index_path(&store::name(number)));
    paths
        .map(|path| {
            let path = format!("/crates-io/index/{path}");
            Request::get(&authority, false, &path, &[], expected)
        })
        .collect()
}

/// CPU time per request, in microseconds.
fn cpu(runtime: &Runtime, crateport: &Crateport, requests: &[Request], count: u64) -> Result<f64> {
    let group = crateport.group()?;
    let address = Address::plain(crateport.ports.plain);
    let shape = Shape { connections: IN_FLIGHT, streams: 1 };
    runtime.block_on(async {
        let mut session = Session::connect(&address, Protocol::Http1, shape).await?;
        let before = group.cpu_time()?;
        session.run(requests, count).await?;
        tokio::time::sleep(Duration::from_millis(10)).await;
        Ok((group.cpu_time()? - before).as_secs_f64() * 1e6 / count as f64)
    })
}
