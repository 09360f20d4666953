//! Writing a bundle.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fs::File;
use std::io::{self, BufWriter, Read as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use bytes::{Buf as _, Bytes};
use crateport_store::{ObjectStore, ObjectStream, Read};
use crateport_types::{
    DistClass, DistId, Hasher, IndexFile, IndexName, RegistryId, Resource, Sha256, StoreKey,
};
use futures_util::StreamExt as _;
use tokio::runtime::Handle;

use super::given::GivenText;
use super::index_lines::prune;
use super::manifest::{Entry, Manifest};
use super::{BundleError, CHECKSUM, INDEX_BYTES_MAX, MANIFEST};
use crate::{Needs, Wanted};

/// Writes a bundle out of a store that has everything.
#[derive(Clone, Debug)]
pub struct Export {
    /// What is packed.
    pub store: Arc<dyn ObjectStore>,
    /// What need not be packed, because an earlier bundle brought it.
    pub earlier: HashSet<StoreKey>,
}

/// What was packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exported {
    /// Crates and dist files in it.
    pub objects: usize,
    /// Those left out, because an earlier bundle brought them.
    pub left_out: usize,
    /// Index files in it, and what else tells of the objects.
    pub texts: usize,
    /// The size of the bundle.
    pub size_bytes: u64,
}

/// Crates are packed already; this is for index files and the manifest.
const ZSTD_LEVEL: i32 = 9;
/// Read by whoever unpacks it.
const FILE_MODE: u32 = 0o644;

/// What will be in the bundle.
struct Contents {
    manifest: Manifest,
    /// In the order of the manifest.
    objects: Vec<Content>,
}

/// A dist file that is packed, and what tells that it is given, if it can change.
struct Packed {
    key: StoreKey,
    checksum: Sha256,
    size_bytes: u64,
    given: Option<(StoreKey, Bytes)>,
}

enum Content {
    Stored(StoreKey, Sha256),
    Text(StoreKey, Bytes),
}

impl Export {
    /// Packs what is needed into a file, which appears whole or not at all.
    ///
    /// # Errors
    ///
    /// When something is not in the store or not right, or the file cannot be written.
    pub async fn write(&self, needs: &Needs, path: &Path) -> Result<Exported, BundleError> {
        let contents = self.gather(needs).await?;
        let is_stored = |content: &&Content| matches!(content, Content::Stored(..));
        let objects = contents.objects.iter().filter(is_stored).count();
        let left_out = contents.manifest.assumes.len();
        let texts = contents.manifest.entries.len() - objects;
        let (store, path, handle) = (Arc::clone(&self.store), path.to_owned(), Handle::current());
        let work = move || write(&handle, &store, &contents, &path);
        let written = tokio::task::spawn_blocking(work).await.map_err(io::Error::other)?;
        Ok(Exported { objects, left_out, texts, size_bytes: written? })
    }

    async fn gather(&self, needs: &Needs) -> Result<Contents, BundleError> {
        let mut versions: BTreeMap<(RegistryId, IndexName), BTreeSet<String>> = BTreeMap::new();
        for krate in &needs.crates {
            let of_name = versions.entry((krate.registry.clone(), krate.name.index_name()));
            of_name.or_default().insert(krate.version.as_str().to_owned());
        }
        let mut texts = Vec::new();
        let mut index_files = BTreeMap::new();
        for registry in versions.keys().map(|(registry, _)| registry).collect::<BTreeSet<_>>() {
            let key = StoreKey::upstream_config(registry);
            texts.extend(self.text(&key).await?.map(|bytes| (key, bytes)));
        }
        for ((registry, name), versions) in &versions {
            let key = StoreKey::index_file(registry, name);
            let missing = || BundleError::Missing { key: key.clone() };
            let bytes = self.text(&key).await?.ok_or_else(missing)?;
            let pruned: Bytes = prune(&bytes, versions).into();
            let wrong = |_| BundleError::Wrong { key: key.clone() };
            let file = IndexFile::parse(name, &pruned).map_err(wrong)?;
            index_files.insert((registry.clone(), name.clone()), file);
            texts.push((key, pruned));
        }
        let (mut entries, mut assumes, mut objects) = (Vec::new(), Vec::new(), Vec::new());
        for krate in &needs.crates {
            let key = StoreKey::krate(&krate.registry, &krate.name, &krate.version);
            let index = index_files.get(&(krate.registry.clone(), krate.name.index_name()));
            let line = index.and_then(|index| index.entry(krate.version.as_str()));
            let wrong = || BundleError::Wrong { key: key.clone() };
            let checksum = line.map(|line| line.checksum).ok_or_else(wrong)?;
            if krate.checksum.is_some_and(|locked| locked != checksum) {
                return Err(wrong());
            }
            let meta = self.store.head(&key).await?;
            let missing = || BundleError::Missing { key: key.clone() };
            let entry = Entry::new(&key, meta.ok_or_else(missing)?.size_bytes, checksum);
            if self.earlier.contains(&key) {
                assumes.push(entry);
            } else {
                entries.push(entry);
                objects.push(Content::Stored(key, checksum));
            }
        }
        for wanted in &needs.files {
            let Some(Packed { key, checksum, size_bytes, given }) = self.dist_file(wanted).await?
            else {
                continue;
            };
            let entry = Entry::new(&key, size_bytes, checksum);
            texts.extend(given);
            if self.earlier.contains(&key) {
                assumes.push(entry);
            } else {
                entries.push(entry);
                objects.push(Content::Stored(key, checksum));
            }
        }
        for (key, bytes) in texts {
            entries.push(Entry::new(&key, bytes.len() as u64, Sha256::of(&bytes)));
            objects.push(Content::Text(key, bytes));
        }
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let manifest = Manifest::new(now.as_secs(), entries, assumes);
        Ok(Contents { manifest, objects })
    }

    /// A file of a toolchain. A checksum is written from its file, and so not packed.
    async fn dist_file(&self, wanted: &Wanted) -> Result<Option<Packed>, BundleError> {
        let Resource::Dist(path) = &wanted.resource else { return Ok(None) };
        if path.sum_of().is_some() {
            return Ok(None);
        }
        let Ok(dist) = wanted.origin.parse::<DistId>() else { return Ok(None) };
        if path.class() == DistClass::Artifact {
            let key = StoreKey::dist_file(&dist, path);
            let missing = || BundleError::Missing { key: key.clone() };
            let meta = self.store.head(&key).await?.ok_or_else(missing)?;
            let kept = meta.attributes.get(CHECKSUM).and_then(|text| text.parse().ok());
            let is_it = |kept: &Sha256| wanted.checksum.is_none_or(|checksum| checksum == *kept);
            let wrong = || BundleError::Wrong { key: key.clone() };
            let checksum = kept.filter(is_it).ok_or_else(wrong)?;
            return Ok(Some(Packed { key, checksum, size_bytes: meta.size_bytes, given: None }));
        }
        let given_key = StoreKey::dist_given(&dist, path);
        let missing = |key: &StoreKey| BundleError::Missing { key: key.clone() };
        let text = self.text(&given_key).await?.ok_or_else(|| missing(&given_key))?;
        let wrong = || BundleError::Wrong { key: given_key.clone() };
        let checksum = GivenText::newest(&text).ok_or_else(wrong)?;
        let key = StoreKey::dist_snapshot(&dist, path, &checksum);
        let meta = self.store.head(&key).await?.ok_or_else(|| missing(&key))?;
        let given = Some((given_key, GivenText::only(&checksum)));
        Ok(Some(Packed { key, checksum, size_bytes: meta.size_bytes, given }))
    }

    async fn text(&self, key: &StoreKey) -> Result<Option<Bytes>, BundleError> {
        match self.store.get(key, Read::whole()).await? {
            Some(object) => Ok(Some(object.collect(INDEX_BYTES_MAX).await?)),
            None => Ok(None),
        }
    }
}

fn write(
    handle: &Handle,
    store: &Arc<dyn ObjectStore>,
    contents: &Contents,
    path: &Path,
) -> Result<u64, BundleError> {
    let unfinished = Unfinished::beside(path);
    let file = BufWriter::new(File::create(&unfinished.0)?);
    let mut encoder = zstd::Encoder::new(file, ZSTD_LEVEL)?;
    encoder.include_checksum(true)?;
    let mut tar = tar::Builder::new(encoder);
    let created_s = contents.manifest.created_s;
    // A struct of texts and numbers always serializes.
    let manifest = serde_json::to_vec_pretty(&contents.manifest).unwrap_or_default();
    tar.append_data(&mut header(manifest.len() as u64, created_s), MANIFEST, &*manifest)?;
    let sizes = contents.manifest.entries.iter().map(|entry| entry.size_bytes);
    for (content, size_bytes) in contents.objects.iter().zip(sizes) {
        let mut header = header(size_bytes, created_s);
        match content {
            Content::Text(key, bytes) => tar.append_data(&mut header, key.as_str(), &**bytes)?,
            Content::Stored(key, checksum) => {
                let missing = || BundleError::Missing { key: key.clone() };
                let object = handle.block_on(store.get(key, Read::whole()))?.ok_or_else(missing)?;
                let mut reader = StreamReader::new(handle, object.body);
                tar.append_data(&mut header, key.as_str(), (&mut reader).take(size_bytes))?;
                if reader.read_bytes != size_bytes || reader.hasher.finish() != *checksum {
                    return Err(BundleError::Wrong { key: key.clone() });
                }
            }
        }
    }
    let file = tar.into_inner()?.finish()?;
    let file = file.into_inner().map_err(io::IntoInnerError::into_error)?;
    file.sync_all()?;
    let size_bytes = file.metadata()?.len();
    std::fs::rename(&unfinished.0, path)?;
    Ok(size_bytes)
}

fn header(size_bytes: u64, created_s: u64) -> tar::Header {
    let mut header = tar::Header::new_gnu();
    header.set_size(size_bytes);
    header.set_mode(FILE_MODE);
    header.set_mtime(created_s);
    header
}

/// A bundle that is being written; gone unless it was renamed.
struct Unfinished(PathBuf);

impl Unfinished {
    fn beside(path: &Path) -> Self {
        let mut name = path.as_os_str().to_owned();
        name.push(format!(".{:x}.part", std::process::id()));
        Self(name.into())
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        // Fails when it was renamed, which is as good.
        let _ = std::fs::remove_file(&self.0);
    }
}

/// Reads a stream from a thread that may block, and hashes it.
struct StreamReader<'a> {
    handle: &'a Handle,
    stream: ObjectStream,
    piece: Bytes,
    hasher: Hasher,
    read_bytes: u64,
}

impl<'a> StreamReader<'a> {
    fn new(handle: &'a Handle, stream: ObjectStream) -> Self {
        Self { handle, stream, piece: Bytes::new(), hasher: Hasher::default(), read_bytes: 0 }
    }
}

impl io::Read for StreamReader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.piece.is_empty() {
            match self.handle.block_on(self.stream.next()) {
                Some(piece) => self.piece = piece.map_err(io::Error::other)?,
                None => return Ok(0),
            }
            self.hasher.update(&self.piece);
            self.read_bytes += self.piece.len() as u64;
        }
        let count = self.piece.len().min(buffer.len());
        self.piece.copy_to_slice(buffer.get_mut(..count).unwrap_or_default());
        Ok(count)
    }
}
