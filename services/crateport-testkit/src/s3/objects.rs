//! Objects that come and go whole, and lists of them.

use std::time::SystemTime;

use bytes::Bytes;
use s3s::dto::{
    ChecksumMode, ETag, GetObjectInput, GetObjectOutput, HeadObjectInput, HeadObjectOutput,
    ListObjectsV2Input, ListObjectsV2Output, Object, PutObjectInput, PutObjectOutput,
};
use s3s::{S3Result, s3_error};

use super::bucket::{Conditions, S3About, S3Object, etag};
use super::fault::S3Fault;
use super::{S3Checksums, S3Conditions, S3Metadata, S3Server, Shared, body, check, multipart};

/// The one bucket there is.
pub(super) fn known(bucket: &str) -> S3Result<()> {
    if bucket == S3Server::BUCKET { Ok(()) } else { Err(s3_error!(NoSuchBucket)) }
}

/// What the dialect keeps of what a writer says.
pub(super) fn about(shared: &Shared, about: S3About) -> S3About {
    match shared.dialect().metadata {
        S3Metadata::Kept => about,
        S3Metadata::Lost => S3About { metadata: Default::default(), ..about },
    }
}

pub(super) fn tag(object: &S3Object) -> Option<ETag> {
    Some(ETag::Strong(object.etag.clone()))
}

pub(super) async fn put(
    shared: &Shared,
    input: PutObjectInput,
    bytes: Bytes,
) -> S3Result<PutObjectOutput> {
    known(&input.bucket)?;
    let digest = match shared.dialect().checksums {
        S3Checksums::Checked => check::compared(&bytes, input.checksum_sha256.as_deref())?,
        S3Checksums::Ignored => None,
    };
    let conditions = Conditions { if_match: input.if_match, if_none_match: input.if_none_match };
    multipart::look_first(shared, &input.key, &conditions).await?;
    let said = S3About {
        metadata: input.metadata.unwrap_or_default(),
        content_type: input.content_type,
        cache_control: input.cache_control,
        encryption: input.server_side_encryption.map(|sse| sse.as_str().to_owned()),
        kms_key: input.ssekms_key_id,
    };
    let object = S3Object {
        etag: etag(&bytes),
        bytes,
        modified: SystemTime::now(),
        checksum_sha256: digest.as_ref().map(check::encoded),
        about: about(shared, said),
    };
    let output = PutObjectOutput {
        e_tag: tag(&object),
        checksum_sha256: object.checksum_sha256.clone(),
        ..PutObjectOutput::default()
    };
    let mut state = shared.state();
    if state.dialect.conditional_puts == S3Conditions::Atomic {
        conditions.check(state.bucket.object(&input.key))?;
    }
    state.bucket.put(&input.key, object);
    Ok(output)
}

pub(super) fn get(
    shared: &Shared,
    input: &GetObjectInput,
    fault: Option<S3Fault>,
) -> S3Result<GetObjectOutput> {
    let object = object(shared, &input.bucket, &input.key)?;
    let whole = object.bytes.len();
    let (bytes, range) = match &input.range {
        None => (object.bytes.clone(), None),
        Some(range) => {
            let range = range.check(whole as u64)?;
            let text = format!("bytes {}-{}/{whole}", range.start, range.end - 1);
            let index = |at: u64| usize::try_from(at).expect("it is within the object");
            (object.bytes.slice(index(range.start)..index(range.end)), Some(text))
        }
    };
    Ok(GetObjectOutput {
        body: Some(body::send(&bytes, fault)),
        content_length: i64::try_from(bytes.len()).ok(),
        // Of the whole, so it is not told with a part.
        checksum_sha256: match range {
            None => checksum(&object, input.checksum_mode.as_ref()),
            Some(_) => None,
        },
        content_range: range,
        accept_ranges: Some("bytes".to_owned()),
        e_tag: tag(&object),
        last_modified: Some(object.modified.into()),
        content_type: object.about.content_type,
        cache_control: object.about.cache_control,
        metadata: Some(object.about.metadata),
        ..GetObjectOutput::default()
    })
}

pub(super) fn head(shared: &Shared, input: &HeadObjectInput) -> S3Result<HeadObjectOutput> {
    let object = object(shared, &input.bucket, &input.key)?;
    Ok(HeadObjectOutput {
        content_length: size(&object),
        checksum_sha256: checksum(&object, input.checksum_mode.as_ref()),
        e_tag: tag(&object),
        last_modified: Some(object.modified.into()),
        content_type: object.about.content_type,
        cache_control: object.about.cache_control,
        metadata: Some(object.about.metadata),
        ..HeadObjectOutput::default()
    })
}

pub(super) fn list(shared: &Shared, input: ListObjectsV2Input) -> S3Result<ListObjectsV2Output> {
    known(&input.bucket)?;
    let after = input.continuation_token.or(input.start_after).unwrap_or_default();
    let prefix = input.prefix.clone().unwrap_or_default();
    let state = shared.state();
    let asked = usize::try_from(input.max_keys.unwrap_or(1000)).unwrap_or_default();
    let keys_max = asked.min(state.dialect.list_page_keys_max);
    let mut found = state.bucket.objects_after(&after, &prefix);
    let contents = found
        .by_ref()
        .take(keys_max)
        .map(|(key, object)| Object {
            key: Some(key.clone()),
            size: size(object),
            e_tag: tag(object),
            last_modified: Some(object.modified.into()),
            ..Object::default()
        })
        .collect::<Vec<_>>();
    let is_truncated = found.next().is_some();
    let last = contents.last().and_then(|object| object.key.clone());
    Ok(ListObjectsV2Output {
        name: Some(input.bucket),
        prefix: input.prefix,
        key_count: i32::try_from(contents.len()).ok(),
        contents: Some(contents),
        is_truncated: Some(is_truncated),
        next_continuation_token: last.filter(|_| is_truncated),
        ..ListObjectsV2Output::default()
    })
}

/// As it is when the request comes.
fn object(shared: &Shared, bucket: &str, key: &str) -> S3Result<S3Object> {
    known(bucket)?;
    shared.state().bucket.object(key).cloned().ok_or_else(|| s3_error!(NoSuchKey))
}

fn size(object: &S3Object) -> Option<i64> {
    i64::try_from(object.bytes.len()).ok()
}

/// The checksum, for those who ask for it.
fn checksum(object: &S3Object, mode: Option<&ChecksumMode>) -> Option<String> {
    mode.and(object.checksum_sha256.clone())
}
