//! A store that fails to order, around one that works.

use std::io;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use crateport_types::{Area, StoreKey};
use url::Url;

use crate::{Object, ObjectMeta, ObjectStore, Payload, PutOptions, Read, StoreError};

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoreFault {
    /// Every read fails.
    Reads,
    /// Every write fails.
    Writes,
    /// Every write fails for want of room.
    Full,
}

/// Passes everything on, except for the fault that is set.
#[derive(Debug)]
pub struct FaultyStore<S> {
    inner: S,
    fault: Mutex<Option<StoreFault>>,
    puts: AtomicUsize,
}

impl<S> FaultyStore<S> {
    /// A store without a fault, for now.
    pub fn new(inner: S) -> Self {
        Self { inner, fault: Mutex::default(), puts: AtomicUsize::new(0) }
    }

    /// Sets the fault, or heals it.
    pub fn set(&self, fault: Option<StoreFault>) {
        *self.fault.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = fault;
    }

    /// How many objects were asked to be kept.
    pub fn puts(&self) -> usize {
        self.puts.load(Ordering::Relaxed)
    }

    fn check(
        &self,
        action: &'static str,
        key: &StoreKey,
        faults: &[StoreFault],
    ) -> Result<(), StoreError> {
        let fault = *self.fault.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        match fault.filter(|fault| faults.contains(fault)) {
            None => Ok(()),
            Some(StoreFault::Full) => {
                Err(StoreError::of(action, key, io::ErrorKind::StorageFull.into()))
            }
            Some(_) => Err(StoreError::of(action, key, io::Error::other("a fault was ordered"))),
        }
    }
}

#[async_trait]
impl<S: ObjectStore> ObjectStore for FaultyStore<S> {
    async fn head(&self, key: &StoreKey) -> Result<Option<ObjectMeta>, StoreError> {
        self.check("look up", key, &[StoreFault::Reads])?;
        self.inner.head(key).await
    }

    async fn get(&self, key: &StoreKey, read: Read) -> Result<Option<Object>, StoreError> {
        self.check("open", key, &[StoreFault::Reads])?;
        self.inner.get(key, read).await
    }

    async fn put(
        &self,
        key: &StoreKey,
        payload: Payload,
        options: PutOptions,
    ) -> Result<ObjectMeta, StoreError> {
        self.puts.fetch_add(1, Ordering::Relaxed);
        self.check("write", key, &[StoreFault::Writes, StoreFault::Full])?;
        self.inner.put(key, payload, options).await
    }

    async fn delete(&self, key: &StoreKey) -> Result<bool, StoreError> {
        self.check("delete", key, &[StoreFault::Writes])?;
        self.inner.delete(key).await
    }

    async fn list(
        &self,
        area: &Area,
        after: Option<&StoreKey>,
        count_max: usize,
    ) -> Result<Vec<(StoreKey, ObjectMeta)>, StoreError> {
        self.inner.list(area, after, count_max).await
    }

    async fn presign(&self, key: &StoreKey, lifetime: Duration) -> Result<Option<Url>, StoreError> {
        self.inner.presign(key, lifetime).await
    }

    fn base_url(&self) -> Option<Url> {
        self.inner.base_url()
    }
}
