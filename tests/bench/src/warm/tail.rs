//! The tail: latencies at half of the load that saturates a server, while it fetches cold crates beside.

use std::time::Duration;

use anyhow::Result;
use serde::{Deserialize, Serialize};
use tokio::runtime::Runtime;

use super::servers::Servers;
use super::{Case, Plan, Server, calibrate};
use crate::floor;
use crate::load::{Address, Expected, Http1, Protocol, Request, Session, Shape};
use crate::registry::{STAMPEDE_COUNT, VERSION, many};
use crate::samples::Samples;

/// Who is asked.
const SERVERS: [Server; 3] = [Server::Floor, Server::Nginx, Server::Crateport];
/// Connections that stand ready: more than are ever busy.
const CONNECTIONS: usize = 64;
/// Of the index file that is asked for, about.
const BODY_BYTES: u64 = 5_000;
/// Share of the saturating rate.
const SHARE: f64 = 0.5;
/// A cold crate is asked for this often.
const COLD_EVERY: Duration = Duration::from_millis(50);
/// Long enough to find the saturating rate.
const SATURATION: Duration = Duration::from_millis(500);

/// What was found of one server.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Tail {
    /// Whom.
    pub(crate) server: Server,
    /// The rate it was asked at.
    pub(crate) per_second: Samples,
    /// Half of the answers were complete within this time, in microseconds.
    pub(crate) p50_us: Samples,
    /// 99 of 100 were.
    pub(crate) p99_us: Samples,
    /// The same without anything beside it.
    #[serde(default)]
    pub(crate) p99_alone_us: Samples,
}

/// Measures it for each server by turns.
pub(super) fn measure(runtime: &Runtime, servers: &Servers, plan: Plan) -> Result<Vec<Tail>> {
    let new = |server| Tail {
        server,
        per_second: Samples::default(),
        p50_us: Samples::default(),
        p99_us: Samples::default(),
        p99_alone_us: Samples::default(),
    };
    let mut tails: Vec<Tail> = SERVERS.into_iter().map(new).collect();
    // Each crate is cold once.
    let mut colds = vec![0; SERVERS.len()];
    for _ in 0..plan.rounds.min(3) {
        for (tail, cold) in tails.iter_mut().zip(&mut colds) {
            let address = servers.address(tail.server, Protocol::Http1)?;
            let (per_second, mut alone, mut latencies) = runtime.block_on(async {
                let request = request(&address, tail.server);
                let requests = std::slice::from_ref(&request);
                let shape = Shape { connections: CONNECTIONS, streams: 1 };
                let mut session = Session::connect(&address, Protocol::Http1, shape).await?;
                let count = calibrate(&mut session, requests, SATURATION).await?;
                let saturated = session.run(requests, count).await?;
                let rate = saturated.requests as f64 / saturated.elapsed.as_secs_f64() * SHARE;
                let alone = session.run_paced(requests, rate, plan.tail_duration).await?;
                let warm = session.run_paced(requests, rate, plan.tail_duration);
                let report = tokio::select! {
                    report = warm => report?,
                    failed = fetch_cold(&address, tail.server, cold) => return Err(failed),
                };
                Ok::<_, anyhow::Error>((rate, alone.latencies, report.latencies))
            })?;
            tail.per_second.add(per_second);
            tail.p50_us.add(latencies.quantile_us(0.5));
            tail.p99_us.add(latencies.quantile_us(0.99));
            tail.p99_alone_us.add(alone.quantile_us(0.99));
        }
    }
    Ok(tails)
}

fn request(address: &Address, server: Server) -> Request {
    let (index, crates) = server.bases();
    let expected = Expected { status: 200, body_bytes: None };
    let path = match server {
        Server::Floor => floor::path(expected.status, BODY_BYTES),
        _ => Case::Index(0).path(index, crates),
    };
    Request::get(&address.authority(), address.is_encrypted(), &path, &[], expected)
}

/// Asks for one cold crate after another, for as long as it is polled; returns only what went wrong.
/// The floor has none.
async fn fetch_cold(address: &Address, server: Server, cold: &mut usize) -> anyhow::Error {
    let (_, crates) = server.bases();
    let fetch = async {
        if server == Server::Floor {
            return std::future::pending().await;
        }
        let mut connection = Http1::connect(address).await?;
        while *cold < STAMPEDE_COUNT {
            let path = format!("{crates}/{}/{VERSION}/download", many(*cold));
            *cold += 1;
            connection.look(address, &path, &[]).await?;
            tokio::time::sleep(COLD_EVERY).await;
        }
        // All are known now; what is still to come is measured without.
        std::future::pending::<Result<std::convert::Infallible>>().await
    };
    match fetch.await {
        Ok(never) => match never {},
        Err(error) => error,
    }
}
