//! What the cache counts.

use crateport_types::{Reason, ResourceKind};
use prometheus::{IntCounter, IntCounterVec, IntGauge, Opts, Registry};
use tracing::Span;

/// The cache's own metrics.
#[derive(Clone, Debug)]
pub(crate) struct CacheMetrics {
    fills: IntCounterVec,
    pub(crate) fills_in_flight: IntGauge,
    /// In the order of the kinds.
    filled_bytes: Vec<IntCounter>,
    filled_bytes_by_resource: IntCounterVec,
    pub(crate) spool_bytes: IntGauge,
    pub(crate) damaged: IntCounter,
    pub(crate) store_failures: IntCounter,
    pub(crate) refreshes_ahead: IntCounter,
    pub(crate) fetches_ahead: IntCounter,
    pub(crate) index_memory_bytes: IntGauge,
    pub(crate) index_memory_files: IntGauge,
    pub(crate) object_memory_bytes: IntGauge,
    pub(crate) object_memory_objects: IntGauge,
}

/// The result of a fill that ended well.
pub(crate) const STORED: &str = "stored";
/// The result of a fill that was served but could not be kept.
pub(crate) const UNSTORED: &str = "store-failed";
/// The result of a fill that another replica had ended first.
pub(crate) const FOUND: &str = "found";
/// The result of a fill whose bytes came from the replica that led it.
pub(crate) const ALONG: &str = "read-along";

/// The result of a fill whose bytes were not what the index promised.
const WRONG: &str = Reason::ChecksumMismatch.as_str();

impl CacheMetrics {
    /// Registers everything with `registry`.
    pub(crate) fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        let counter = |name: &str, help: &str| -> Result<IntCounter, prometheus::Error> {
            let counter = IntCounter::new(name, help)?;
            registry.register(Box::new(counter.clone()))?;
            Ok(counter)
        };
        let gauge = |name: &str, help: &str| -> Result<IntGauge, prometheus::Error> {
            let gauge = IntGauge::new(name, help)?;
            registry.register(Box::new(gauge.clone()))?;
            Ok(gauge)
        };
        let fills = IntCounterVec::new(
            Opts::new("crateport_fills_total", "Fills by what they fetched and how they ended."),
            &["resource", "result"],
        )?;
        registry.register(Box::new(fills.clone()))?;
        let filled_bytes_by_resource = IntCounterVec::new(
            Opts::new(
                "crateport_filled_bytes_total",
                "Bytes that fills took from upstream, by what they fetched.",
            ),
            &["resource"],
        )?;
        registry.register(Box::new(filled_bytes_by_resource.clone()))?;
        let mut filled_bytes = Vec::new();
        for resource in ResourceKind::ALL {
            let known = results_from_the_start(resource);
            // What is shown as 0 from the start is seen to increase.
            for result in known {
                fills.with_label_values(&[resource.as_str(), result]);
            }
            filled_bytes.push(match known {
                // Never filled, so never shown.
                [] => IntCounter::new("unseen", "Never incremented.")?,
                [..] => filled_bytes_by_resource.with_label_values(&[resource.as_str()]),
            });
        }
        Ok(Self {
            fills,
            fills_in_flight: gauge("crateport_fills_in_flight", "Fills under way.")?,
            filled_bytes,
            filled_bytes_by_resource,
            spool_bytes: gauge(
                "crateport_spool_bytes",
                "Bytes that fills hold in memory and on disk, until the last who reads them is done.",
            )?,
            damaged: counter(
                "crateport_damaged_objects_total",
                "Stored objects found damaged and dropped.",
            )?,
            store_failures: counter(
                "crateport_cache_store_failures_total",
                "Store operations that failed a request or a fill.",
            )?,
            refreshes_ahead: counter(
                "crateport_refreshes_ahead_total",
                "Index files refreshed before a client asked.",
            )?,
            fetches_ahead: counter(
                "crateport_fetches_ahead_total",
                "Index files fetched because a file just fetched depends on them.",
            )?,
            index_memory_bytes: gauge(
                "crateport_index_memory_bytes",
                "Memory taken by index files in use.",
            )?,
            index_memory_files: gauge("crateport_index_memory_files", "Index files in memory.")?,
            object_memory_bytes: gauge(
                "crateport_object_memory_bytes",
                "Memory taken by small crates and dist files in use.",
            )?,
            object_memory_objects: gauge(
                "crateport_object_memory_objects",
                "Small crates and dist files in memory.",
            )?,
        })
    }

    /// Counts a fill, and says in its span how it ended.
    pub(crate) fn fill(&self, resource: ResourceKind, result: &str) {
        Span::current().record("crateport.result", result);
        self.fills.with_label_values(&[resource.as_str(), result]).inc();
    }

    /// Counts bytes that a fill took from upstream.
    pub(crate) fn filled(&self, resource: ResourceKind, bytes: usize) {
        match self.filled_bytes.get(resource as usize) {
            Some(counter) => counter.inc_by(bytes as u64),
            None => {
                let labels = [resource.as_str()];
                self.filled_bytes_by_resource.with_label_values(&labels).inc_by(bytes as u64);
            }
        }
    }
}

/// The results of fills that somebody watches for; none for what is never filled.
const fn results_from_the_start(resource: ResourceKind) -> &'static [&'static str] {
    match resource {
        ResourceKind::Index => &[STORED],
        ResourceKind::Krate | ResourceKind::Dist => &[STORED, UNSTORED, WRONG],
        ResourceKind::Config | ResourceKind::Search | ResourceKind::Page => &[],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_alerts_watch_for_is_0_from_the_start() {
        let registry = Registry::new();
        let metrics = CacheMetrics::register(&registry).unwrap();
        metrics.filled(ResourceKind::Krate, 7);
        let text = prometheus::TextEncoder::new().encode_to_string(&registry.gather()).unwrap();
        for line in [
            "crateport_fills_total{resource=\"crate\",result=\"checksum-mismatch\"} 0\n",
            "crateport_fills_total{resource=\"crate\",result=\"store-failed\"} 0\n",
            "crateport_fills_total{resource=\"index\",result=\"stored\"} 0\n",
            "crateport_filled_bytes_total{resource=\"crate\"} 7\n",
            "crateport_filled_bytes_total{resource=\"index\"} 0\n",
            "crateport_spool_bytes 0\n",
        ] {
            assert!(text.contains(line), "{line} {text}");
        }
        assert!(!text.contains("page"), "{text}");
        for (index, kind) in ResourceKind::ALL.into_iter().enumerate() {
            assert_eq!(kind as usize, index, "{kind:?}");
        }
    }
}
