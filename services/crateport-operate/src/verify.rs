//! Verifying: every object read and held against its checksum, every index file against its grammar.
//!
//! A crate's checksum stands in its index file, so a store is verified against itself; that an index file is the one
//! that upstream gave is told by the digest that was kept beside it.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use crateport_cache::Cache;
use crateport_cache::uses::read_batch;
use crateport_store::{ObjectMeta, ObjectStore, Read, StoreError};
use crateport_types::{
    Area, CrateName, CrateVersion, DistId, DistObject, Hasher, IndexFile, IndexName, Named,
    RegistryConfig, RegistryId, Resource, Sha256, StoreKey,
};
use futures_util::StreamExt as _;
use serde::de::IgnoredAny;

use crate::fetch::fetch;
use crate::last_uses::BATCH_BYTES_MAX;
use crate::walk::Walk;
use crate::{OperateError, Tally};

/// Verifies one store.
#[derive(Clone, Debug)]
pub struct Verifier {
    /// What is verified.
    pub store: Arc<dyn ObjectStore>,
    /// Who fetches again what is wrong; without one it stays as it is.
    pub repairer: Option<Cache>,
    /// The dist origins whose files are known here.
    pub dists: Vec<DistId>,
}

/// What is verified.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Everything.
    All,
    /// So many objects, by chance.
    Sample(usize),
    /// What was written since.
    Since(SystemTime),
}

/// What is wrong with an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Its bytes do not have its checksum.
    Damaged {
        /// What it must be.
        expected: Sha256,
        /// What it is.
        found: Sha256,
    },
    /// It is not what its key says.
    Malformed(String),
    /// Nothing tells its checksum: no index file, or nothing beside a dist file.
    Unlisted,
    /// The store does not give it.
    Unreadable(String),
}

/// What became of an object that was wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Repair {
    /// Nothing was tried.
    None,
    /// It was dropped, and nothing needs it.
    Dropped,
    /// It was dropped and fetched again.
    Fetched,
    /// It was dropped and could not be fetched again, or not even dropped.
    Failed(String),
}

/// One object that was wrong.
#[derive(Clone, Debug)]
pub struct Finding {
    /// Which.
    pub key: StoreKey,
    /// What is wrong with it.
    pub fault: Fault,
    /// What was done.
    pub repair: Repair,
}

/// What was found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Verified {
    /// What is as it should be.
    pub sound: Tally,
    /// What is not, and was not repaired.
    pub faulty: Tally,
    /// What was not, and is now.
    pub repaired: Tally,
    /// What this program does not know.
    pub unknown: Tally,
}

/// Objects read at once. Each needs a piece of memory, and index files all of theirs.
const READS_AT_ONCE: usize = 8;
/// No index file or `config.json` is larger, whatever the settings say.
const TEXT_BYTES_MAX: usize = 256 << 20;
/// Index files kept for the crates that come next, which are of the same name.
const INDEX_FILES_MAX: u64 = 32;
/// The attribute that tells an index file's digest.
const CHECKSUM: &str = "sha256";

type IndexFiles = moka::sync::Cache<StoreKey, Arc<IndexFile>>;

impl Verifier {
    /// Verifies, and tells `found` of each object that is wrong and `seen` of each that was looked at.
    ///
    /// # Errors
    ///
    /// When the store cannot be listed.
    pub async fn verify(
        &self,
        scope: Scope,
        mut found: impl FnMut(&Finding) + Send,
        mut seen: impl FnMut(&Verified) + Send,
    ) -> Result<Verified, OperateError> {
        let index_files = IndexFiles::new(INDEX_FILES_MAX);
        let mut verified = Verified::default();
        let mut batches = Batches::new(&*self.store, scope).await?;
        while let Some(batch) = batches.next().await? {
            let looks = batch.into_iter().map(async |(key, meta)| {
                let looked = Box::pin(self.look(&key, &index_files)).await;
                (key, meta, looked)
            });
            let mut looks = futures_util::stream::iter(looks).buffer_unordered(READS_AT_ONCE);
            while let Some((key, meta, looked)) = looks.next().await {
                let size_bytes = meta.size_bytes;
                match looked {
                    Look::Sound => verified.sound.add(size_bytes),
                    Look::Gone => {}
                    Look::Unknown => verified.unknown.add(size_bytes),
                    Look::Wrong(fault) => {
                        let repair = Box::pin(self.repair(&key, &fault)).await;
                        match repair {
                            Repair::Fetched | Repair::Dropped => verified.repaired.add(size_bytes),
                            Repair::None | Repair::Failed(_) => verified.faulty.add(size_bytes),
                        }
                        index_files.invalidate(&key);
                        found(&Finding { key, fault, repair });
                    }
                }
                seen(&verified);
            }
        }
        Ok(verified)
    }

    async fn look(&self, key: &StoreKey, index_files: &IndexFiles) -> Look {
        if let Some((_, object)) = self.dist_object(key) {
            let looked = self.look_at_dist(key, &object).await;
            return looked.unwrap_or_else(|error| Look::Wrong(Fault::Unreadable(sentence(&error))));
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
        looked.unwrap_or_else(|error| Look::Wrong(Fault::Unreadable(sentence(&error))))
    }

    fn dist_object(&self, key: &StoreKey) -> Option<(&DistId, DistObject)> {
        self.dists.iter().find_map(|dist| Some((dist, key.dist_object(dist)?)))
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

    /// Drops what is wrong, and has it fetched again.
    async fn repair(&self, key: &StoreKey, fault: &Fault) -> Repair {
        let Some(cache) = &self.repairer else { return Repair::None };
        let needed = match (self.dist_object(key), key.named()) {
            (Some((dist, DistObject::File(path))), _) => {
                Some((dist.to_string(), Resource::Dist(path)))
            }
            // What is given is asked for again when somebody wants it.
            (Some((_, DistObject::Snapshot(..) | DistObject::Given(_))), _) => None,
            (None, Named::Krate(registry, name, version)) => {
                Some((registry.to_string(), Resource::Krate { name, version }))
            }
            (None, Named::IndexFile(registry, name)) => {
                Some((registry.to_string(), Resource::IndexFile(name)))
            }
            (None, Named::UpstreamConfig(registry) | Named::Config(registry)) => {
                Some((registry.to_string(), Resource::Config))
            }
            (None, Named::Usage(_) | Named::Other) => None,
        };
        let (origin, resource) = match needed {
            Some(needed) => needed,
            None => {
                return match self.store.delete(key).await {
                    Ok(_) => Repair::Dropped,
                    Err(error) => Repair::Failed(sentence(&error)),
                };
            }
        };
        // A crate that only lacks its index file stays: fetching it brings the index file.
        if *fault != Fault::Unlisted || matches!(resource, Resource::Dist(_)) {
            if let Err(error) = self.store.delete(key).await {
                return Repair::Failed(sentence(&error));
            }
            // The store's own config.json is made from upstream's.
            if let Named::Config(registry) = key.named()
                && let Err(error) = self.store.delete(&StoreKey::upstream_config(&registry)).await
            {
                return Repair::Failed(sentence(&error));
            }
            cache.forget(key).await;
        }
        match Box::pin(fetch(cache, &origin, &resource)).await {
            Ok(_) => Repair::Fetched,
            Err(error) => Repair::Failed(error.to_string()),
        }
    }
}

enum Look {
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
}

/// What is looked at, a part at a time.
enum Batches<'a> {
    Walk(Walk<'a>, Option<SystemTime>),
    Sample(Option<Vec<(StoreKey, ObjectMeta)>>),
}

impl<'a> Batches<'a> {
    async fn new(store: &'a dyn ObjectStore, scope: Scope) -> Result<Self, OperateError> {
        let mut walk = Walk::new(store, Area::All);
        let count = match scope {
            Scope::All => return Ok(Self::Walk(walk, None)),
            Scope::Since(since) => return Ok(Self::Walk(walk, Some(since))),
            Scope::Sample(count) => count,
        };
        // Each object has a number by chance; those with the smallest are the sample.
        let mut sample = BTreeMap::new();
        while let Some(page) = walk.next().await? {
            for (key, meta) in page {
                if key.named() == Named::Other {
                    continue;
                }
                sample.insert((fastrand::u64(..), key), meta);
                if sample.len() > count {
                    sample.pop_last();
                }
            }
        }
        let mut sample = sample.into_iter().map(|((_, key), meta)| (key, meta)).collect::<Vec<_>>();
        sample.sort_by(|(a, _), (b, _)| a.cmp(b));
        Ok(Self::Sample(Some(sample)))
    }

    async fn next(&mut self) -> Result<Option<Vec<(StoreKey, ObjectMeta)>>, StoreError> {
        match self {
            Self::Sample(sample) => Ok(sample.take()),
            Self::Walk(walk, since) => {
                let page = walk.next().await?;
                let is_meant = |meta: &ObjectMeta| since.is_none_or(|since| meta.modified >= since);
                Ok(page.map(|page| page.into_iter().filter(|(_, meta)| is_meant(meta)).collect()))
            }
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Damaged { expected, found } => {
                write!(f, "its checksum is {found}, and must be {expected}")
            }
            Self::Malformed(error) | Self::Unreadable(error) => f.write_str(error),
            Self::Unlisted => f.write_str("nothing here tells its checksum"),
        }
    }
}

fn sentence(error: &dyn std::error::Error) -> String {
    let source = error.source().map(|source| format!(": {source}")).unwrap_or_default();
    format!("{error}{source}")
}
