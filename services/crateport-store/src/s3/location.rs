//! `s3://bucket/prefix`: which bucket, and which part of it.

use std::fmt;
use std::str::FromStr;

/// A bucket, and the beginning that all keys in it have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct S3Location {
    bucket: String,
    prefix: String,
}

/// The text is no location in S3.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidS3Location {
    /// It does not begin with `s3://`.
    #[error("must begin with s3://")]
    Scheme,
    /// There is nothing behind `s3://`.
    #[error("names no bucket: write s3://bucket or s3://bucket/prefix")]
    NoBucket,
    /// The bucket's name is none.
    #[error(
        "{0:?} is no bucket name: 3 to 63 letters, digits, dots, dashes and underscores, with a letter or digit at both ends"
    )]
    Bucket(String),
    /// The prefix cannot be a part of keys and URLs.
    #[error("{0:?} is no prefix: parts of letters, digits, and -_.+ with one / between them")]
    Prefix(String),
}

impl S3Location {
    /// The bucket's name.
    #[must_use]
    pub fn bucket(&self) -> &str {
        &self.bucket
    }

    /// Nothing, or parts with `/` between them.
    #[must_use]
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// The key, in the bucket, of what has this key in the store.
    pub(super) fn key(&self, key: impl fmt::Display) -> String {
        if self.prefix.is_empty() { key.to_string() } else { format!("{}/{key}", self.prefix) }
    }

    /// How errors name an object.
    pub(super) fn name(&self, key: impl fmt::Display) -> String {
        format!("s3://{}/{}", self.bucket, self.key(key))
    }

    /// The inverse of [`Self::key`].
    pub(super) fn relative<'a>(&self, key: &'a str) -> Option<&'a str> {
        if self.prefix.is_empty() {
            return Some(key);
        }
        key.strip_prefix(&self.prefix)?.strip_prefix('/')
    }
}

impl FromStr for S3Location {
    type Err = InvalidS3Location;

    fn from_str(text: &str) -> Result<Self, InvalidS3Location> {
        let rest = text.strip_prefix("s3://").ok_or(InvalidS3Location::Scheme)?;
        let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        if bucket.is_empty() {
            return Err(InvalidS3Location::NoBucket);
        }
        let at_the_ends = |c: char| c.is_ascii_alphanumeric();
        let inside = |c: char| c.is_ascii_alphanumeric() || ".-_".contains(c);
        let is_bucket = (3..=63).contains(&bucket.len())
            && bucket.chars().all(inside)
            && bucket.starts_with(at_the_ends)
            && bucket.ends_with(at_the_ends);
        if !is_bucket {
            return Err(InvalidS3Location::Bucket(bucket.to_owned()));
        }
        let prefix = prefix.strip_suffix('/').unwrap_or(prefix);
        let is_part = |part: &str| {
            let plain = part.chars().all(|c| c.is_ascii_alphanumeric() || "-_.+".contains(c));
            plain && !part.is_empty() && part != "." && part != ".."
        };
        if !prefix.is_empty() && !prefix.split('/').all(is_part) {
            return Err(InvalidS3Location::Prefix(prefix.to_owned()));
        }
        Ok(Self { bucket: bucket.to_owned(), prefix: prefix.to_owned() })
    }
}

impl fmt::Display for S3Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let slash = if self.prefix.is_empty() { "" } else { "/" };
        write!(f, "s3://{}{slash}{}", self.bucket, self.prefix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_location_is_a_bucket_and_perhaps_a_prefix() {
        for (text, bucket, prefix, shown) in [
            ("s3://bucket", "bucket", "", "s3://bucket"),
            ("s3://bucket/", "bucket", "", "s3://bucket"),
            ("s3://my.bucket-1/a/b_c", "my.bucket-1", "a/b_c", "s3://my.bucket-1/a/b_c"),
            ("s3://bucket/a/", "bucket", "a", "s3://bucket/a"),
        ] {
            let location: S3Location = text.parse().unwrap();
            assert_eq!((location.bucket(), location.prefix()), (bucket, prefix), "{text}");
            assert_eq!(location.to_string(), shown);
            assert_eq!(location.relative(&location.key("v1/x")), Some("v1/x"));
        }
    }

    #[test]
    fn what_is_no_location_is_told_why() {
        for (text, sentence) in [
            ("bucket", "must begin with s3://"),
            ("s3://", "names no bucket"),
            ("s3:///a", "names no bucket"),
            ("s3://b", "\"b\" is no bucket name"),
            ("s3://user:secret@host", "is no bucket name"),
            ("s3://bucket-", "is no bucket name"),
            ("s3://bucket//a", "\"/a\" is no prefix"),
            ("s3://bucket/../a", "is no prefix"),
            ("s3://bucket/a?region=x", "is no prefix"),
            ("s3://bucket/ä", "is no prefix"),
        ] {
            let error = text.parse::<S3Location>().unwrap_err().to_string();
            assert!(error.contains(sentence), "{text}: {error}");
        }
    }
}
