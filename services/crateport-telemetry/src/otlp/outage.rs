//! Tells once when a collector is lost and once when it is back, instead of once per batch.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{SpanData, SpanExporter};

/// An exporter that logs when `E` begins to fail and when it recovers.
#[derive(Debug)]
pub(super) struct TellsOutages<E> {
    inner: E,
    is_failing: AtomicBool,
}

impl<E> TellsOutages<E> {
    pub(super) const fn new(inner: E) -> Self {
        Self { inner, is_failing: AtomicBool::new(false) }
    }
}

impl<E: SpanExporter> SpanExporter for TellsOutages<E> {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let result = self.inner.export(batch).await;
        let was_failing = self.is_failing.swap(result.is_err(), Ordering::Relaxed);
        match (&result, was_failing) {
            (Err(error), false) => {
                tracing::warn!(%error, "the collector does not take spans; they are dropped");
            }
            (Ok(()), true) => tracing::info!("the collector takes spans again"),
            _ => {}
        }
        result
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.inner.shutdown_with_timeout(timeout)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.inner.force_flush()
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.inner.set_resource(resource);
    }
}
