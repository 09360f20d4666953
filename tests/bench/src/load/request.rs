//! A request as bytes, for HTTP/1.1 and for HTTP/2, and what its answer must be.

/// What an answer must be; anything else ends the measurement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Expected {
    /// The status.
    pub(crate) status: u16,
    /// The length of the body; `None` if it does not matter.
    pub(crate) body_bytes: Option<u64>,
}

/// A GET, made once and sent often.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    /// Request line and headers.
    pub(super) head: Vec<u8>,
    /// The header block, without Huffman coding and without the dynamic table, so that it can be repeated.
    pub(super) block: Vec<u8>,
    /// What must come back.
    pub(crate) expected: Expected,
}

/// cargo's own.
const USER_AGENT: &str = "cargo/1.95.0 (f2d3ce0bd 2026-03-21)";
/// Entries of HPACK's static table (RFC 7541, appendix A), as indexed fields.
const METHOD_GET: u8 = 0x82;
const SCHEME_HTTP: u8 = 0x86;
const SCHEME_HTTPS: u8 = 0x87;
/// Literal fields without indexing, whose names are in that table.
const AUTHORITY: u8 = 0x01;
const PATH: u8 = 0x04;
/// A literal field without indexing and with its own name.
const LITERAL: u8 = 0x00;

impl Request {
    /// A GET of this path, with cargo's headers and these.
    pub(crate) fn get(
        authority: &str,
        is_encrypted: bool,
        path: &str,
        headers: &[(&str, &str)],
        expected: Expected,
    ) -> Self {
        let always = [("user-agent", USER_AGENT), ("accept", "*/*")];
        let headers = || always.iter().chain(headers);
        let mut head = format!("GET {path} HTTP/1.1\r\nHost: {authority}\r\n");
        let scheme = if is_encrypted { SCHEME_HTTPS } else { SCHEME_HTTP };
        let mut block = vec![METHOD_GET, scheme, AUTHORITY];
        text(&mut block, authority);
        block.push(PATH);
        text(&mut block, path);
        for (name, value) in headers() {
            head += &format!("{name}: {value}\r\n");
            block.push(LITERAL);
            text(&mut block, name);
            text(&mut block, value);
        }
        head += "\r\n";
        Self { head: head.into_bytes(), block, expected }
    }
}

/// A string without Huffman coding; its length is a number with a prefix of seven bits (RFC 7541, 5.1).
fn text(block: &mut Vec<u8>, text: &str) {
    const PREFIX_MAX: usize = 127;
    let mut length = text.len();
    if length < PREFIX_MAX {
        block.extend(u8::try_from(length));
    } else {
        block.push(127);
        length -= PREFIX_MAX;
        while length >= 128 {
            block.extend(u8::try_from(length % 128 + 128));
            length /= 128;
        }
        block.extend(u8::try_from(length));
    }
    block.extend_from_slice(text.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_written_as_hpack_reads_them() {
        let start = |length: usize| {
            let mut block = Vec::new();
            text(&mut block, &"x".repeat(length));
            block.truncate(block.len() - length);
            block
        };
        assert_eq!(start(3), [3]);
        assert_eq!(start(126), [126]);
        assert_eq!(start(127), [127, 0]);
        assert_eq!(start(127 + 1337), [127, 0b1011_1001, 10]);
    }
}
