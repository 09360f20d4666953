//! Reads the start of a client's HTTP/2: the fixed preface and the SETTINGS frame that must follow it.
//!
//! Bytes may come one at a time. What is read is bounded: by the preface, one frame of the size every peer may send, and
//! what comes in the same read after it.

use std::io;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt as _};

use super::FirstRequest;

/// The first bytes of every HTTP/2 connection (RFC 9113 section 3.4).
pub(crate) const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Why the peer's bytes are not the start of HTTP/2.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum PrefaceError {
    #[error("the client did not send the http/2 preface after its upgrade")]
    NoPreface,
    #[error("the client did not send its settings first")]
    NoSettings,
    #[error("the client's first settings frame is too long")]
    TooLong,
}

const FRAME_HEAD_BYTES: usize = 9;
const FRAME_PAYLOAD_BYTES_MAX: u32 = 16_384;
const SETTINGS: u8 = 0x4;
const READ_BYTES: usize = 4096;

/// Reads preface and SETTINGS and puts `first` behind them: what the HTTP/2 side is to read before the rest of
/// `transport`. `read` are bytes that came with the upgraded request.
pub(crate) async fn read(
    transport: &mut (impl AsyncRead + Unpin),
    read: Bytes,
    first: &FirstRequest,
) -> io::Result<Bytes> {
    let mut bytes = BytesMut::from(read);
    let end = loop {
        let end = preface_end(&bytes)
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
        if let Some(end) = end {
            break end;
        }
        bytes.reserve(READ_BYTES);
        if transport.read_buf(&mut bytes).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    };
    let rest = bytes.split_off(end);
    bytes.extend_from_slice(&first.0);
    bytes.unsplit(rest);
    Ok(bytes.freeze())
}

/// Where preface and SETTINGS frame end in `bytes`; `None` while more bytes are needed.
fn preface_end(bytes: &[u8]) -> Result<Option<usize>, PrefaceError> {
    let Some((preface, frame)) = bytes.split_first_chunk::<{ PREFACE.len() }>() else {
        return if PREFACE.starts_with(bytes) { Ok(None) } else { Err(PrefaceError::NoPreface) };
    };
    if preface != PREFACE {
        return Err(PrefaceError::NoPreface);
    }
    let Some(([length_high, length_middle, length_low, kind, flags, stream @ ..], payload)) =
        frame.split_first_chunk::<FRAME_HEAD_BYTES>()
    else {
        return Ok(None);
    };
    // An acknowledgement is not the client's own settings, and settings belong to no stream.
    if (*kind, *flags & 0x1, *stream) != (SETTINGS, 0, [0; 4]) {
        return Err(PrefaceError::NoSettings);
    }
    let length = u32::from_be_bytes([0, *length_high, *length_middle, *length_low]);
    if length > FRAME_PAYLOAD_BYTES_MAX {
        return Err(PrefaceError::TooLong);
    }
    let Some(rest_bytes) = payload.len().checked_sub(length as usize) else { return Ok(None) };
    Ok(Some(bytes.len() - rest_bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A preface, a SETTINGS frame with one setting, and a PING's head.
    fn start() -> Vec<u8> {
        [PREFACE, b"\0\0\x06\x04\0\0\0\0\0\0\x03\0\0\0\x64".as_slice(), b"\0\0\x08\x06\0\0\0\0\0"]
            .concat()
    }

    const END: usize = 24 + 9 + 6;

    #[test]
    fn every_cut_before_the_end_asks_for_more() {
        for length in 0..END {
            assert_eq!(preface_end(&start()[..length]), Ok(None), "{length}");
        }
        for length in END..start().len() {
            assert_eq!(preface_end(&start()[..length]), Ok(Some(END)), "{length}");
        }
    }

    #[test]
    fn what_is_not_http2_is_refused_as_soon_as_it_can_be_known() {
        let with = |position: usize, byte: u8| {
            let mut bytes = start();
            bytes[position] = byte;
            bytes
        };
        assert_eq!(preface_end(b"GET"), Err(PrefaceError::NoPreface));
        for position in 0..24 {
            assert_eq!(preface_end(&with(position, 0)), Err(PrefaceError::NoPreface), "{position}");
        }
        assert_eq!(preface_end(&with(24 + 3, 0x1)), Err(PrefaceError::NoSettings));
        assert_eq!(preface_end(&with(24 + 4, 0x1)), Err(PrefaceError::NoSettings));
        assert_eq!(preface_end(&with(24 + 8, 0x1)), Err(PrefaceError::NoSettings));
        assert_eq!(preface_end(&with(24, 0x1)), Err(PrefaceError::TooLong));
    }

    #[tokio::test]
    async fn the_request_goes_between_settings_and_the_rest_however_the_bytes_are_split() {
        let first = FirstRequest(Bytes::from_static(b"REQUEST"));
        for early in 0..=start().len() {
            let (head, tail) = (Bytes::copy_from_slice(&start()[..early]), &start()[early..]);
            // One byte per read.
            let mut socket = byte_by_byte(tail);
            let read = read(&mut socket, head, &first).await.unwrap();
            let mut all = read.to_vec();
            socket.read_to_end(&mut all).await.unwrap();
            let expected = [&start()[..END], b"REQUEST", &start()[END..]].concat();
            assert_eq!(all, expected, "{early}");
        }
    }

    /// A reader that gives one byte at a time.
    fn byte_by_byte(bytes: &[u8]) -> impl AsyncRead + Unpin + use<> {
        struct ByteByByte(std::collections::VecDeque<u8>);
        impl AsyncRead for ByteByByte {
            fn poll_read(
                mut self: std::pin::Pin<&mut Self>,
                _context: &mut std::task::Context<'_>,
                buffer: &mut tokio::io::ReadBuf<'_>,
            ) -> std::task::Poll<io::Result<()>> {
                if let Some(byte) = self.0.pop_front() {
                    buffer.put_slice(&[byte]);
                }
                std::task::Poll::Ready(Ok(()))
            }
        }
        ByteByByte(bytes.iter().copied().collect())
    }

    #[tokio::test]
    async fn a_peer_that_leaves_early_is_an_error() {
        let error =
            read(&mut io::Cursor::new(PREFACE.to_vec()), Bytes::new(), &FirstRequest(Bytes::new()))
                .await;
        assert_eq!(error.unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
    }
}
