//! The store, as the settings name it.

use std::sync::Arc;

use anyhow::Context as _;
use crateport_store::{FsStore, ObjectStore, S3Config, S3Location, S3Metrics, S3Store, Scratch};

use crate::settings::{Settings, StoreLocation};

/// The store, and scratch space beside it where it has some.
pub(crate) struct Kept {
    pub(crate) store: Arc<dyn ObjectStore>,
    /// The same, if it is one on S3.
    pub(crate) s3: Option<S3Store>,
    pub(crate) scratch: Option<Scratch>,
}

/// Opens the store.
pub(crate) async fn store(settings: &Settings) -> anyhow::Result<Kept> {
    open(settings, None).await
}

/// The same, with its attempts on the wire counted where it has any.
pub(super) async fn metered_store(
    settings: &Settings,
    metrics: &prometheus::Registry,
) -> anyhow::Result<Kept> {
    let metrics = match &settings.store {
        StoreLocation::Fs(_) => None,
        StoreLocation::S3(_) => Some(S3Metrics::register(metrics)?),
    };
    open(settings, metrics).await
}

async fn open(settings: &Settings, metrics: Option<S3Metrics>) -> anyhow::Result<Kept> {
    let unusable = || format!("the store {} cannot be used", settings.store);
    match &settings.store {
        StoreLocation::Fs(directory) => {
            let store = FsStore::open(directory).with_context(unusable)?;
            let scratch = Some(store.scratch().clone());
            Ok(Kept { store: Arc::new(store), s3: None, scratch })
        }
        StoreLocation::S3(location) => {
            let store = S3Store::open(S3Config { metrics, ..s3(settings, location)? })
                .await
                .with_context(unusable)?;
            Ok(Kept { store: Arc::new(store.clone()), s3: Some(store), scratch: None })
        }
    }
}

fn s3(settings: &Settings, location: &S3Location) -> anyhow::Result<S3Config> {
    Ok(S3Config {
        region: settings.s3_region.clone(),
        endpoint: settings.s3_endpoint.clone(),
        public_endpoint: settings.s3_public_endpoint.clone(),
        url_style: settings.s3_path_style,
        encryption: settings.s3_encryption.clone(),
        requests_max: settings.s3_requests_max.try_into()?,
        ..S3Config::new(location.clone())
    })
}
