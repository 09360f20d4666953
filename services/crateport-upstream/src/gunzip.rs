//! gzip, decoded while it arrives and never beyond a limit.

use std::io::{self, Write};

use bytes::Bytes;
use flate2::write::MultiGzDecoder;

/// A decoder that is fed piece by piece.
#[derive(Debug)]
pub(crate) struct Gunzip {
    decoder: MultiGzDecoder<Capped>,
    size_bytes_max: u64,
}

/// Why bytes cannot be decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum GunzipError {
    /// They are not gzip.
    #[error("the body is not the gzip that it claims to be")]
    Corrupt,
    /// They end before the gzip does, or the checksum at its end is wrong.
    #[error("the gzip is cut or damaged")]
    Cut,
    /// What they decode to is larger than the limit.
    #[error("larger than {0} bytes")]
    TooLarge(u64),
}

/// What was decoded and not taken yet, with a bound on all that is ever written.
#[derive(Debug)]
struct Capped {
    decoded: Vec<u8>,
    room_bytes: u64,
    overflowed: bool,
}

impl Gunzip {
    /// A decoder for at most `size_bytes_max` decoded bytes.
    pub(crate) fn new(size_bytes_max: u64) -> Self {
        let capped = Capped { decoded: Vec::new(), room_bytes: size_bytes_max, overflowed: false };
        Self { decoder: MultiGzDecoder::new(capped), size_bytes_max }
    }

    /// Decodes the next piece.
    pub(crate) fn feed(&mut self, piece: &[u8]) -> Result<Bytes, GunzipError> {
        let written = self.decoder.write_all(piece).and_then(|()| self.decoder.flush());
        written.map_err(|_| self.error(GunzipError::Corrupt))?;
        Ok(self.take())
    }

    /// Says that there is no next piece, and returns what was still inside.
    pub(crate) fn finish(&mut self) -> Result<Bytes, GunzipError> {
        self.decoder.try_finish().map_err(|_| self.error(GunzipError::Cut))?;
        Ok(self.take())
    }

    fn take(&mut self) -> Bytes {
        std::mem::take(&mut self.decoder.get_mut().decoded).into()
    }

    fn error(&self, otherwise: GunzipError) -> GunzipError {
        if self.decoder.get_ref().overflowed {
            GunzipError::TooLarge(self.size_bytes_max)
        } else {
            otherwise
        }
    }
}

impl Write for Capped {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let Some(room_bytes) = self.room_bytes.checked_sub(bytes.len() as u64) else {
            self.overflowed = true;
            return Err(io::ErrorKind::FileTooLarge.into());
        };
        self.room_bytes = room_bytes;
        self.decoded.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use flate2::Compression;
    use flate2::write::GzEncoder;
    use proptest::prelude::*;

    use super::*;

    fn gzip(text: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    fn decode(body: &[u8], step: usize, max: u64) -> Result<Vec<u8>, GunzipError> {
        let mut gunzip = Gunzip::new(max);
        let mut whole = Vec::new();
        for piece in body.chunks(step) {
            whole.extend_from_slice(&gunzip.feed(piece)?);
        }
        whole.extend_from_slice(&gunzip.finish()?);
        Ok(whole)
    }

    #[test]
    fn what_is_not_whole_gzip_within_the_limit_is_an_error() {
        let text = b"one line\nand another\n".repeat(50);
        let body = gzip(&text);
        let mut damaged = body.clone();
        *damaged.iter_mut().rev().nth(6).unwrap() ^= 1;
        let size = text.len() as u64;
        for step in [1, 7, 10_000] {
            assert_eq!(decode(&body, step, size), Ok(text.clone()));
            assert_eq!(decode(&body, step, size - 1), Err(GunzipError::TooLarge(size - 1)));
            assert_eq!(decode(b"<html><body>", step, size), Err(GunzipError::Corrupt));
            assert_eq!(decode(&damaged, step, size), Err(GunzipError::Cut));
            let twice = [body.clone(), body.clone()].concat();
            assert_eq!(decode(&twice, step, 2 * size), Ok(text.repeat(2)));
        }
        for length in 0..body.len() {
            assert_eq!(decode(&body[..length], 16, size), Err(GunzipError::Cut), "{length}");
        }
    }

    #[test]
    fn a_bomb_takes_no_more_memory_than_the_limit() {
        let bomb = gzip(&vec![0; 32 << 20]);
        let mut gunzip = Gunzip::new(1 << 20);
        assert_eq!(gunzip.feed(&bomb), Err(GunzipError::TooLarge(1 << 20)));
        assert!(gunzip.decoder.get_ref().decoded.len() <= 1 << 20);
    }

    proptest! {
        #[test]
        fn whatever_was_encoded_comes_out_however_it_is_cut_in_pieces(
            text in proptest::collection::vec(any::<u8>(), 0..2000),
            step in 1_usize..500,
        ) {
            prop_assert_eq!(decode(&gzip(&text), step, 2000), Ok(text));
        }

        #[test]
        fn no_bytes_make_it_panic(body in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = decode(&body, 10, 1000);
        }
    }
}
