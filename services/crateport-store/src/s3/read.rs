//! Looking objects up and reading them.

use std::io;
use std::ops::Range;

use aws_sdk_s3::operation::get_object::GetObjectOutput;
use aws_sdk_s3::types::ChecksumMode;
use crateport_types::StoreKey;
use tokio::sync::OwnedSemaphorePermit;

use super::about::Told;
use super::body::{Check, Reading};
use super::failure::Failure;
use super::{S3Checksums, S3Store};
use crate::{Attributes, Object, ObjectMeta, Read, StoreError};

/// Asks for the checksum. The SDK's own way of asking makes it compare as well, and tell after the last piece.
const CHECKSUM_MODE: (&str, &str) = ("x-amz-checksum-mode", "ENABLED");

impl S3Store {
    pub(super) async fn head_object(
        &self,
        key: &StoreKey,
    ) -> Result<Option<ObjectMeta>, StoreError> {
        const ACTION: &str = "look up";
        let _turn = self.turn(ACTION, key).await?;
        let (location, checksums) = (self.location(), self.0.config.checksums);
        let asked = self
            .0
            .clients
            .quick
            .head_object()
            .bucket(location.bucket())
            .key(location.key(key))
            .set_checksum_mode((checksums == S3Checksums::Sha256).then_some(ChecksumMode::Enabled))
            .send()
            .await;
        match asked {
            Ok(head) => Ok(Some(
                Told {
                    size_bytes: length(head.content_length()),
                    etag: head.e_tag(),
                    modified: head.last_modified(),
                    checksum: head.checksum_sha256(),
                    metadata: head.metadata(),
                }
                .meta(),
            )),
            Err(error) => match Failure::of(&error) {
                Failure::Absent => Ok(None),
                failure => Err(self.failed(ACTION, key, failure.into_io())),
            },
        }
    }

    pub(super) async fn get_object(
        &self,
        key: &StoreKey,
        read: Read,
    ) -> Result<Option<Object>, StoreError> {
        const ACTION: &str = "open";
        let Some(range) = header(read.range.as_ref()) else {
            return self.get_nothing_of(key, read.attributes).await;
        };
        let turn = self.turn(ACTION, key).await?;
        let (location, checksums) = (self.location(), self.0.config.checksums);
        let request = self
            .0
            .clients
            .quick
            .get_object()
            .bucket(location.bucket())
            .key(location.key(key))
            .set_range(range);
        let asked = match checksums {
            S3Checksums::Off => request.send().await,
            S3Checksums::Sha256 => {
                let (name, value) = CHECKSUM_MODE;
                let asks = request.customize().mutate_request(move |request| {
                    request.headers_mut().insert(name, value);
                });
                asks.send().await
            }
        };
        match asked {
            Ok(found) => self.opened(key, &read, found, turn).map(Some),
            Err(error) => match Failure::of(&error) {
                Failure::Absent => Ok(None),
                Failure::OutOfRange => {
                    drop(turn);
                    self.get_nothing_of(key, read.attributes).await
                }
                failure => Err(self.failed(ACTION, key, failure.into_io())),
            },
        }
    }

    fn opened(
        &self,
        key: &StoreKey,
        read: &Read,
        found: GetObjectOutput,
        turn: OwnedSemaphorePermit,
    ) -> Result<Object, StoreError> {
        let body_bytes = length(found.content_length());
        let size_bytes = match &read.range {
            None => body_bytes,
            Some(range) => total(found.content_range(), range.start).ok_or_else(|| {
                let text = "the server sent another part than was asked for";
                self.failed("open", key, io::Error::new(io::ErrorKind::InvalidData, text))
            })?,
        };
        let told = Told {
            size_bytes,
            etag: found.e_tag(),
            modified: found.last_modified(),
            checksum: found.checksum_sha256(),
            metadata: found.metadata(),
        };
        let mut meta = told.meta();
        if !read.attributes {
            meta.attributes = Attributes::new();
        }
        let reading = Reading {
            key: key.clone(),
            name: self.location().name(key),
            body: found.body,
            left_bytes: body_bytes,
            idle_max: self.0.config.timeouts.body_idle,
            check: meta.checksum.filter(|_| read.range.is_none()).map(Check::new),
        };
        Ok(Object { meta, body: reading.into_stream(turn) })
    }

    /// An empty range is none that HTTP can ask for.
    async fn get_nothing_of(
        &self,
        key: &StoreKey,
        attributes: bool,
    ) -> Result<Option<Object>, StoreError> {
        let Some(mut meta) = self.head_object(key).await? else { return Ok(None) };
        if !attributes {
            meta.attributes = Attributes::new();
        }
        Ok(Some(Object { meta, body: Box::pin(futures_util::stream::empty()) }))
    }
}

fn length(content_length: Option<i64>) -> u64 {
    content_length.and_then(|length| u64::try_from(length).ok()).unwrap_or_default()
}

/// The `Range` header; `None` when no byte is asked for.
#[expect(clippy::option_option, reason = "no header, and no request, are two things")]
fn header(range: Option<&Range<u64>>) -> Option<Option<String>> {
    match range {
        None => Some(None),
        Some(range) if range.is_empty() => None,
        Some(range) => Some(Some(format!("bytes={}-{}", range.start, range.end - 1))),
    }
}

/// The size of the whole, out of `bytes 0-9/100`, if the part begins where it should.
fn total(content_range: Option<&str>, start: u64) -> Option<u64> {
    let (part, total) = content_range?.strip_prefix("bytes ")?.split_once('/')?;
    let (first, _) = part.split_once('-')?;
    (first.parse() == Ok(start)).then(|| total.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_asked_for_and_answered_in_http_words() {
        assert_eq!(header(None), Some(None));
        assert_eq!(header(Some(&(0..1))), Some(Some("bytes=0-0".to_owned())));
        assert_eq!(header(Some(&(7..7))), None);
        assert_eq!(total(Some("bytes 5-9/100"), 5), Some(100));
        for other in [None, Some("bytes 0-9/100"), Some("bytes */100"), Some("bytes 5-9/*")] {
            assert_eq!(total(other, 5), None, "{other:?}");
        }
    }
}
