//! The text of a `.sha256` file.
//!
//! rustup takes the first 64 bytes for the digest, and panics when there are fewer: so what is no digest goes no
//! further than here, and what is given to clients is written anew.

use std::str::FromStr as _;

use super::DistPath;
use crate::{InvalidSha256, Sha256};

/// The text is no checksum file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no checksum file: it must begin with 64 hex digits")]
pub struct InvalidSum;

/// Reads what an origin says of a file: 64 hex digits, and perhaps white space and a name behind them, on one line.
///
/// # Errors
///
/// When it is anything else.
pub fn read_sum(bytes: &[u8]) -> Result<Sha256, InvalidSum> {
    let text = std::str::from_utf8(bytes).map_err(|_| InvalidSum)?;
    let mut words = text.split_ascii_whitespace();
    let digest = words.next().ok_or(InvalidSum)?;
    if !text.starts_with(digest) || text.trim_end().contains('\n') || words.count() > 1 {
        return Err(InvalidSum);
    }
    Sha256::from_str(digest).map_err(|InvalidSha256| InvalidSum)
}

/// The checksum file of `path`, as `sha256sum` and Rust's own server write it.
#[must_use]
pub fn write_sum(path: &DistPath, digest: &Sha256) -> String {
    format!("{digest}  {}\n", path.file_name())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_checksum_is_64_hex_digits_and_perhaps_a_name() {
        let digest = Sha256::of(b"abc");
        for text in [
            format!("{digest}"),
            format!("{digest}\n"),
            format!("{digest}  x.toml\n"),
            format!("{digest} *x.toml\r\n"),
            format!("{}  x.toml\n", digest.to_string().to_uppercase()),
        ] {
            assert_eq!(read_sum(text.as_bytes()), Ok(digest), "{text:?}");
        }
    }

    #[test]
    fn a_page_for_people_is_no_checksum() {
        let digest = Sha256::of(b"abc");
        for text in [
            String::new(),
            "\n".to_owned(),
            "<!DOCTYPE html>\n<html></html>".to_owned(),
            format!("{digest}0  x"),
            digest.to_string().chars().skip(1).collect(),
            format!(" {digest}"),
            format!("x {digest}"),
            format!("{digest}  a b"),
            format!("{digest}  a\n{digest}  b\n"),
            format!("{digest}é"),
            "z".repeat(64),
        ] {
            assert_eq!(read_sum(text.as_bytes()), Err(InvalidSum), "{text:?}");
        }
        assert_eq!(read_sum(&[0xff; 64]), Err(InvalidSum));
    }

    #[test]
    fn what_is_written_is_read_and_looks_as_upstreams_does() {
        let (path, digest) = ("dist/x.toml".parse().unwrap(), Sha256::of(b"abc"));
        let text = write_sum(&path, &digest);
        assert_eq!(text, format!("{digest}  x.toml\n"));
        assert_eq!(read_sum(text.as_bytes()), Ok(digest));
    }
}
