//! What is counted of the requests to upstreams.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use crateport_types::ResourceKind;
use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{HistogramOpts, HistogramVec, IntCounterVec, IntGaugeVec, Opts, Registry};

use crate::host::Host;
use crate::recent::{RecentAttempts, RecentTimes};
use crate::{Condition, Reply, UpstreamError};

/// The metrics of all upstreams of a process.
///
/// * `crateport_upstream_requests_total{registry,resource,result}` counts attempts on the wire: each retry counts,
///   redirects do not, and what was refused before anything was sent does not. `result` is `ok`, `not_modified`,
///   `absent` or [`UpstreamError::kind`].
/// * `crateport_upstream_request_duration_seconds{registry,resource}` is the time of an attempt to its headers.
/// * `crateport_upstream_condition{registry}` is 0 for healthy, 1 for slow, 2 for down, at the time it is read.
#[derive(Clone)]
pub struct UpstreamMetrics {
    requests: IntCounterVec,
    durations: HistogramVec,
    conditions: Conditions,
    recent: Arc<RecentAttempts>,
}

/// A gauge that looks at the hosts when it is read, because time alone makes a host slow.
#[derive(Clone)]
struct Conditions {
    gauge: IntGaugeVec,
    watched: Arc<Mutex<Vec<Watched>>>,
}

/// A registry or a dist origin, and the host that its condition is taken from.
type Watched = (Box<str>, Weak<Host>);

/// From what a cached registry nearby needs to the deadline.
const DURATION_BUCKETS_SECONDS: [f64; 12] =
    [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0];

impl UpstreamMetrics {
    /// Makes the metrics and registers them.
    ///
    /// # Errors
    ///
    /// When `registry` already has metrics of these names.
    pub fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        let requests = IntCounterVec::new(
            Opts::new(
                "crateport_upstream_requests_total",
                "Attempts to ask an upstream, by what came of them.",
            ),
            &["registry", "resource", "result"],
        )?;
        let durations = HistogramVec::new(
            HistogramOpts::new(
                "crateport_upstream_request_duration_seconds",
                "Time of an attempt to ask an upstream until its headers came or it failed.",
            )
            .buckets(DURATION_BUCKETS_SECONDS.to_vec()),
            &["registry", "resource"],
        )?;
        let gauge = IntGaugeVec::new(
            Opts::new(
                "crateport_upstream_condition",
                "How an upstream is: 0 healthy, 1 slow, 2 left alone.",
            ),
            &["registry"],
        )?;
        let conditions = Conditions { gauge, watched: Arc::default() };
        registry.register(Box::new(requests.clone()))?;
        registry.register(Box::new(durations.clone()))?;
        registry.register(Box::new(conditions.clone()))?;
        Ok(Self { requests, durations, conditions, recent: Arc::default() })
    }

    /// Counts one attempt.
    pub(crate) fn attempted(
        &self,
        registry: &str,
        kind: ResourceKind,
        result: &Result<Reply, UpstreamError>,
        took: Duration,
    ) {
        let resource = kind.as_str();
        self.requests.with_label_values(&[registry, resource, word(result)]).inc();
        self.durations.with_label_values(&[registry, resource]).observe(took.as_secs_f64());
        self.recent.note(registry, kind, Instant::now(), took, result.is_ok());
    }

    /// How long each upstream took lately, by what was asked for.
    #[must_use]
    pub fn recent_times(&self) -> Vec<RecentTimes> {
        self.recent.times(Instant::now())
    }

    /// Shows the condition of `host` as that of `registry`, as long as the host lives.
    pub(crate) fn watch(&self, registry: &str, host: &Arc<Host>) {
        let mut watched = self.conditions.watched.lock().unwrap_or_else(PoisonError::into_inner);
        watched.push((registry.into(), Arc::downgrade(host)));
    }
}

impl fmt::Debug for UpstreamMetrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UpstreamMetrics").finish_non_exhaustive()
    }
}

impl Collector for Conditions {
    fn desc(&self) -> Vec<&Desc> {
        self.gauge.desc()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let watched = self.watched.lock().unwrap_or_else(PoisonError::into_inner);
        for (registry, host) in watched.iter() {
            if let Some(host) = host.upgrade() {
                let value = match host.condition() {
                    Condition::Healthy | Condition::Offline => 0,
                    Condition::Slow => 1,
                    Condition::Down { .. } => 2,
                };
                self.gauge.with_label_values(&[&**registry]).set(value);
            }
        }
        self.gauge.collect()
    }
}

const fn word(result: &Result<Reply, UpstreamError>) -> &'static str {
    match result {
        Ok(Reply::Found(_)) => "ok",
        Ok(Reply::Unchanged) => "not_modified",
        Ok(Reply::Absent) => "absent",
        Err(error) => error.kind(),
    }
}
