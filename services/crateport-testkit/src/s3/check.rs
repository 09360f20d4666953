//! Checksums, as AWS checks them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use s3s::{S3Result, s3_error};
use sha2::{Digest as _, Sha256};

/// Compares what the client said with what arrived; `None` when it said nothing.
pub(super) fn compared(bytes: &[u8], said: Option<&str>) -> S3Result<Option<[u8; 32]>> {
    let Some(said) = said else { return Ok(None) };
    let digest: [u8; 32] = Sha256::digest(bytes).into();
    if encoded(&digest) == said {
        return Ok(Some(digest));
    }
    Err(s3_error!(BadDigest, "The SHA256 you specified did not match what we received."))
}

pub(super) fn encoded(digest: &[u8; 32]) -> String {
    STANDARD.encode(digest)
}

/// The checksum of an object that came in parts; `None` unless every part brought its own.
pub(super) fn composite<'a>(
    parts: impl ExactSizeIterator<Item = Option<&'a [u8; 32]>>,
) -> Option<String> {
    let count = parts.len();
    let mut hasher = Sha256::new();
    for digest in parts {
        hasher.update(digest?);
    }
    Some(format!("{}-{count}", encoded(&hasher.finalize().into())))
}
