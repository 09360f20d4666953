//! Small objects in memory: what builds ask for again and again costs no question to the store.
//!
//! Such an object never changes and was compared with its checksum when it was read, so the only reason to forget it
//! is a lack of room, or somebody's wish to have it fetched again. What is being read at the same time takes no more
//! memory than what is kept; beyond that, objects are streamed as larger ones are.

use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use crateport_types::{ETag, Sha256, StoreKey};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// One object.
#[derive(Debug)]
pub(crate) struct SmallObject {
    pub(crate) bytes: Bytes,
    pub(crate) checksum: Sha256,
    pub(crate) etag: ETag,
    pub(crate) modified: SystemTime,
    /// The same as HTTP writes it.
    pub(crate) last_modified: Box<str>,
}

/// Those that are asked for most, as far as the memory goes.
#[derive(Clone, Debug)]
pub(crate) struct SmallObjects {
    objects: moka::future::Cache<StoreKey, Arc<SmallObject>>,
    size_bytes_max: u64,
    /// Memory for what is being read, in pieces of [`ROOM_BYTES`].
    room: Arc<Semaphore>,
}

/// What an object takes besides its bytes, roughly.
const OVERHEAD_BYTES: usize = 512;
/// In such pieces memory for reading is given out.
const ROOM_BYTES: u64 = 1024;

impl SmallObject {
    /// Takes `bytes` if they are those of `checksum`. They are copied, because they may be a small part of a buffer.
    pub(crate) fn verified(bytes: &Bytes, checksum: Sha256, modified: SystemTime) -> Option<Self> {
        (Sha256::of(bytes) == checksum).then(|| Self {
            bytes: Bytes::copy_from_slice(bytes),
            checksum,
            etag: ETag::of(&checksum),
            modified,
            last_modified: httpdate::fmt_http_date(modified).into(),
        })
    }

    fn weight_bytes(&self) -> u32 {
        u32::try_from(self.bytes.len() + OVERHEAD_BYTES).unwrap_or(u32::MAX)
    }
}

impl SmallObjects {
    pub(crate) fn new(memory_bytes_max: u64, size_bytes_max: u64) -> Self {
        let weigh = |_: &StoreKey, object: &Arc<SmallObject>| object.weight_bytes();
        let objects = moka::future::Cache::builder().max_capacity(memory_bytes_max).weigher(weigh);
        let size_bytes_max = if memory_bytes_max == 0 { 0 } else { size_bytes_max };
        let pieces = usize::try_from(memory_bytes_max.div_ceil(ROOM_BYTES)).unwrap_or(usize::MAX);
        let room = Arc::new(Semaphore::new(pieces.min(Semaphore::MAX_PERMITS)));
        Self { objects: objects.build(), size_bytes_max, room }
    }

    /// Room for reading an object of this size, if it has a place here and there is room now.
    pub(crate) fn room_for(&self, size_bytes: u64) -> Option<OwnedSemaphorePermit> {
        if size_bytes > self.size_bytes_max || self.size_bytes_max == 0 {
            return None;
        }
        let pieces = u32::try_from(size_bytes.div_ceil(ROOM_BYTES)).ok()?;
        Arc::clone(&self.room).try_acquire_many_owned(pieces).ok()
    }

    /// The object at `key`, if it is the one with this checksum.
    pub(crate) async fn get(&self, key: &StoreKey, checksum: &Sha256) -> Option<Arc<SmallObject>> {
        if self.size_bytes_max == 0 {
            return None;
        }
        self.objects.get(key).await.filter(|object| object.checksum == *checksum)
    }

    pub(crate) async fn insert(&self, key: StoreKey, object: Arc<SmallObject>) {
        self.objects.insert(key, object).await;
    }

    pub(crate) async fn forget(&self, key: &StoreKey) {
        self.objects.invalidate(key).await;
    }

    /// Does the bookkeeping that is put off, so that the sums below are right.
    pub(crate) async fn settle(&self) {
        self.objects.run_pending_tasks().await;
    }

    pub(crate) fn memory_bytes(&self) -> u64 {
        self.objects.weighted_size()
    }

    pub(crate) fn len(&self) -> u64 {
        self.objects.entry_count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_being_read_takes_no_more_than_what_is_kept() {
        let objects = SmallObjects::new(10 * ROOM_BYTES, 4 * ROOM_BYTES);
        assert!(objects.room_for(4 * ROOM_BYTES + 1).is_none(), "too large");
        let held = [objects.room_for(4 * ROOM_BYTES), objects.room_for(3 * ROOM_BYTES + 1)];
        assert!(held.iter().all(Option::is_some));
        assert!(objects.room_for(2 * ROOM_BYTES + 1).is_none(), "no room now");
        assert!(objects.room_for(2 * ROOM_BYTES).is_some());
        drop(held);
        assert!(objects.room_for(4 * ROOM_BYTES).is_some());
        assert!(SmallObjects::new(0, 4).room_for(0).is_none(), "turned off");
    }
}
