//! What can go wrong with a coordinator. The caller's answer is always the same: go on without it.

use std::time::Duration;

/// The coordinator did not do what it was asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CoordError {
    /// It is known to be of no use now, so it was not asked; or it said so itself, and did nothing.
    #[error("the coordinator cannot {action}: it is down ({detail})")]
    Down {
        /// What was wanted.
        action: &'static str,
        /// How that is known.
        detail: String,
    },
    /// No answer came in time. It may have done what it was asked.
    #[error("the coordinator cannot {action}: no answer within {limit:?}")]
    Late {
        /// What was asked.
        action: &'static str,
        /// How long an answer may take.
        limit: Duration,
    },
    /// The connection broke. It may have done what it was asked.
    #[error("the coordinator cannot {action}: {detail}")]
    Lost {
        /// What was asked.
        action: &'static str,
        /// How it broke.
        detail: String,
    },
    /// It answered that it will not.
    #[error("the coordinator will not {action}: {detail}")]
    Refused {
        /// What was asked.
        action: &'static str,
        /// What it said.
        detail: String,
    },
}

impl CoordError {
    /// The word in metrics.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Down { .. } => "down",
            Self::Late { .. } => "late",
            Self::Lost { .. } => "lost",
            Self::Refused { .. } => "refused",
        }
    }

    /// Whether the same question may be answered later on.
    #[must_use]
    pub const fn is_transient(&self) -> bool {
        !matches!(self, Self::Refused { .. })
    }

    /// Whether what was asked may have been done all the same.
    pub(crate) const fn is_ambiguous(&self) -> bool {
        matches!(self, Self::Late { .. } | Self::Lost { .. })
    }
}
