//! Writes a request head as the frames of stream 1.
//!
//! The header block is HPACK (RFC 7541) in its plainest form: every field a literal with a literal name, not indexed,
//! not Huffman-coded. It leaves the connection's dynamic table as the client believes it to be: empty.

use bytes::{BufMut as _, Bytes, BytesMut};

/// The fields of a request, encoded one after the other.
#[derive(Debug, Default)]
pub(crate) struct HeaderBlock {
    bytes: BytesMut,
    list_bytes: u64,
}

/// What HTTP/2 adds to the bytes of each field when it counts a header list (RFC 9113 section 6.5.2).
const FIELD_OVERHEAD_BYTES: u64 = 32;

/// The largest payload every HTTP/2 peer takes (RFC 9113 section 4.2).
const FRAME_PAYLOAD_BYTES_MAX: usize = 16_384;

const STREAM_ID: u32 = 1;
const HEADERS: u8 = 0x1;
const CONTINUATION: u8 = 0x9;
const END_STREAM: u8 = 0x1;
const END_HEADERS: u8 = 0x4;
const LITERAL_NOT_INDEXED: u8 = 0x00;

impl HeaderBlock {
    /// Adds a field; its name must be in lower case.
    pub(crate) fn push(&mut self, name: &[u8], value: &[u8]) {
        self.list_bytes += name.len() as u64 + value.len() as u64 + FIELD_OVERHEAD_BYTES;
        self.bytes.put_u8(LITERAL_NOT_INDEXED);
        self.put_string(name);
        self.put_string(value);
    }

    /// The size of the header list as HTTP/2 limits it.
    pub(crate) fn list_bytes(&self) -> u64 {
        self.list_bytes
    }

    /// The block in a HEADERS frame that ends the stream's request, and as many CONTINUATION frames as it needs.
    pub(crate) fn into_frames(self) -> Bytes {
        let mut block = self.bytes;
        let mut frames = BytesMut::with_capacity(block.len() + 64);
        let (mut kind, mut flags) = (HEADERS, END_STREAM);
        loop {
            let payload = block.split_to(block.len().min(FRAME_PAYLOAD_BYTES_MAX));
            if block.is_empty() {
                flags |= END_HEADERS;
            }
            frames.put_uint(payload.len() as u64, 3);
            frames.put_u8(kind);
            frames.put_u8(flags);
            frames.put_u32(STREAM_ID);
            frames.put(payload);
            if block.is_empty() {
                return frames.freeze();
            }
            (kind, flags) = (CONTINUATION, 0);
        }
    }

    /// A string literal without Huffman coding: its length as an integer with a 7-bit prefix, then its bytes.
    fn put_string(&mut self, string: &[u8]) {
        const PREFIX_MAX: usize = 0x7f;
        if string.len() < PREFIX_MAX {
            self.bytes.put_uint(string.len() as u64, 1);
        } else {
            self.bytes.put_u8(0x7f);
            let mut rest = string.len() - PREFIX_MAX;
            while rest >= 0x80 {
                self.bytes.put_uint((rest % 0x80 + 0x80) as u64, 1);
                rest /= 0x80;
            }
            self.bytes.put_uint(rest as u64, 1);
        }
        self.bytes.put(string);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_head_is_one_frame() {
        let mut block = HeaderBlock::default();
        block.push(b"custom-key", b"custom-header");
        // The field is the example of RFC 7541 C.2.1, with the first byte of "not indexed".
        let expected = b"\x00\x00\x1a\x01\x05\x00\x00\x00\x01\x00\x0acustom-key\x0dcustom-header";
        assert_eq!(block.list_bytes(), 10 + 13 + 32);
        assert_eq!(block.into_frames().as_ref(), expected);
    }

    #[test]
    fn lengths_are_hpack_integers() {
        let table: &[(usize, &[u8])] = &[
            (0, &[0]),
            (126, &[126]),
            (127, &[127, 0]),
            (128, &[127, 1]),
            (254, &[127, 127]),
            (255, &[127, 128, 1]),
            // RFC 7541 C.1.2 encodes 1337, there with a 5-bit prefix; with 7 bits 1337 - 127 = 1210 = 9 * 128 + 58.
            (1337, &[127, 128 + 58, 9]),
        ];
        for (length, expected) in table {
            let mut block = HeaderBlock::default();
            block.put_string(&vec![b'x'; *length]);
            assert_eq!(&block.bytes[..block.bytes.len() - length], *expected, "{length}");
        }
    }

    #[test]
    fn a_long_head_continues() {
        let mut block = HeaderBlock::default();
        block.push(b"a", &vec![b'x'; 2 * FRAME_PAYLOAD_BYTES_MAX]);
        let block_bytes = block.bytes.clone();
        let frames = block.into_frames();
        let (mut seen, mut payload, mut rest) = (Vec::new(), Vec::new(), frames.as_ref());
        while !rest.is_empty() {
            let length = u32::from_be_bytes([0, rest[0], rest[1], rest[2]]) as usize;
            assert_eq!(rest[5..9], [0, 0, 0, 1]);
            seen.push((length, rest[3], rest[4]));
            payload.extend_from_slice(&rest[9..9 + length]);
            rest = &rest[9 + length..];
        }
        assert_eq!(
            seen,
            [
                (16_384, HEADERS, END_STREAM),
                (16_384, CONTINUATION, 0),
                (7, CONTINUATION, END_HEADERS)
            ]
        );
        assert_eq!(payload, block_bytes);
    }
}
