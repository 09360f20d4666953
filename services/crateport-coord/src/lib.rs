//! The coordinator port: what replicas tell each other so that work is done once.
//!
//! Nothing here is needed for a right answer. Every note and every lease may be lost at any moment, and then
//! something is fetched twice. [`Coordinator`] is the contract, [`LocalCoordinator`] the backend of one process,
//! [`RedisCoordinator`] the one of a fleet. Every backend runs the suite in `contract` (feature `testing`), and
//! `FaultyCoordinator` beside it injects faults.

#[cfg(feature = "testing")]
pub mod contract;
mod error;
#[cfg(feature = "testing")]
mod faulty;
mod local;
mod metered;
mod port;
mod redis;

pub use self::redis::{
    InvalidRedisConfig, RedisAddress, RedisConfig, RedisCoordinator, RedisLimits,
};
pub use error::CoordError;
#[cfg(feature = "testing")]
pub use faulty::{CoordFault, FaultyCoordinator};
pub use local::LocalCoordinator;
pub use metered::MeteredCoordinator;
pub use port::{Claim, Coordinator, Health, Lease, LeaseKeeper, Note};
