//! The contract between the cache and an object store.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::pin::Pin;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use crateport_types::{Area, Sha256, StoreKey};
use futures_util::{Stream, StreamExt as _};
use url::Url;

use crate::{ScratchFile, StoreError};

/// Objects by key.
///
/// * **Atomic.** A key names a whole object or nothing. A `put` that fails, is dropped or dies with its process
///   leaves what was there before; readers that have begun go on with the bytes they began with.
/// * **Absence is `None`**; an error never means absence.
/// * The last of several concurrent `put`s wins; each is whole.
/// * Dropping a future or a stream gives up the operation and frees what it holds.
#[async_trait]
pub trait ObjectStore: Send + Sync + fmt::Debug {
    /// What is known of an object without reading it, attributes included.
    async fn head(&self, key: &StoreKey) -> Result<Option<ObjectMeta>, StoreError>;

    /// Opens an object.
    async fn get(&self, key: &StoreKey, read: Read) -> Result<Option<Object>, StoreError>;

    /// Keeps an object, in place of the one that may be there.
    async fn put(
        &self,
        key: &StoreKey,
        payload: Payload,
        options: PutOptions,
    ) -> Result<ObjectMeta, StoreError>;

    /// Drops an object, and tells whether there was one.
    async fn delete(&self, key: &StoreKey) -> Result<bool, StoreError>;

    /// Up to `count_max` keys of an area in ascending order, beginning after `after`. Attributes are left out.
    async fn list(
        &self,
        area: &Area,
        after: Option<&StoreKey>,
        count_max: usize,
    ) -> Result<Vec<(StoreKey, ObjectMeta)>, StoreError>;

    /// A URL under which clients can fetch the object themselves for `lifetime`, where the store can give one.
    async fn presign(&self, key: &StoreKey, lifetime: Duration) -> Result<Option<Url>, StoreError>;

    /// The URL of the store's root, under which a static reader finds the keys; ends in a slash.
    fn base_url(&self) -> Option<Url>;
}

/// What is known of an object.
#[derive(Clone, Debug)]
pub struct ObjectMeta {
    /// Its length.
    pub size_bytes: u64,
    /// Changes whenever the object may have changed, by whatever hand.
    pub version: ObjectVersion,
    /// When it was last written.
    pub modified: SystemTime,
    /// The digest that the store itself vouches for, if it does.
    pub checksum: Option<Sha256>,
    /// What was put with it, when asked for.
    pub attributes: Attributes,
}

/// A fingerprint of one state of an object; equal fingerprints mean that nobody wrote in between.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ObjectVersion(pub u64);

/// Short texts kept beside an object. An object that was changed by another hand may still have those of its earlier
/// bytes: whoever must know keeps a digest among them.
pub type Attributes = BTreeMap<String, String>;

/// How to open an object.
#[derive(Clone, Debug, Default)]
pub struct Read {
    /// The bytes wanted; all of them when absent. The end may lie past the object's.
    pub range: Option<Range<u64>>,
    /// Whether the attributes are wanted too.
    pub attributes: bool,
}

/// An open object.
pub struct Object {
    /// Of the whole object, whatever part is read.
    pub meta: ObjectMeta,
    /// The bytes.
    pub body: ObjectStream,
}

/// The bytes of an object. It ends after exactly the bytes asked for, or with an error.
pub type ObjectStream = Pin<Box<dyn Stream<Item = Result<Bytes, StoreError>> + Send>>;

/// What to keep.
#[derive(Debug)]
pub enum Payload {
    /// Bytes in memory.
    Bytes(Bytes),
    /// A file of scratch space, whole; it may be moved away.
    File(ScratchFile),
}

/// How to keep it.
#[derive(Clone, Debug, Default)]
pub struct PutOptions {
    /// The digest of the bytes, for stores that check it themselves.
    pub checksum: Option<Sha256>,
    /// Texts to keep beside it.
    pub attributes: Attributes,
}

impl Read {
    /// All bytes, no attributes.
    #[must_use]
    pub fn whole() -> Self {
        Self::default()
    }

    /// These bytes, no attributes.
    #[must_use]
    pub fn part(range: Range<u64>) -> Self {
        Self { range: Some(range), attributes: false }
    }

    /// The attributes too.
    #[must_use]
    pub fn with_attributes(self) -> Self {
        Self { attributes: true, ..self }
    }
}

impl Object {
    /// Takes the whole body into memory, up to `size_bytes_max`.
    ///
    /// # Errors
    ///
    /// When the store fails on the way, or the object is larger.
    pub async fn collect(mut self, size_bytes_max: usize) -> Result<Bytes, StoreError> {
        let size_bytes = usize::try_from(self.meta.size_bytes).unwrap_or(usize::MAX);
        let mut whole = BytesMut::with_capacity(size_bytes.min(size_bytes_max));
        while let Some(chunk) = self.body.next().await {
            let chunk = chunk?;
            if whole.len() + chunk.len() > size_bytes_max {
                return Err(StoreError::TooLarge { size_bytes_max });
            }
            if whole.is_empty() && chunk.len() as u64 == self.meta.size_bytes {
                return Ok(chunk);
            }
            whole.extend_from_slice(&chunk);
        }
        Ok(whole.freeze())
    }
}

impl fmt::Debug for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Object").field("meta", &self.meta).finish_non_exhaustive()
    }
}

impl From<Bytes> for Payload {
    fn from(bytes: Bytes) -> Self {
        Self::Bytes(bytes)
    }
}
