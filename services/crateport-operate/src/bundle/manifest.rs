//! The manifest of a bundle.

use std::io::Read;
use std::path::Path;

use crateport_types::{Sha256, StoreKey};
use serde::{Deserialize, Serialize};

use super::{BundleError, MANIFEST, MANIFEST_BYTES_MAX};

/// What is in a bundle.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Manifest {
    /// The version of the format.
    v: u32,
    /// When it was made, in seconds since 1970.
    pub(crate) created_s: u64,
    /// The files after the manifest, in order.
    pub(crate) entries: Vec<Entry>,
    /// What an earlier bundle brought.
    #[serde(default)]
    pub(crate) assumes: Vec<Entry>,
}

/// One file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Entry {
    key: String,
    pub(crate) size_bytes: u64,
    sha256: String,
}

/// The version that is written, and the newest that is read.
const VERSION: u32 = 1;

impl Manifest {
    pub(crate) fn new(created_s: u64, entries: Vec<Entry>, assumes: Vec<Entry>) -> Self {
        Self { v: VERSION, created_s, entries, assumes }
    }

    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, BundleError> {
        let invalid = |error: serde_json::Error| BundleError::NotABundle(error.to_string());
        let manifest: Self = serde_json::from_slice(bytes).map_err(invalid)?;
        if manifest.v > VERSION { Err(BundleError::Newer(manifest.v)) } else { Ok(manifest) }
    }

    /// Everything that is there once the bundle is imported.
    pub(crate) fn all(&self) -> impl Iterator<Item = &Entry> {
        self.entries.iter().chain(&self.assumes)
    }
}

impl Entry {
    pub(crate) fn new(key: &StoreKey, size_bytes: u64, checksum: Sha256) -> Self {
        Self { key: key.to_string(), size_bytes, sha256: checksum.to_string() }
    }

    pub(crate) fn key(&self) -> Result<StoreKey, BundleError> {
        StoreKey::listed(&self.key)
            .ok_or_else(|| BundleError::NotABundle(format!("{} names no object", self.key)))
    }

    pub(crate) fn checksum(&self) -> Result<Sha256, BundleError> {
        let invalid = |_| BundleError::NotABundle(format!("{} has no checksum", self.key));
        self.sha256.parse().map_err(invalid)
    }
}

/// A bundle as it is read.
pub(crate) type Archive = tar::Archive<zstd::Decoder<'static, std::io::BufReader<std::fs::File>>>;

pub(crate) fn open(path: &Path) -> Result<Archive, BundleError> {
    Ok(tar::Archive::new(zstd::Decoder::new(std::fs::File::open(path)?)?))
}

/// Reads the first file of a bundle.
pub(crate) fn read_manifest(mut file: impl Read, name: &Path) -> Result<Manifest, BundleError> {
    if name != Path::new(MANIFEST) {
        let why = format!("it begins with {} and not with {MANIFEST}", name.display());
        return Err(BundleError::NotABundle(why));
    }
    let mut bytes = Vec::new();
    file.by_ref().take(MANIFEST_BYTES_MAX).read_to_end(&mut bytes)?;
    Manifest::parse(&bytes)
}

/// The keys that are there once the bundle at `path` is imported.
///
/// # Errors
///
/// When it is no bundle.
pub fn read_manifest_of(path: &Path) -> Result<Vec<StoreKey>, BundleError> {
    let mut archive = open(path)?;
    let Some(first) = archive.entries()?.next() else {
        return Err(BundleError::NotABundle("it is empty".to_owned()));
    };
    let first = first?;
    let name = first.path()?.into_owned();
    read_manifest(first, &name)?.all().map(Entry::key).collect()
}
