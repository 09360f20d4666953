//! What can go wrong when an operator's work is done.

use crateport_cache::uses::InvalidBatch;
use crateport_store::StoreError;
use crateport_types::StoreKey;

/// The work could not be done.
#[derive(Debug, thiserror::Error)]
pub enum OperateError {
    /// The store failed.
    #[error("the store failed")]
    Store(#[from] StoreError),
    /// Somebody else is at it.
    #[error("another sweep is under way")]
    Busy,
    /// This process is about to end.
    #[error("it was stopped")]
    Stopped,
    /// Without these uses, something that was served a moment ago could be removed.
    #[error(
        "the uses in {key} cannot be read, so nothing is removed; `crateport verify --repair` drops them"
    )]
    Uses {
        /// Which.
        key: StoreKey,
        /// Why.
        source: InvalidBatch,
    },
}
