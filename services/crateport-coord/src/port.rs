//! The contract between the cache and a coordinator.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use crateport_types::{Reason, Sha256, StoreKey};

use crate::CoordError;

/// Notes and leases by key, shared by all replicas.
///
/// * An error costs milliseconds, and the caller goes on as if nothing were known and as if the lease were its own.
/// * Notes are hints with an end: a lost one costs a request to upstream, an old one cannot outlive `keep`.
/// * A lease has an end even when its holder dies.
#[async_trait]
pub trait Coordinator: Send + Sync + fmt::Debug {
    /// The latest note on `key`, if it has not run out.
    async fn recall(&self, key: &StoreKey) -> Result<Option<Note>, CoordError>;

    /// Leaves a note on `key` for at most `keep`, in place of the one that may be there.
    async fn note(&self, key: &StoreKey, note: &Note, keep: Duration) -> Result<(), CoordError>;

    /// Drops the note on `key`.
    async fn forget(&self, key: &StoreKey) -> Result<(), CoordError>;

    /// Tries to become the one who works on `key`.
    async fn claim(&self, key: &StoreKey) -> Result<Claim, CoordError>;

    /// Waits until the lease on `key` has ended, in whatever way, or `patience` is over.
    async fn wait(&self, key: &StoreKey, patience: Duration) -> Result<(), CoordError>;

    /// Whether it answers, as far as is known without asking.
    fn health(&self) -> Health {
        Health::Up
    }
}

/// Whether a coordinator answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Health {
    /// It does.
    Up,
    /// It does not, and the fleet goes on without it.
    Down {
        /// Why, for a log.
        reason: String,
    },
}

/// What one replica tells the others about a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Note {
    /// Upstream confirmed bytes with this digest; it was asked and answered this long ago.
    Fresh {
        /// The digest of the index file.
        checksum: Sha256,
        /// Since the request left.
        asked_ago: Duration,
        /// Since the answer came.
        checked_ago: Duration,
    },
    /// Upstream said that there is no such thing.
    Absent,
    /// Upstream failed; it is not asked again while this note lasts.
    Failed {
        /// Why.
        reason: Reason,
    },
}

impl Note {
    /// The same after so much more time.
    #[must_use]
    pub fn aged(self, by: Duration) -> Self {
        match self {
            Self::Fresh { checksum, asked_ago, checked_ago } => {
                let (asked_ago, checked_ago) = (asked_ago + by, checked_ago + by);
                Self::Fresh { checksum, asked_ago, checked_ago }
            }
            Self::Absent | Self::Failed { .. } => self,
        }
    }
}

/// The answer to a claim.
#[derive(Debug)]
pub enum Claim {
    /// The caller leads.
    Lead(Lease),
    /// Another replica leads; wait, and look again.
    Follow {
        /// `HOST:PORT` at which it can be asked for what it has so far, if it said so.
        leader: Option<Box<str>>,
    },
}

/// The right to work on a key. Given back by [`Lease::end`], or lost when dropped.
#[derive(Debug)]
pub struct Lease(Box<dyn LeaseKeeper>);

/// What a backend does when a lease ends.
#[async_trait]
pub trait LeaseKeeper: Send + Sync + fmt::Debug {
    /// Gives the lease back, leaves the note if there is one, and tells those who wait: all at once.
    async fn end(self: Box<Self>, note: Option<(Note, Duration)>) -> Result<(), CoordError>;
}

impl Lease {
    /// A lease that `keeper` keeps.
    #[must_use]
    pub fn new(keeper: Box<dyn LeaseKeeper>) -> Self {
        Self(keeper)
    }

    /// Gives the lease back, with a note on how it went.
    ///
    /// # Errors
    ///
    /// When the coordinator cannot be told; the lease then runs out by itself.
    pub async fn end(self, note: Option<(Note, Duration)>) -> Result<(), CoordError> {
        self.0.end(note).await
    }
}
