//! What the server keeps, in memory.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write as _;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use s3s::dto::ETagCondition;
use s3s::{S3Result, s3_error};
use sha2::{Digest as _, Sha256};

/// An object as it is kept.
#[derive(Clone, Debug)]
pub struct S3Object {
    /// Its bytes.
    pub bytes: Bytes,
    /// Without quotes.
    pub etag: String,
    /// When it was written.
    pub modified: SystemTime,
    /// In base64, of the whole; with `-N` behind it, of the digests of N parts.
    pub checksum_sha256: Option<String>,
    /// What was said of it.
    pub about: S3About,
}

/// What a writer says of an object.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct S3About {
    /// `x-amz-meta-…`, without that beginning.
    pub metadata: HashMap<String, String>,
    /// `Content-Type`.
    pub content_type: Option<String>,
    /// `Cache-Control`.
    pub cache_control: Option<String>,
    /// `x-amz-server-side-encryption`.
    pub encryption: Option<String>,
    /// `x-amz-server-side-encryption-aws-kms-key-id`.
    pub kms_key: Option<String>,
}

/// A multipart upload that is under way.
#[derive(Clone, Debug)]
pub struct S3Upload {
    /// Its name.
    pub id: String,
    /// The key that it will have.
    pub key: String,
    /// When it began.
    pub initiated: SystemTime,
    /// Whether every part must bring its SHA-256.
    pub(super) is_checked: bool,
    pub(super) about: S3About,
    pub(super) parts: BTreeMap<i32, Part>,
}

#[derive(Clone, Debug)]
pub(super) struct Part {
    pub(super) bytes: Bytes,
    pub(super) size_bytes: usize,
    pub(super) etag: String,
    pub(super) digest: Option<[u8; 32]>,
}

#[derive(Default)]
pub(super) struct Bucket {
    objects: BTreeMap<String, S3Object>,
    uploads: BTreeMap<String, S3Upload>,
    uploads_begun: usize,
}

/// The conditions of a write.
#[derive(Clone, Debug, Default)]
pub(super) struct Conditions {
    pub(super) if_match: Option<ETagCondition>,
    pub(super) if_none_match: Option<ETagCondition>,
}

impl Conditions {
    /// As AWS answers: 412 for what does not match, 404 for `If-Match` on nothing.
    pub(super) fn check(&self, current: Option<&S3Object>) -> S3Result<()> {
        match (&self.if_none_match, current) {
            (Some(condition), _) if !condition.is_any() => {
                return Err(s3_error!(NotImplemented, "If-None-Match takes * alone"));
            }
            (Some(_), Some(_)) => return Err(s3_error!(PreconditionFailed)),
            _ => {}
        }
        match (&self.if_match, current) {
            (None, _) => Ok(()),
            (Some(_), None) => Err(s3_error!(NoSuchKey)),
            (Some(condition), Some(object)) => {
                let matches = condition.is_any()
                    || condition.as_etag().is_some_and(|etag| etag.value() == object.etag);
                if matches { Ok(()) } else { Err(s3_error!(PreconditionFailed)) }
            }
        }
    }
}

impl Bucket {
    pub(super) fn keys(&self) -> Vec<String> {
        self.objects.keys().cloned().collect()
    }

    pub(super) fn object(&self, key: &str) -> Option<&S3Object> {
        self.objects.get(key)
    }

    pub(super) fn objects_after<'a>(
        &'a self,
        after: &str,
        prefix: &'a str,
    ) -> impl Iterator<Item = (&'a String, &'a S3Object)> {
        use std::ops::Bound::{Excluded, Unbounded};
        self.objects
            .range::<str, _>((Excluded(after), Unbounded))
            .filter(move |(key, _)| key.starts_with(prefix))
    }

    pub(super) fn put(&mut self, key: &str, object: S3Object) {
        self.objects.insert(key.to_owned(), object);
    }

    pub(super) fn delete(&mut self, key: &str) {
        self.objects.remove(key);
    }

    #[track_caller]
    pub(super) fn damage(&mut self, key: &str, damage: impl FnOnce(Bytes) -> Bytes) {
        let object = self.objects.get_mut(key).unwrap_or_else(|| panic!("there is no {key}"));
        object.bytes = damage(object.bytes.clone());
    }

    #[track_caller]
    pub(super) fn age(&mut self, key: &str, by: Duration) {
        let object = self.objects.get_mut(key).unwrap_or_else(|| panic!("there is no {key}"));
        object.modified -= by;
    }

    pub(super) fn remove(&mut self, key: &str) {
        self.objects.remove(key);
    }

    pub(super) fn uploads(&self) -> Vec<S3Upload> {
        self.uploads.values().cloned().collect()
    }

    pub(super) fn begin_upload(&mut self, key: &str, is_checked: bool, about: S3About) -> String {
        self.uploads_begun += 1;
        let (id, key) = (format!("upload-{}", self.uploads_begun), key.to_owned());
        let initiated = SystemTime::now();
        let parts = BTreeMap::new();
        let upload = S3Upload { id: id.clone(), key, initiated, is_checked, about, parts };
        self.uploads.insert(id.clone(), upload);
        id
    }

    pub(super) fn upload(&mut self, id: &str) -> S3Result<&mut S3Upload> {
        self.uploads.get_mut(id).ok_or_else(|| s3_error!(NoSuchUpload))
    }

    pub(super) fn end_upload(&mut self, id: &str) -> S3Result<S3Upload> {
        self.uploads.remove(id).ok_or_else(|| s3_error!(NoSuchUpload))
    }
}

/// 32 hex digits that depend on the bytes alone, as with AWS.
pub(super) fn etag(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().take(16).fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
