//! What the main listener counts.
//!
//! Every request ends here, so what it counts with is looked up once per kind of resource and outcome, when the first
//! such request ends, and then found by its number: no lock, no hash of labels.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use crateport_types::{DeliveryKind, Outcome, RegistryId, ResourceKind};
use http::StatusCode;
use prometheus::{
    Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, Opts, Registry,
};

/// The metrics of requests. Clones share them.
#[derive(Clone, Debug)]
pub(crate) struct HttpMetrics(Arc<Families>);

#[derive(Debug)]
struct Families {
    requests: IntCounterVec,
    duration_seconds: HistogramVec,
    first_byte_seconds: HistogramVec,
    served_bytes: IntCounterVec,
    in_flight: IntGauge,
    registries: Vec<RegistryId>,
    /// By kind of resource, then by outcome.
    cells: Vec<Cell>,
}

/// What requests of one kind and one outcome are counted with. What never happened is not there.
#[derive(Debug)]
struct Cell {
    duration_seconds: OnceLock<Histogram>,
    first_byte_seconds: OnceLock<Histogram>,
    served_bytes: [OnceLock<IntCounter>; DeliveryKind::ALL.len()],
    /// By registry, in their order, and by status.
    requests: Vec<[OnceLock<IntCounter>; USUAL.len()]>,
}

/// A request that has ended.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ended<'a> {
    /// One that is configured, or empty.
    pub(crate) registry: &'a str,
    pub(crate) resource: ResourceKind,
    pub(crate) outcome: Outcome,
    pub(crate) status: StatusCode,
    pub(crate) delivery: DeliveryKind,
    /// What was handed over, and what the client was sent elsewhere for.
    pub(crate) bytes: u64,
    pub(crate) duration: Duration,
    /// From the request's head to the answer's, if there was one.
    pub(crate) answered_after: Option<Duration>,
}

/// From a warm index file to a cold toolchain.
const BUCKETS_SECONDS: [f64; 15] =
    [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];

/// The statuses of those who are in a hurry; all others are looked up.
const USUAL: [StatusCode; 3] = [StatusCode::OK, StatusCode::NOT_MODIFIED, StatusCode::FOUND];

impl HttpMetrics {
    pub(crate) fn register(
        registry: &Registry,
        registries: Vec<RegistryId>,
    ) -> Result<Self, prometheus::Error> {
        let counter = |name, help, labels: &[&str]| {
            let counter = IntCounterVec::new(Opts::new(name, help), labels)?;
            registry.register(Box::new(counter.clone()))?;
            Ok::<_, prometheus::Error>(counter)
        };
        let histogram = |name, help| {
            let opts = HistogramOpts::new(name, help).buckets(BUCKETS_SECONDS.into());
            let histogram = HistogramVec::new(opts, &["resource", "outcome"])?;
            registry.register(Box::new(histogram.clone()))?;
            Ok::<_, prometheus::Error>(histogram)
        };
        let in_flight =
            IntGauge::new("crateport_http_requests_in_flight", "Requests being answered.")?;
        registry.register(Box::new(in_flight.clone()))?;
        let cells = ResourceKind::ALL.len() * Outcome::ALL.len();
        let cells = (0..cells).map(|_| Cell::new(registries.len())).collect();
        Ok(Self(Arc::new(Families {
            requests: counter(
                "crateport_http_requests_total",
                "Requests by what was asked and how it ended.",
                &["registry", "resource", "outcome", "status"],
            )?,
            duration_seconds: histogram(
                "crateport_http_request_duration_seconds",
                "From the request's head to the last byte of the answer.",
            )?,
            first_byte_seconds: histogram(
                "crateport_http_first_byte_seconds",
                "From the request's head to the answer's.",
            )?,
            served_bytes: counter(
                "crateport_served_bytes_total",
                "Bytes of bodies handed to clients, or that they were redirected to, by outcome and by how they left.",
                &["resource", "outcome", "delivery"],
            )?,
            in_flight,
            registries,
            cells,
        })))
    }

    /// Requests being answered.
    pub(crate) fn in_flight(&self) -> &IntGauge {
        &self.0.in_flight
    }

    /// Counts one request.
    pub(crate) fn count(&self, ended: &Ended<'_>) {
        let Self(families) = self;
        let Ended { resource, outcome, delivery, .. } = *ended;
        let index = resource as usize * Outcome::ALL.len() + outcome as usize;
        // Every kind and outcome is in its table, as a test sees to.
        let Some(cell) = families.cells.get(index) else { return };
        families.request(cell, ended);
        let labels = [resource.as_str(), outcome.as_str()];
        cell.duration_seconds
            .get_or_init(|| families.duration_seconds.with_label_values(&labels))
            .observe(ended.duration.as_secs_f64());
        if let Some(answered_after) = ended.answered_after {
            cell.first_byte_seconds
                .get_or_init(|| families.first_byte_seconds.with_label_values(&labels))
                .observe(answered_after.as_secs_f64());
        }
        let [resource, outcome] = labels;
        if let Some(served) = cell.served_bytes.get(delivery as usize) {
            served
                .get_or_init(|| {
                    let labels = [resource, outcome, delivery.as_str()];
                    families.served_bytes.with_label_values(&labels)
                })
                .inc_by(ended.bytes);
        }
    }
}

impl Families {
    fn request(&self, cell: &Cell, ended: &Ended<'_>) {
        let registry = self.registries.iter().position(|id| id.as_str() == ended.registry);
        let status = USUAL.iter().position(|status| *status == ended.status);
        let place = registry
            .zip(status)
            .and_then(|(registry, status)| cell.requests.get(registry)?.get(status));
        let counter = || {
            self.requests.with_label_values(&[
                ended.registry,
                ended.resource.as_str(),
                ended.outcome.as_str(),
                ended.status.as_str(),
            ])
        };
        match place {
            Some(place) => place.get_or_init(counter).inc(),
            None => counter().inc(),
        }
    }
}

impl Cell {
    fn new(registries: usize) -> Self {
        Self {
            duration_seconds: OnceLock::new(),
            first_byte_seconds: OnceLock::new(),
            served_bytes: [const { OnceLock::new() }; DeliveryKind::ALL.len()],
            requests: (0..registries).map(|_| [const { OnceLock::new() }; USUAL.len()]).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_outcome_and_delivery_has_its_place() {
        for (index, kind) in ResourceKind::ALL.into_iter().enumerate() {
            assert_eq!(kind as usize, index, "{kind:?}");
        }
        for (index, outcome) in Outcome::ALL.into_iter().enumerate() {
            assert_eq!(outcome as usize, index, "{outcome:?}");
        }
        for (index, delivery) in DeliveryKind::ALL.into_iter().enumerate() {
            assert_eq!(delivery as usize, index, "{delivery:?}");
        }
    }

    #[test]
    fn each_request_is_counted_where_it_belongs() {
        let registry = Registry::new();
        let metrics =
            HttpMetrics::register(&registry, vec!["a".parse().unwrap(), "b".parse().unwrap()])
                .unwrap();
        let ended = Ended {
            registry: "b",
            resource: ResourceKind::Krate,
            outcome: Outcome::Hit,
            status: StatusCode::FOUND,
            delivery: DeliveryKind::Redirect,
            bytes: 5,
            duration: Duration::from_millis(200),
            answered_after: Some(Duration::from_millis(20)),
        };
        metrics.count(&ended);
        metrics.count(&ended);
        metrics.count(&Ended { registry: "", status: StatusCode::NOT_FOUND, ..ended });
        metrics.count(&Ended { registry: "a", answered_after: None, ..ended });
        let text = prometheus::TextEncoder::new().encode_to_string(&registry.gather()).unwrap();
        let requests = r#"crateport_http_requests_total{outcome="hit",registry"#;
        for line in [
            format!(r#"{requests}="b",resource="crate",status="302"}} 2"#),
            format!(r#"{requests}="a",resource="crate",status="302"}} 1"#),
            format!(r#"{requests}="",resource="crate",status="404"}} 1"#),
            r#"crateport_http_request_duration_seconds_count{outcome="hit",resource="crate"} 4"#.into(),
            r#"crateport_http_first_byte_seconds_count{outcome="hit",resource="crate"} 3"#.into(),
            r#"crateport_http_first_byte_seconds_bucket{outcome="hit",resource="crate",le="0.1"} 3"#.into(),
            r#"crateport_served_bytes_total{delivery="redirect",outcome="hit",resource="crate"} 20"#.into(),
        ] {
            assert!(text.contains(&format!("{line}\n")), "{line}\n{text}");
        }
        assert!(!text.contains("stale"), "what never happened is not shown: {text}");
    }
}
