//! The operator's hands on a cache: what fills it ahead, keeps it from growing for ever, proves that it is whole, and
//! carries it to where there is no network.
//!
//! Everything here works on a store that is being served from at the same time, by any number of replicas, and in
//! memory that does not grow with the bytes in the store.

mod bundle;
mod error;
mod fetch;
mod last_uses;
mod lockfile;
mod merge;
mod retention;
mod rustup;
mod sweep;
mod toolchain;
mod turn;
mod verify;
mod walk;
mod warm;
mod who;

pub use bundle::{BundleError, Export, Exported, Import, Imported, read_manifest_of};
pub use error::OperateError;
pub use lockfile::{InvalidLockfile, Lockfile, NeededCrate, Needs, Sources};
pub use retention::{Retention, Verdict};
pub use rustup::Rustup;
pub use sweep::{Deed, Removal, Sweeper, Swept, Tally};
pub use toolchain::{Channel, InvalidChannel, Toolchain};
pub use verify::{Fault, Finding, Repair, Scope, Verified, Verifier};
pub use warm::{Cold, Here, Place, Step, Wanted, Warmed, Warmth, warm};
pub use who::{Pull, Pulls, Question, who_pulled};
