//! The nouns of Crateport: names, versions, digests, resources and keys.
//!
//! Nothing here does I/O. What comes from outside is parsed once, here, and trusted afterwards: `FromStr` is the
//! only way to make a [`CrateName`], a [`CrateVersion`], a [`RegistryId`] or a [`Sha256`] out of text.

mod base;
mod conditional;
mod config_json;
mod day;
mod digest;
mod dist;
mod dl;
mod index;
mod index_deps;
mod key;
mod krate;
mod moment;
mod outcome;
mod range;
mod registry;
mod resource;
mod secret;

pub use base::{BaseUrl, InvalidBaseUrl};
pub use conditional::{ETag, IfNoneMatch, Validators};
pub use config_json::{InvalidConfigJson, RegistryConfig};
pub use day::{Day, InvalidDay};
pub use digest::{Hasher, InvalidSha256, Sha256};
pub use dist::{
    DistClass, DistId, DistPath, InvalidDistId, InvalidDistPath, InvalidManifest, InvalidSum,
    Manifest, RUSTUP, RecordForm, read_sum, write_sum,
};
pub use dl::{DlTemplate, InvalidDl};
pub use index::{IndexEntry, IndexFile, InvalidIndexFile};
pub use index_deps::newest_dependencies;
pub use key::{Area, DistObject, Named, StoreKey};
pub use krate::{
    CrateName, CrateVersion, IndexName, InvalidIndexPath, InvalidName, InvalidVersion,
};
pub use moment::{InvalidMoment, Moment};
pub use outcome::{DeliveryKind, Outcome, Reason};
pub use range::{ByteRange, RangeRequest};
pub use registry::{CRATES_IO, InvalidRegistryId, RegistryId};
pub use resource::{CacheClass, Resource, ResourceKind};
pub use secret::{RedactedUrl, Secret};
