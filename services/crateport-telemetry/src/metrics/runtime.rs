//! How busy the tokio runtime is, asked at each scrape.

use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{Counter, IntGauge};
use tokio::runtime::Handle;

/// What the runtime of `handle` counts itself.
#[derive(Clone, Debug)]
pub(super) struct RuntimeCollector {
    handle: Handle,
    workers: IntGauge,
    tasks: IntGauge,
    queue_depth: IntGauge,
    busy_seconds: Counter,
}

impl RuntimeCollector {
    pub(super) fn new(handle: Handle) -> Result<Self, prometheus::Error> {
        Ok(Self {
            handle,
            workers: IntGauge::new("crateport_runtime_workers", "Threads that run tasks.")?,
            tasks: IntGauge::new("crateport_runtime_tasks", "Tasks that have not ended.")?,
            queue_depth: IntGauge::new(
                "crateport_runtime_queue_depth",
                "Tasks in the global queue, waiting for a thread.",
            )?,
            busy_seconds: Counter::new(
                "crateport_runtime_busy_seconds_total",
                "Time that all threads together spent on tasks.",
            )?,
        })
    }
}

impl Collector for RuntimeCollector {
    fn desc(&self) -> Vec<&Desc> {
        let gauges = [&self.workers, &self.tasks, &self.queue_depth];
        gauges.into_iter().flat_map(Collector::desc).chain(self.busy_seconds.desc()).collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let now = self.handle.metrics();
        let count = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
        self.workers.set(count(now.num_workers()));
        self.tasks.set(count(now.num_alive_tasks()));
        self.queue_depth.set(count(now.global_queue_depth()));
        let busy = (0..now.num_workers()).map(|worker| now.worker_total_busy_duration(worker));
        let busy_seconds = busy.sum::<std::time::Duration>().as_secs_f64();
        // Two scrapes at once must not count the same time twice, nor take any back.
        self.busy_seconds.inc_by((busy_seconds - self.busy_seconds.get()).max(0.0));
        let gauges = [&self.workers, &self.tasks, &self.queue_depth];
        gauges.into_iter().flat_map(Collector::collect).chain(self.busy_seconds.collect()).collect()
    }
}
