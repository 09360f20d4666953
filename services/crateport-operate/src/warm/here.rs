//! Warming the store beneath a cache of this process.

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use crateport_cache::{Cache, ServeError};
use crateport_store::StoreError;
use crateport_types::{Outcome, Resource, StoreKey};
use tokio::time::{Instant, sleep};

use super::{Cold, Place, Wanted, Warmth};
use crate::OperateError;
use crate::fetch::{fetch, read};

/// The cache of this process.
#[derive(Clone, Debug)]
pub struct Here(pub Cache);

/// What was fetched reaches the store within this, or the store is in trouble.
const KEEP_WAIT_MAX: Duration = Duration::from_secs(30);
const LOOK_EVERY: Duration = Duration::from_millis(20);
pub(crate) const NOT_KEPT: &str = "it was fetched, and the store did not keep it";

#[async_trait]
impl Place for Here {
    async fn warm(&self, wanted: &Wanted) -> Result<Warmth, Cold> {
        let fetched = Box::pin(fetch(&self.0, &wanted.origin, &wanted.resource)).await;
        let fetched = fetched.map_err(|error| cold(&error))?;
        let is_krate = matches!(wanted.resource, Resource::Krate { .. } | Resource::Dist(_));
        if is_krate && wanted.checksum.is_some() && fetched.checksum != wanted.checksum {
            return Err(Cold::other_checksum());
        }
        Ok(match fetched.outcome {
            Outcome::Fill | Outcome::Join => Warmth::Fetched { size_bytes: fetched.size_bytes },
            _ => Warmth::Present,
        })
    }

    async fn read(&self, wanted: &Wanted, size_bytes_max: usize) -> Result<Bytes, Cold> {
        let read = read(&self.0, &wanted.origin, &wanted.resource, size_bytes_max);
        Box::pin(read).await.map_err(|error| cold(&error))
    }

    async fn settle(&self, wanted: &[Wanted]) -> Result<Vec<(Wanted, Cold)>, OperateError> {
        let deadline = Instant::now() + KEEP_WAIT_MAX;
        let mut cold = Vec::new();
        for wanted in wanted {
            if let Some(key) = wanted.key()
                && !is_kept(&self.0, &key, deadline).await?
            {
                cold.push((wanted.clone(), Cold { why: NOT_KEPT.to_owned(), retry_after: None }));
            }
        }
        Ok(cold)
    }
}

/// Waits until what was fetched is in the store, for as long as it may take.
pub(crate) async fn settled(cache: &Cache, key: &StoreKey) -> Result<bool, StoreError> {
    is_kept(cache, key, Instant::now() + KEEP_WAIT_MAX).await
}

async fn is_kept(cache: &Cache, key: &StoreKey, deadline: Instant) -> Result<bool, StoreError> {
    while cache.store().head(key).await?.is_none() {
        if Instant::now() >= deadline {
            return Ok(false);
        }
        sleep(LOOK_EVERY).await;
    }
    Ok(true)
}

fn cold(error: &ServeError) -> Cold {
    let retry_after = match error {
        ServeError::Unavailable { failure, .. } => Some(failure.retry_after),
        _ => None,
    };
    Cold { why: error.to_string(), retry_after }
}
