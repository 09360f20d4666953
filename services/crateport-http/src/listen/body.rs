//! The bodies of requests and responses on their way through a listener.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use pin_project_lite::pin_project;

use super::activity::InFlight;
use super::stall::{BodyPoll, StallTimer, note_body_poll};

/// A request's body: fails when the peer sends no byte of it for [`Limits::body_timeout`](super::Limits::body_timeout)
/// while the service waits for one.
#[derive(Debug)]
pub struct RequestBody {
    incoming: Incoming,
    stall: StallTimer,
}

/// Why a request's body could not be read to its end.
#[derive(Debug, thiserror::Error)]
pub enum RequestBodyError {
    /// The peer stopped sending.
    #[error("the client sent no byte of the request's body for {0:?}")]
    Stalled(Duration),
    /// The connection broke, or what came over it is not HTTP.
    #[error("cannot read the request's body")]
    Broken(#[source] hyper::Error),
}

pin_project! {
    /// A response's body, as the service made it: while it lives, its request is in flight.
    #[derive(Debug)]
    pub struct ResponseBody<B> {
        #[pin]
        inner: B,
        // None for the answer to an upgrade, which is no request.
        in_flight: Option<InFlight>,
    }
}

impl RequestBody {
    pub(crate) fn new(incoming: Incoming, body_timeout: Duration) -> Self {
        Self { incoming, stall: StallTimer::new(body_timeout) }
    }
}

impl<B> ResponseBody<B> {
    pub(crate) fn new(inner: B, in_flight: Option<InFlight>) -> Self {
        Self { inner, in_flight }
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = RequestBodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, RequestBodyError>>> {
        let body = self.get_mut();
        match Pin::new(&mut body.incoming).poll_frame(context) {
            Poll::Ready(frame) => {
                body.stall.moved();
                Poll::Ready(frame.map(|frame| frame.map_err(RequestBodyError::Broken)))
            }
            Poll::Pending => {
                ready!(body.stall.poll_waiting(context));
                Poll::Ready(Some(Err(RequestBodyError::Stalled(body.stall.timeout()))))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
    }
}

impl<B: Body> Body for ResponseBody<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        let frame = self.project().inner.poll_frame(context);
        note_body_poll(if frame.is_ready() { BodyPoll::Moved } else { BodyPoll::Waiting });
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
