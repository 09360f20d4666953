//! HTTP/1.1 on a bare socket: what exactly came over the wire, and how it ended.

use std::io::ErrorKind;
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::Instant;
use url::Url;

/// How long the socket may be without an end of the answer, unless the test says otherwise.
const PATIENCE: Duration = Duration::from_secs(30);

/// How the answer, or the connection, ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// Whole by its `Content-Length` or its last chunk, or without a body by its status.
    Whole,
    /// The connection closed, and nothing in the head said how long the body is: a client cannot see a cut.
    CloseDelimited,
    /// The connection closed before the end that the head promised, or before any head.
    ClosedEarly,
    /// RST.
    Reset,
    /// Nothing more came while the client's patience lasted.
    Silent,
    /// The connection was refused.
    Refused,
}

/// A `GET`, unless said otherwise, on a connection of its own. Only `Host` is added to the headers given.
#[derive(Debug, Clone)]
#[must_use = "a request goes out with send()"]
pub struct RawRequest {
    method: String,
    url: Url,
    headers: String,
    patience: Duration,
}

/// What came.
#[derive(Debug, Clone)]
pub struct RawAnswer {
    /// `HTTP/1.1 200 OK`; empty if no head came.
    pub status_line: String,
    /// Its number; `None` if no head came.
    pub status: Option<u16>,
    /// As spelled and ordered on the wire.
    pub headers: Vec<(String, String)>,
    /// The body without chunk marks, as far as it came.
    pub body: Bytes,
    /// Every byte that came.
    pub wire: Bytes,
    /// How it ended.
    pub ending: Ending,
}

impl RawRequest {
    /// `GET` an `http://` URL. Its path goes out as the `url` crate prints it.
    #[track_caller]
    pub fn get(url: impl AsRef<str>) -> Self {
        let url = Url::parse(url.as_ref()).expect("an absolute URL");
        Self { method: "GET".to_owned(), url, headers: String::new(), patience: PATIENCE }
    }

    /// Another method.
    pub fn method(mut self, method: &str) -> Self {
        method.clone_into(&mut self.method);
        self
    }

    /// Adds a header, as spelled.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers += &format!("{name}: {value}\r\n");
        self
    }

    /// How long to wait for the end of the answer before calling it [`Ending::Silent`].
    pub fn patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// Sends it and reads until the answer is whole or the connection is not.
    pub async fn send(self) -> RawAnswer {
        let until = Instant::now() + self.patience;
        let authority = self.url.authority().to_owned();
        let mut wire = BytesMut::new();
        let ending = match TcpStream::connect(&authority).await {
            Err(error) if error.kind() == ErrorKind::ConnectionRefused => Ending::Refused,
            Err(error) if error.kind() == ErrorKind::ConnectionReset => Ending::Reset,
            Err(error) => panic!("cannot connect to {authority}: {error}"),
            Ok(mut stream) => {
                let target = &self.url[url::Position::BeforePath..url::Position::AfterQuery];
                let head = format!(
                    "{} {target} HTTP/1.1\r\nHost: {authority}\r\n{}\r\n",
                    self.method, self.headers
                );
                // A server that resets at once is seen by the read.
                let _ = stream.write_all(head.as_bytes()).await;
                read(&mut stream, &mut wire, self.method == "HEAD", until).await
            }
        };
        RawAnswer::new(wire.freeze(), ending)
    }
}

async fn read(
    stream: &mut TcpStream,
    wire: &mut BytesMut,
    bodiless: bool,
    until: Instant,
) -> Ending {
    loop {
        let progress = Progress::of(wire, bodiless);
        if progress == Progress::Whole {
            return Ending::Whole;
        }
        match tokio::time::timeout_at(until, stream.read_buf(wire)).await {
            Err(_) => return Ending::Silent,
            Ok(Ok(0)) if progress == Progress::UntilClose => return Ending::CloseDelimited,
            Ok(Ok(0)) => return Ending::ClosedEarly,
            Ok(Ok(_)) => {}
            Ok(Err(error)) if error.kind() == ErrorKind::ConnectionReset => return Ending::Reset,
            Ok(Err(error)) => panic!("reading an answer: {error}"),
        }
    }
}

#[derive(PartialEq, Eq)]
enum Progress {
    Partial,
    UntilClose,
    Whole,
}

impl Progress {
    fn of(wire: &[u8], bodiless: bool) -> Self {
        let Some(head) = Head::parse(wire) else { return Self::Partial };
        // 101 leaves HTTP/1.1 behind: what follows is another protocol's.
        if bodiless || matches!(head.status, 101 | 204 | 304) {
            return Self::Whole;
        }
        let body = &wire[head.length..];
        let whole = match head.framing() {
            Framing::Chunked => unchunk(body).1,
            Framing::Length(length) => body.len() >= length,
            Framing::UntilClose => return Self::UntilClose,
        };
        if whole { Self::Whole } else { Self::Partial }
    }
}

struct Head {
    status_line: String,
    status: u16,
    headers: Vec<(String, String)>,
    length: usize,
}

enum Framing {
    Length(usize),
    Chunked,
    UntilClose,
}

impl Head {
    fn parse(wire: &[u8]) -> Option<Self> {
        let end = wire.windows(4).position(|window| window == b"\r\n\r\n")?;
        let text = String::from_utf8_lossy(&wire[..end]).into_owned();
        let mut lines = text.split("\r\n");
        let status_line = lines.next()?.to_owned();
        let status = status_line.split(' ').nth(1)?.parse().ok()?;
        let headers = lines.filter_map(|line| line.split_once(':'));
        let headers =
            headers.map(|(name, value)| (name.to_owned(), value.trim().to_owned())).collect();
        Some(Self { status_line, status, headers, length: end + 4 })
    }

    fn framing(&self) -> Framing {
        match (find(&self.headers, "transfer-encoding"), find(&self.headers, "content-length")) {
            (Some(_), _) => Framing::Chunked,
            (None, Some(length)) => length.parse().map_or(Framing::UntilClose, Framing::Length),
            (None, None) => Framing::UntilClose,
        }
    }
}

fn find<'a>(headers: &'a [(String, String)], wanted: &str) -> Option<&'a str> {
    headers
        .iter()
        .find(|(name, _)| name.eq_ignore_ascii_case(wanted))
        .map(|(_, value)| value.as_str())
}

/// The bytes inside the chunks, and whether the last chunk has come.
fn unchunk(mut wire: &[u8]) -> (Bytes, bool) {
    let mut body = BytesMut::new();
    loop {
        let line = wire.windows(2).position(|window| window == b"\r\n");
        let size = line.and_then(|end| {
            let text = std::str::from_utf8(&wire[..end]).ok()?;
            usize::from_str_radix(text.split(';').next()?.trim(), 16).ok()
        });
        let (Some(end), Some(size)) = (line, size) else { return (body.freeze(), false) };
        wire.advance(end + 2);
        if size == 0 {
            // Trailers are not used here: the empty line follows at once.
            return (body.freeze(), wire.starts_with(b"\r\n"));
        }
        let here = size.min(wire.len());
        body.extend_from_slice(&wire[..here]);
        wire.advance(here);
        if !wire.starts_with(b"\r\n") {
            return (body.freeze(), false);
        }
        wire.advance(2);
    }
}

impl RawAnswer {
    fn new(wire: Bytes, ending: Ending) -> Self {
        let Some(head) = Head::parse(&wire) else {
            let (status_line, headers, body) = (String::new(), Vec::new(), Bytes::new());
            return Self { status_line, status: None, headers, body, wire, ending };
        };
        let body = wire.slice(head.length..);
        let body = if matches!(head.framing(), Framing::Chunked) { unchunk(&body).0 } else { body };
        Self {
            status: Some(head.status),
            status_line: head.status_line,
            headers: head.headers,
            body,
            wire,
            ending,
        }
    }

    /// The first header of this name, in any case.
    pub fn header(&self, name: &str) -> Option<&str> {
        find(&self.headers, name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_are_taken_apart_as_far_as_they_came() {
        let table = [
            ("", "", false),
            ("3\r\nab", "ab", false),
            ("3\r\nabc\r\n", "abc", false),
            ("3;x=1\r\nabc\r\n1\r\nd\r\n0\r\n", "abcd", false),
            ("3\r\nabc\r\n1\r\nd\r\n0\r\n\r\n", "abcd", true),
        ];
        for (wire, body, whole) in table {
            assert_eq!(unchunk(wire.as_bytes()), (Bytes::from(body), whole), "{wire:?}");
        }
    }
}
