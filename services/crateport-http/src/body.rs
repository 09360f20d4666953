//! The body of an answer. It knows its length where the length is known, and ends with an error, never early.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::{Stream, StreamExt as _};
use http_body::{Frame, SizeHint};

use crate::record::{End, Record};

/// The body of an answer.
#[derive(Default)]
pub struct Body {
    source: Source,
    /// Written when the body is gone, sent or not.
    record: Option<Box<Record>>,
}

/// Why a body could not be sent whole. The connection or the stream is then reset, so no client takes it for whole.
pub(crate) type BodyError = Box<dyn std::error::Error + Send + Sync>;

type Pieces = Pin<Box<dyn Stream<Item = Result<Bytes, BodyError>> + Send>>;

#[derive(Default)]
enum Source {
    #[default]
    Empty,
    Whole(Bytes),
    Pieces {
        pieces: Pieces,
        left_bytes: Option<u64>,
    },
    /// It broke off, and whoever sends it is yet to be told.
    Broken(Option<BodyError>),
}

impl Body {
    /// A body in memory.
    #[must_use]
    pub(crate) fn whole(bytes: Bytes) -> Self {
        Self {
            source: if bytes.is_empty() { Source::Empty } else { Source::Whole(bytes) },
            record: None,
        }
    }

    /// A body in pieces, of a length that may be known.
    pub(crate) fn pieces<E: Into<BodyError>>(
        pieces: impl Stream<Item = Result<Bytes, E>> + Send + 'static,
        left_bytes: Option<u64>,
    ) -> Self {
        let pieces: Pieces = Box::pin(pieces.map(|piece| piece.map_err(Into::into)));
        Self { source: Source::Pieces { pieces, left_bytes }, record: None }
    }

    /// Has `record` written when the body is gone.
    pub(crate) fn recorded(mut self, mut record: Box<Record>) -> Self {
        record.end = if self.size_bytes() == Some(0) { End::Whole } else { End::Left };
        self.record = Some(record);
        self
    }

    /// Its length, if known.
    pub(crate) fn size_bytes(&self) -> Option<u64> {
        match &self.source {
            Source::Empty => Some(0),
            Source::Whole(bytes) => Some(bytes.len() as u64),
            Source::Pieces { left_bytes, .. } => *left_bytes,
            Source::Broken(_) => None,
        }
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = &mut *self;
        let polled = match &mut this.source {
            Source::Empty => Poll::Ready(None),
            Source::Whole(bytes) => {
                let bytes = std::mem::take(bytes);
                this.source = Source::Empty;
                Poll::Ready(Some(Ok(bytes)))
            }
            Source::Pieces { pieces, left_bytes } => match pieces.poll_next_unpin(context) {
                Poll::Ready(Some(Err(error))) => {
                    // What was handed over before must leave first, and the head with it: a client that has seen
                    // neither takes the reset for another kind of failure, which cargo does not retry.
                    this.source = Source::Broken(Some(error));
                    context.waker().wake_by_ref();
                    Poll::Pending
                }
                polled => {
                    if let (Poll::Ready(Some(Ok(piece))), Some(left_bytes)) = (&polled, left_bytes)
                    {
                        *left_bytes = left_bytes.saturating_sub(piece.len() as u64);
                    }
                    polled
                }
            },
            Source::Broken(error) => Poll::Ready(error.take().map(Err)),
        };
        if let Poll::Ready(piece) = &polled {
            let left_bytes = this.size_bytes();
            if let Some(record) = &mut this.record {
                record.note(piece.as_ref(), left_bytes);
            }
        }
        polled.map(|piece| piece.map(|piece| piece.map(Frame::data)))
    }

    fn is_end_stream(&self) -> bool {
        matches!(self.source, Source::Empty)
    }

    fn size_hint(&self) -> SizeHint {
        self.size_bytes().map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Body").field("size_bytes", &self.size_bytes()).finish_non_exhaustive()
    }
}
