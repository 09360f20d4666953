//! What can go wrong with an object store, by what the cache can do about it.

use std::fmt;
use std::io;
use std::sync::Arc;

use crateport_types::StoreKey;

/// The store did not do what was asked. Cheap to clone, because everyone who waited for a fill gets it.
#[derive(Clone, Debug, thiserror::Error)]
pub enum StoreError {
    /// The store cannot be reached or failed; it may work a little later.
    #[error("cannot {action} {object}")]
    Failed {
        /// What was tried.
        action: &'static str,
        /// On what.
        object: String,
        /// What the system said.
        source: Arc<io::Error>,
    },
    /// No room is left.
    #[error("no room is left to {action} {object}")]
    Full {
        /// What was tried.
        action: &'static str,
        /// On what.
        object: String,
    },
    /// This process may not do that.
    #[error("not permitted to {action} {object}")]
    Denied {
        /// What was tried.
        action: &'static str,
        /// On what.
        object: String,
        /// What the system said.
        source: Arc<io::Error>,
    },
    /// The object's bytes are not those that the store itself vouches for.
    #[error("{key} is damaged: its bytes do not have its checksum")]
    Damaged {
        /// Which.
        key: StoreKey,
    },
    /// The object ended before its length.
    #[error("{key} is shorter than it was when it was opened")]
    Cut {
        /// Which.
        key: StoreKey,
    },
    /// Larger than the reader allows.
    #[error("the object is larger than {size_bytes_max} bytes")]
    TooLarge {
        /// The limit.
        size_bytes_max: usize,
    },
}

impl StoreError {
    /// Sorts an I/O error by what can be done about it.
    #[must_use]
    pub fn of(action: &'static str, object: &dyn fmt::Display, error: io::Error) -> Self {
        let object = object.to_string();
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                Self::Full { action, object }
            }
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
                Self::Denied { action, object, source: Arc::new(error) }
            }
            _ => Self::Failed { action, object, source: Arc::new(error) },
        }
    }

    /// Whether the same operation may succeed a little later.
    #[must_use]
    pub const fn is_transient(&self) -> bool {
        matches!(self, Self::Failed { .. } | Self::Full { .. })
    }

    /// The metric label.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Failed { .. } => "failed",
            Self::Full { .. } => "full",
            Self::Denied { .. } => "denied",
            Self::Damaged { .. } => "damaged",
            Self::Cut { .. } => "cut",
            Self::TooLarge { .. } => "too-large",
        }
    }
}
