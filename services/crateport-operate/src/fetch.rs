//! Fetching through a cache, to the last byte, as a client would.

use crateport_cache::{Cache, Payload, Redirects, ServeError, SpoolError};
use crateport_types::{Hasher, Outcome, RegistryId, Resource, Sha256};
use futures_util::StreamExt as _;

/// What was fetched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fetched {
    /// How the cache came to it.
    pub(crate) outcome: Outcome,
    /// Its size.
    pub(crate) size_bytes: u64,
    /// Its digest, of a crate.
    pub(crate) checksum: Option<Sha256>,
}

/// What a resource is called in errors.
fn what(resource: &Resource) -> String {
    match resource {
        Resource::Krate { name, version } => format!("crate {name} {version}"),
        Resource::IndexFile(name) => format!("the index file of {name}"),
        Resource::Config => "config.json".to_owned(),
        Resource::Search { .. } => "search".to_owned(),
    }
}

/// Has the cache get something, and waits until it is there.
pub(crate) async fn fetch(
    cache: &Cache,
    registry: &RegistryId,
    resource: &Resource,
) -> Result<Fetched, ServeError> {
    let answer = Box::pin(cache.serve(registry.as_str(), resource, Redirects::Unwanted)).await?;
    let outcome = answer.outcome;
    let (size_bytes, checksum) = match answer.payload {
        Payload::Index(copy) => (copy.bytes().len() as u64, None),
        Payload::Stored(object) => (object.size_bytes(), Some(object.checksum())),
        Payload::Spool(reader) => {
            let failed =
                |SpoolError(failure)| ServeError::Unavailable { what: what(resource), failure };
            let mut pieces = std::pin::pin!(reader.into_stream());
            let (mut size_bytes, mut hasher) = (0, Hasher::default());
            while let Some(piece) = pieces.next().await {
                let piece = piece.map_err(failed)?;
                size_bytes += piece.len() as u64;
                hasher.update(&piece);
            }
            (size_bytes, Some(hasher.finish()))
        }
        Payload::Config(_) | Payload::Redirect(_) | Payload::Json(_) => (0, None),
    };
    Ok(Fetched { outcome, size_bytes, checksum })
}
