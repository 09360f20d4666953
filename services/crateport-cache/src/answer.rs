//! What the cache answers.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use crateport_store::StoreError;
use crateport_types::{DeliveryKind, Outcome, Reason, RedactedUrl, RegistryConfig};
use crateport_upstream::UpstreamError;
use url::Url;

use crate::{IndexCopy, SpoolReader, StoredObject};

/// An answer, and how it came about.
#[derive(Debug)]
pub struct Answer {
    /// What was done.
    pub outcome: Outcome,
    /// Why.
    pub reason: Reason,
    /// The status upstream gave, if it was asked and waited for.
    pub upstream_status: Option<u16>,
    /// Since upstream confirmed the bytes, for what can change.
    pub age: Option<Duration>,
    /// What is served.
    pub payload: Payload,
}

/// What is served.
#[derive(Debug)]
pub enum Payload {
    /// What upstream's `config.json` says; clients get this Crateport's own, made from it.
    Config(Arc<RegistryConfig>),
    /// An index file in memory.
    Index(Arc<IndexCopy>),
    /// An object in the store.
    Stored(StoredObject),
    /// The address of an object in the store, signed: whoever has it can read the object.
    Redirect(PresignedUrl),
    /// A fill under way, or one that ended this moment.
    Spool(SpoolReader),
    /// JSON that upstream's web API gave.
    Json(Bytes),
    /// A checksum file.
    Sum(Bytes),
}

/// A URL that is a secret for as long as it is good; prints without its signature.
#[derive(Clone)]
pub struct PresignedUrl {
    url: Url,
    size_bytes: u64,
}

/// Why there is no answer.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ServeError {
    /// No registry by that id is configured.
    #[error("no registry `{id}` is configured here")]
    UnknownRegistry {
        /// What was asked for.
        id: String,
    },
    /// Upstream says that it does not exist.
    #[error("{what} {}", how_absent(*reason))]
    Absent {
        /// What was asked for.
        what: String,
        /// Whose word that is.
        reason: Reason,
        /// The status upstream gave, if it was asked and waited for.
        upstream_status: Option<u16>,
    },
    /// Not now.
    #[error("{what} cannot be had now: {failure}")]
    Unavailable {
        /// What was asked for.
        what: String,
        /// Why.
        failure: Failure,
    },
    /// Not through this registry.
    #[error("{what} is not offered: {detail}")]
    NotOffered {
        /// What was asked for.
        what: String,
        /// Why.
        detail: String,
    },
}

/// Why something could not be had. Cheap to clone, because everyone who waited gets it.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{detail}")]
pub struct Failure {
    /// In one word.
    pub reason: Reason,
    /// In a sentence, without secrets.
    pub detail: Arc<str>,
    /// When it is worth trying again.
    pub retry_after: Duration,
    /// The status upstream gave.
    pub upstream_status: Option<u16>,
}

/// What a client is asked to wait where nothing better is known.
const RETRY_AFTER: Duration = Duration::from_secs(2);

impl PresignedUrl {
    /// The address of an object of this size.
    pub(crate) fn new(url: Url, size_bytes: u64) -> Self {
        Self { url, size_bytes }
    }

    /// The size of the object.
    #[must_use]
    pub fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    /// The URL itself, for the one place that sends it.
    #[must_use]
    pub fn reveal(&self) -> &str {
        self.url.as_str()
    }
}

impl fmt::Debug for PresignedUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        RedactedUrl(&self.url).fmt(f)
    }
}

impl Payload {
    /// How it will leave.
    #[must_use]
    pub fn delivery(&self) -> DeliveryKind {
        match self {
            Self::Config(_) | Self::Index(_) | Self::Json(_) | Self::Sum(_) => DeliveryKind::Memory,
            Self::Stored(object) if object.in_memory().is_some() => DeliveryKind::Memory,
            Self::Stored(_) => DeliveryKind::Stream,
            Self::Redirect(_) => DeliveryKind::Redirect,
            Self::Spool(_) => DeliveryKind::Spool,
        }
    }
}

impl Answer {
    /// The size of what a client is sent elsewhere for.
    #[must_use]
    pub fn redirected_bytes(&self) -> u64 {
        match &self.payload {
            Payload::Redirect(url) => url.size_bytes(),
            Payload::Config(_)
            | Payload::Index(_)
            | Payload::Stored(_)
            | Payload::Spool(_)
            | Payload::Json(_)
            | Payload::Sum(_) => 0,
        }
    }
}

impl Failure {
    /// A failure of our own.
    pub(crate) fn own(reason: Reason, detail: &str) -> Self {
        Self { reason, detail: detail.into(), retry_after: RETRY_AFTER, upstream_status: None }
    }
}

impl From<UpstreamError> for Failure {
    fn from(error: UpstreamError) -> Self {
        Self {
            reason: error.reason(),
            retry_after: error.retry_after().unwrap_or(RETRY_AFTER),
            upstream_status: error.status(),
            detail: error.to_string().into(),
        }
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        let source = std::error::Error::source(&error)
            .map(|source| format!(": {source}"))
            .unwrap_or_default();
        Self::own(Reason::StoreFailed, &format!("{error}{source}"))
    }
}

/// How something is not there, as the end of a sentence.
fn how_absent(reason: Reason) -> &'static str {
    match reason {
        Reason::Offline => {
            "is not in this store, and this cache is offline: upstream is never asked"
        }
        _ => "does not exist",
    }
}

impl ServeError {
    /// The outcome for headers, logs and labels.
    #[must_use]
    pub const fn outcome(&self) -> Outcome {
        match self {
            Self::UnknownRegistry { .. } | Self::NotOffered { .. } => Outcome::Refused,
            Self::Absent { .. } => Outcome::Absent,
            Self::Unavailable { .. } => Outcome::Unavailable,
        }
    }

    /// The same for those who have the beginning of an answer already.
    pub(crate) fn into_failure(self) -> Failure {
        match self {
            Self::Unavailable { failure, .. } => failure,
            error => Failure::own(error.reason(), &error.to_string()),
        }
    }

    /// The reason for logs.
    #[must_use]
    pub const fn reason(&self) -> Reason {
        match self {
            Self::UnknownRegistry { .. } | Self::NotOffered { .. } => Reason::BadRequest,
            Self::Absent { reason, .. } => *reason,
            Self::Unavailable { failure, .. } => failure.reason,
        }
    }

    /// The status upstream gave.
    #[must_use]
    pub const fn upstream_status(&self) -> Option<u16> {
        match self {
            Self::Absent { upstream_status, .. } => *upstream_status,
            Self::Unavailable { failure, .. } => failure.upstream_status,
            Self::UnknownRegistry { .. } | Self::NotOffered { .. } => None,
        }
    }
}
