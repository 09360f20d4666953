//! Index files in memory: the hot set.
//!
//! What is evicted is read from the store again when it is wanted; its freshness is remembered by the coordinator.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use crateport_types::{ETag, IndexFile, Sha256, StoreKey, Validators};
use flate2::Compression;
use tokio::sync::OnceCell;
use tokio::time::Instant;

use crate::freshness::{Freshness, Judgement, judge};

/// One content of an index file, with everything that is derived from it once.
#[derive(Debug)]
pub struct IndexCopy {
    bytes: Bytes,
    checksum: Sha256,
    etag: ETag,
    gzip_etag: ETag,
    modified: SystemTime,
    /// The same as HTTP writes it.
    last_modified: Box<str>,
    file: IndexFile,
    /// Upstream's own validators, for the next conditional request.
    validators: Validators,
    /// Upstream said later that there is no such file. The bytes stay: lockfiles may still name its crates.
    withdrawn: bool,
    gzip: OnceCell<Bytes>,
    freshness: Mutex<Option<Freshness>>,
    /// Since the last refresh.
    uses: AtomicU32,
    saved: AtomicBool,
}

/// The hot set.
#[derive(Clone, Debug)]
pub(crate) struct HotSet(moka::future::Cache<StoreKey, Arc<IndexCopy>>);

/// Index files compress about seven to one at this level; higher ones take longer than they save.
const GZIP_LEVEL: Compression = Compression::new(6);
/// From this size on, work on a whole file is done where it holds nobody up.
const BLOCKING_SIZE_BYTES: usize = 64 << 10;
/// What a copy takes besides its texts, roughly.
const OVERHEAD_BYTES: usize = 512;

impl IndexCopy {
    /// A copy of what upstream or the store gave; `checksum` is that of `bytes`.
    pub(crate) fn new(
        bytes: Bytes,
        checksum: Sha256,
        file: IndexFile,
        validators: Validators,
        modified: SystemTime,
        withdrawn: bool,
    ) -> Self {
        let etag = ETag::of(&checksum);
        Self {
            gzip_etag: etag.gzip(),
            etag,
            bytes,
            checksum,
            modified,
            last_modified: httpdate::fmt_http_date(modified).into(),
            file,
            validators,
            withdrawn,
            gzip: OnceCell::new(),
            freshness: Mutex::default(),
            uses: AtomicU32::new(0),
            saved: AtomicBool::new(true),
        }
    }

    /// The file, byte for byte.
    #[must_use]
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// The tag of the file itself.
    #[must_use]
    pub fn etag(&self) -> &ETag {
        &self.etag
    }

    /// The tag of its gzip form.
    #[must_use]
    pub fn gzip_etag(&self) -> &ETag {
        &self.gzip_etag
    }

    /// The time below, as HTTP writes it.
    #[must_use]
    pub fn last_modified(&self) -> &str {
        &self.last_modified
    }

    /// When this content was first kept here.
    #[must_use]
    pub fn modified(&self) -> SystemTime {
        self.modified
    }

    /// The file in gzip form (RFC 1952), made once.
    pub async fn gzip(&self) -> Bytes {
        let make = async || {
            let bytes = self.bytes.clone();
            if bytes.len() < BLOCKING_SIZE_BYTES {
                return gzip(&bytes);
            }
            // A task that is gone means that the process is ending.
            tokio::task::spawn_blocking(move || gzip(&bytes)).await.unwrap_or_default()
        };
        self.gzip.get_or_init(make).await.clone()
    }

    /// Since upstream confirmed it, if it did while this process or its fleet remembers.
    #[must_use]
    pub fn age(&self) -> Option<Duration> {
        self.freshness().map(|freshness| freshness.checked.elapsed())
    }

    pub(crate) fn checksum(&self) -> Sha256 {
        self.checksum
    }

    pub(crate) fn file(&self) -> &IndexFile {
        &self.file
    }

    pub(crate) fn validators(&self) -> &Validators {
        &self.validators
    }

    pub(crate) fn is_withdrawn(&self) -> bool {
        self.withdrawn
    }

    pub(crate) fn judge(&self, now: Instant, ttl: Duration) -> Judgement {
        judge(now, self.freshness(), ttl)
    }

    pub(crate) fn freshness(&self) -> Option<Freshness> {
        *self.freshness.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn confirm(&self, freshness: Freshness) {
        *self.freshness.lock().unwrap_or_else(PoisonError::into_inner) = Some(freshness);
    }

    pub(crate) fn count_use(&self) {
        self.uses.fetch_add(1, Ordering::Relaxed);
    }

    /// The uses since the last call.
    pub(crate) fn take_uses(&self) -> u32 {
        self.uses.swap(0, Ordering::Relaxed)
    }

    /// Whether the store has it. What could not be written is tried again at the next refresh.
    pub(crate) fn is_saved(&self) -> bool {
        self.saved.load(Ordering::Relaxed)
    }

    pub(crate) fn set_saved(&self, saved: bool) {
        self.saved.store(saved, Ordering::Relaxed);
    }

    /// The same content under other validators, or with another word of upstream's on its existence.
    pub(crate) fn with(&self, validators: Validators, withdrawn: bool) -> Self {
        Self {
            bytes: self.bytes.clone(),
            checksum: self.checksum,
            etag: self.etag.clone(),
            gzip_etag: self.gzip_etag.clone(),
            modified: self.modified,
            last_modified: self.last_modified.clone(),
            file: self.file.clone(),
            validators,
            withdrawn,
            gzip: self.gzip.clone(),
            freshness: Mutex::new(self.freshness()),
            uses: AtomicU32::new(self.uses.load(Ordering::Relaxed)),
            saved: AtomicBool::new(false),
        }
    }

    /// The memory it takes. The gzip form is counted before it is made, at a quarter: it is seldom more.
    fn weight_bytes(&self) -> u32 {
        let gzip_bytes = self.gzip.get().map_or(self.bytes.len() / 4, Bytes::len);
        let weight = self.bytes.len() + gzip_bytes + self.file.size_bytes() + OVERHEAD_BYTES;
        u32::try_from(weight).unwrap_or(u32::MAX)
    }
}

impl HotSet {
    pub(crate) fn new(memory_bytes_max: u64) -> Self {
        let weigh = |_: &StoreKey, copy: &Arc<IndexCopy>| copy.weight_bytes();
        Self(moka::future::Cache::builder().max_capacity(memory_bytes_max).weigher(weigh).build())
    }

    pub(crate) async fn get(&self, key: &StoreKey) -> Option<Arc<IndexCopy>> {
        self.0.get(key).await
    }

    pub(crate) fn contains(&self, key: &StoreKey) -> bool {
        self.0.contains_key(key)
    }

    pub(crate) async fn insert(&self, key: StoreKey, copy: Arc<IndexCopy>) {
        self.0.insert(key, copy).await;
    }

    pub(crate) async fn forget(&self, key: &StoreKey) {
        self.0.invalidate(key).await;
    }

    /// Gets the copy, or loads it; of many who want it at once, one loads.
    pub(crate) async fn get_or_load<E: Clone + Send + Sync + 'static>(
        &self,
        key: &StoreKey,
        load: impl Future<Output = Result<Arc<IndexCopy>, E>>,
    ) -> Result<Arc<IndexCopy>, E> {
        self.0.try_get_with_by_ref(key, load).await.map_err(|error: Arc<E>| E::clone(&error))
    }

    /// Does the bookkeeping that is put off, so that the sums below are right.
    pub(crate) async fn settle(&self) {
        self.0.run_pending_tasks().await;
    }

    pub(crate) fn memory_bytes(&self) -> u64 {
        self.0.weighted_size()
    }

    pub(crate) fn len(&self) -> u64 {
        self.0.entry_count()
    }
}

/// Hashes an index file where it holds nobody up.
pub(crate) async fn digest(bytes: &Bytes) -> Sha256 {
    if bytes.len() < BLOCKING_SIZE_BYTES {
        return Sha256::of(bytes);
    }
    let owned_bytes = bytes.clone();
    let hashed = tokio::task::spawn_blocking(move || Sha256::of(&owned_bytes)).await;
    hashed.unwrap_or_else(|_| Sha256::of(bytes))
}

/// Parses an index file where it holds nobody up.
pub(crate) async fn parse(
    name: &crateport_types::IndexName,
    bytes: &Bytes,
) -> Result<IndexFile, crateport_types::InvalidIndexFile> {
    if bytes.len() < BLOCKING_SIZE_BYTES {
        return IndexFile::parse(name, bytes);
    }
    let (owned_name, owned_bytes) = (name.clone(), bytes.clone());
    match tokio::task::spawn_blocking(move || IndexFile::parse(&owned_name, &owned_bytes)).await {
        Ok(parsed) => parsed,
        Err(_) => IndexFile::parse(name, bytes),
    }
}

fn gzip(bytes: &[u8]) -> Bytes {
    use std::io::Read as _;
    let mut compressed = Vec::new();
    // Reading from a slice into a vector cannot fail.
    let _ = flate2::read::GzEncoder::new(bytes, GZIP_LEVEL).read_to_end(&mut compressed);
    compressed.into_boxed_slice().into()
}
