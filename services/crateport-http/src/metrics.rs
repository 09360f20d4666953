//! What the main listener counts.

use std::time::Duration;

use crateport_types::{DeliveryKind, Outcome, ResourceKind};
use http::StatusCode;
use prometheus::{HistogramOpts, HistogramVec, IntCounterVec, IntGauge, Opts, Registry};

/// The metrics of requests.
#[derive(Clone, Debug)]
pub(crate) struct HttpMetrics {
    requests: IntCounterVec,
    duration_seconds: HistogramVec,
    served_bytes: IntCounterVec,
    pub(crate) in_flight: IntGauge,
}

/// From a warm index file to a cold toolchain.
const BUCKETS_SECONDS: [f64; 15] =
    [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];

impl HttpMetrics {
    pub(crate) fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        let requests = IntCounterVec::new(
            Opts::new(
                "crateport_http_requests_total",
                "Requests by what was asked and how it ended.",
            ),
            &["registry", "resource", "outcome", "status"],
        )?;
        let help = "From the request's head to the last byte of the answer.";
        let duration_seconds = HistogramVec::new(
            HistogramOpts::new("crateport_http_request_duration_seconds", help)
                .buckets(BUCKETS_SECONDS.into()),
            &["resource", "outcome"],
        )?;
        let served_bytes = IntCounterVec::new(
            Opts::new(
                "crateport_served_bytes_total",
                "Bytes of bodies handed to clients, by how they left.",
            ),
            &["resource", "delivery"],
        )?;
        let in_flight =
            IntGauge::new("crateport_http_requests_in_flight", "Requests being answered.")?;
        registry.register(Box::new(requests.clone()))?;
        registry.register(Box::new(duration_seconds.clone()))?;
        registry.register(Box::new(served_bytes.clone()))?;
        registry.register(Box::new(in_flight.clone()))?;
        Ok(Self { requests, duration_seconds, served_bytes, in_flight })
    }

    /// Counts one request that has ended. `registry` is one that is configured, or empty.
    pub(crate) fn request(
        &self,
        registry: &str,
        resource: ResourceKind,
        outcome: Outcome,
        status: StatusCode,
        duration: Duration,
    ) {
        let (resource, outcome) = (resource.as_str(), outcome.as_str());
        self.requests.with_label_values(&[registry, resource, outcome, status.as_str()]).inc();
        self.duration_seconds
            .with_label_values(&[resource, outcome])
            .observe(duration.as_secs_f64());
    }

    pub(crate) fn served(&self, resource: ResourceKind, delivery: DeliveryKind, bytes: u64) {
        self.served_bytes.with_label_values(&[resource.as_str(), delivery.as_str()]).inc_by(bytes);
    }
}
