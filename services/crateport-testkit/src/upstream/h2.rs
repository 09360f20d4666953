//! h2 through hyper. Where HTTP/1.1 would cut or reset the connection, h2 resets the stream.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use futures_util::stream::{self, Stream};
use http::header::CONTENT_LENGTH;
use http::{Method, Request, Response, Version};
use http_body_util::StreamBody;
use hyper::body::{Frame, Incoming};
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};

use super::Shared;
use super::connection::Wire;
use super::delivery::{Delivery, End, Length, Part};
use super::journal::{InFlight, SeenRequest};

/// More than any client opens at once, so that limits seen in tests are the client's own.
const STREAMS_MAX: u32 = 1000;

pub(super) async fn serve<W: Wire>(wire: W, shared: Arc<Shared>, connection: usize) {
    let service = service_fn(move |request: Request<Incoming>| {
        let sends_body = request.method() != Method::HEAD;
        let (delivery, in_flight) = shared.decide(seen(request, connection));
        respond(delivery, in_flight, sends_body)
    });
    let mut builder = http2::Builder::new(TokioExecutor::new());
    // However the connection ends, the client has seen it.
    let _ = builder
        .max_concurrent_streams(STREAMS_MAX)
        .serve_connection(TokioIo::new(wire), service)
        .await;
}

fn seen(request: Request<Incoming>, connection: usize) -> SeenRequest {
    let (parts, _) = request.into_parts();
    SeenRequest {
        method: parts.method,
        path: parts.uri.path().to_owned(),
        query: parts.uri.query().map(str::to_owned),
        headers: parts.headers,
        version: Version::HTTP_2,
        connection,
        at: Instant::now(),
        status: None,
    }
}

type Frames = std::pin::Pin<Box<dyn Stream<Item = io::Result<Frame<Bytes>>> + Send>>;

async fn respond(
    delivery: Delivery,
    in_flight: InFlight,
    sends_body: bool,
) -> io::Result<Response<StreamBody<Frames>>> {
    let Delivery { waits, head, body, end } = delivery;
    for pause in &waits {
        pause.over().await;
    }
    let Some(head) = head else { return Err(io::ErrorKind::ConnectionReset.into()) };
    let has_body = sends_body && head.length != Length::NoBody;
    let frames: Frames =
        if has_body { Box::pin(frames(body, end, in_flight)) } else { Box::pin(stream::empty()) };
    let mut response = Response::new(StreamBody::new(frames));
    *response.status_mut() = head.status;
    *response.headers_mut() = head.headers;
    if let Length::Known(bytes) = head.length {
        response.headers_mut().insert(CONTENT_LENGTH, bytes.into());
    }
    Ok(response)
}

fn frames(
    body: VecDeque<Part>,
    end: End,
    in_flight: InFlight,
) -> impl Stream<Item = io::Result<Frame<Bytes>>> {
    stream::unfold(Some((body, in_flight)), move |state| async move {
        let (mut body, in_flight) = state?;
        loop {
            match body.pop_front() {
                Some(Part::Wait(pause)) => pause.over().await,
                Some(Part::Send(bytes)) => {
                    return Some((Ok(Frame::data(bytes)), Some((body, in_flight))));
                }
                None if end == End::Clean => return None,
                None => return Some((Err(io::ErrorKind::ConnectionReset.into()), None)),
            }
        }
    })
}
