//! Small objects in memory: what builds ask for again and again costs no question to the store.
//!
//! Such an object never changes and was compared with its checksum when it was read, so the only reason to forget it
//! is a lack of room, or somebody's wish to have it fetched again. What is being read, and what was forgotten and is
//! still being sent, takes as much memory again; beyond that, objects are streamed as larger ones are.

use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use crateport_store::{ObjectStream, StoreError};
use crateport_types::{ETag, Sha256, StoreKey};
use futures_util::StreamExt as _;
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
    /// Memory for everything, in pieces of [`ROOM_BYTES`].
    room: Arc<Semaphore>,
}

/// Room for an object, given back when the last who reads it is done.
#[derive(Debug)]
pub(crate) struct Room {
    size_bytes: usize,
    _permit: OwnedSemaphorePermit,
}

/// An object's bytes with the room that they take.
struct Housed {
    bytes: Vec<u8>,
    _room: Room,
}

/// What an object takes besides its bytes, roughly.
const OVERHEAD_BYTES: usize = 512;
/// In such pieces memory is given out.
const ROOM_BYTES: u64 = 1024;
/// How much memory all objects take, those on their way included, in parts of what is kept.
const ROOM_PARTS: u64 = 2;

impl SmallObject {
    /// Takes `bytes`, whose digest is `checksum`.
    pub(crate) fn new(bytes: Bytes, checksum: Sha256, modified: SystemTime) -> Self {
        let last_modified = httpdate::fmt_http_date(modified).into();
        Self { bytes, checksum, etag: ETag::of(&checksum), modified, last_modified }
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
        let pieces = memory_bytes_max.saturating_mul(ROOM_PARTS).div_ceil(ROOM_BYTES);
        let pieces = usize::try_from(pieces).unwrap_or(usize::MAX).min(Semaphore::MAX_PERMITS);
        Self { objects: objects.build(), size_bytes_max, room: Arc::new(Semaphore::new(pieces)) }
    }

    /// Room for an object of this size, if it has a place here and there is room now.
    pub(crate) fn room_for(&self, size_bytes: u64) -> Option<Room> {
        if size_bytes > self.size_bytes_max || self.size_bytes_max == 0 {
            return None;
        }
        let pieces = u32::try_from(size_bytes.div_ceil(ROOM_BYTES)).ok()?;
        let permit = Arc::clone(&self.room).try_acquire_many_owned(pieces).ok()?;
        Some(Room { size_bytes: usize::try_from(size_bytes).ok()?, _permit: permit })
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

impl Room {
    /// The whole of an object that is as large as this room; `None` if it is not.
    pub(crate) async fn fill(self, mut body: ObjectStream) -> Result<Option<Bytes>, StoreError> {
        let mut bytes = Vec::with_capacity(self.size_bytes);
        while let Some(piece) = body.next().await {
            let piece = piece?;
            if bytes.len() + piece.len() > self.size_bytes {
                return Ok(None);
            }
            bytes.extend_from_slice(&piece);
        }
        let is_whole = bytes.len() == self.size_bytes;
        Ok(is_whole.then(|| Bytes::from_owner(Housed { bytes, _room: self })))
    }
}

impl AsRef<[u8]> for Housed {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

#[cfg(test)]
mod tests {
    use futures_util::stream;

    use super::*;

    fn body(pieces: &'static [&'static str]) -> ObjectStream {
        Box::pin(stream::iter(pieces.iter().map(|piece| Ok(Bytes::from(*piece)))))
    }

    #[tokio::test]
    async fn there_is_room_until_the_last_who_reads_is_done() {
        let objects = SmallObjects::new(5 * ROOM_BYTES, 4 * ROOM_BYTES);
        assert!(objects.room_for(4 * ROOM_BYTES + 1).is_none(), "too large");
        let held = [objects.room_for(4 * ROOM_BYTES), objects.room_for(4 * ROOM_BYTES)];
        assert!(held.iter().all(Option::is_some));
        let bytes = objects.room_for(3).unwrap().fill(body(&["a", "bc"])).await.unwrap().unwrap();
        let part = bytes.slice(1..2);
        drop(bytes);
        assert!(objects.room_for(ROOM_BYTES + 1).is_none(), "no room now");
        drop(part);
        assert!(objects.room_for(ROOM_BYTES + 1).is_some());
        assert!(SmallObjects::new(0, 4).room_for(0).is_none(), "turned off");
    }

    #[tokio::test]
    async fn an_object_of_another_size_than_was_told_has_no_room() {
        let objects = SmallObjects::new(5 * ROOM_BYTES, 4 * ROOM_BYTES);
        for (pieces, is_whole) in
            [(&["ab"][..], false), (&["a", "bc"], true), (&["a", "bcd"], false)]
        {
            let filled = objects.room_for(3).unwrap().fill(body(pieces)).await.unwrap();
            assert_eq!(filled.is_some(), is_whole, "{pieces:?}");
        }
    }
}
