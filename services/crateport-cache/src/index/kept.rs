//! Index files in the store: the bytes as upstream gave them, and beside them what upstream said of them.

use std::sync::Arc;

use crateport_coord::Note;
use crateport_store::{Attributes, Payload as Stored, PutOptions, Read};
use crateport_types::{IndexName, StoreKey, Validators};
use tokio::time::Instant;
use tracing::warn;

use super::since;
use crate::cache::{Inner, Registry};
use crate::flight::{NoResult, Seat};
use crate::hot::{self, IndexCopy};

/// The store has no copy that can be used.
#[derive(Clone, Debug)]
pub(super) struct NotStored;

const ETAG: &str = "upstream-etag";
const LAST_MODIFIED: &str = "upstream-last-modified";
const WITHDRAWN: &str = "upstream-absent";
const CHECKSUM: &str = "sha256";

/// The attributes of an index file that is to be asked for again, whatever upstream would say of its validators.
pub(crate) fn without_validators(attributes: &Attributes) -> Attributes {
    let kept = |name: &str| ![ETAG, LAST_MODIFIED].contains(&name);
    let kept = attributes.iter().filter(|(name, _)| kept(name));
    kept.map(|(name, text)| (name.clone(), text.clone())).collect()
}

impl Inner {
    /// The copy in the store, with what the fleet knows of its freshness.
    pub(super) async fn load(
        &self,
        registry: &Registry,
        name: &IndexName,
        key: &StoreKey,
    ) -> Result<Arc<IndexCopy>, NotStored> {
        let opened = match self.ports.store.get(key, Read::whole().with_attributes()).await {
            Ok(Some(object)) => {
                let meta = object.meta.clone();
                object.collect(self.limits.index_size_bytes_max).await.map(|bytes| (meta, bytes))
            }
            Ok(None) => return Err(NotStored),
            Err(error) => Err(error),
        };
        let (meta, bytes) = opened.map_err(|error| {
            self.metrics.store_failures.inc();
            warn!(%key, %error, "could not be read");
            NotStored
        })?;
        let attribute = |name: &str| meta.attributes.get(name);
        let checksum = hot::digest(&bytes).await;
        let intact = attribute(CHECKSUM).is_none_or(|expected| *expected == checksum.to_string());
        let file = match hot::parse(name, &bytes).await {
            Ok(file) if intact => file,
            parsed => {
                self.drop_damaged(
                    key,
                    &parsed.err().map_or("wrong checksum".into(), |error| error.to_string()),
                )
                .await;
                return Err(NotStored);
            }
        };
        let validators = Validators {
            etag: attribute(ETAG).map(|etag| etag.as_str().into()),
            last_modified: attribute(LAST_MODIFIED).map(|date| date.as_str().into()),
        };
        let withdrawn = attribute(WITHDRAWN).is_some();
        let copy = IndexCopy::new(bytes, checksum, file, validators, meta.modified, withdrawn);
        if let Ok(Some(Note::Fresh { checksum, asked_ago, checked_ago })) =
            self.ports.coordinator.recall(key).await
            && checksum == copy.checksum()
            && !copy.is_withdrawn()
            && let Some(freshness) = since(asked_ago, checked_ago)
        {
            copy.confirm(freshness);
            self.ahead.plan(registry, name, key, freshness);
        }
        Ok(Arc::new(copy))
    }

    /// Drops an object whose bytes are not what they were when it was kept.
    pub(crate) async fn drop_damaged(&self, key: &StoreKey, detail: &str) {
        self.metrics.damaged.inc();
        warn!(%key, detail, "a stored object is damaged; it is dropped and will be filled again");
        if let Err(error) = self.ports.store.delete(key).await {
            self.metrics.store_failures.inc();
            warn!(%key, %error, "could not be dropped");
        }
    }

    /// Saves a copy after those of the same file that are being saved, unless a newer one has taken its place.
    pub(super) async fn save_in_turn(&self, key: &StoreKey, copy: &Arc<IndexCopy>) {
        let deadline = Instant::now() + self.limits.wait_max;
        let _turn = loop {
            match self.saves.board(key) {
                Seat::Leader(turn, _) => break turn,
                Seat::Follower(before) => {
                    if before.wait(deadline).await == Err(NoResult::Late) {
                        return;
                    }
                }
            }
        };
        let newest = self.hot.get(key).await;
        if !copy.is_saved() && newest.is_none_or(|newest| Arc::ptr_eq(&newest, copy)) {
            self.save(key, copy).await;
        }
    }

    async fn save(&self, key: &StoreKey, copy: &IndexCopy) {
        let validators = copy.validators();
        let texts = [
            (ETAG, validators.etag.as_deref().map(str::to_owned)),
            (LAST_MODIFIED, validators.last_modified.as_deref().map(str::to_owned)),
            (WITHDRAWN, copy.is_withdrawn().then(|| "true".to_owned())),
            (CHECKSUM, Some(copy.checksum().to_string())),
        ];
        let attributes: Attributes =
            texts.into_iter().filter_map(|(name, text)| Some((name.to_owned(), text?))).collect();
        let options = PutOptions { checksum: Some(copy.checksum()), attributes };
        match self.ports.store.put(key, Stored::Bytes(copy.bytes().clone()), options).await {
            Ok(_) => copy.set_saved(true),
            Err(error) => {
                self.metrics.store_failures.inc();
                warn!(%key, %error, "could not be kept; it is served from memory");
            }
        }
    }
}
