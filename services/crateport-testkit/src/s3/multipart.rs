//! Multipart uploads.

use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::{Bytes, BytesMut};
use s3s::dto::{
    ChecksumAlgorithm, CompleteMultipartUploadInput, CompleteMultipartUploadOutput, CompletedPart,
    CreateMultipartUploadInput, CreateMultipartUploadOutput, ETag, ListMultipartUploadsInput,
    ListMultipartUploadsOutput, MultipartUpload, UploadPartInput, UploadPartOutput,
};
use s3s::{S3Result, s3_error};

use super::bucket::{Conditions, Part, S3About, S3Object, S3Upload, etag};
use super::{S3Checksums, S3Conditions, S3Parts, Shared, check, objects};

/// AWS takes no smaller part but the last.
const PART_BYTES_MIN: usize = 5 << 20;

/// Between the look at the conditions and the write, in the dialect that is not atomic.
const RACE_WINDOW: Duration = Duration::from_millis(20);

/// Begins an upload.
pub(super) fn create(
    shared: &Shared,
    input: CreateMultipartUploadInput,
) -> S3Result<CreateMultipartUploadOutput> {
    objects::known(&input.bucket)?;
    let algorithm = input.checksum_algorithm.as_ref().map(ChecksumAlgorithm::as_str);
    let is_checked = shared.dialect().checksums == S3Checksums::Checked
        && algorithm == Some(ChecksumAlgorithm::SHA256);
    let said = S3About {
        metadata: input.metadata.unwrap_or_default(),
        content_type: input.content_type,
        cache_control: input.cache_control,
        encryption: input.server_side_encryption.map(|sse| sse.as_str().to_owned()),
        kms_key: input.ssekms_key_id,
    };
    let about = objects::about(shared, said);
    let id = shared.state().bucket.begin_upload(&input.key, is_checked, about);
    Ok(CreateMultipartUploadOutput {
        bucket: Some(input.bucket),
        key: Some(input.key),
        upload_id: Some(id),
        ..CreateMultipartUploadOutput::default()
    })
}

/// What is neither completed nor aborted.
pub(super) fn list(
    shared: &Shared,
    input: ListMultipartUploadsInput,
) -> ListMultipartUploadsOutput {
    let prefix = input.prefix.clone().unwrap_or_default();
    let uploads = shared.state().bucket.uploads().into_iter();
    let uploads = uploads
        .filter(|upload| upload.key.starts_with(&prefix))
        .map(|upload| MultipartUpload {
            key: Some(upload.key),
            upload_id: Some(upload.id),
            initiated: Some(upload.initiated.into()),
            ..MultipartUpload::default()
        })
        .collect();
    ListMultipartUploadsOutput {
        bucket: Some(input.bucket),
        prefix: input.prefix,
        uploads: Some(uploads),
        is_truncated: Some(false),
        ..ListMultipartUploadsOutput::default()
    }
}

/// Takes a part.
pub(super) fn upload_part(
    shared: &Shared,
    input: &UploadPartInput,
    bytes: Bytes,
) -> S3Result<UploadPartOutput> {
    let mut state = shared.state();
    let (checksums, parts) = (state.dialect.checksums, state.dialect.parts);
    let upload = state.bucket.upload(&input.upload_id)?;
    let digest = match checksums {
        S3Checksums::Checked => check::compared(&bytes, input.checksum_sha256.as_deref())?,
        S3Checksums::Ignored => None,
    };
    if upload.is_checked && digest.is_none() {
        return Err(s3_error!(InvalidRequest, "a part must bring the checksum of its upload"));
    }
    let etag = etag(&bytes);
    let size_bytes = bytes.len();
    let bytes = if parts == S3Parts::Kept { bytes } else { Bytes::new() };
    upload.parts.insert(input.part_number, Part { bytes, size_bytes, etag: etag.clone(), digest });
    Ok(UploadPartOutput {
        e_tag: Some(ETag::Strong(etag)),
        checksum_sha256: digest.as_ref().map(check::encoded),
        ..UploadPartOutput::default()
    })
}

/// Makes an object of its parts.
pub(super) async fn complete(
    shared: &Shared,
    input: CompleteMultipartUploadInput,
) -> S3Result<CompleteMultipartUploadOutput> {
    let conditions = Conditions { if_match: input.if_match, if_none_match: input.if_none_match };
    look_first(shared, &input.key, &conditions).await?;
    let mut state = shared.state();
    let listed = input.multipart_upload.and_then(|upload| upload.parts).unwrap_or_default();
    let object = assembled(state.bucket.upload(&input.upload_id)?, &listed)?;
    if state.dialect.conditional_puts == S3Conditions::Atomic {
        conditions.check(state.bucket.object(&input.key))?;
    }
    state.bucket.end_upload(&input.upload_id)?;
    let output = CompleteMultipartUploadOutput {
        bucket: Some(input.bucket),
        key: Some(input.key.clone()),
        e_tag: objects::tag(&object),
        checksum_sha256: object.checksum_sha256.clone(),
        ..CompleteMultipartUploadOutput::default()
    };
    state.bucket.put(&input.key, object);
    Ok(output)
}

/// What the dialect that is not atomic does, and then it waits.
pub(super) async fn look_first(
    shared: &Shared,
    key: &str,
    conditions: &Conditions,
) -> S3Result<()> {
    if shared.dialect().conditional_puts == S3Conditions::Racy {
        conditions.check(shared.state().bucket.object(key))?;
        tokio::time::sleep(RACE_WINDOW).await;
    }
    Ok(())
}

fn assembled(upload: &S3Upload, listed: &[CompletedPart]) -> S3Result<S3Object> {
    let mut parts = Vec::new();
    let mut number_before = 0;
    for said in listed {
        let number = said.part_number.unwrap_or_default();
        if number <= number_before {
            return Err(s3_error!(InvalidPartOrder));
        }
        number_before = number;
        let part = upload.parts.get(&number).ok_or_else(|| s3_error!(InvalidPart))?;
        let is_the_same = said.e_tag.as_ref().is_some_and(|etag| etag.value() == part.etag);
        let checksum = part.digest.map(|digest| STANDARD.encode(digest));
        if !is_the_same || (upload.is_checked && said.checksum_sha256 != checksum) {
            return Err(s3_error!(InvalidPart));
        }
        parts.push(part);
    }
    let Some((_, all_but_last)) = parts.split_last() else {
        return Err(s3_error!(MalformedXML, "an upload has one part at least"));
    };
    if all_but_last.iter().any(|part| part.size_bytes < PART_BYTES_MIN) {
        return Err(s3_error!(EntityTooSmall));
    }
    let mut bytes = BytesMut::new();
    parts.iter().for_each(|part| bytes.extend_from_slice(&part.bytes));
    let etags = parts.iter().map(|part| part.etag.as_str()).collect::<String>();
    Ok(S3Object {
        bytes: bytes.freeze(),
        etag: format!("{}-{}", etag(etags.as_bytes()), parts.len()),
        modified: SystemTime::now(),
        checksum_sha256: check::composite(parts.iter().map(|part| part.digest.as_ref())),
        about: upload.about.clone(),
    })
}
