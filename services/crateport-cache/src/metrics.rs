//! What the cache counts.

use crateport_types::ResourceKind;
use prometheus::{IntCounter, IntCounterVec, IntGauge, Opts, Registry};

/// The cache's own metrics.
#[derive(Clone, Debug)]
pub(crate) struct CacheMetrics {
    fills: IntCounterVec,
    pub(crate) fills_in_flight: IntGauge,
    pub(crate) filled_bytes: IntCounter,
    pub(crate) damaged: IntCounter,
    pub(crate) store_failures: IntCounter,
    pub(crate) refreshes_ahead: IntCounter,
    pub(crate) fetches_ahead: IntCounter,
    pub(crate) index_memory_bytes: IntGauge,
    pub(crate) index_memory_files: IntGauge,
}

/// The result of a fill that ended well.
pub(crate) const STORED: &str = "stored";
/// The result of a fill that was served but could not be kept.
pub(crate) const UNSTORED: &str = "store-failed";
/// The result of a fill that another replica had ended first.
pub(crate) const FOUND: &str = "found";

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
        Ok(Self {
            fills,
            fills_in_flight: gauge("crateport_fills_in_flight", "Fills under way.")?,
            filled_bytes: counter(
                "crateport_filled_bytes_total",
                "Bytes that fills took from upstream.",
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
        })
    }

    /// Counts a fill.
    pub(crate) fn fill(&self, resource: ResourceKind, result: &str) {
        self.fills.with_label_values(&[resource.as_str(), result]).inc();
    }
}
