//! Signed URLs: made without asking anybody, kept for a part of their life, never longer valid than the credentials
//! they were signed with, never logged.

use std::time::{Duration, Instant, SystemTime};

use aws_sdk_s3::presigning::PresigningConfig;
use crateport_types::StoreKey;
use url::Url;

use super::S3Store;
use super::failure::Failure;
use crate::StoreError;

/// Signed URLs by what was asked for.
pub(super) type Presigned = moka::sync::Cache<(StoreKey, Duration), Signed>;

#[derive(Clone)]
pub(super) struct Signed {
    url: Url,
    reused_for: Duration,
}

/// Each URL is given out again for its own time.
struct Reuse;

/// A kept URL has three quarters of its life left at least.
const REUSED_PART: u32 = 4;
/// And is no older than this.
const REUSED_MAX: Duration = Duration::from_secs(60);
/// S3 takes no longer.
const LIFETIME_MAX: Duration = Duration::from_secs(7 * 24 * 3600);
/// A URL that ends sooner is of no use to a client.
const LIFETIME_MIN: Duration = Duration::from_secs(10);
/// Lives are counted in whole seconds, and one may begin while a URL is signed.
const TICK: Duration = Duration::from_secs(1);
/// Once to learn when the credentials end, once to mind it, once more if they were renewed meanwhile.
const SIGNED_TIMES_MAX: usize = 3;
/// Signed URLs end this long before the credentials, for clocks that differ and bodies that are under way.
const BEFORE_CREDENTIALS_END: Duration = Duration::from_secs(30);

impl moka::Expiry<(StoreKey, Duration), Signed> for Reuse {
    fn expire_after_create(
        &self,
        _key: &(StoreKey, Duration),
        signed: &Signed,
        _created: Instant,
    ) -> Option<Duration> {
        Some(signed.reused_for)
    }
}

pub(super) fn presigned(count_max: u64) -> Presigned {
    moka::sync::Cache::builder().max_capacity(count_max).expire_after(Reuse).build()
}

impl S3Store {
    /// `None` when the credentials end too soon for a URL to be of use.
    pub(super) async fn presign_get(
        &self,
        key: &StoreKey,
        lifetime: Duration,
    ) -> Result<Option<Url>, StoreError> {
        let asked = (key.clone(), lifetime);
        if let Some(signed) = self.0.presigned.get(&asked) {
            return Ok(Some(signed.url));
        }
        let credentials = &self.0.clients.credentials;
        let may_live = || granted(lifetime, credentials.expires(), SystemTime::now());
        for _ in 0..SIGNED_TIMES_MAX {
            let before = may_live();
            let life = before.unwrap_or(LIFETIME_MIN);
            let url =
                self.sign(key, life).await.map_err(|e| self.failed("sign a URL for", key, e))?;
            // Signing fetches and renews credentials, so their end is only known now.
            match may_live() {
                Some(after) if life <= after + TICK => {
                    let reused_for = (life / REUSED_PART).min(REUSED_MAX);
                    self.0.presigned.insert(asked, Signed { url: url.clone(), reused_for });
                    return Ok(Some(url));
                }
                Some(_) => {}
                None => return Ok(None),
            }
        }
        Ok(None)
    }

    async fn sign(&self, key: &StoreKey, lifetime: Duration) -> std::io::Result<Url> {
        let Self(inner) = self;
        let config = PresigningConfig::expires_in(lifetime).map_err(std::io::Error::other)?;
        let location = &inner.config.location;
        let request = inner
            .clients
            .presigner
            .get_object()
            .bucket(location.bucket())
            .key(location.key(key))
            .presigned(config)
            .await
            .map_err(|error| Failure::of(&error).into_io())?;
        Url::parse(request.uri()).map_err(std::io::Error::other)
    }
}

/// How long a URL may live that is signed now.
fn granted(lifetime: Duration, expires: Option<SystemTime>, now: SystemTime) -> Option<Duration> {
    let wanted = lifetime.min(LIFETIME_MAX);
    let Some(expires) = expires else { return Some(wanted) };
    let left = expires.duration_since(now).unwrap_or_default();
    // S3 counts in whole seconds.
    let left = Duration::from_secs(left.saturating_sub(BEFORE_CREDENTIALS_END).as_secs());
    (left >= wanted.min(LIFETIME_MIN)).then(|| wanted.min(left))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_never_outlives_its_credentials() {
        let (now, seconds) = (SystemTime::now(), Duration::from_secs);
        for (lifetime, left, expected) in [
            (900, None, Some(900)),
            (900, Some(3600), Some(900)),
            (900, Some(600), Some(570)),
            (900, Some(35), None),
            (5, Some(36), Some(5)),
            (900, Some(0), None),
            (30 * 24 * 3600, None, Some(7 * 24 * 3600)),
        ] {
            let expires = left.map(|left| now + seconds(left));
            assert_eq!(granted(seconds(lifetime), expires, now), expected.map(seconds));
        }
    }
}
