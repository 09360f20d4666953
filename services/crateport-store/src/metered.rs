//! A store that counts what it is asked, around any other.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use crateport_types::{Area, StoreKey};
use prometheus::{
    Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, Opts, Registry,
};
use url::Url;

use crate::{Object, ObjectMeta, ObjectStore, Payload, PutOptions, Read, StoreError};

/// Counts operations and measures them; changes nothing.
pub struct MeteredStore {
    inner: Arc<dyn ObjectStore>,
    requests: IntCounterVec,
    head: Operation,
    get: Operation,
    put: Operation,
    delete: Operation,
    list: Operation,
    presign: Operation,
}

/// The metrics of one operation, looked up once.
struct Operation {
    name: &'static str,
    ok: IntCounter,
    absent: IntCounter,
    duration_seconds: Histogram,
}

/// How an operation ended that did not fail.
enum Ended {
    Ok,
    Absent,
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
        let operation = |name| Operation {
            name,
            ok: requests.with_label_values(&[name, "ok"]),
            absent: requests.with_label_values(&[name, "absent"]),
            duration_seconds: duration_seconds.with_label_values(&[name]),
        };
        Ok(Self {
            inner,
            head: operation("head"),
            get: operation("get"),
            put: operation("put"),
            delete: operation("delete"),
            list: operation("list"),
            presign: operation("presign"),
            requests,
        })
    }

    fn count<T>(
        &self,
        operation: &Operation,
        began: Instant,
        result: Result<T, StoreError>,
        ended: fn(&T) -> Ended,
    ) -> Result<T, StoreError> {
        operation.duration_seconds.observe(began.elapsed().as_secs_f64());
        match result.as_ref().map(ended) {
            Ok(Ended::Ok) => operation.ok.inc(),
            Ok(Ended::Absent) => operation.absent.inc(),
            Err(error) => {
                self.requests.with_label_values(&[operation.name, error.kind()]).inc();
            }
        }
        result
    }
}

fn found<T>(found: &Option<T>) -> Ended {
    if found.is_some() { Ended::Ok } else { Ended::Absent }
}

#[async_trait]
impl ObjectStore for MeteredStore {
    async fn head(&self, key: &StoreKey) -> Result<Option<ObjectMeta>, StoreError> {
        let began = Instant::now();
        self.count(&self.head, began, self.inner.head(key).await, found)
    }

    async fn get(&self, key: &StoreKey, read: Read) -> Result<Option<Object>, StoreError> {
        let began = Instant::now();
        self.count(&self.get, began, self.inner.get(key, read).await, found)
    }

    async fn put(
        &self,
        key: &StoreKey,
        payload: Payload,
        options: PutOptions,
    ) -> Result<ObjectMeta, StoreError> {
        let began = Instant::now();
        self.count(&self.put, began, self.inner.put(key, payload, options).await, |_| Ended::Ok)
    }

    async fn delete(&self, key: &StoreKey) -> Result<bool, StoreError> {
        let began = Instant::now();
        self.count(&self.delete, began, self.inner.delete(key).await, |deleted| {
            if *deleted { Ended::Ok } else { Ended::Absent }
        })
    }

    async fn list(
        &self,
        area: &Area,
        after: Option<&StoreKey>,
        count_max: usize,
    ) -> Result<Vec<(StoreKey, ObjectMeta)>, StoreError> {
        let began = Instant::now();
        self.count(&self.list, began, self.inner.list(area, after, count_max).await, |_| Ended::Ok)
    }

    /// `absent` here means that no URL could be given: the backend has none, or its credentials end too soon.
    async fn presign(&self, key: &StoreKey, lifetime: Duration) -> Result<Option<Url>, StoreError> {
        let began = Instant::now();
        self.count(&self.presign, began, self.inner.presign(key, lifetime).await, found)
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
