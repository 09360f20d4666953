//! Batches of uses of days that are over, merged: a replica writes many small ones, and they are kept for long.
//!
//! What is merged has the same name whoever merges it, and names its parts, so dying in between or doing it twice
//! counts nothing twice. Whoever finds that a part has gone leaves the rest to the one who took it.

use std::cell::OnceCell;
use std::time::SystemTime;

use bytes::Bytes;
use crateport_cache::uses::{BatchHead, BatchWriter, UseLine, read_batch};
use crateport_store::{ObjectStore, PutOptions};
use crateport_types::{Area, Day, Hasher, StoreKey};
use tracing::warn;

use crate::OperateError;
use crate::last_uses::{bytes, days};
use crate::walk::Walk;

/// Parts are taken into one batch until they have so many bytes, packed.
const MERGED_BYTES_MAX: usize = 8 << 20;

/// Merges the days that are over, and drops what is older than `drop_before`.
pub(crate) async fn merge(
    store: &dyn ObjectStore,
    now: SystemTime,
    drop_before: Day,
) -> Result<(), OperateError> {
    let yesterday = Day::of(now).before();
    for day in days(store).await? {
        if day < drop_before {
            drop_day(store, day).await?;
        } else if day < yesterday {
            merge_day(store, day).await?;
        }
    }
    Ok(())
}

async fn drop_day(store: &dyn ObjectStore, day: Day) -> Result<(), OperateError> {
    let mut walk = Walk::new(store, Area::UsageOf(day));
    while let Some(page) = walk.next().await? {
        for (key, _) in page {
            store.delete(&key).await?;
        }
    }
    Ok(())
}

async fn merge_day(store: &dyn ObjectStore, day: Day) -> Result<(), OperateError> {
    let (mut merged, mut parts) = (Vec::new(), Vec::new());
    let mut walk = Walk::new(store, Area::UsageOf(day));
    while let Some(page) = walk.next().await? {
        for (key, _) in page {
            if key.is_merged_usage() { merged.push(key) } else { parts.push(key) }
        }
    }
    // Whoever died after merging left parts behind.
    for key in &merged {
        let bytes = bytes(store, key).await?.unwrap_or_default();
        let mut taken = Vec::new();
        if read_batch(&bytes, |head| taken = head.merged, |_| {}).is_ok() {
            drop_parts(store, &mut parts, &taken).await?;
        }
    }
    while parts.len() > 1 {
        let taken = merge_some(store, day, &parts).await?;
        if taken.is_empty() {
            break;
        }
        drop_parts(store, &mut parts, &taken).await?;
    }
    Ok(())
}

/// Takes parts into one batch, and tells which.
async fn merge_some(
    store: &dyn ObjectStore,
    day: Day,
    parts: &[StoreKey],
) -> Result<Vec<String>, OperateError> {
    let (mut taken, mut packed, mut size_bytes): (_, Vec<Bytes>, _) = (Vec::new(), Vec::new(), 0);
    let mut names = Hasher::default();
    for key in parts {
        let Some(bytes) = bytes(store, key).await? else { return Ok(Vec::new()) };
        if let Err(error) = read_batch(&bytes, |_| {}, |_| {}) {
            warn!(%key, %error, "uses cannot be read, and stay as they are");
            continue;
        }
        size_bytes += bytes.len();
        names.update(key.as_str().as_bytes());
        taken.push(key.as_str().to_owned());
        packed.push(bytes);
        if size_bytes >= MERGED_BYTES_MAX {
            break;
        }
    }
    if taken.is_empty() {
        return Ok(taken);
    }
    let head = BatchHead { merged: taken.clone(), ..BatchHead::new("", 0) };
    let mut writer = BatchWriter::new(&head);
    for bytes in packed {
        let served_by = OnceCell::new();
        let line = |line: UseLine| {
            let replica = line.replica.or_else(|| served_by.get().cloned());
            writer.line(&UseLine { replica, ..line });
        };
        // Read a moment ago, from the same bytes.
        let _ = read_batch(&bytes, |head| drop(served_by.set(head.replica.into())), line);
    }
    let into = StoreKey::merged_usage(day, &names.finish());
    store.put(&into, writer.finish().into(), PutOptions::default()).await?;
    Ok(taken)
}

async fn drop_parts(
    store: &dyn ObjectStore,
    parts: &mut Vec<StoreKey>,
    taken: &[String],
) -> Result<(), OperateError> {
    for key in parts.extract_if(.., |key| taken.iter().any(|name| name == key.as_str())) {
        store.delete(&key).await?;
    }
    Ok(())
}
