//! The object store on anything that speaks S3: AWS, MinIO, Ceph, R2, Garage, and others.
//!
//! A key is a key of the bucket below the location's prefix, so the bucket is a static registry by itself. Objects
//! are put with their SHA-256, which a server that knows it compares before the object is visible, and gives back
//! with it; whole reads are compared with it too, and the last piece is only let go when it is right. Nothing here
//! needs conditional writes: what a server can do is found out by [`S3Store::probe`].
//!
//! Every request has a deadline and a bounded number of attempts; a body that is read has a limit between its pieces.

mod about;
mod body;
mod clients;
mod config;
mod failure;
mod list;
mod location;
mod metrics;
mod multipart;
mod presign;
mod probe;
mod read;
mod source;
mod stale;
mod write;

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use crateport_types::{Area, StoreKey};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use url::Url;

use self::clients::Clients;
pub use self::config::{S3Checksums, S3Config, S3Credentials, S3Encryption, S3Timeouts, UrlStyle};
pub use self::location::{InvalidS3Location, S3Location};
pub use self::metrics::S3Metrics;
use self::presign::Presigned;
pub use self::probe::{Finding, S3Capabilities};
use crate::{Object, ObjectMeta, ObjectStore, Payload, PutOptions, Read, StoreError};

/// Objects in a bucket. Cheap to clone.
#[derive(Clone)]
pub struct S3Store(Arc<Inner>);

struct Inner {
    config: S3Config,
    clients: Clients,
    /// Turns to send a request.
    requests: Arc<Semaphore>,
    presigned: Presigned,
}

impl S3Store {
    /// Makes the store ready. The server is not asked, so it may be down; credentials are fetched when they are first
    /// needed.
    ///
    /// # Errors
    ///
    /// When the settings and the AWS environment together do not say where the bucket is.
    pub async fn open(config: S3Config) -> Result<Self, StoreError> {
        let clients = Clients::new(&config)
            .await
            .map_err(|error| StoreError::of("open the store in", &config.location, error))?;
        let requests = Arc::new(Semaphore::new(config.requests_max));
        let presigned = presign::presigned(config.presigned_max);
        Ok(Self(Arc::new(Inner { config, clients, requests, presigned })))
    }

    /// Where the objects are.
    #[must_use]
    pub fn location(&self) -> &S3Location {
        &self.0.config.location
    }

    /// A turn to send a request, held until its answer has been read.
    async fn turn(
        &self,
        action: &'static str,
        object: impl fmt::Display + Send,
    ) -> Result<OwnedSemaphorePermit, StoreError> {
        let wait = Arc::clone(&self.0.requests).acquire_owned();
        match tokio::time::timeout(self.0.config.timeouts.operation, wait).await {
            Ok(Ok(turn)) => Ok(turn),
            Ok(Err(closed)) => Err(self.failed(action, object, io::Error::other(closed))),
            Err(_) => {
                let text = "too many requests are under way";
                Err(self.failed(action, object, io::Error::new(io::ErrorKind::TimedOut, text)))
            }
        }
    }

    fn failed(
        &self,
        action: &'static str,
        object: impl fmt::Display,
        error: io::Error,
    ) -> StoreError {
        StoreError::of(action, &self.location().name(object), error)
    }
}

#[async_trait]
impl ObjectStore for S3Store {
    async fn head(&self, key: &StoreKey) -> Result<Option<ObjectMeta>, StoreError> {
        self.head_object(key).await
    }

    async fn get(&self, key: &StoreKey, read: Read) -> Result<Option<Object>, StoreError> {
        self.get_object(key, read).await
    }

    async fn put(
        &self,
        key: &StoreKey,
        payload: Payload,
        options: PutOptions,
    ) -> Result<ObjectMeta, StoreError> {
        self.put_object(key, payload, options).await
    }

    async fn delete(&self, key: &StoreKey) -> Result<bool, StoreError> {
        self.delete_object(key).await
    }

    async fn list(
        &self,
        area: &Area,
        after: Option<&StoreKey>,
        count_max: usize,
    ) -> Result<Vec<(StoreKey, ObjectMeta)>, StoreError> {
        self.list_objects(area, after, count_max).await
    }

    async fn presign(&self, key: &StoreKey, lifetime: Duration) -> Result<Option<Url>, StoreError> {
        self.presign_get(key, lifetime).await
    }

    fn base_url(&self) -> Option<Url> {
        Some(self.0.clients.base_url.clone())
    }
}

impl fmt::Debug for S3Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("S3Store").field(&format_args!("{}", self.location())).finish()
    }
}
