//! Requests at a fixed rate: each is due at its time, whether or not earlier ones have been answered, and its latency
//! counts from then. A server that stalls is not spared the requests that would have come meanwhile.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use futures_util::future::try_join_all;
use tokio::sync::Semaphore;

use super::{Http1, Latencies, Report, Request};

pub(super) async fn run(
    connections: &mut [Http1],
    requests: &[Request],
    per_second: f64,
    duration: Duration,
) -> Result<Report> {
    ensure!(!requests.is_empty() && per_second > 0.0, "nothing to ask for");
    let count = (per_second * duration.as_secs_f64()) as usize;
    let due = RefCell::new(VecDeque::new());
    let (ready, is_over) = (Semaphore::new(0), Cell::new(false));
    let latencies = RefCell::new(Latencies::default());
    let start = Instant::now();
    let dispatch = async {
        for number in 0..count {
            let at = start + Duration::from_secs_f64(number as f64 / per_second);
            // The timer's ticks of a millisecond are far apart beside answers of some microseconds.
            while Instant::now() < at {
                tokio::task::yield_now().await;
            }
            due.borrow_mut().push_back((at, number));
            ready.add_permits(1);
        }
        is_over.set(true);
        ready.add_permits(Semaphore::MAX_PERMITS >> 1);
        Ok(())
    };
    let work = try_join_all(connections.iter_mut().map(|connection| async {
        loop {
            ready.acquire().await?.forget();
            let next = due.borrow_mut().pop_front();
            let Some((at, number)) = next else {
                if is_over.get() {
                    return Ok::<_, anyhow::Error>(());
                }
                continue;
            };
            if let Some(request) = requests.get(number % requests.len()) {
                connection.ask(request).await?;
                latencies.borrow_mut().add(at.elapsed());
            }
        }
    }));
    futures_util::future::try_join(dispatch, work).await?;
    let requests = u64::try_from(count)?;
    Ok(Report { requests, elapsed: start.elapsed(), latencies: latencies.take() })
}
