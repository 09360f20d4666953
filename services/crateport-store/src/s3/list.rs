//! Listing objects.

use crateport_types::{Area, StoreKey};

use super::S3Store;
use super::about::Told;
use super::failure::Failure;
use crate::{ObjectMeta, StoreError};

/// S3 gives no more in one page.
const PAGE_KEYS_MAX: usize = 1000;
const ACTION: &str = "list";

impl S3Store {
    pub(super) async fn list_objects(
        &self,
        area: &Area,
        after: Option<&StoreKey>,
        count_max: usize,
    ) -> Result<Vec<(StoreKey, ObjectMeta)>, StoreError> {
        let (location, prefix) = (self.location(), area.prefix());
        let (mut listed, mut token) = (Vec::new(), None);
        // Pages may be shorter than asked for, and hold keys that are none of ours.
        while listed.len() < count_max {
            let _turn = self.turn(ACTION, &prefix).await?;
            let wanted = (count_max - listed.len()).min(PAGE_KEYS_MAX);
            let page = self
                .0
                .clients
                .quick
                .list_objects_v2()
                .bucket(location.bucket())
                .prefix(location.key(&prefix))
                .set_start_after(after.map(|after| location.key(after)))
                .set_continuation_token(token)
                .set_max_keys(i32::try_from(wanted).ok())
                .send()
                .await
                .map_err(|error| self.failed(ACTION, &prefix, Failure::of(&error).into_io()))?;
            listed.extend(page.contents().iter().filter_map(|object| {
                let key = StoreKey::listed(location.relative(object.key()?)?)?;
                let told = Told {
                    size_bytes: object.size().and_then(|size| u64::try_from(size).ok())?,
                    etag: object.e_tag(),
                    modified: object.last_modified(),
                    checksum: None,
                    metadata: None,
                };
                Some((key, told.meta()))
            }));
            token = page.next_continuation_token;
            if token.is_none() || page.is_truncated != Some(true) {
                break;
            }
        }
        listed.truncate(count_max);
        Ok(listed)
    }
}
