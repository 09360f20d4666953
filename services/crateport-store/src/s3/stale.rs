//! Uploads that nobody will complete.

use std::io;
use std::time::{Duration, SystemTime};

use aws_sdk_s3::error::ProvideErrorMetadata as _;

use super::S3Store;
use super::failure::Failure;
use super::multipart::NO_SUCH_UPLOAD;
use crate::StoreError;

impl S3Store {
    /// Aborts uploads below the store's prefix that began longer ago than `age`: a process that is killed leaves its
    /// own behind. Returns how many there were.
    ///
    /// # Errors
    ///
    /// When the store fails.
    pub async fn abort_stale_uploads(&self, age: Duration) -> Result<usize, StoreError> {
        const ACTION: &str = "abort the stale uploads in";
        let location = self.location();
        let failed = |error| StoreError::of(ACTION, location, error);
        let (mut count, mut marker) = (0, (None, None));
        loop {
            let turn = self.turn(ACTION, "").await?;
            let page = self
                .0
                .clients
                .quick
                .list_multipart_uploads()
                .bucket(location.bucket())
                .prefix(location.key(""))
                .set_key_marker(marker.0)
                .set_upload_id_marker(marker.1)
                .send()
                .await
                .map_err(|error| failed(Failure::of(&error).into_io()))?;
            drop(turn);
            for upload in page.uploads() {
                let began = upload.initiated().and_then(|at| SystemTime::try_from(*at).ok());
                let is_stale = began.is_some_and(|at| at.elapsed().is_ok_and(|is| is >= age));
                if let (true, Some(key), Some(id)) = (is_stale, upload.key(), upload.upload_id()) {
                    self.abort_upload(key, id).await.map_err(failed)?;
                    count += 1;
                }
            }
            if page.is_truncated() != Some(true) {
                return Ok(count);
            }
            marker = (page.next_key_marker, page.next_upload_id_marker);
        }
    }

    /// An upload that is not there any more is as good as aborted.
    pub(super) async fn abort_upload(&self, key: &str, id: &str) -> io::Result<()> {
        let request = self.0.clients.quick.abort_multipart_upload();
        match request.bucket(self.location().bucket()).key(key).upload_id(id).send().await {
            Ok(_) => Ok(()),
            Err(error)
                if error.as_service_error().is_some_and(|e| e.code() == Some(NO_SUCH_UPLOAD)) =>
            {
                Ok(())
            }
            Err(error) => Err(Failure::of(&error).into_io()),
        }
    }
}
