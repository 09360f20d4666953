//! The object store on a local directory.
//!
//! A key is a path below the root, so the directory is a static registry by itself. Objects are written into
//! scratch space, synced, and renamed into place: a reader, or a process that starts after a crash, finds a whole
//! object or none. Attributes lie in a tree of their own, `attributes/`.

mod attributes;
mod buffers;
mod list;
mod read;
mod write;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use crateport_types::{Area, StoreKey};
use rustix::fs::Stat;
use url::Url;

pub use self::read::FileReader;
use crate::{
    Attributes, Object, ObjectMeta, ObjectStore, ObjectVersion, Payload, PutOptions, Read, Scratch,
    StoreError,
};

/// Objects as files below one directory.
#[derive(Clone, Debug)]
pub struct FsStore {
    root: Arc<Path>,
    scratch: Scratch,
}

/// Where the scratch space lies, below the root.
const SCRATCH: &str = "scratch";
/// Where the attributes lie, below the root.
const ATTRIBUTES: &str = "attributes";

impl FsStore {
    /// Opens the store in `root`, making the directory if need be. Several processes may have it open.
    ///
    /// # Errors
    ///
    /// When the directory cannot be made or written.
    pub fn open(root: &Path) -> Result<Self, StoreError> {
        let failed = |error| StoreError::of("open the store in", &root.display(), error);
        std::fs::create_dir_all(root).map_err(failed)?;
        let root = root.canonicalize().map_err(failed)?;
        let scratch = Scratch::open(&root.join(SCRATCH)).map_err(failed)?;
        Ok(Self { root: root.into(), scratch })
    }

    /// Scratch space on the same file system, so that a file of it becomes an object by renaming.
    #[must_use]
    pub fn scratch(&self) -> &Scratch {
        &self.scratch
    }

    /// The directory.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    fn path(&self, key: &StoreKey) -> PathBuf {
        self.root.join(key.as_str())
    }

    fn attributes_path(&self, key: &StoreKey) -> PathBuf {
        self.root.join(ATTRIBUTES).join(format!("{key}.json"))
    }

    /// Runs file work where it may block.
    async fn blocking<T: Send + 'static>(
        &self,
        action: &'static str,
        key: &StoreKey,
        work: impl FnOnce(&Self, &StoreKey) -> std::io::Result<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (store, object) = (self.clone(), key.clone());
        let joined = tokio::task::spawn_blocking(move || work(&store, &object)).await;
        joined
            .map_err(std::io::Error::other)
            .flatten()
            .map_err(|error| StoreError::of(action, key, error))
    }
}

#[async_trait]
impl ObjectStore for FsStore {
    async fn head(&self, key: &StoreKey) -> Result<Option<ObjectMeta>, StoreError> {
        self.blocking("look up", key, |store, key| store.head_blocking(key)).await
    }

    async fn get(&self, key: &StoreKey, read: Read) -> Result<Option<Object>, StoreError> {
        let Some(open) = self.open_object(key).await? else { return Ok(None) };
        let mut meta = meta(&open.stat);
        if read.attributes {
            let work = |store: &Self, key: &StoreKey| store.attributes_blocking(key);
            meta.attributes = self.blocking("read the attributes of", key, work).await?;
        }
        let range = read.range.unwrap_or(0..meta.size_bytes);
        let end = range.end.min(meta.size_bytes);
        let body = FileReader::new(key.clone(), Arc::new(open.file), range.start.min(end)..end)
            .into_stream();
        Ok(Some(Object { meta, body }))
    }

    async fn put(
        &self,
        key: &StoreKey,
        payload: Payload,
        options: PutOptions,
    ) -> Result<ObjectMeta, StoreError> {
        self.blocking("write", key, move |store, key| store.put_blocking(key, payload, options))
            .await
    }

    async fn delete(&self, key: &StoreKey) -> Result<bool, StoreError> {
        self.blocking("delete", key, |store, key| store.delete_blocking(key)).await
    }

    async fn list(
        &self,
        area: &Area,
        after: Option<&StoreKey>,
        count_max: usize,
    ) -> Result<Vec<(StoreKey, ObjectMeta)>, StoreError> {
        let (root, prefix, after) = (self.root.clone(), area.prefix(), after.cloned());
        let object = prefix.clone();
        let joined = tokio::task::spawn_blocking(move || {
            list::list(&root, &prefix, after.as_ref(), count_max)
        })
        .await;
        joined
            .map_err(std::io::Error::other)
            .flatten()
            .map_err(|error| StoreError::of("list", &object, error))
    }

    async fn presign(
        &self,
        _key: &StoreKey,
        _lifetime: Duration,
    ) -> Result<Option<Url>, StoreError> {
        Ok(None)
    }

    fn base_url(&self) -> Option<Url> {
        Url::from_directory_path(&self.root).ok()
    }
}

/// What the file system knows of an object.
fn meta(stat: &Stat) -> ObjectMeta {
    let seconds = u64::try_from(stat.st_mtime).unwrap_or_default();
    let nanoseconds = u32::try_from(stat.st_mtime_nsec).unwrap_or_default();
    ObjectMeta {
        size_bytes: u64::try_from(stat.st_size).unwrap_or_default(),
        version: version(stat),
        modified: SystemTime::UNIX_EPOCH + Duration::new(seconds, nanoseconds),
        checksum: None,
        attributes: Attributes::new(),
    }
}

/// Any write changes the modification or the change time, any replacement the inode. The change time cannot be
/// set by hand, so a file that was altered and dressed up as old is still found out.
fn version(stat: &Stat) -> ObjectVersion {
    use std::hash::{DefaultHasher, Hash as _, Hasher as _};
    let mut hasher = DefaultHasher::new();
    (stat.st_dev, stat.st_ino, stat.st_size).hash(&mut hasher);
    (stat.st_mtime, stat.st_mtime_nsec, stat.st_ctime, stat.st_ctime_nsec).hash(&mut hasher);
    ObjectVersion(hasher.finish())
}
