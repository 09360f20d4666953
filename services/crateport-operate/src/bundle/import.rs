//! Reading a bundle into a store.
//!
//! Each crate is verified before it is visible. Index files come last, all together, and only if every line of theirs
//! has its crate: so no resolver is ever led to a crate that is not there.

use std::collections::HashMap;
use std::io::{self, Read as _, Write as _};
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use crateport_cache::{mark_changed, store_config};
use crateport_store::{Attributes, ObjectStore, Payload, PutOptions, Read, Scratch};
use crateport_types::{
    DistId, DistObject, DistPath, Hasher, IndexFile, IndexName, Named, RegistryId, Sha256, StoreKey,
};
use tokio::runtime::Handle;

use super::given::GivenText;
use super::index_lines::merge;
use super::manifest::{Entry, Manifest, open, read_manifest};
use super::{BundleError, CHECKSUM, INDEX_BYTES_MAX};
use crate::Tally;

/// Reads bundles into a store.
#[derive(Clone, Debug)]
pub struct Import {
    /// Where it goes.
    pub store: Arc<dyn ObjectStore>,
    /// Where crates wait until they are verified.
    pub scratch: Scratch,
    /// The registries that are known here.
    pub registries: Vec<RegistryId>,
    /// The dist origins that are.
    pub dists: Vec<DistId>,
}

/// What was imported.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Imported {
    /// Crates.
    pub crates: Tally,
    /// Dist files.
    pub dist_files: Tally,
    /// Index files.
    pub index_files: usize,
    /// What an earlier bundle had brought.
    pub assumed: usize,
}

const PIECE_BYTES: usize = 128 << 10;

impl Import {
    /// Imports the bundle at `path`.
    ///
    /// # Errors
    ///
    /// When it is not whole and right, builds on what is not here, or the store fails. Crates that were verified
    /// before stay, and nothing leads to them.
    pub async fn read(&self, path: &Path) -> Result<Imported, BundleError> {
        let (import, path, handle) = (self.clone(), path.to_owned(), Handle::current());
        let work = move || Blocking { import: &import, handle: &handle }.read(&path);
        tokio::task::spawn_blocking(work).await.map_err(io::Error::other)?
    }
}

/// The same, where it may block.
struct Blocking<'a> {
    import: &'a Import,
    handle: &'a Handle,
}

/// What is written once everything is known to be right.
struct Texts {
    index_files: Vec<(RegistryId, IndexName, Bytes)>,
    configs: Vec<(RegistryId, Bytes)>,
    given: Vec<(StoreKey, DistPath, Bytes)>,
}

impl Blocking<'_> {
    fn read(&self, path: &Path) -> Result<Imported, BundleError> {
        let mut archive = open(path)?;
        let mut files = archive.entries()?;
        let not_whole = || BundleError::NotABundle("it ends too soon".to_owned());
        let mut first = files.next().ok_or_else(not_whole)??;
        let name = first.path()?.into_owned();
        let manifest = read_manifest(&mut first, &name)?;
        self.look_for_the_earlier(&manifest)?;

        let mut imported = Imported { assumed: manifest.assumes.len(), ..Imported::default() };
        let mut texts = Texts { index_files: Vec::new(), configs: Vec::new(), given: Vec::new() };
        for entry in &manifest.entries {
            let mut file = files.next().ok_or_else(not_whole)??;
            let (key, name) = (entry.key()?, file.path()?.into_owned());
            if name != Path::new(key.as_str()) {
                let why = format!("it has {} where {key} should be", name.display());
                return Err(BundleError::NotABundle(why));
            }
            if let Some(object) = self.import.dists.iter().find_map(|dist| key.dist_object(dist)) {
                match object {
                    DistObject::File(_) => {
                        let digest = (CHECKSUM.to_owned(), entry.checksum()?.to_string());
                        self.take(&key, entry, &mut file, [digest].into())?;
                        imported.dist_files.add(entry.size_bytes);
                    }
                    DistObject::Snapshot(_, content) if content == entry.checksum()? => {
                        self.take(&key, entry, &mut file, Attributes::new())?;
                        imported.dist_files.add(entry.size_bytes);
                    }
                    DistObject::Snapshot(..) => return Err(BundleError::Damaged { key }),
                    DistObject::Given(path) => {
                        texts.given.push((key.clone(), path, take_text(&key, entry, &mut file)?));
                    }
                }
                continue;
            }
            let named = key.named();
            if let Named::Krate(id, ..) | Named::IndexFile(id, _) | Named::UpstreamConfig(id) =
                &named
                && !self.import.registries.contains(id)
            {
                return Err(BundleError::NotConfigured { key });
            }
            match named {
                Named::Krate(..) => {
                    self.take(&key, entry, &mut file, Attributes::new())?;
                    imported.crates.add(entry.size_bytes);
                }
                Named::IndexFile(registry, name) => {
                    texts.index_files.push((registry, name, take_text(&key, entry, &mut file)?));
                }
                Named::UpstreamConfig(registry) => {
                    texts.configs.push((registry, take_text(&key, entry, &mut file)?));
                }
                Named::Other => return Err(BundleError::NotConfigured { key }),
                Named::Config(_) | Named::Usage(_) => {
                    return Err(BundleError::NotABundle(format!("no bundle has a {key}")));
                }
            }
        }
        if files.next().is_some() {
            return Err(BundleError::NotABundle("it has more than its manifest says".to_owned()));
        }
        // The checksum of the whole stands at its end.
        io::copy(&mut archive.into_inner(), &mut io::sink())?;
        hold_against_index(&manifest, &texts)?;
        imported.index_files = texts.index_files.len();
        self.handle.block_on(self.put_texts(texts))?;
        Ok(imported)
    }

    fn look_for_the_earlier(&self, manifest: &Manifest) -> Result<(), BundleError> {
        for entry in &manifest.assumes {
            let key = entry.key()?;
            let meta = self.handle.block_on(self.import.store.head(&key))?;
            if meta.is_none_or(|meta| meta.size_bytes != entry.size_bytes) {
                return Err(BundleError::NeedsEarlier { key });
            }
        }
        Ok(())
    }

    /// Through scratch space, so that a large one is never in memory, into the store.
    fn take(
        &self,
        key: &StoreKey,
        entry: &Entry,
        file: &mut impl io::Read,
        attributes: Attributes,
    ) -> Result<(), BundleError> {
        let checksum = entry.checksum()?;
        let scratch = self.import.scratch.file()?;
        let (mut hasher, mut size_bytes) = (Hasher::default(), 0);
        let mut buffer = vec![0; PIECE_BYTES];
        loop {
            let count = file.read(&mut buffer)?;
            let piece = buffer.get(..count).unwrap_or_default();
            if piece.is_empty() {
                break;
            }
            hasher.update(piece);
            size_bytes += count as u64;
            (&**scratch.file()).write_all(piece)?;
        }
        if size_bytes != entry.size_bytes || hasher.finish() != checksum {
            return Err(BundleError::Damaged { key: key.clone() });
        }
        let options = PutOptions { checksum: Some(checksum), attributes };
        let put = self.import.store.put(key, Payload::File(scratch), options);
        self.handle.block_on(put)?;
        Ok(())
    }

    async fn put_texts(&self, texts: Texts) -> Result<(), BundleError> {
        let store = &*self.import.store;
        let mut changed = Vec::new();
        for (registry, bytes) in texts.configs {
            let key = StoreKey::upstream_config(&registry);
            // One that came from upstream itself is newer.
            if store.head(&key).await?.is_none() {
                store.put(&key, Payload::Bytes(bytes), PutOptions::default()).await?;
            }
            if let Some((key, bytes)) = store_config(store, &registry) {
                store.put(&key, Payload::Bytes(bytes), PutOptions::default()).await?;
            }
        }
        for (key, _, bytes) in texts.given {
            store.put(&key, Payload::Bytes(bytes), PutOptions::default()).await?;
            changed.push(key);
        }
        for (registry, name, newer) in texts.index_files {
            let key = StoreKey::index_file(&registry, &name);
            let older = store.get(&key, Read::whole().with_attributes()).await?;
            let (older, mut attributes) = match older {
                Some(object) => {
                    let attributes = object.meta.attributes.clone();
                    (object.collect(INDEX_BYTES_MAX).await?, attributes)
                }
                None => (Bytes::new(), Attributes::new()),
            };
            // What is not an index file is not kept.
            let is_sound = IndexFile::parse(&name, &older).is_ok();
            let merged: Bytes = merge(if is_sound { &older } else { b"" }, &newer).into();
            let checksum = Sha256::of(&merged);
            if merged != older {
                // Upstream's validators are of other bytes.
                attributes = [(CHECKSUM.to_owned(), checksum.to_string())].into();
            }
            let options = PutOptions { checksum: Some(checksum), attributes };
            store.put(&key, Payload::Bytes(merged), options).await?;
            changed.push(key);
        }
        // Replicas that serve have the earlier files in memory.
        mark_changed(store, &changed).await?;
        Ok(())
    }
}

fn take_text(
    key: &StoreKey,
    entry: &Entry,
    file: &mut impl io::Read,
) -> Result<Bytes, BundleError> {
    let mut bytes = Vec::new();
    file.by_ref().take(INDEX_BYTES_MAX as u64).read_to_end(&mut bytes)?;
    let is_right =
        bytes.len() as u64 == entry.size_bytes && Sha256::of(&bytes) == entry.checksum()?;
    if is_right { Ok(bytes.into()) } else { Err(BundleError::Damaged { key: key.clone() }) }
}

/// Every line of every index file has its crate, with its checksum.
fn hold_against_index(manifest: &Manifest, texts: &Texts) -> Result<(), BundleError> {
    let mut checksums = HashMap::new();
    for entry in manifest.all() {
        checksums.insert(entry.key()?, entry.checksum()?);
    }
    for (key, path, bytes) in &texts.given {
        let content = GivenText::newest(bytes);
        let is_there = content.is_some_and(|content| {
            let end = format!("{path}@{content}");
            checksums.keys().any(|key| key.as_str().ends_with(&end))
        });
        if !is_there {
            return Err(BundleError::NotABundle(format!("what {key} names is not in it")));
        }
    }
    for (registry, name, bytes) in &texts.index_files {
        let key = StoreKey::index_file(registry, name);
        let file = IndexFile::parse(name, bytes)
            .map_err(|error| BundleError::NotABundle(format!("{key}: {error}")))?;
        for line in file.entries() {
            let (Ok(name), Ok(version)) = (line.name.parse(), line.version.parse()) else {
                return Err(BundleError::NotABundle(format!("{key} names what no registry has")));
            };
            let krate = StoreKey::krate(registry, &name, &version);
            if checksums.get(&krate) != Some(&line.checksum) {
                let why = format!("{key} names {name} {version}, which is not in it");
                return Err(BundleError::NotABundle(why));
            }
        }
    }
    Ok(())
}
