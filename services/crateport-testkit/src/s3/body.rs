//! Bodies on their way in and out.

use std::io;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::{StreamExt as _, stream};
use s3s::dto::StreamingBlob;
use s3s::{S3Error, S3Result};

use super::fault::S3Fault;

/// The pieces in which bodies go out.
const PIECE_BYTES: usize = 64 * 1024;

/// Before a connection is closed in the middle of a body.
const FLUSHED_AFTER: Duration = Duration::from_millis(20);

/// Reads a whole body; S3 keeps nothing before it has all of it.
pub(super) async fn collect(body: Option<StreamingBlob>) -> S3Result<Bytes> {
    let Some(mut body) = body else { return Ok(Bytes::new()) };
    let mut whole = BytesMut::new();
    while let Some(piece) = body.next().await {
        let piece =
            piece.map_err(|error| S3Error::with_source(s3s::S3ErrorCode::IncompleteBody, error))?;
        whole.extend_from_slice(&piece);
    }
    Ok(whole.freeze())
}

/// Sends bytes, and lets the fault happen on the way.
pub(super) fn send(bytes: &Bytes, fault: Option<S3Fault>) -> StreamingBlob {
    let end = match fault {
        Some(S3Fault::TruncateBody(end) | S3Fault::HangBody(end)) => end.min(bytes.len()),
        _ => bytes.len(),
    };
    let part = bytes.slice(..end);
    let pieces = (0..end.div_ceil(PIECE_BYTES)).map(move |number| {
        let start = number * PIECE_BYTES;
        Ok(part.slice(start..part.len().min(start + PIECE_BYTES)))
    });
    let pieces = stream::iter(pieces.collect::<Vec<_>>());
    match fault {
        Some(S3Fault::TruncateBody(_)) => {
            let cut = stream::once(async {
                // What was sent must be on its way before the connection ends.
                tokio::time::sleep(FLUSHED_AFTER).await;
                Err(io::Error::other("truncated to order"))
            });
            StreamingBlob::wrap(pieces.chain(cut))
        }
        Some(S3Fault::HangBody(_)) => StreamingBlob::wrap(pieces.chain(stream::pending())),
        _ => StreamingBlob::wrap(pieces),
    }
}
