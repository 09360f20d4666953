//! Bundles: what lock files need, in one file that can be carried to where there is no network.
//!
//! ```text
//! *.tar.zst                  zstd with a checksum of its own, and in it a tar of
//!   bundle.json              the manifest: every other file with its size and digest, in order
//!   v1/<registry>/crates/…   crates
//!   v1/<dist>/…              dist files, and contents of those that change
//!   v1/<registry>/upstream/config.json
//!   v1/<dist>/.snapshots/…@given
//!   v1/<registry>/index/…    index files, with the lines of the versions that are here and no others
//! ```
//!
//! The names are the keys of the store, so an unpacked bundle is a static registry. A bundle may build on an earlier
//! one and leave out the crates that are there; its index files tell of both. Importing merges index files line by
//! line, so bundles can be imported in any order in which each finds what it builds on.

mod export;
mod given;
mod import;
mod index_lines;
mod manifest;

use std::io;

use crateport_store::StoreError;
use crateport_types::StoreKey;

pub use self::export::{Export, Exported};
pub use self::import::{Import, Imported};
pub use self::manifest::read_manifest_of;

/// Why there is no bundle, or why one cannot be imported.
#[derive(Debug, thiserror::Error)]
pub enum BundleError {
    /// The store failed.
    #[error("the store failed")]
    Store(#[from] StoreError),
    /// The file cannot be read or written.
    #[error("the bundle cannot be read or written")]
    File(#[from] io::Error),
    /// It is no bundle, or not a whole one.
    #[error("this is no bundle: {0}")]
    NotABundle(String),
    /// A newer release wrote it.
    #[error("the bundle is of version {0}, which is newer than this program")]
    Newer(u32),
    /// Its bytes are not those that were packed.
    #[error("{key} is damaged in the bundle; nothing of it is imported")]
    Damaged {
        /// Which.
        key: StoreKey,
    },
    /// What is to be packed is not what the index says.
    #[error(
        "{key} in the store does not have its checksum; `crateport verify --repair` fetches it again"
    )]
    Wrong {
        /// Which.
        key: StoreKey,
    },
    /// Something that must be there is not.
    #[error("{key} is not in the store")]
    Missing {
        /// Which.
        key: StoreKey,
    },
    /// Nobody would be served what is in it.
    #[error("the bundle has {key}, and no registry or dist origin of that id is configured here")]
    NotConfigured {
        /// What.
        key: StoreKey,
    },
    /// It builds on another one.
    #[error("the bundle builds on an earlier one that is not imported yet: {key} is missing")]
    NeedsEarlier {
        /// What is missing.
        key: StoreKey,
    },
}

/// The attribute that tells a digest.
const CHECKSUM: &str = "sha256";
/// The name of the manifest in the tar.
const MANIFEST: &str = "bundle.json";
/// No manifest is larger: it has some 200 bytes for each file.
const MANIFEST_BYTES_MAX: u64 = 256 << 20;
/// No index file is larger, whatever the settings say.
const INDEX_BYTES_MAX: usize = 256 << 20;
