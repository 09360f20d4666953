//! Purges: what an operator wants to be asked for again, by every replica.
//!
//! A purge changes the store and the coordinator's notes: crates are dropped, index files stay, but without upstream's
//! validators, so that they are served only once upstream was asked, or when it cannot be. Before that and after it, it
//! leaves a mark in the store, and replicas that see one forget what they know and send no client to the objects that
//! it names. Each looks every `purge_poll`; so nobody is sent to what is about to be dropped, and a purge holds
//! everywhere one `purge_poll` after its last mark was left, on replicas that reach the store.

use std::collections::HashSet;
use std::sync::{Arc, Weak};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use crateport_coord::Coordinator;
use crateport_store::{ObjectStore, Payload, PutOptions, Read, StoreError};
use crateport_types::{Area, CrateName, CrateVersion, Named, RegistryId, Sha256, StoreKey};
use tokio::time::sleep;
use tracing::{debug, info, warn};

use crate::cache::Inner;
use crate::index::without_validators;
use crate::uses::{list_all, read_keys, text};

/// What is purged: a crate, or one version of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Purge {
    /// Of which registry.
    pub registry: RegistryId,
    /// By the exact spelling of its name.
    pub name: CrateName,
    /// All versions when absent.
    pub version: Option<CrateVersion>,
}

/// What a purge did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Purged {
    /// Crates that were dropped.
    pub crates: u64,
    /// Index files that will be asked for again.
    pub index_files: u64,
}

/// No index file is larger, whatever the settings say.
const INDEX_BYTES_MAX: usize = 1 << 30;
/// By then every replica has seen it, or is gone.
const MARK_AGE_MAX: Duration = Duration::from_secs(24 * 3600);
/// One look.
const LOOK_WAIT_MAX: Duration = Duration::from_secs(10);
/// For a look that takes its time.
const LOOK_MARGIN: Duration = Duration::from_millis(500);
const MARKS_MAX: usize = 1000;
/// More keys make a second mark, so that each can be read in one piece.
const KEYS_OF_MARK_MAX: usize = 1000;

/// For the objects to be dropped between two marks.
const DROPPING_MAX: Duration = Duration::from_secs(60);

/// How long after its mark was left a change is known everywhere, if all replicas look every `poll`.
fn known_after(poll: Duration) -> Duration {
    poll + LOOK_MARGIN
}

/// How long nobody is sent to an object that a mark names: until after the next mark of the same purge.
pub(crate) fn doubt_of(poll: Duration) -> Duration {
    2 * known_after(poll) + DROPPING_MAX
}

/// Purges, and returns once it holds on every replica that reaches the store, if all look every `poll`.
///
/// # Errors
///
/// When the store fails; then some of it may be done, and the whole can be done again.
pub async fn purge(
    store: &dyn ObjectStore,
    coordinator: &dyn Coordinator,
    what: &Purge,
    poll: Duration,
) -> Result<Purged, StoreError> {
    let Purge { registry, name, .. } = what;
    let index = StoreKey::index_file(registry, &name.index_name());
    let mut keys = crates_of(store, what).await?;
    if !keys.is_empty() {
        mark_changed(store, &keys).await?;
        sleep(known_after(poll)).await;
    }
    let mut purged = Purged { crates: 0, index_files: 0 };
    for key in &keys {
        purged.crates += u64::from(store.delete(key).await?);
    }
    if let Some(object) = store.get(&index, Read::whole().with_attributes()).await? {
        let attributes = without_validators(&object.meta.attributes);
        let bytes = object.collect(INDEX_BYTES_MAX).await?;
        let options = PutOptions { checksum: Some(Sha256::of(&bytes)), attributes };
        store.put(&index, Payload::Bytes(bytes), options).await?;
        purged.index_files = 1;
    }
    keys.push(index);
    for key in &keys {
        // What the coordinator cannot forget now, it forgets in a minute.
        if let Err(error) = coordinator.forget(key).await {
            debug!(%key, %error, "the fleet could not be told");
        }
    }
    mark_changed(store, &keys).await?;
    sleep(known_after(poll)).await;
    Ok(purged)
}

async fn crates_of(store: &dyn ObjectStore, what: &Purge) -> Result<Vec<StoreKey>, StoreError> {
    let Purge { registry, name, version } = what;
    match version {
        Some(version) => Ok(vec![StoreKey::krate(registry, name, version)]),
        None => list_all(store, &Area::CratesOf(registry.clone(), name.clone())).await,
    }
}

/// Has every replica forget what it knows of some objects, because somebody changed them in the store.
///
/// # Errors
///
/// When the store fails.
pub async fn mark_changed(store: &dyn ObjectStore, keys: &[StoreKey]) -> Result<(), StoreError> {
    let mut mark = StoreKey::purge(fastrand::u64(..));
    for keys in keys.chunks(KEYS_OF_MARK_MAX) {
        mark = StoreKey::purge(fastrand::u64(..));
        store.put(&mark, Payload::Bytes(text(keys)), PutOptions::default()).await?;
    }
    let latest = Bytes::copy_from_slice(mark.as_str().as_bytes());
    store.put(&StoreKey::latest_purge(), Payload::Bytes(latest), PutOptions::default()).await?;
    for (old, meta) in store.list(&Area::Purges, None, MARKS_MAX).await? {
        let age = SystemTime::now().duration_since(meta.modified).unwrap_or_default();
        if age > MARK_AGE_MAX {
            store.delete(&old).await?;
        }
    }
    Ok(())
}

/// Looks for marks for as long as the cache lives.
pub(crate) fn watch(cache: &Arc<Inner>) {
    let (every, cache) = (cache.limits.purge_poll, Arc::downgrade(cache));
    tokio::spawn(async move {
        let (mut latest, mut seen) = (None, HashSet::new());
        let mut could_see = true;
        while let Some(cache) = Weak::upgrade(&cache) {
            let look = cache.look_for_marks(&mut latest, &mut seen);
            let trouble = match tokio::time::timeout(LOOK_WAIT_MAX, look).await {
                Ok(looked) => looked.err().map(|error| error.to_string()),
                Err(_) => Some("the store does not answer".to_owned()),
            };
            if let (Some(error), true) = (&trouble, could_see) {
                warn!(%error, "purges cannot be seen for now");
            }
            could_see = trouble.is_none();
            drop(cache);
            sleep(every).await;
        }
    });
}

impl Inner {
    async fn look_for_marks(
        &self,
        latest: &mut Option<crateport_store::ObjectVersion>,
        seen: &mut HashSet<StoreKey>,
    ) -> Result<(), StoreError> {
        let store = &*self.ports.store;
        let found = store.head(&StoreKey::latest_purge()).await?.map(|meta| meta.version);
        if found == *latest {
            return Ok(());
        }
        let marks = list_all(store, &Area::Purges).await?;
        for mark in marks.iter().filter(|mark| !seen.contains(*mark)) {
            for key in read_keys(store, mark).await? {
                self.forget(&key).await;
            }
        }
        seen.extend(marks.iter().cloned());
        seen.retain(|mark| marks.contains(mark));
        *latest = found;
        Ok(())
    }

    /// Forgets all that this process knows of an object.
    pub(crate) async fn forget(&self, key: &StoreKey) {
        self.hot.forget(key).await;
        self.gone.forget(key).await;
        self.trusted.forget(key).await;
        self.present.forget(key).await;
        self.small.forget(key).await;
        self.uses.doubt(key);
        // A note that only this process has.
        if let Err(error) = self.ports.coordinator.forget(key).await {
            debug!(%key, %error, "the fleet could not be told");
        }
        if matches!(key.named(), Named::IndexFile(..)) {
            info!(%key, "purged: upstream is asked again");
        }
    }
}
