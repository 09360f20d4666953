//! A store that counts what it is asked, around any other.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use crateport_types::{Area, StoreKey};
use prometheus::{HistogramOpts, HistogramVec, IntCounterVec, Opts, Registry};
use url::Url;

use crate::{Object, ObjectMeta, ObjectStore, Payload, PutOptions, Read, StoreError};

/// Counts operations and measures them; changes nothing.
pub struct MeteredStore {
    inner: Arc<dyn ObjectStore>,
    requests: IntCounterVec,
    duration_seconds: HistogramVec,
}

/// From a file in the page cache to an object store that is in trouble.
const BUCKETS_SECONDS: [f64; 13] =
    [0.0001, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 2.5, 10.0];

impl MeteredStore {
    /// Meters `inner`.
    ///
    /// # Errors
    ///
    /// When `registry` has the store's metrics already.
    pub fn new(
        inner: Arc<dyn ObjectStore>,
        registry: &Registry,
    ) -> Result<Self, prometheus::Error> {
        let help = "Operations on the object store, by their result.";
        let requests = IntCounterVec::new(
            Opts::new("crateport_store_requests_total", help),
            &["operation", "result"],
        )?;
        let help = "Until the store answered; for reads, until the first byte can be read.";
        let duration_seconds = HistogramVec::new(
            HistogramOpts::new("crateport_store_request_duration_seconds", help)
                .buckets(BUCKETS_SECONDS.into()),
            &["operation"],
        )?;
        registry.register(Box::new(requests.clone()))?;
        registry.register(Box::new(duration_seconds.clone()))?;
        Ok(Self { inner, requests, duration_seconds })
    }

    fn count<T>(
        &self,
        operation: &str,
        began: Instant,
        result: Result<T, StoreError>,
        word: fn(&T) -> &'static str,
    ) -> Result<T, StoreError> {
        let elapsed: Duration = began.elapsed();
        let result_word = result.as_ref().map_or_else(StoreError::kind, word);
        self.requests.with_label_values(&[operation, result_word]).inc();
        self.duration_seconds.with_label_values(&[operation]).observe(elapsed.as_secs_f64());
        result
    }
}

fn found<T>(found: &Option<T>) -> &'static str {
    if found.is_some() { "ok" } else { "absent" }
}

#[async_trait]
impl ObjectStore for MeteredStore {
    async fn head(&self, key: &StoreKey) -> Result<Option<ObjectMeta>, StoreError> {
        let began = Instant::now();
        self.count("head", began, self.inner.head(key).await, found)
    }

    async fn get(&self, key: &StoreKey, read: Read) -> Result<Option<Object>, StoreError> {
        let began = Instant::now();
        self.count("get", began, self.inner.get(key, read).await, found)
    }

    async fn put(
        &self,
        key: &StoreKey,
        payload: Payload,
        options: PutOptions,
    ) -> Result<ObjectMeta, StoreError> {
        let began = Instant::now();
        self.count("put", began, self.inner.put(key, payload, options).await, |_| "ok")
    }

    async fn delete(&self, key: &StoreKey) -> Result<bool, StoreError> {
        let began = Instant::now();
        self.count("delete", began, self.inner.delete(key).await, |deleted| {
            if *deleted { "ok" } else { "absent" }
        })
    }

    async fn list(
        &self,
        area: &Area,
        after: Option<&StoreKey>,
        count_max: usize,
    ) -> Result<Vec<(StoreKey, ObjectMeta)>, StoreError> {
        let began = Instant::now();
        self.count("list", began, self.inner.list(area, after, count_max).await, |_| "ok")
    }

    async fn presign(&self, key: &StoreKey, lifetime: Duration) -> Result<Option<Url>, StoreError> {
        self.inner.presign(key, lifetime).await
    }

    fn base_url(&self) -> Option<Url> {
        self.inner.base_url()
    }
}

impl fmt::Debug for MeteredStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("MeteredStore").field(&self.inner).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::FsStore;

    #[tokio::test]
    async fn what_is_asked_is_counted_by_its_result() {
        let directory = tempfile::tempdir().unwrap();
        let registry = Registry::new();
        let store =
            MeteredStore::new(Arc::new(FsStore::open(directory.path()).unwrap()), &registry)
                .unwrap();
        let key = StoreKey::config(&"crates-io".parse().unwrap());
        assert!(store.get(&key, Read::whole()).await.unwrap().is_none());
        store.put(&key, Payload::Bytes("{}".into()), PutOptions::default()).await.unwrap();
        assert!(store.head(&key).await.unwrap().is_some());
        for labels in [["get", "absent"], ["put", "ok"], ["head", "ok"]] {
            assert_eq!(store.requests.with_label_values(&labels).get(), 1, "{labels:?}");
        }
    }
}
