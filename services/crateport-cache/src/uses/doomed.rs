//! What a sweep is about to delete, in the store: written before the sweep looks at the uses for the last time, read
//! by replicas after they have written theirs.

use std::collections::HashSet;

use bytes::Bytes;
use crateport_store::{ObjectStore, PutOptions, Read, StoreError};
use crateport_types::{Area, StoreKey};

/// Lists are small: a sweep deletes this many objects at a time at the most, with keys of some 300 bytes.
const LIST_BYTES_MAX: usize = 1 << 20;
/// Keys asked for at once.
const LISTED_MAX: usize = 1000;

/// Names what is about to be deleted. The list stays until [`reprieve`].
///
/// # Errors
///
/// When the store fails; then nothing may be deleted.
pub async fn doom(store: &dyn ObjectStore, keys: &[StoreKey]) -> Result<StoreKey, StoreError> {
    let list = StoreKey::doomed(fastrand::u64(..));
    store.put(&list, text(keys).into(), PutOptions::default()).await?;
    Ok(list)
}

/// Drops a list: what it named is gone, or stays.
///
/// # Errors
///
/// When the store fails. A list that stays behind only keeps clients from being sent to the store.
pub async fn reprieve(store: &dyn ObjectStore, list: &StoreKey) -> Result<(), StoreError> {
    store.delete(list).await.map(drop)
}

/// Everything that is about to be deleted.
///
/// # Errors
///
/// When the store fails.
pub async fn doomed(store: &dyn ObjectStore) -> Result<HashSet<StoreKey>, StoreError> {
    let mut keys = HashSet::new();
    for list in list_all(store, &Area::Doomed).await? {
        keys.extend(read_keys(store, &list).await?);
    }
    Ok(keys)
}

/// The keys of an area that is not large.
pub(crate) async fn list_all(
    store: &dyn ObjectStore,
    area: &Area,
) -> Result<Vec<StoreKey>, StoreError> {
    let mut keys: Vec<StoreKey> = Vec::new();
    loop {
        let page = store.list(area, keys.last(), LISTED_MAX).await?;
        let is_last = page.len() < LISTED_MAX;
        keys.extend(page.into_iter().map(|(key, _)| key));
        if is_last {
            return Ok(keys);
        }
    }
}

/// Keys as lines.
pub(crate) fn text(keys: &[StoreKey]) -> Bytes {
    keys.iter().flat_map(|key| [key.as_str(), "\n"]).collect::<String>().into()
}

/// The keys in a list, none if it is gone.
pub(crate) async fn read_keys(
    store: &dyn ObjectStore,
    list: &StoreKey,
) -> Result<Vec<StoreKey>, StoreError> {
    let Some(object) = store.get(list, Read::whole()).await? else { return Ok(Vec::new()) };
    let bytes = object.collect(LIST_BYTES_MAX).await?;
    Ok(String::from_utf8_lossy(&bytes).lines().filter_map(StoreKey::listed).collect())
}
