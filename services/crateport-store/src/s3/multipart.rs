//! Putting large objects in parts: a few at a time, each with its own SHA-256, and nothing left over when it fails,
//! is given up, or the bytes turn out to be others than they should.

use std::ops::Range;

use aws_sdk_s3::error::ProvideErrorMetadata as _;
use aws_sdk_s3::types::{ChecksumAlgorithm, CompletedMultipartUpload, CompletedPart};
use crateport_types::{Hasher, Sha256};
use futures_util::stream::{self, BoxStream};
use futures_util::{FutureExt as _, StreamExt as _, TryStreamExt as _};
use std::io;

use super::about::{self, WHOLE_SHA256};
use super::failure::Failure;
use super::write::{Kept, PUT, Put};
use super::{S3Checksums, S3Store};
use crate::StoreError;

/// An upload that is under way. Dropping it aborts it in the background.
struct Upload<'a> {
    store: &'a S3Store,
    /// In the bucket.
    key: String,
    id: String,
    is_ended: bool,
}

/// One part, ready to be sent.
struct Part {
    number: i32,
    range: Range<u64>,
    digest: Sha256,
}

pub(super) const NO_SUCH_UPLOAD: &str = "NoSuchUpload";
/// S3 takes no more.
const PARTS_MAX: u64 = 10_000;

impl S3Store {
    pub(super) async fn put_in_parts(&self, put: &Put<'_>) -> Result<Kept, StoreError> {
        // Without a digest from outside, the one of the bytes is computed first, to be written down at the beginning.
        let checksum = match put.checksum {
            Some(checksum) => checksum,
            None => put.source.digest(put.key, 0..put.size_bytes, &mut Hasher::default()).await?,
        };
        let mut metadata = about::metadata(&put.options.attributes);
        metadata.insert(WHOLE_SHA256.to_owned(), checksum.to_string());
        let mut upload = self.begin(put, metadata.clone()).await?;
        match upload.send(put, checksum).await {
            Ok((etag, checksum)) => {
                upload.is_ended = true;
                Ok(Kept { etag, checksum, metadata })
            }
            Err(error) => {
                upload.abort().await;
                Err(error)
            }
        }
    }

    async fn begin(
        &self,
        put: &Put<'_>,
        metadata: std::collections::HashMap<String, String>,
    ) -> Result<Upload<'_>, StoreError> {
        let _turn = self.turn(PUT, put.key).await?;
        let key = self.location().key(put.key);
        let (encryption, kms_key) = self.encryption();
        let is_checked = self.0.config.checksums == S3Checksums::Sha256;
        let begun = self
            .0
            .clients
            .quick
            .create_multipart_upload()
            .bucket(self.location().bucket())
            .key(&key)
            .set_checksum_algorithm(is_checked.then_some(ChecksumAlgorithm::Sha256))
            .set_metadata(Some(metadata))
            .content_type(about::content_type(put.key))
            .cache_control(about::cache_control(put.key))
            .set_server_side_encryption(encryption)
            .set_ssekms_key_id(kms_key)
            .send()
            .await;
        let failed = |error| self.failed(PUT, put.key, error);
        let begun = begun.map_err(|error| failed(Failure::of(&error).into_io()))?;
        let id = begun.upload_id.ok_or_else(|| {
            failed(io::Error::new(io::ErrorKind::InvalidData, "the server named no upload"))
        })?;
        Ok(Upload { store: self, key, id, is_ended: false })
    }
}

impl Upload<'_> {
    /// Returns the ETag and the checksum.
    async fn send(
        &self,
        put: &Put<'_>,
        checksum: Sha256,
    ) -> Result<(Option<String>, Option<String>), StoreError> {
        let part_bytes = part_bytes(put.size_bytes, self.store.0.config.part_size_bytes);
        // Digests are taken in order, as they make up the one of the whole; sending goes on meanwhile.
        let sent: Vec<CompletedPart> = self
            .parts(put, checksum, part_bytes)
            .map_ok(|part| self.send_part(put, part).boxed())
            .try_buffered(self.store.0.config.parts_in_flight_max.max(1))
            .try_collect()
            .await?;
        self.complete(put, checksum, sent).await
    }

    /// The parts in order. After the last comes an error, if the whole is not what it should be.
    fn parts<'b>(
        &'b self,
        put: &'b Put<'_>,
        checksum: Sha256,
        part_bytes: u64,
    ) -> BoxStream<'b, Result<Part, StoreError>> {
        let next = (Hasher::default(), 0_u64, 1_i32);
        let parts = stream::try_unfold(next, move |(mut whole, start, number)| async move {
            if start >= put.size_bytes {
                return match whole.finish() == checksum {
                    true => Ok(None),
                    false => Err(self.store.failed(PUT, put.key, wrong_bytes())),
                };
            }
            let range = start..put.size_bytes.min(start + part_bytes);
            let digest = put.source.digest(put.key, range.clone(), &mut whole).await?;
            let after = (whole, range.end, number + 1);
            Ok(Some((Part { number, range, digest }, after)))
        });
        parts.boxed()
    }

    async fn send_part(&self, put: &Put<'_>, part: Part) -> Result<CompletedPart, StoreError> {
        let failed = |error| self.store.failed(PUT, put.key, error);
        let _turn = self.store.turn(PUT, put.key).await?;
        let is_checked = self.store.0.config.checksums == S3Checksums::Sha256;
        let checksum = is_checked.then(|| about::encoded(&part.digest));
        let length = i64::try_from(part.range.end - part.range.start).map_err(io::Error::other);
        let sent = self
            .store
            .0
            .clients
            .upload
            .upload_part()
            .bucket(self.store.location().bucket())
            .key(&self.key)
            .upload_id(&self.id)
            .part_number(part.number)
            .content_length(length.map_err(failed)?)
            .body(put.source.body(part.range).await.map_err(failed)?)
            .set_checksum_sha256(checksum)
            .send()
            .await
            .map_err(|error| failed(Failure::of(&error).into_io()))?;
        Ok(CompletedPart::builder()
            .part_number(part.number)
            .set_e_tag(sent.e_tag)
            .set_checksum_sha256(sent.checksum_sha256)
            .build())
    }

    async fn complete(
        &self,
        put: &Put<'_>,
        checksum: Sha256,
        parts: Vec<CompletedPart>,
    ) -> Result<(Option<String>, Option<String>), StoreError> {
        let turn = self.store.turn(PUT, put.key).await?;
        let parts = CompletedMultipartUpload::builder().set_parts(Some(parts)).build();
        let completed = self
            .store
            .0
            .clients
            // Putting a thousand parts together takes a server its time.
            .upload
            .complete_multipart_upload()
            .bucket(self.store.location().bucket())
            .key(&self.key)
            .upload_id(&self.id)
            .multipart_upload(parts)
            .send()
            .await;
        drop(turn);
        let error = match completed {
            Ok(completed) => return Ok((completed.e_tag, completed.checksum_sha256)),
            Err(error) => error,
        };
        // An attempt whose answer was lost has done it already, and the next one finds no upload.
        if error.code() == Some(NO_SUCH_UPLOAD)
            && let Some(found) = self.store.head_object(put.key).await?
            && found.checksum == Some(checksum)
        {
            return Ok((None, None));
        }
        Err(self.store.failed(PUT, put.key, Failure::of(&error).into_io()))
    }

    /// The failure that led here is the one to tell; what cannot be aborted now is stale later.
    async fn abort(mut self) {
        self.is_ended = true;
        let _ = self.store.abort_upload(&self.key, &self.id).await;
    }
}

impl Drop for Upload<'_> {
    fn drop(&mut self) {
        if self.is_ended {
            return;
        }
        let (store, key, id) =
            (self.store.clone(), std::mem::take(&mut self.key), std::mem::take(&mut self.id));
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move { store.abort_upload(&key, &id).await });
        }
    }
}

fn wrong_bytes() -> io::Error {
    let text = "its bytes do not have the checksum that they should";
    io::Error::new(io::ErrorKind::InvalidData, text)
}

/// Parts as large as they must be for S3 to take their number.
fn part_bytes(size_bytes: u64, wanted_bytes: u64) -> u64 {
    wanted_bytes.max(size_bytes.div_ceil(PARTS_MAX)).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_never_has_more_parts_than_s3_takes() {
        let mib = 1 << 20;
        for (size, expected) in [(40 * mib, 8 * mib), (80_000 * mib, 8 * mib)] {
            assert_eq!(part_bytes(size, 8 * mib), expected);
        }
        let size = 5_000_000 * mib;
        assert!(size.div_ceil(part_bytes(size, 8 * mib)) <= PARTS_MAX);
    }
}
