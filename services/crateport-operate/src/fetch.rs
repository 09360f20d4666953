//! Fetching through a cache, to the last byte, as a client would.

use bytes::{Bytes, BytesMut};
use crateport_cache::{Cache, Payload, Redirects, ServeError, SpoolError};
use crateport_store::ObjectStream;
use crateport_types::{Hasher, Outcome, Resource, Sha256};
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
        Resource::Dist(path) => format!("dist file {path}"),
    }
}

/// Has the cache get something, and waits until it is there.
pub(crate) async fn fetch(
    cache: &Cache,
    origin: &str,
    resource: &Resource,
) -> Result<Fetched, ServeError> {
    let answer = Box::pin(cache.serve(origin, resource, Redirects::Unwanted)).await?;
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
        Payload::Sum(text) => (text.len() as u64, None),
        Payload::Config(_) | Payload::Redirect(_) | Payload::Json(_) => (0, None),
    };
    Ok(Fetched { outcome, size_bytes, checksum })
}

/// Has the cache get a text, and reads it.
pub(crate) async fn read(
    cache: &Cache,
    origin: &str,
    resource: &Resource,
    size_bytes_max: usize,
) -> Result<Bytes, ServeError> {
    let broken = |detail: String| ServeError::NotOffered { what: what(resource), detail };
    let answer = Box::pin(cache.serve(origin, resource, Redirects::Unwanted)).await?;
    let mut pieces: ObjectStream = match answer.payload {
        Payload::Index(copy) => return Ok(copy.bytes().clone()),
        Payload::Sum(text) => return Ok(text),
        Payload::Stored(object) => object.read(),
        Payload::Spool(reader) => {
            let mut read = BytesMut::new();
            let mut pieces = std::pin::pin!(reader.into_stream());
            while let Some(piece) = pieces.next().await {
                read.extend_from_slice(&piece.map_err(|error| broken(error.to_string()))?);
                if read.len() > size_bytes_max {
                    return Err(broken("it is too large".to_owned()));
                }
            }
            return Ok(read.freeze());
        }
        Payload::Config(_) | Payload::Redirect(_) | Payload::Json(_) => return Ok(Bytes::new()),
    };
    let mut read = BytesMut::new();
    while let Some(piece) = pieces.next().await {
        read.extend_from_slice(&piece.map_err(|error| broken(error.to_string()))?);
        if read.len() > size_bytes_max {
            return Err(broken("it is too large".to_owned()));
        }
    }
    Ok(read.freeze())
}
