//! The bytes of an answer: bounded in time and size, decoded, and an error where they end too early.

use std::time::Duration;

use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use reqwest::Response;
use tokio::time::timeout;

use crate::answer::Coding;
use crate::circuit::Failure;
use crate::failure;
use crate::gunzip::{Gunzip, GunzipError};
use crate::host::Call;
use crate::waiting::Stage;
use crate::{BodyStream, UpstreamError};

/// What bounds a body.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    /// How long the next chunk may take.
    pub(crate) idle_timeout: Duration,
    /// How large all of it may be, decoded.
    pub(crate) size_bytes_max: Option<u64>,
}

/// A body in the middle of its way. Dropping it gives back the permit and closes or resets what it came by.
struct Body<S> {
    chunks: S,
    call: Call,
    gunzip: Option<Gunzip>,
    bounds: Bounds,
    size_bytes: u64,
}

/// The body of `response`, which came by `call`.
pub(crate) fn stream(response: Response, call: Call, coding: Coding, bounds: Bounds) -> BodyStream {
    let gunzip = match coding {
        Coding::Identity(_) => None,
        Coding::Gzip => Some(Gunzip::new(bounds.size_bytes_max.unwrap_or(u64::MAX))),
    };
    let chunks = Box::pin(response.bytes_stream());
    let body = Body { chunks, call, gunzip, bounds, size_bytes: 0 };
    Box::pin(stream::unfold(Some(body), |body| async { body?.next().await }))
}

impl<S> Body<S>
where
    S: stream::Stream<Item = reqwest::Result<Bytes>> + Unpin,
{
    /// The next piece and what remains; after an error or the end nothing remains.
    async fn next(mut self) -> Option<(Result<Bytes, UpstreamError>, Option<Self>)> {
        loop {
            match self.chunk().await {
                Ok(Some(piece)) if piece.is_empty() => {}
                Ok(Some(piece)) => return Some((Ok(piece), Some(self))),
                Ok(None) => {
                    let rest = self.rest();
                    if !matches!(rest, Err(UpstreamError::Invalid { .. })) {
                        self.call.completed();
                    }
                    return match rest {
                        Ok(rest) if rest.is_empty() => None,
                        rest => Some((rest, None)),
                    };
                }
                Err(error) => {
                    if let UpstreamError::Cut { .. } | UpstreamError::Timeout { .. } = error {
                        self.call.failed(Failure::Unfinished);
                    }
                    return Some((Err(error), None));
                }
            }
        }
    }

    /// The next decoded piece, perhaps empty; none at the end.
    async fn chunk(&mut self) -> Result<Option<Bytes>, UpstreamError> {
        let idle_timeout = self.bounds.idle_timeout;
        let chunk = {
            let _wait = self.call.wait(Stage::Body);
            timeout(idle_timeout, self.chunks.next()).await
        };
        let chunk = chunk.map_err(|_| UpstreamError::Timeout {
            host: self.call.host().to_owned(),
            waited: idle_timeout,
        })?;
        let Some(chunk) = chunk else { return Ok(None) };
        let chunk = chunk.map_err(|error| failure::in_body(self.call.host(), &error))?;
        if let Some(gunzip) = &mut self.gunzip {
            return gunzip.feed(&chunk).map(Some).map_err(|error| self.undecodable(error));
        }
        self.size_bytes += chunk.len() as u64;
        match self.bounds.size_bytes_max {
            Some(size_bytes_max) if self.size_bytes > size_bytes_max => {
                Err(UpstreamError::TooLarge { size_bytes_max })
            }
            _ => Ok(Some(chunk)),
        }
    }

    fn rest(&mut self) -> Result<Bytes, UpstreamError> {
        match &mut self.gunzip {
            None => Ok(Bytes::new()),
            Some(gunzip) => gunzip.finish().map_err(|error| self.undecodable(error)),
        }
    }

    fn undecodable(&self, error: GunzipError) -> UpstreamError {
        let host = self.call.host().to_owned();
        match error {
            GunzipError::Corrupt => UpstreamError::Invalid { host, detail: error.to_string() },
            GunzipError::Cut => UpstreamError::Cut { host, detail: error.to_string() },
            GunzipError::TooLarge(size_bytes_max) => UpstreamError::TooLarge { size_bytes_max },
        }
    }
}
