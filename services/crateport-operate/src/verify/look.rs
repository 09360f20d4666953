//! Looking at one object.

use std::sync::Arc;

use crateport_cache::uses::read_batch;
use crateport_store::{Read, StoreError};
use crateport_types::{
    CrateName, CrateVersion, DistObject, Hasher, IndexFile, IndexName, Named, RegistryConfig,
    RegistryId, Sha256, StoreKey,
};
use futures_util::StreamExt as _;
use serde::de::IgnoredAny;

use super::{Fault, Verifier, sentence};
use crate::last_uses::BATCH_BYTES_MAX;

/// No index file or `config.json` is larger, whatever the settings say.
const TEXT_BYTES_MAX: usize = 256 << 20;
/// The attribute that tells an index file's digest.
const CHECKSUM: &str = "sha256";

pub(super) type IndexFiles = moka::sync::Cache<StoreKey, Arc<IndexFile>>;

/// How an object is.
pub(super) enum Look {
    Sound,
    /// Deleted since it was listed.
    Gone,
    Unknown,
    Wrong(Fault),
}

impl Look {
    fn malformed(error: impl std::error::Error) -> Self {
        Self::Wrong(Fault::Malformed(sentence(&error)))
    }

    fn failed(error: &StoreError) -> Self {
        Self::Wrong(match error {
            StoreError::Damaged { .. } | StoreError::TooLarge { .. } => {
                Fault::Malformed(sentence(error))
            }
            StoreError::Failed { .. }
            | StoreError::Full { .. }
            | StoreError::Denied { .. }
            | StoreError::Cut { .. } => Fault::Unreadable(sentence(error)),
        })
    }
}

impl Verifier {
    pub(super) async fn look(&self, key: &StoreKey, index_files: &IndexFiles) -> Look {
        if let Some((_, object)) = self.dist_object(key) {
            let looked = self.look_at_dist(key, &object).await;
            return looked.unwrap_or_else(|error| Look::failed(&error));
        }
        let looked = match key.named() {
            Named::Krate(registry, name, version) => {
                self.look_at_krate(key, &registry, &name, &version, index_files).await
            }
            Named::IndexFile(_, name) => self.look_at_index_file(key, &name).await,
            // Ours may lead to files, which upstream's may not.
            Named::Config(_) => {
                let parse = |bytes: &[u8]| serde_json::from_slice::<IgnoredAny>(bytes).map(drop);
                self.look_at_text(key, TEXT_BYTES_MAX, parse).await
            }
            Named::UpstreamConfig(_) => {
                let parse = |bytes: &[u8]| RegistryConfig::parse(bytes).map(drop);
                self.look_at_text(key, TEXT_BYTES_MAX, parse).await
            }
            Named::Usage(_) => {
                let parse = |bytes: &[u8]| read_batch(bytes, |_| {}, |_| {});
                self.look_at_text(key, BATCH_BYTES_MAX, parse).await
            }
            Named::Other => return Look::Unknown,
        };
        looked.unwrap_or_else(|error| Look::failed(&error))
    }

    async fn look_at_dist(&self, key: &StoreKey, object: &DistObject) -> Result<Look, StoreError> {
        let expected = match object {
            DistObject::Given(_) => {
                let parse = |bytes: &[u8]| serde_json::from_slice::<IgnoredAny>(bytes).map(drop);
                return self.look_at_text(key, TEXT_BYTES_MAX, parse).await;
            }
            DistObject::Snapshot(_, content) => *content,
            DistObject::File(_) => {
                let Some(meta) = self.store.head(key).await? else { return Ok(Look::Gone) };
                let kept = meta.attributes.get(CHECKSUM).and_then(|text| text.parse().ok());
                let Some(expected) = kept else { return Ok(Look::Wrong(Fault::Unlisted)) };
                expected
            }
        };
        self.look_at_bytes(key, expected).await
    }

    async fn look_at_krate(
        &self,
        key: &StoreKey,
        registry: &RegistryId,
        name: &CrateName,
        version: &CrateVersion,
        index_files: &IndexFiles,
    ) -> Result<Look, StoreError> {
        let index = self.index_file(registry, &name.index_name(), index_files).await?;
        let entry = index.as_ref().and_then(|index| index.entry(version.as_str()));
        let Some(entry) = entry.filter(|entry| *entry.name == *name.as_str()) else {
            return Ok(Look::Wrong(Fault::Unlisted));
        };
        self.look_at_bytes(key, entry.checksum).await
    }

    async fn look_at_bytes(&self, key: &StoreKey, expected: Sha256) -> Result<Look, StoreError> {
        let Some(mut object) = self.store.get(key, Read::whole()).await? else {
            return Ok(Look::Gone);
        };
        let mut hasher = Hasher::default();
        while let Some(piece) = object.body.next().await {
            match piece {
                Ok(piece) => hasher.update(&piece),
                // The store found out first.
                Err(StoreError::Damaged { .. }) => break,
                Err(error) => return Err(error),
            }
            tokio::task::yield_now().await;
        }
        let found = hasher.finish();
        Ok(if found == expected {
            Look::Sound
        } else {
            Look::Wrong(Fault::Damaged { expected, found })
        })
    }

    async fn index_file(
        &self,
        registry: &RegistryId,
        name: &IndexName,
        index_files: &IndexFiles,
    ) -> Result<Option<Arc<IndexFile>>, StoreError> {
        let key = StoreKey::index_file(registry, name);
        if let Some(known) = index_files.get(&key) {
            return Ok(Some(known));
        }
        let Some(object) = self.store.get(&key, Read::whole()).await? else { return Ok(None) };
        let bytes = object.collect(TEXT_BYTES_MAX).await?;
        let Ok(file) = IndexFile::parse(name, &bytes) else { return Ok(None) };
        let file = Arc::new(file);
        index_files.insert(key, Arc::clone(&file));
        Ok(Some(file))
    }

    async fn look_at_index_file(
        &self,
        key: &StoreKey,
        name: &IndexName,
    ) -> Result<Look, StoreError> {
        let read = Read::whole().with_attributes();
        let Some(object) = self.store.get(key, read).await? else { return Ok(Look::Gone) };
        let expected = object.meta.attributes.get(CHECKSUM).and_then(|text| text.parse().ok());
        let bytes = object.collect(TEXT_BYTES_MAX).await?;
        let found = Sha256::of(&bytes);
        if let Some(expected) = expected.filter(|expected| *expected != found) {
            return Ok(Look::Wrong(Fault::Damaged { expected, found }));
        }
        Ok(IndexFile::parse(name, &bytes).map_or_else(Look::malformed, |_| Look::Sound))
    }

    async fn look_at_text<E: std::error::Error>(
        &self,
        key: &StoreKey,
        size_bytes_max: usize,
        parse: impl FnOnce(&[u8]) -> Result<(), E>,
    ) -> Result<Look, StoreError> {
        let Some(object) = self.store.get(key, Read::whole()).await? else { return Ok(Look::Gone) };
        let bytes = object.collect(size_bytes_max).await?;
        Ok(parse(&bytes).map_or_else(Look::malformed, |()| Look::Sound))
    }
}
