//! HTTP/1.1 by hand on the socket, because an honest server library refuses to lie about lengths or to reset.

use std::io;
use std::sync::Arc;
use std::time::Instant;

use bytes::{Buf, BytesMut};
use http::header::{CONNECTION, CONTENT_LENGTH};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Version};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::Shared;
use super::connection::Wire;
use super::delivery::{Delivery, End, Head, Length, Part, Wait};
use super::journal::SeenRequest;

/// Longer request heads and bodies end the connection.
const REQUEST_BYTES_MAX: usize = 1024 * 1024;

/// Serves one connection until either side ends it.
pub(super) async fn serve<W: Wire>(mut wire: W, shared: Arc<Shared>, connection: usize) {
    let mut buffer = BytesMut::new();
    while let Ok(Some(request)) = read_request(&mut wire, &mut buffer, connection).await {
        let asks_to_close = request
            .header(CONNECTION.as_str())
            .is_some_and(|value| value.eq_ignore_ascii_case("close"));
        let sends_body = request.method != Method::HEAD;
        let (delivery, _in_flight) = shared.decide(request);
        match deliver(&mut wire, &mut buffer, delivery, sends_body).await {
            Ok(End::Clean) if !asks_to_close => {}
            Ok(End::Clean) => {
                let _ = wire.shutdown().await;
                return;
            }
            Ok(End::Close) | Err(_) => return,
            Ok(End::Reset) => {
                // Dropping the socket now sends RST instead of FIN.
                let _ = wire.tcp().set_zero_linger();
                return;
            }
        }
    }
}

/// The next request, its body read and dropped; `None` if the client is done.
async fn read_request<W: Wire>(
    wire: &mut W,
    buffer: &mut BytesMut,
    connection: usize,
) -> io::Result<Option<SeenRequest>> {
    let head_end = loop {
        if let Some(start) = buffer.windows(4).position(|window| window == b"\r\n\r\n") {
            break start + 4;
        }
        if buffer.len() > REQUEST_BYTES_MAX || wire.read_buf(buffer).await? == 0 {
            return Ok(None);
        }
    };
    let Some(request) = parse(&buffer.split_to(head_end), connection) else { return Ok(None) };
    let body =
        request.header(CONTENT_LENGTH.as_str()).and_then(|value| value.parse().ok()).unwrap_or(0);
    while buffer.len() < body {
        if buffer.len() > REQUEST_BYTES_MAX || wire.read_buf(buffer).await? == 0 {
            return Ok(None);
        }
    }
    buffer.advance(body);
    Ok(Some(request))
}

fn parse(head: &[u8], connection: usize) -> Option<SeenRequest> {
    let mut lines = std::str::from_utf8(head).ok()?.split("\r\n");
    let mut first = lines.next()?.split(' ');
    let method = Method::from_bytes(first.next()?.as_bytes()).ok()?;
    let target = first.next()?;
    let (path, query) = match target.split_once('?') {
        Some((path, query)) => (path.to_owned(), Some(query.to_owned())),
        None => (target.to_owned(), None),
    };
    let mut headers = HeaderMap::new();
    for line in lines.take_while(|line| !line.is_empty()) {
        let (name, value) = line.split_once(':')?;
        headers.append(HeaderName::try_from(name).ok()?, HeaderValue::from_str(value.trim()).ok()?);
    }
    let version = Version::HTTP_11;
    Some(SeenRequest {
        method,
        path,
        query,
        headers,
        version,
        connection,
        at: Instant::now(),
        status: None,
    })
}

async fn deliver<W: Wire>(
    wire: &mut W,
    buffer: &mut BytesMut,
    delivery: Delivery,
    sends_body: bool,
) -> io::Result<End> {
    let Delivery { waits, head, body, end } = delivery;
    for pause in &waits {
        wait(wire, buffer, pause).await?;
    }
    let Some(head) = head else { return Ok(end) };
    wire.write_all(head_text(&head).as_bytes()).await?;
    wire.flush().await?;
    if !sends_body || head.length == Length::NoBody {
        return Ok(end);
    }
    let chunked = head.length == Length::Chunked;
    for part in body {
        match part {
            Part::Wait(pause) => wait(wire, buffer, &pause).await?,
            Part::Send(bytes) if bytes.is_empty() => {}
            Part::Send(bytes) if chunked => {
                wire.write_all(format!("{:x}\r\n", bytes.len()).as_bytes()).await?;
                wire.write_all(&bytes).await?;
                wire.write_all(b"\r\n").await?;
            }
            Part::Send(bytes) => wire.write_all(&bytes).await?,
        }
        wire.flush().await?;
    }
    if chunked && end == End::Clean {
        wire.write_all(b"0\r\n\r\n").await?;
        wire.flush().await?;
    }
    Ok(end)
}

fn head_text(head: &Head) -> String {
    let reason = head.status.canonical_reason().unwrap_or("Scripted");
    let mut text = format!("HTTP/1.1 {} {reason}\r\n", head.status.as_u16());
    for (name, value) in &head.headers {
        text += &format!("{name}: {}\r\n", String::from_utf8_lossy(value.as_bytes()));
    }
    match head.length {
        Length::Known(bytes) => text += &format!("content-length: {bytes}\r\n"),
        Length::Chunked => text += "transfer-encoding: chunked\r\n",
        Length::NoBody => {}
    }
    text + "\r\n"
}

/// Waits, but not for a client that has left.
async fn wait<W: Wire>(wire: &mut W, buffer: &mut BytesMut, wait: &Wait) -> io::Result<()> {
    let client_left = async {
        while buffer.len() <= REQUEST_BYTES_MAX {
            if wire.read_buf(buffer).await? == 0 {
                break;
            }
        }
        Err(io::ErrorKind::ConnectionAborted.into())
    };
    tokio::select! {
        () = wait.over() => Ok(()),
        left = client_left => left,
    }
}
