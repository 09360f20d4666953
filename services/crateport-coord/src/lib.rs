//! The coordinator port: what replicas tell each other so that work is done once.
//!
//! Nothing here is needed for a right answer. Every note and every lease may be lost at any moment, and then
//! something is fetched twice. [`Coordinator`] is the contract, [`LocalCoordinator`] the backend of one process.

mod error;
mod local;
mod port;

pub use error::CoordError;
pub use local::LocalCoordinator;
pub use port::{Claim, Coordinator, Lease, LeaseKeeper, Note};
