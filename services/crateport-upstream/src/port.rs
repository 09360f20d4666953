//! The contract between the cache and an upstream.

use std::fmt;
use std::pin::Pin;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use crateport_types::{
    CrateName, CrateVersion, DistPath, DlTemplate, IndexName, ResourceKind, Sha256, Validators,
};
use futures_util::{Stream, StreamExt as _};

use crate::UpstreamError;

/// One registry or dist origin, somewhere else.
///
/// * `fetch` returns when upstream's headers are there, within the upstream's own deadline, retries included. The
///   body comes after and is bounded by an idle timeout.
/// * Absence ([`Reply::Absent`]) is only ever upstream's own word: 404, 410 or 451. Everything else that is not an
///   answer is an error.
/// * A body that ends early is an error in the stream, never an early end of it.
/// * Dropping the future or the body gives up the request at once.
#[async_trait]
pub trait Upstream: Send + Sync + fmt::Debug {
    /// Asks once, with the retries that the deadline allows.
    async fn fetch(&self, ask: Ask<'_>) -> Result<Reply, UpstreamError>;

    /// How upstream has been lately; costs nothing.
    fn condition(&self) -> Condition;
}

/// What is asked for.
#[derive(Clone, Copy, Debug)]
pub enum Ask<'a> {
    /// The registry's `config.json`.
    Config,
    /// An index file, conditionally where there are validators.
    IndexFile {
        /// Whose.
        name: &'a IndexName,
        /// What upstream said of the copy that is here.
        validators: &'a Validators,
    },
    /// A crate.
    Krate {
        /// Where upstream keeps its crates.
        dl: &'a DlTemplate,
        /// The name, exact.
        name: &'a CrateName,
        /// The version, exact.
        version: &'a CrateVersion,
        /// The checksum in the index; some templates name files by it.
        checksum: &'a Sha256,
    },
    /// A search.
    Search {
        /// The base of upstream's web API, from its `config.json`.
        api: &'a str,
        /// The query string, as the client sent it.
        query: &'a str,
    },
    /// A dist file, or the checksum beside one.
    Dist(&'a DistPath),
}

/// What upstream said.
#[derive(Debug)]
pub enum Reply {
    /// The copy with these validators is current.
    Unchanged,
    /// There is no such thing.
    Absent,
    /// Here it is.
    Found(Found),
}

/// A body on its way.
pub struct Found {
    /// Its length, when upstream told it and it is not encoded.
    pub size_bytes: Option<u64>,
    /// What to ask with the next time.
    pub validators: Validators,
    /// Upstream's clock, for checking ours.
    pub date: Option<SystemTime>,
    /// The bytes, decoded.
    pub body: BodyStream,
}

/// The bytes of a body; a cut, a stall or a reset is an error in it.
pub type BodyStream = Pin<Box<dyn Stream<Item = Result<Bytes, UpstreamError>> + Send>>;

/// How an upstream has been lately.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Condition {
    /// Answers, or has not been asked.
    Healthy,
    /// Requests have been waiting for longer than a client should; a client with a copy need not wait for it.
    Slow,
    /// Left alone after repeated failures or at its own request; asking fails at once until then.
    Down {
        /// How long still.
        retry_after: Duration,
    },
    /// Never asked, because somebody said so. What is not here does not exist.
    Offline,
}

impl Ask<'_> {
    /// What kind of resource this is.
    #[must_use]
    pub const fn kind(&self) -> ResourceKind {
        match self {
            Self::Config => ResourceKind::Config,
            Self::IndexFile { .. } => ResourceKind::Index,
            Self::Krate { .. } => ResourceKind::Krate,
            Self::Search { .. } => ResourceKind::Search,
            Self::Dist(_) => ResourceKind::Dist,
        }
    }
}

impl Found {
    /// Takes the whole body into memory, up to `size_bytes_max`.
    ///
    /// # Errors
    ///
    /// When the body breaks off, or is larger.
    pub async fn collect(mut self, size_bytes_max: usize) -> Result<Bytes, UpstreamError> {
        let mut whole = BytesMut::new();
        while let Some(chunk) = self.body.next().await {
            let chunk = chunk?;
            if whole.len() + chunk.len() > size_bytes_max {
                return Err(UpstreamError::TooLarge { size_bytes_max: size_bytes_max as u64 });
            }
            whole.extend_from_slice(&chunk);
        }
        // It may be kept for long, and what it grew by in vain must not.
        Ok(Vec::from(whole).into_boxed_slice().into())
    }
}

impl fmt::Debug for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Found").field("size_bytes", &self.size_bytes).finish_non_exhaustive()
    }
}
