//! The object store port: where index files, crates and everything else that matters is kept.
//!
//! [`ObjectStore`] is the contract, [`FsStore`] the backend on a local directory, [`S3Store`] the one on anything that
//! speaks S3. Every backend runs the suite in `contract` (feature `testing`), and `FaultyStore` beside it injects faults.

mod circuit;
#[cfg(feature = "testing")]
pub mod contract;
mod error;
#[cfg(feature = "testing")]
mod faulty;
mod fs;
mod metered;
mod port;
mod s3;
mod scratch;

pub use circuit::CircuitStore;
pub use error::StoreError;
#[cfg(feature = "testing")]
pub use faulty::{FaultyStore, StoreFault};
pub use fs::{FileReader, FsStore};
pub use metered::MeteredStore;
pub use port::{
    Attributes, Object, ObjectMeta, ObjectStore, ObjectStream, ObjectVersion, Payload, PutOptions,
    Read,
};
pub use s3::{
    Finding, InvalidS3Location, S3Capabilities, S3Checksums, S3Config, S3Credentials, S3Encryption,
    S3Location, S3Metrics, S3Store, S3Timeouts, UrlStyle,
};
pub use scratch::{Scratch, ScratchFile};
