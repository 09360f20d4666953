//! Putting objects in one request, and deleting them.

use std::collections::HashMap;
use std::io;
use std::time::SystemTime;

use aws_sdk_s3::Client;
use aws_sdk_s3::types::ServerSideEncryption;
use crateport_types::{Hasher, Sha256, StoreKey};

use super::about::{self, vouched};
use super::failure::Failure;
use super::source::Source;
use super::{S3Checksums, S3Encryption, S3Store};
use crate::{ObjectMeta, Payload, PutOptions, StoreError};

pub(super) const PUT: &str = "write";
const DELETE: &str = "delete";

/// What has this many bytes goes as quickly as what has none.
const QUICK_BYTES_MAX: u64 = 256 * 1024;

/// All that is to be put.
pub(super) struct Put<'a> {
    pub(super) key: &'a StoreKey,
    pub(super) source: Source,
    pub(super) size_bytes: u64,
    /// The digest that the bytes must have.
    pub(super) checksum: Option<Sha256>,
    pub(super) options: PutOptions,
}

/// What the store said of an object that it now keeps.
pub(super) struct Kept {
    pub(super) etag: Option<String>,
    pub(super) checksum: Option<String>,
    pub(super) metadata: HashMap<String, String>,
}

impl S3Store {
    pub(super) async fn put_object(
        &self,
        key: &StoreKey,
        payload: Payload,
        options: PutOptions,
    ) -> Result<ObjectMeta, StoreError> {
        let source = Source::from(payload);
        let size_bytes = source.size_bytes().map_err(|error| self.failed(PUT, key, error))?;
        let checksum = options.checksum;
        let put = Put { key, source, size_bytes, checksum, options };
        let kept = if size_bytes <= self.0.config.put_size_single_max_bytes {
            self.put_single(&put).await?
        } else {
            self.put_in_parts(&put).await?
        };
        let modified = SystemTime::now();
        let Some(etag) = kept.etag.as_deref() else {
            // Then only the store knows by what it will tell versions apart.
            let found = self.head_object(key).await?;
            let gone = || self.failed(PUT, key, io::Error::other("it is gone again"));
            return found.ok_or_else(gone);
        };
        Ok(ObjectMeta {
            size_bytes,
            version: about::version(Some(etag), size_bytes, modified),
            modified,
            checksum: vouched(kept.checksum.as_deref(), Some(&kept.metadata)),
            attributes: put.options.attributes,
        })
    }

    async fn put_single(&self, put: &Put<'_>) -> Result<Kept, StoreError> {
        let failed = |error| self.failed(PUT, put.key, error);
        let checksum = match (self.0.config.checksums, put.checksum) {
            (S3Checksums::Off, _) => None,
            (S3Checksums::Sha256, Some(checksum)) => Some(checksum),
            (S3Checksums::Sha256, None) => {
                let whole = 0..put.size_bytes;
                Some(put.source.digest(put.key, whole, &mut Hasher::default()).await?)
            }
        };
        let metadata = about::metadata(&put.options.attributes);
        let _turn = self.turn(PUT, put.key).await?;
        let (location, (encryption, kms_key)) = (self.location(), self.encryption());
        let output = self
            .client_for(put.size_bytes)
            .put_object()
            .bucket(location.bucket())
            .key(location.key(put.key))
            .body(put.source.body(0..put.size_bytes).await.map_err(failed)?)
            .content_length(
                i64::try_from(put.size_bytes).map_err(io::Error::other).map_err(failed)?,
            )
            .set_checksum_sha256(checksum.as_ref().map(about::encoded))
            .set_metadata(Some(metadata.clone()))
            .content_type(about::content_type(put.key))
            .cache_control(about::cache_control(put.key))
            .set_server_side_encryption(encryption)
            .set_ssekms_key_id(kms_key)
            .send()
            .await
            .map_err(|error| failed(Failure::of(&error).into_io()))?;
        let checksum = output.checksum_sha256().map(ToOwned::to_owned);
        Ok(Kept { etag: output.e_tag, checksum, metadata })
    }

    fn client_for(&self, size_bytes: u64) -> &Client {
        let clients = &self.0.clients;
        if size_bytes <= QUICK_BYTES_MAX { &clients.quick } else { &clients.upload }
    }

    /// As the SDK wants it: how, and with which key.
    pub(super) fn encryption(&self) -> (Option<ServerSideEncryption>, Option<String>) {
        match &self.0.config.encryption {
            S3Encryption::BucketDefault => (None, None),
            S3Encryption::SseS3 => (Some(ServerSideEncryption::Aes256), None),
            S3Encryption::Kms { key } => (Some(ServerSideEncryption::AwsKms), Some(key.clone())),
        }
    }

    /// S3 does not tell whether there was an object, so it is looked up first.
    pub(super) async fn delete_object(&self, key: &StoreKey) -> Result<bool, StoreError> {
        if self.head_object(key).await?.is_none() {
            return Ok(false);
        }
        let _turn = self.turn(DELETE, key).await?;
        let location = self.location();
        let request = self.0.clients.quick.delete_object();
        match request.bucket(location.bucket()).key(location.key(key)).send().await {
            Ok(_) => Ok(true),
            Err(error) => match Failure::of(&error) {
                Failure::Absent => Ok(true),
                failure => Err(self.failed(DELETE, key, failure.into_io())),
            },
        }
    }
}
