//! One connection that speaks HTTP/2 (RFC 9113), as little of it as a client needs that knows its answers.

use std::cell::RefCell;
use std::collections::HashMap;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::stream::{Address, Io};
use super::tickets::Tickets;
use super::{Expected, Latencies, Request, h1};

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const FRAME_HEAD_BYTES: usize = 9;
/// Frames stay at the size that clients leave them at (16 KiB), so this holds several.
const BUFFER_BYTES: usize = 256 * 1024;
/// A window that a body of this benchmark does not fill, as curl's does not for most.
const STREAM_WINDOW_BYTES: u32 = 16 * 1024 * 1024;
const DEFAULT_WINDOW_BYTES: u32 = 65_535;
const CONNECTION_WINDOW_BYTES: u32 = 0x7fff_ffff;
/// The connection's window is opened again after so many bytes.
const REFILL_BYTES: u32 = 0x2000_0000;
/// Longest that nothing may come while answers are due.
const SILENCE_TIMEOUT: Duration = Duration::from_secs(120);

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;
const ACK: u8 = 1;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
const ENABLE_PUSH: [u8; 2] = [0, 2];
const INITIAL_WINDOW_SIZE: [u8; 2] = [0, 4];

/// The connection; it is opened again when the server has said that it goes.
pub(super) struct H2 {
    address: Address,
    io: Box<dyn Io>,
    output: Vec<u8>,
    buffer: Vec<u8>,
    filled: usize,
    next_stream: u32,
    consumed_bytes: u32,
    streams: HashMap<u32, Stream>,
    is_going: bool,
}

/// One request in flight.
struct Stream {
    start: Instant,
    expected: Expected,
    status: Option<u16>,
    body_bytes: u64,
}

/// A frame's head.
#[derive(Clone, Copy)]
struct Frame {
    length: usize,
    kind: u8,
    flags: u8,
    stream: u32,
}

impl H2 {
    pub(super) async fn connect(address: &Address) -> Result<Self> {
        let mut output = PREFACE.to_vec();
        frame(
            &mut output,
            SETTINGS,
            0,
            0,
            &[
                ENABLE_PUSH.as_slice(),
                &0_u32.to_be_bytes(),
                INITIAL_WINDOW_SIZE.as_slice(),
                &STREAM_WINDOW_BYTES.to_be_bytes(),
            ]
            .concat(),
        );
        let more = CONNECTION_WINDOW_BYTES - DEFAULT_WINDOW_BYTES;
        frame(&mut output, WINDOW_UPDATE, 0, 0, &more.to_be_bytes());
        let mut io = address.connect().await?;
        io.write_all(&output).await?;
        output.clear();
        Ok(Self {
            address: address.clone(),
            io,
            output,
            buffer: vec![0; BUFFER_BYTES],
            filled: 0,
            next_stream: 1,
            consumed_bytes: 0,
            streams: HashMap::new(),
            is_going: false,
        })
    }

    pub(super) async fn run(
        &mut self,
        tickets: &Tickets<'_>,
        streams_max: usize,
        latencies: &RefCell<Latencies>,
    ) -> Result<()> {
        loop {
            while !self.is_going && self.streams.len() < streams_max {
                let Some(request) = tickets.take() else { break };
                self.send(request);
            }
            if !self.output.is_empty() {
                self.io.write_all(&self.output).await?;
                self.io.flush().await?;
                self.output.clear();
            }
            if self.streams.is_empty() {
                if !self.is_going {
                    return Ok(());
                }
                *self = Self::connect(&self.address).await?;
                continue;
            }
            let free = self.buffer.get_mut(self.filled..).context("room in the buffer")?;
            let read = tokio::time::timeout(SILENCE_TIMEOUT, self.io.read(free)).await;
            let read = read.context("silence while answers are due")??;
            ensure!(read > 0, "the connection was closed while answers were due");
            self.filled += read;
            self.take_frames(latencies)?;
        }
    }

    fn send(&mut self, request: &Request) {
        frame(
            &mut self.output,
            HEADERS,
            END_STREAM | END_HEADERS,
            self.next_stream,
            &request.block,
        );
        let start = Instant::now();
        let stream = Stream { start, expected: request.expected, status: None, body_bytes: 0 };
        self.streams.insert(self.next_stream, stream);
        self.next_stream += 2;
    }

    /// Takes the whole frames out of the buffer.
    fn take_frames(&mut self, latencies: &RefCell<Latencies>) -> Result<()> {
        let mut start = 0;
        while let Some(head) = self.buffer.get(start..self.filled).and_then(Frame::parse) {
            let end = start + FRAME_HEAD_BYTES + head.length;
            ensure!(head.length + FRAME_HEAD_BYTES <= BUFFER_BYTES, "a frame of usual size");
            if end > self.filled {
                break;
            }
            self.take(head, start + FRAME_HEAD_BYTES..end, latencies)?;
            start = end;
        }
        self.buffer.copy_within(start..self.filled, 0);
        self.filled -= start;
        Ok(())
    }

    fn take(
        &mut self,
        head: Frame,
        payload: std::ops::Range<usize>,
        latencies: &RefCell<Latencies>,
    ) -> Result<()> {
        let payload = self.buffer.get(payload).unwrap_or_default();
        match head.kind {
            DATA => {
                let bytes = u32::try_from(head.length)?;
                self.consumed_bytes += bytes;
                let stream = self.streams.get_mut(&head.stream).context("a stream of ours")?;
                stream.body_bytes += u64::from(bytes);
                if self.consumed_bytes > REFILL_BYTES {
                    frame(
                        &mut self.output,
                        WINDOW_UPDATE,
                        0,
                        0,
                        &self.consumed_bytes.to_be_bytes(),
                    );
                    self.consumed_bytes = 0;
                }
            }
            HEADERS => {
                let stream = self.streams.get_mut(&head.stream).context("a stream of ours")?;
                stream.status = status(payload);
            }
            SETTINGS if head.flags & ACK == 0 => frame(&mut self.output, SETTINGS, ACK, 0, &[]),
            PING if head.flags & ACK == 0 => {
                let echo = payload.to_vec();
                frame(&mut self.output, PING, ACK, 0, &echo);
            }
            GOAWAY => self.is_going = true,
            RST_STREAM => bail!("a stream was reset: {payload:?}"),
            _ => {}
        }
        if matches!(head.kind, DATA | HEADERS) && head.flags & END_STREAM != 0 {
            let done = self.streams.remove(&head.stream).context("a stream of ours")?;
            // A status that is not in HPACK's static table is not looked up; the probe before has seen it.
            let status = done.status.unwrap_or(done.expected.status);
            h1::check(done.expected, status, done.body_bytes)?;
            latencies.borrow_mut().add(done.start.elapsed());
        }
        Ok(())
    }
}

impl Frame {
    fn parse(bytes: &[u8]) -> Option<Self> {
        let head: [u8; FRAME_HEAD_BYTES] = bytes.get(..FRAME_HEAD_BYTES)?.try_into().ok()?;
        let [l0, l1, l2, kind, flags, s0, s1, s2, s3] = head;
        let length = usize::try_from(u32::from_be_bytes([0, l0, l1, l2])).ok()?;
        Some(Self { length, kind, flags, stream: u32::from_be_bytes([s0 & 0x7f, s1, s2, s3]) })
    }
}

fn frame(output: &mut Vec<u8>, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
    let length = u32::try_from(payload.len()).unwrap_or(0).to_be_bytes();
    output.extend_from_slice(length.get(1..).unwrap_or_default());
    output.extend_from_slice(&[kind, flags]);
    output.extend_from_slice(&stream.to_be_bytes());
    output.extend_from_slice(payload);
}

/// The status if it is the first field and in HPACK's static table.
fn status(block: &[u8]) -> Option<u16> {
    // A change of the table's size may come first.
    match block.iter().find(|byte| **byte & 0xe0 != 0x20)? {
        0x88 => Some(200),
        0x89 => Some(204),
        0x8a => Some(206),
        0x8b => Some(304),
        0x8c => Some(400),
        0x8d => Some(404),
        0x8e => Some(500),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_is_read_as_it_is_written() {
        let mut bytes = Vec::new();
        frame(&mut bytes, HEADERS, END_STREAM, 5, b"abc");
        let head = Frame::parse(&bytes).unwrap();
        assert_eq!((head.length, head.kind, head.flags, head.stream), (3, HEADERS, END_STREAM, 5));
        assert!(Frame::parse(&bytes[..8]).is_none());
    }

    #[test]
    fn statuses_of_the_static_table_are_known() {
        assert_eq!(status(&[0x88]), Some(200));
        assert_eq!(status(&[0x20, 0x8b]), Some(304));
        assert_eq!(status(&[0x48, 0x03]), None);
    }
}
