//! Part 1: what a warm answer costs. CPU time per request, requests per second and latencies of every sort of answer,
//! over every protocol, of every server, by turns.

mod cases;
mod servers;
mod tail;

use std::time::Duration;

use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};
use tokio::runtime::Runtime;

pub(crate) use self::cases::Case;
use self::servers::Servers;
pub(crate) use self::servers::{Memory, Server};
pub(crate) use self::tail::Tail;
use crate::load::{Protocol, Report, Request, Session, Shape};
use crate::samples::Samples;
use crate::stand::Stand;

/// Requests in flight.
const IN_FLIGHT: usize = 32;
/// The same for bodies so large that more of them would only wait for each other.
const IN_FLIGHT_LARGE: usize = 8;
const LARGE_BYTES: u64 = 400_000;
/// Requests from which the number is taken that fills a measurement's time.
const CALIBRATION: u64 = 64;
/// What a server does after an answer, such as writing its log, is waited for.
const QUIET: Duration = Duration::from_millis(10);

/// How much is measured.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    /// How often each number is measured.
    pub(crate) rounds: usize,
    /// How long each time.
    pub(crate) duration: Duration,
    /// For the tail, which needs many answers.
    pub(crate) tail_duration: Duration,
}

/// One sort of answer of one server over one protocol.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Cell {
    /// What is asked for.
    pub(crate) case: Case,
    /// How.
    pub(crate) protocol: Protocol,
    /// Whom.
    pub(crate) server: Server,
    /// How long the body of the answer is.
    pub(crate) body_bytes: u64,
    /// CPU time of the server's processes per request, in microseconds.
    pub(crate) cpu_us: Samples,
    /// Requests per second.
    pub(crate) per_second: Samples,
    /// Half of the answers were complete within this time, in microseconds.
    pub(crate) p50_us: Samples,
    /// 99 of 100 were.
    pub(crate) p99_us: Samples,
}

/// What part 1 found.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Found {
    /// Every answer of every server.
    pub(crate) cells: Vec<Cell>,
    /// Latencies at half of the load.
    pub(crate) tails: Vec<Tail>,
    /// Memory of each server after all of it.
    pub(crate) memory: Vec<Memory>,
}

impl Found {
    /// What was measured of one answer.
    pub(crate) fn cell(&self, case: Case, protocol: Protocol, server: Server) -> Option<&Cell> {
        self.cells
            .iter()
            .find(|cell| (cell.case, cell.protocol, cell.server) == (case, protocol, server))
    }
}

/// Measures all of it.
pub(crate) fn measure(stand: &Stand, plan: Plan) -> Result<Found> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let servers = Servers::start(stand, &runtime)?;
    let mut cells = servers.cells(&runtime)?;
    for round in 0..plan.rounds {
        eprintln!("  round {} of {}", round + 1, plan.rounds);
        for (cell, request) in &mut cells {
            let measured = one(&runtime, &servers, cell, request, plan.duration);
            measured.with_context(|| {
                let Cell { case, protocol, server, .. } = cell;
                format!("{} of {} over {}", case.name(), server.name(), protocol.name())
            })?;
        }
    }
    let tails = tail::measure(&runtime, &servers, plan)?;
    let memory = servers.peaks()?;
    Ok(Found { memory, cells: cells.into_iter().map(|(cell, _)| cell).collect(), tails })
}

fn one(
    runtime: &Runtime,
    servers: &Servers,
    cell: &mut Cell,
    request: &Request,
    duration: Duration,
) -> Result<()> {
    let in_flight = if cell.body_bytes > LARGE_BYTES { IN_FLIGHT_LARGE } else { IN_FLIGHT };
    let shape = Shape::of(cell.protocol, in_flight);
    let address = servers.address(cell.server, cell.protocol)?;
    let group = servers.group(cell.server)?;
    let requests = std::slice::from_ref(request);
    let (mut report, cpu) = runtime.block_on(async {
        let mut session = Session::connect(&address, cell.protocol, shape).await?;
        let count = calibrate(&mut session, requests, duration).await?;
        tokio::time::sleep(QUIET).await;
        let before = group.cpu_time()?;
        let report = session.run(requests, count).await?;
        tokio::time::sleep(QUIET).await;
        Ok::<_, anyhow::Error>((report, group.cpu_time()? - before))
    })?;
    let count = report.requests as f64;
    cell.cpu_us.add(cpu.as_secs_f64() * 1e6 / count);
    cell.per_second.add(count / report.elapsed.as_secs_f64());
    cell.p50_us.add(report.latencies.quantile_us(0.5));
    cell.p99_us.add(report.latencies.quantile_us(0.99));
    Ok(())
}

/// How many requests fill the time; finding out warms everything up.
pub(crate) async fn calibrate(
    session: &mut Session,
    requests: &[Request],
    duration: Duration,
) -> Result<u64> {
    let Report { requests: count, elapsed, .. } = session.run(requests, CALIBRATION).await?;
    let wanted = count as f64 * duration.as_secs_f64() / elapsed.as_secs_f64().max(1e-6);
    Ok((wanted as u64).max(CALIBRATION))
}
