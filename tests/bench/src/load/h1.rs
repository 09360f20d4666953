//! One connection that speaks HTTP/1.1, one request at a time.

use std::cell::RefCell;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::stream::{Address, Io};
use super::tickets::Tickets;
use super::{Expected, Latencies, Request};

const BUFFER_BYTES: usize = 256 * 1024;
const BUFFER_BYTES_SMALL: usize = 4 * 1024;
/// Longest that one answer may take.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(120);

/// The connection; it is opened again when the server closes it between two requests.
pub(crate) struct Http1 {
    address: Address,
    io: Option<Box<dyn Io>>,
    buffer: Vec<u8>,
    /// The last answer's head.
    head: Vec<u8>,
}

/// All of an answer but its body.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    /// Its status.
    pub(crate) status: u16,
    /// How long its body was.
    pub(crate) body_bytes: u64,
    head: String,
}

/// What was seen of an answer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Answer {
    /// Its status.
    pub(crate) status: u16,
    /// How long its body was.
    pub(crate) body_bytes: u64,
    /// From the request to the body's first byte, or to the end of the head if there is no body.
    pub(crate) first_byte: Duration,
    /// From the request to the last byte.
    pub(crate) last_byte: Duration,
    closes: bool,
}

/// The head of an answer.
#[derive(Debug, PartialEq, Eq)]
struct Head {
    status: u16,
    body_bytes: Option<u64>,
    closes: bool,
    /// How long the head itself is.
    head_bytes: usize,
}

impl Http1 {
    /// Opens it.
    pub(crate) async fn connect(address: &Address) -> Result<Self> {
        let io = Some(address.connect().await?);
        Ok(Self { address: address.clone(), io, buffer: vec![0; BUFFER_BYTES], head: Vec::new() })
    }

    /// Opens one of very many, for small answers.
    pub(crate) async fn connect_small(address: &Address) -> Result<Self> {
        let io = Some(address.connect().await?);
        let buffer = vec![0; BUFFER_BYTES_SMALL];
        Ok(Self { address: address.clone(), io, buffer, head: Vec::new() })
    }

    pub(super) async fn run(
        &mut self,
        tickets: &Tickets<'_>,
        latencies: &RefCell<Latencies>,
    ) -> Result<()> {
        while let Some(request) = tickets.take() {
            let answer = self.ask(request).await?;
            latencies.borrow_mut().add(answer.last_byte);
        }
        Ok(())
    }

    /// Sends one request and reads its answer, which must be as expected.
    pub(crate) async fn ask(&mut self, request: &Request) -> Result<Answer> {
        let answer = tokio::time::timeout(ANSWER_TIMEOUT, self.exchange(&request.head)).await;
        let answer = answer.context("no whole answer in time")?;
        if !answer.as_ref().is_ok_and(|answer| !answer.closes) {
            self.io = None;
        }
        let answer = answer?;
        check(request.expected, answer.status, answer.body_bytes)?;
        Ok(answer)
    }

    /// Sends one request and returns what it sees, whatever that is.
    pub(crate) async fn look(
        &mut self,
        address: &Address,
        path: &str,
        headers: &[(&str, &str)],
    ) -> Result<Seen> {
        let any = Expected { status: 0, body_bytes: None };
        let authority = address.authority();
        let request = Request::get(&authority, address.is_encrypted(), path, headers, any);
        let answer = tokio::time::timeout(ANSWER_TIMEOUT, self.exchange(&request.head)).await??;
        if answer.closes {
            self.io = None;
        }
        let head = String::from_utf8_lossy(&self.head).into_owned();
        Ok(Seen { status: answer.status, body_bytes: answer.body_bytes, head })
    }

    async fn exchange(&mut self, head: &[u8]) -> Result<Answer> {
        if self.io.is_none() {
            self.io = Some(self.address.connect().await?);
        }
        let io = self.io.as_mut().context("a connection")?;
        let start = Instant::now();
        io.write_all(head).await?;
        let mut filled = 0;
        let head = loop {
            let free = self.buffer.get_mut(filled..).filter(|free| !free.is_empty());
            let read = io.read(free.context("a head of usual size")?).await?;
            ensure!(read > 0, "the connection was closed instead of an answer");
            filled += read;
            if let Some(head) = parse(self.buffer.get(..filled).unwrap_or_default())? {
                break head;
            }
        };
        self.head.clear();
        self.head.extend_from_slice(self.buffer.get(..head.head_bytes).unwrap_or_default());
        let mut body_bytes = u64::try_from(filled - head.head_bytes)?;
        let length = head.body_bytes.context("an answer without a length")?;
        let mut first_byte = start.elapsed();
        while body_bytes < length {
            let read = io.read(&mut self.buffer).await?;
            ensure!(read > 0, "the body was cut");
            if body_bytes == 0 {
                first_byte = start.elapsed();
            }
            body_bytes += u64::try_from(read)?;
        }
        let Head { status, closes, .. } = head;
        Ok(Answer { status, body_bytes, first_byte, last_byte: start.elapsed(), closes })
    }
}

impl Seen {
    /// A header of it.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut fields = self.head.lines().filter_map(|line| line.split_once(':'));
        let value =
            fields.find_map(|(found, value)| found.eq_ignore_ascii_case(name).then_some(value));
        value.map(str::trim)
    }
}

/// Fails unless the answer is the expected one.
pub(super) fn check(expected: Expected, status: u16, body_bytes: u64) -> Result<()> {
    let fits = expected.body_bytes.is_none_or(|expected| expected == body_bytes);
    if expected.status != status || !fits {
        bail!("expected {expected:?}, got {status} with {body_bytes} bytes");
    }
    Ok(())
}

fn parse(bytes: &[u8]) -> Result<Option<Head>> {
    let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") else {
        return Ok(None);
    };
    let text = std::str::from_utf8(bytes.get(..end).unwrap_or_default())?;
    let mut lines = text.split("\r\n");
    let status = lines.next().and_then(|line| line.split(' ').nth(1)).context("a status line")?;
    let status = status.parse()?;
    let mut head = Head { status, body_bytes: None, closes: false, head_bytes: end + 4 };
    for line in lines {
        let (name, value) = line.split_once(':').context("a header line")?;
        if name.eq_ignore_ascii_case("content-length") {
            head.body_bytes = Some(value.trim().parse()?);
        } else if name.eq_ignore_ascii_case("connection") {
            head.closes = value.trim().eq_ignore_ascii_case("close");
        }
    }
    if matches!(status, 204 | 304) {
        head.body_bytes = Some(0);
    }
    Ok(Some(head))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_are_read() {
        let ok = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello";
        let table = [
            (ok, Some((200, Some(5), true))),
            ("HTTP/1.1 304 Not Modified\r\ncontent-length: 9\r\n\r\n", Some((304, Some(0), false))),
            ("HTTP/1.1 200 OK\r\ncontent-le", None),
        ];
        for (text, expected) in table {
            let head = parse(text.as_bytes()).unwrap();
            assert_eq!(head.map(|head| (head.status, head.body_bytes, head.closes)), expected);
        }
    }
}
