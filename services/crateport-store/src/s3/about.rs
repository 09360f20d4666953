//! What is said beside an object's bytes: attributes, its digest, its type, how long it may be cached.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::time::{Duration, SystemTime};

use aws_sdk_s3::primitives::DateTime;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use crateport_types::{Sha256, StoreKey};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

use crate::{Attributes, ObjectMeta, ObjectVersion};

/// User metadata that holds an attribute begins so; other metadata is none of ours.
const ATTRIBUTE: &str = "attribute-";
/// User metadata that holds the digest of an object that was put in parts. S3 computes none of the whole there; but
/// it checked each part, and the parts were read from the bytes that had this digest.
pub(super) const WHOLE_SHA256: &str = "whole-sha256";

/// Headers carry visible ASCII without loss, and nothing else.
const ESCAPED: AsciiSet = NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'"')
    .remove(b'/')
    .remove(b':')
    .remove(b',')
    .remove(b'+')
    .remove(b'=');

/// What a store told of an object, whichever operation it was.
pub(super) struct Told<'a> {
    pub(super) size_bytes: u64,
    pub(super) etag: Option<&'a str>,
    pub(super) modified: Option<&'a DateTime>,
    pub(super) checksum: Option<&'a str>,
    pub(super) metadata: Option<&'a HashMap<String, String>>,
}

impl Told<'_> {
    /// All of it, attributes included.
    pub(super) fn meta(&self) -> ObjectMeta {
        let modified = self.modified.map_or(SystemTime::UNIX_EPOCH, system_time);
        ObjectMeta {
            size_bytes: self.size_bytes,
            version: version(self.etag, self.size_bytes, modified),
            modified,
            checksum: vouched(self.checksum, self.metadata),
            attributes: self.metadata.map(attributes).unwrap_or_default(),
        }
    }
}

/// An ETag is of the content on most stores, and changes with every write on the others. A store without any is
/// taken by length and date.
pub(super) fn version(etag: Option<&str>, size_bytes: u64, modified: SystemTime) -> ObjectVersion {
    let mut hasher = DefaultHasher::new();
    match etag {
        Some(etag) => etag.trim_matches('"').hash(&mut hasher),
        None => (size_bytes, modified).hash(&mut hasher),
    }
    ObjectVersion(hasher.finish())
}

fn system_time(at: &DateTime) -> SystemTime {
    let seconds = u64::try_from(at.secs()).unwrap_or_default();
    SystemTime::UNIX_EPOCH + Duration::new(seconds, at.subsec_nanos())
}

/// The digest of the whole that the store stands for.
pub(super) fn vouched(
    checksum: Option<&str>,
    metadata: Option<&HashMap<String, String>>,
) -> Option<Sha256> {
    let checksum = checksum?;
    match checksum.split_once('-') {
        None => decoded(checksum),
        Some(_) => metadata?.get(WHOLE_SHA256)?.parse().ok(),
    }
}

/// As `x-amz-checksum-sha256` wants it.
pub(super) fn encoded(digest: &Sha256) -> String {
    STANDARD.encode(digest.as_bytes())
}

fn decoded(checksum: &str) -> Option<Sha256> {
    let bytes = STANDARD.decode(checksum).ok()?;
    let digits = bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    digits.parse().ok()
}

/// Attributes as user metadata.
pub(super) fn metadata(attributes: &Attributes) -> HashMap<String, String> {
    let escaped = |(name, value): (&String, &String)| {
        let name = name.bytes().map(escaped_in_name).collect::<String>();
        (format!("{ATTRIBUTE}{name}"), utf8_percent_encode(value, &ESCAPED).to_string())
    };
    attributes.iter().map(escaped).collect()
}

/// A header's name loses its case on the way, so what is in upper case is spelled by its code.
fn escaped_in_name(byte: u8) -> String {
    match byte {
        b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' => char::from(byte).to_string(),
        _ => format!("%{byte:02x}"),
    }
}

fn attributes(metadata: &HashMap<String, String>) -> Attributes {
    let decode = |text: &str| Some(percent_decode_str(text).decode_utf8().ok()?.into_owned());
    metadata
        .iter()
        .filter_map(|(name, value)| Some((decode(name.strip_prefix(ATTRIBUTE)?)?, decode(value)?)))
        .collect()
}

/// For those who read the bucket itself.
pub(super) fn content_type(key: &StoreKey) -> &'static str {
    match key.as_str() {
        key if key.ends_with(".crate") => "application/gzip",
        key if key.ends_with("/config.json") => "application/json",
        key if key.contains("/index/") => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}

/// A crate never changes; anything else may at any moment.
pub(super) fn cache_control(key: &StoreKey) -> &'static str {
    if key.as_str().ends_with(".crate") {
        "public, max-age=31536000, immutable"
    } else {
        "no-cache"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_survive_as_header_values() {
        let texts =
            ["", "W/\"ä\"", " two  spaces ", "100%", "a\r\nb: c", "日本", "Sun, 06 Nov 1994"];
        for text in texts {
            let kept = Attributes::from([("Name-ä.x".to_owned(), text.to_owned())]);
            let sent = metadata(&kept);
            for (name, value) in &sent {
                assert!(
                    name.bytes().all(|b| b.is_ascii_graphic() && !b.is_ascii_uppercase()),
                    "{name}"
                );
                assert!(value.bytes().all(|b| b.is_ascii_graphic()), "{value}");
            }
            assert_eq!(attributes(&sent), kept);
        }
        let foreign = HashMap::from([("s3cmd-attrs".to_owned(), "md5:1".to_owned())]);
        assert!(attributes(&foreign).is_empty());
    }

    #[test]
    fn only_a_checksum_of_the_whole_counts() {
        let digest = Sha256::of(b"abc");
        let whole = HashMap::from([(WHOLE_SHA256.to_owned(), digest.to_string())]);
        assert_eq!(vouched(Some(&encoded(&digest)), None), Some(digest));
        assert_eq!(vouched(Some("bm9uZQ==-2"), Some(&whole)), Some(digest));
        assert_eq!(vouched(Some("bm9uZQ==-2"), None), None);
        assert_eq!(vouched(Some("not base64"), None), None);
        assert_eq!(vouched(None, Some(&whole)), None, "no part was checked");
    }

    #[test]
    fn types_follow_the_layout() {
        let registry = "crates-io".parse().unwrap();
        let name = "a".parse::<crateport_types::CrateName>().unwrap();
        let krate = StoreKey::krate(&registry, &name, &"1.0.0".parse().unwrap());
        let index = StoreKey::index_file(&registry, &name.index_name());
        for (key, expected) in [
            (krate, "application/gzip"),
            (index, "text/plain; charset=utf-8"),
            (StoreKey::config(&registry), "application/json"),
            (StoreKey::check(1), "application/octet-stream"),
        ] {
            assert_eq!(content_type(&key), expected);
        }
    }
}
