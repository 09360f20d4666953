//! A coordinator that counts what it is asked, around any other.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use crateport_types::StoreKey;
use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{HistogramOpts, HistogramVec, IntCounterVec, IntGauge, Opts, Registry};

use crate::{Claim, CoordError, Coordinator, Health, Lease, LeaseKeeper, Note};

/// Counts operations and measures them; changes nothing.
pub struct MeteredCoordinator {
    inner: Arc<dyn Coordinator>,
    metrics: Metrics,
}

#[derive(Clone)]
struct Metrics {
    requests: IntCounterVec,
    duration_seconds: HistogramVec,
}

/// Shows the health as it is when somebody looks.
struct Up {
    inner: Arc<dyn Coordinator>,
    gauge: IntGauge,
}

struct MeteredLease {
    inner: Lease,
    metrics: Metrics,
}

/// From a coordinator in this process to the longest wait for a lease.
const BUCKETS_SECONDS: [f64; 13] =
    [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 0.25, 1.0, 5.0, 25.0];

impl MeteredCoordinator {
    /// Meters `inner`.
    ///
    /// # Errors
    ///
    /// When `registry` has the coordinator's metrics already.
    pub fn new(
        inner: Arc<dyn Coordinator>,
        registry: &Registry,
    ) -> Result<Self, prometheus::Error> {
        let help = "Questions to the coordinator, by their result.";
        let requests = IntCounterVec::new(
            Opts::new("crateport_coord_requests_total", help),
            &["operation", "result"],
        )?;
        let help = "Until the coordinator answered; for wait, until the lease ended.";
        let duration_seconds = HistogramVec::new(
            HistogramOpts::new("crateport_coord_request_duration_seconds", help)
                .buckets(BUCKETS_SECONDS.into()),
            &["operation"],
        )?;
        let help = "1 if the coordinator answers; without it, work may be done twice.";
        let up =
            Up { inner: Arc::clone(&inner), gauge: IntGauge::new("crateport_coord_up", help)? };
        registry.register(Box::new(requests.clone()))?;
        registry.register(Box::new(duration_seconds.clone()))?;
        registry.register(Box::new(up))?;
        Ok(Self { inner, metrics: Metrics { requests, duration_seconds } })
    }
}

impl Metrics {
    fn count<T>(
        &self,
        operation: &str,
        began: Instant,
        result: Result<T, CoordError>,
        word: fn(&T) -> &'static str,
    ) -> Result<T, CoordError> {
        let elapsed: Duration = began.elapsed();
        let result_word = result.as_ref().map_or_else(CoordError::kind, word);
        self.requests.with_label_values(&[operation, result_word]).inc();
        self.duration_seconds.with_label_values(&[operation]).observe(elapsed.as_secs_f64());
        result
    }
}

#[async_trait]
impl Coordinator for MeteredCoordinator {
    async fn recall(&self, key: &StoreKey) -> Result<Option<Note>, CoordError> {
        let began = Instant::now();
        self.metrics.count("recall", began, self.inner.recall(key).await, |found| {
            if found.is_some() { "ok" } else { "absent" }
        })
    }

    async fn note(&self, key: &StoreKey, note: &Note, keep: Duration) -> Result<(), CoordError> {
        let began = Instant::now();
        self.metrics.count("note", began, self.inner.note(key, note, keep).await, |()| "ok")
    }

    async fn forget(&self, key: &StoreKey) -> Result<(), CoordError> {
        let began = Instant::now();
        self.metrics.count("forget", began, self.inner.forget(key).await, |()| "ok")
    }

    async fn claim(&self, key: &StoreKey) -> Result<Claim, CoordError> {
        let began = Instant::now();
        let claim = self.inner.claim(key).await;
        let claim = self.metrics.count("claim", began, claim, |claim| match claim {
            Claim::Lead(_) => "lead",
            Claim::Follow { .. } => "follow",
        })?;
        Ok(match claim {
            Claim::Lead(inner) => {
                let metrics = self.metrics.clone();
                Claim::Lead(Lease::new(Box::new(MeteredLease { inner, metrics })))
            }
            follow @ Claim::Follow { .. } => follow,
        })
    }

    async fn wait(&self, key: &StoreKey, patience: Duration) -> Result<(), CoordError> {
        let began = Instant::now();
        self.metrics.count("wait", began, self.inner.wait(key, patience).await, |()| "ok")
    }

    fn health(&self) -> Health {
        self.inner.health()
    }
}

#[async_trait]
impl LeaseKeeper for MeteredLease {
    async fn end(self: Box<Self>, note: Option<(Note, Duration)>) -> Result<(), CoordError> {
        let began = Instant::now();
        self.metrics.count("end", began, self.inner.end(note).await, |()| "ok")
    }
}

impl Collector for Up {
    fn desc(&self) -> Vec<&Desc> {
        self.gauge.desc()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        self.gauge.set(i64::from(self.inner.health() == Health::Up));
        self.gauge.collect()
    }
}

impl fmt::Debug for MeteredCoordinator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("MeteredCoordinator").field(&self.inner).finish()
    }
}

impl fmt::Debug for MeteredLease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("MeteredLease").field(&self.inner).finish()
    }
}
