//! Objects in the store, and whether their bytes can be trusted.
//!
//! A store that checks digests itself vouches for its objects. For any other, this process reads an object once and
//! compares its SHA-256 before the first use, and remembers the version it saw; an object that somebody altered has
//! another version and is read again.

use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use crateport_store::{
    Object, ObjectMeta, ObjectStore, ObjectStream, ObjectVersion, Read, StoreError,
};
use crateport_types::{ETag, Hasher, Sha256, StoreKey};
use futures_util::StreamExt as _;
use tokio::time::Instant;

use crate::cache::Inner;
use crate::delivery::{Plan, plan};
use crate::small::{Room, SmallObject};
use crate::uses::Hold;
use crate::{DeliveryMode, PresignedUrl, Redirects};

/// A whole, verified object in the store, open for reading.
#[derive(Debug)]
pub struct StoredObject {
    place: Place,
    checksum: Sha256,
}

#[derive(Debug)]
enum Place {
    Store { store: Arc<dyn ObjectStore>, key: StoreKey, object: Object },
    Memory(Arc<SmallObject>),
}

/// The objects whose digest this process has computed or written itself.
#[derive(Clone, Debug)]
pub(crate) struct Trusted(moka::future::Cache<StoreKey, (ObjectVersion, Sha256)>);

/// The objects that were seen in the store a short while ago.
#[derive(Clone, Debug)]
pub(crate) struct Present(moka::future::Cache<StoreKey, Seen>);

/// An object as it was seen.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seen {
    checksum: Sha256,
    size_bytes: u64,
    modified: SystemTime,
    /// When the store was asked.
    at: Instant,
}

/// Small pieces let other work in between when large objects are hashed.
const HASHES_AT_ONCE_MAX: usize = 4;

static HASHING: tokio::sync::Semaphore = tokio::sync::Semaphore::const_new(HASHES_AT_ONCE_MAX);

impl StoredObject {
    /// Its length.
    #[must_use]
    pub fn size_bytes(&self) -> u64 {
        match &self.place {
            Place::Store { object, .. } => object.meta.size_bytes,
            Place::Memory(small) => small.bytes.len() as u64,
        }
    }

    /// All bytes, if they are in memory.
    #[must_use]
    pub fn in_memory(&self) -> Option<&Bytes> {
        match &self.place {
            Place::Store { .. } => None,
            Place::Memory(small) => Some(&small.bytes),
        }
    }

    /// Its digest.
    #[must_use]
    pub fn checksum(&self) -> Sha256 {
        self.checksum
    }

    /// When it was kept.
    #[must_use]
    pub fn modified(&self) -> SystemTime {
        match &self.place {
            Place::Store { object, .. } => object.meta.modified,
            Place::Memory(small) => small.modified,
        }
    }

    /// The same as HTTP writes it.
    #[must_use]
    pub fn last_modified(&self) -> Cow<'_, str> {
        match &self.place {
            Place::Store { object, .. } => httpdate::fmt_http_date(object.meta.modified).into(),
            Place::Memory(small) => Cow::Borrowed(&small.last_modified),
        }
    }

    /// Its tag.
    #[must_use]
    pub fn etag(&self) -> ETag {
        match &self.place {
            Place::Store { .. } => ETag::of(&self.checksum),
            Place::Memory(small) => small.etag.clone(),
        }
    }

    /// What the store says of it, if it was asked for this.
    pub(crate) fn meta(&self) -> Option<&ObjectMeta> {
        match &self.place {
            Place::Store { object, .. } => Some(&object.meta),
            Place::Memory(_) => None,
        }
    }

    /// All bytes.
    #[must_use]
    pub fn read(self) -> ObjectStream {
        match self.place {
            Place::Store { object, .. } => object.body,
            Place::Memory(small) => piece(small.bytes.clone()),
        }
    }

    /// A part of the bytes.
    ///
    /// # Errors
    ///
    /// When the store fails, or the object was replaced in this moment.
    pub async fn read_part(self, range: Range<u64>) -> Result<ObjectStream, StoreError> {
        let (store, key, object) = match self.place {
            Place::Store { store, key, object } => (store, key, object),
            Place::Memory(small) => {
                let at =
                    |place| usize::try_from(place).unwrap_or(usize::MAX).min(small.bytes.len());
                return Ok(piece(small.bytes.slice(at(range.start)..at(range.end))));
            }
        };
        match store.get(&key, Read::part(range)).await? {
            Some(part) if part.meta.version == object.meta.version => Ok(part.body),
            _ => Err(StoreError::Cut { key }),
        }
    }
}

fn piece(bytes: Bytes) -> ObjectStream {
    Box::pin(futures_util::stream::once(std::future::ready(Ok(bytes))))
}

impl Present {
    pub(crate) fn new(objects_max: u64, ttl: Duration) -> Self {
        let objects = moka::future::Cache::builder().max_capacity(objects_max).time_to_live(ttl);
        Self(objects.build())
    }

    /// The digest of an object that was seen a short while ago.
    pub(crate) async fn digest(&self, key: &StoreKey) -> Option<Sha256> {
        self.0.get(key).await.map(|seen| seen.checksum)
    }

    pub(crate) async fn forget(&self, key: &StoreKey) {
        self.0.invalidate(key).await;
    }

    /// Remembers an object that was written, or seen when the store was asked.
    pub(crate) async fn insert(
        &self,
        key: StoreKey,
        checksum: Sha256,
        meta: &ObjectMeta,
        at: Instant,
    ) {
        self.0.insert(key, Seen::of(checksum, meta, at)).await;
    }
}

impl Seen {
    fn of(checksum: Sha256, meta: &ObjectMeta, at: Instant) -> Self {
        let ObjectMeta { size_bytes, modified, .. } = *meta;
        Self { checksum, size_bytes, modified, at }
    }
}

impl Trusted {
    pub(crate) async fn forget(&self, key: &StoreKey) {
        self.0.invalidate(key).await;
    }

    pub(crate) fn new(objects_max: u64) -> Self {
        Self(moka::future::Cache::new(objects_max))
    }

    /// Remembers an object that was verified as it was written.
    pub(crate) async fn insert(&self, key: StoreKey, meta: &ObjectMeta, checksum: Sha256) {
        self.0.insert(key, (meta.version, checksum)).await;
    }

    /// The digest of the object at `key` in the state that `meta` describes.
    async fn digest(
        &self,
        store: &dyn ObjectStore,
        key: &StoreKey,
        meta: &ObjectMeta,
    ) -> Result<Option<Sha256>, StoreError> {
        if let Some((version, digest)) = self.0.get(key).await {
            if version == meta.version {
                return Ok(Some(digest));
            }
            self.0.invalidate(key).await;
        }
        let computed = self.0.try_get_with_by_ref(key, Box::pin(hash(store, key))).await;
        let (version, digest) = computed.map_err(|error| StoreError::clone(&error))?;
        Ok((version == meta.version).then_some(digest))
    }
}

async fn hash(
    store: &dyn ObjectStore,
    key: &StoreKey,
) -> Result<(ObjectVersion, Sha256), StoreError> {
    let _turn = HASHING.acquire().await;
    let Some(mut object) = store.get(key, Read::whole()).await? else {
        return Err(StoreError::Cut { key: key.clone() });
    };
    let mut hasher = Hasher::default();
    while let Some(piece) = object.body.next().await {
        hasher.update(&piece?);
        tokio::task::yield_now().await;
    }
    Ok((object.meta.version, hasher.finish()))
}

impl Inner {
    /// The address of the object at `key`, if it is there with the digest that it must have, and if that is how it
    /// should leave. Whatever goes wrong here, streaming may still work.
    pub(crate) async fn redirect(
        &self,
        key: &StoreKey,
        expected: &Sha256,
        redirects: Redirects,
    ) -> Option<PresignedUrl> {
        let policy = &self.limits.delivery;
        if policy.mode == DeliveryMode::Stream || redirects == Redirects::Unwanted {
            return None;
        }
        let seen = match self.present.0.get(key).await {
            Some(seen) if seen.checksum == *expected => seen,
            _ => self.see(key, expected).await?,
        };
        if plan(policy, redirects, seen.size_bytes) == Plan::Stream {
            return None;
        }
        // The object must be there for as long as the URL is good.
        match self.uses.hold(key, seen.modified).await? {
            Hold::Since(since) if seen.at <= since => drop(self.see(key, expected).await?),
            Hold::Since(_) | Hold::Young => {}
        }
        let url = self.ports.store.presign(key, policy.url_lifetime).await.ok()??;
        Some(PresignedUrl::new(url, seen.size_bytes))
    }

    /// Looks whether the object at `key` is there with the digest that it must have.
    pub(crate) async fn see(&self, key: &StoreKey, expected: &Sha256) -> Option<Seen> {
        let (store, at) = (&self.ports.store, Instant::now());
        let Some(meta) = store.head(key).await.ok()? else {
            self.present.forget(key).await;
            return None;
        };
        if meta.checksum != Some(*expected)
            && self.trusted.digest(&**store, key, &meta).await.ok()? != Some(*expected)
        {
            return None;
        }
        let seen = Seen::of(*expected, &meta, at);
        self.present.0.insert(key.clone(), seen).await;
        Some(seen)
    }

    /// The object at `key`, if it is there with the digest that it must have. A damaged one is dropped.
    pub(crate) async fn stored(
        &self,
        key: &StoreKey,
        expected: &Sha256,
    ) -> Result<Option<StoredObject>, StoreError> {
        if let Some(small) = self.small.get(key, expected).await {
            self.uses.touch(key, small.modified);
            return Ok(Some(StoredObject { place: Place::Memory(small), checksum: *expected }));
        }
        let store = &self.ports.store;
        let Some(object) = store.get(key, Read::whole()).await? else { return Ok(None) };
        let digest = match object.meta.checksum {
            Some(vouched) => Some(vouched),
            None => self.trusted.digest(&**store, key, &object.meta).await?,
        };
        match digest {
            Some(digest) if digest == *expected => {
                self.uses.touch(key, object.meta.modified);
                let place = match self.small.room_for(object.meta.size_bytes) {
                    Some(room) => match self.keep_in_memory(key, expected, object, room).await? {
                        Some(small) => Place::Memory(small),
                        None => return Ok(None),
                    },
                    None => Place::Store { store: Arc::clone(store), key: key.clone(), object },
                };
                Ok(Some(StoredObject { place, checksum: *expected }))
            }
            Some(digest) => {
                self.drop_wrong(key, &digest, expected).await;
                Ok(None)
            }
            // Replaced while it was read: what is there now was not looked at.
            None => Ok(None),
        }
    }

    /// Reads a small object, and keeps it in memory if its bytes are right.
    async fn keep_in_memory(
        &self,
        key: &StoreKey,
        expected: &Sha256,
        object: Object,
        room: Room,
    ) -> Result<Option<Arc<SmallObject>>, StoreError> {
        let modified = object.meta.modified;
        let Some(bytes) = room.fill(object.body).await? else {
            return Err(StoreError::Cut { key: key.clone() });
        };
        // Many may have read it at the same time; one copy is enough for all of them.
        if let Some(small) = self.small.get(key, expected).await {
            return Ok(Some(small));
        }
        let digest = Sha256::of(&bytes);
        if digest != *expected {
            self.drop_wrong(key, &digest, expected).await;
            return Ok(None);
        }
        let small = Arc::new(SmallObject::new(bytes, digest, modified));
        self.small.insert(key.clone(), Arc::clone(&small)).await;
        Ok(Some(small))
    }

    async fn drop_wrong(&self, key: &StoreKey, digest: &Sha256, expected: &Sha256) {
        self.drop_damaged(key, &format!("its checksum is {digest}, and must be {expected}")).await;
    }
}
