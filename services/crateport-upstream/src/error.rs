//! What can go wrong with an upstream, by what the cache can do about it.

use std::time::Duration;

use crateport_types::Reason;

/// An upstream did not give an answer. Cheap to clone, because everyone who waited for a fill gets it.
#[derive(Clone, Debug, thiserror::Error)]
pub enum UpstreamError {
    /// No connection: refused, unreachable, no such host, TLS failed.
    #[error("cannot connect to {host}: {detail}")]
    Connect {
        /// Whom.
        host: String,
        /// What the system said.
        detail: String,
    },
    /// No headers, or no next byte, in time.
    #[error("{host} did not answer within {}s", waited.as_secs_f32())]
    Timeout {
        /// Whom.
        host: String,
        /// How long it was waited for.
        waited: Duration,
    },
    /// The connection broke before the answer was whole.
    #[error("the answer of {host} broke off: {detail}")]
    Cut {
        /// Whose.
        host: String,
        /// What the system said.
        detail: String,
    },
    /// An answer that is neither success nor absence.
    #[error("{host} answered {status}")]
    Status {
        /// Who.
        host: String,
        /// Its HTTP status.
        status: u16,
        /// What its `Retry-After` asked for.
        retry_after: Option<Duration>,
    },
    /// 429: too many requests.
    #[error("{host} asks for fewer requests")]
    RateLimited {
        /// Who.
        host: String,
        /// For how long.
        retry_after: Duration,
    },
    /// Left alone for now, after repeated failures.
    #[error("{host} is left alone after repeated failures")]
    CircuitOpen {
        /// Whom.
        host: String,
        /// For how long still.
        retry_after: Duration,
    },
    /// A well-formed answer that is not what was asked for.
    #[error("the answer of {host} cannot be used: {detail}")]
    Invalid {
        /// Whose.
        host: String,
        /// What is wrong with it.
        detail: String,
    },
    /// A redirect or a `dl` that leads where it must not.
    #[error("{url} is not allowed: {detail}")]
    Forbidden {
        /// Where it leads, secrets removed.
        url: String,
        /// Why not.
        detail: String,
    },
    /// Never asked, by configuration.
    #[error("this cache is offline, and upstream is never asked")]
    Offline,
    /// Larger than a limit of ours.
    #[error("the answer is larger than {size_bytes_max} bytes")]
    TooLarge {
        /// The limit.
        size_bytes_max: u64,
    },
}

impl UpstreamError {
    /// Whether the same request may succeed a little later.
    #[must_use]
    pub const fn is_transient(&self) -> bool {
        match self {
            Self::Connect { .. }
            | Self::Timeout { .. }
            | Self::Cut { .. }
            | Self::RateLimited { .. } => true,
            Self::CircuitOpen { .. } => true,
            Self::Status { status, .. } => *status >= 500,
            Self::Invalid { .. }
            | Self::Forbidden { .. }
            | Self::TooLarge { .. }
            | Self::Offline => false,
        }
    }

    /// How long upstream, or our own caution, asks to wait.
    #[must_use]
    pub const fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::RateLimited { retry_after, .. } | Self::CircuitOpen { retry_after, .. } => {
                Some(*retry_after)
            }
            Self::Status { retry_after, .. } => *retry_after,
            _ => None,
        }
    }

    /// The word in headers, logs and metrics.
    #[must_use]
    pub const fn reason(&self) -> Reason {
        match self {
            Self::Connect { .. } => Reason::UpstreamConnect,
            Self::Timeout { .. } => Reason::UpstreamTimeout,
            Self::Cut { .. } => Reason::UpstreamCut,
            Self::Status { .. } => Reason::UpstreamStatus,
            Self::RateLimited { .. } => Reason::UpstreamRateLimited,
            Self::CircuitOpen { .. } => Reason::UpstreamCircuitOpen,
            Self::Invalid { .. } => Reason::UpstreamInvalid,
            Self::Forbidden { .. } => Reason::UpstreamForbidden,
            Self::TooLarge { .. } => Reason::TooLarge,
            Self::Offline => Reason::Offline,
        }
    }

    /// The metric label.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        self.reason().as_str()
    }

    /// The HTTP status upstream answered with, if it came to that.
    #[must_use]
    pub const fn status(&self) -> Option<u16> {
        match self {
            Self::Status { status, .. } => Some(*status),
            Self::RateLimited { .. } => Some(429),
            _ => None,
        }
    }
}
