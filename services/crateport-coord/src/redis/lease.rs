//! A lease that was granted: its signs of life, and its end.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use crateport_types::StoreKey;
use tokio::sync::mpsc;
use tokio::task::AbortHandle;
use tokio::time::{Instant, sleep};
use tracing::debug;

use super::keys::{Keys, Token};
use super::link::Link;
use super::note_text::{up_to_ms, write};
use super::release::{self, Release};
use super::scripts::RENEW;
use crate::{CoordError, LeaseKeeper, Note};

/// Signs of life in the time that a lease lives without one.
const SIGNS_PER_TTL: u32 = 3;
/// Notes are kept no longer than this; Redis refuses times that overflow its clock.
const KEEP_MS_MAX: u64 = 365 * 24 * 3600 * 1000;

/// A lease, or a claim that may have become one. Dropping it without its end gives it back as soon as may be.
pub(super) struct RedisLease {
    link: Arc<Link>,
    keys: Keys,
    key: StoreKey,
    token: Token,
    releases: mpsc::Sender<Release>,
    signs: Option<AbortHandle>,
    is_settled: bool,
}

impl RedisLease {
    /// A lease that is about to be claimed under a token of its own.
    pub(super) fn claimed(
        link: Arc<Link>,
        keys: Keys,
        key: StoreKey,
        token: Token,
        releases: mpsc::Sender<Release>,
    ) -> Self {
        Self { link, keys, key, token, releases, signs: None, is_settled: false }
    }

    pub(super) fn token(&self) -> &Token {
        &self.token
    }

    /// There is nothing to give back.
    pub(super) fn settle(&mut self) {
        self.is_settled = true;
    }

    /// Gives signs of life from now on. `since` is when the claim was made.
    pub(super) fn show_signs(&mut self, since: Instant, ttl: Duration, held_max: Duration) {
        let (link, lease) = (Arc::clone(&self.link), self.keys.lease(&self.key));
        let token = self.token.clone();
        let signs = async move { show_signs(&link, lease, &token, since, ttl, held_max).await };
        self.signs = Some(tokio::spawn(signs).abort_handle());
    }
}

/// Shows Redis that the holder lives, until the lease is lost or has been held long enough.
async fn show_signs(
    link: &Link,
    lease: String,
    token: &Token,
    since: Instant,
    ttl: Duration,
    held_max: Duration,
) {
    let lease = [lease];
    loop {
        sleep(ttl / SIGNS_PER_TTL).await;
        let left = held_max.saturating_sub(since.elapsed()).min(ttl);
        if left < Duration::from_millis(1) {
            debug!("a lease has been held for too long; it runs out");
            return;
        }
        let left_ms = up_to_ms(left).to_string();
        let arguments = [token.as_str(), &left_ms];
        match link.run("renew a lease", &RENEW, &lease, &arguments).await {
            Ok(redis::Value::Int(1)) => {}
            Ok(_) => {
                debug!("a lease was lost");
                return;
            }
            Err(error) => debug!(%error, "a lease could not be renewed"),
        }
    }
}

/// The text of a note, and the milliseconds it is kept; `None` if that is no time at all.
pub(super) fn note_for(link: &Link, note: &Note, keep: Duration) -> Option<(String, u64)> {
    let keep_ms = u64::try_from(keep.as_millis()).unwrap_or(u64::MAX).min(KEEP_MS_MAX);
    (keep_ms > 0).then(|| (write(note, keep_ms, link.clock().now_ms()), keep_ms))
}

#[async_trait]
impl LeaseKeeper for RedisLease {
    async fn end(mut self: Box<Self>, note: Option<(Note, Duration)>) -> Result<(), CoordError> {
        if let Some(signs) = self.signs.take() {
            signs.abort();
        }
        let note = note.and_then(|(note, keep)| note_for(&self.link, &note, keep));
        let ended = release::end(&self.link, &self.keys, &self.key, &self.token, note).await;
        // One that was refused is given back all the same: everything but the refused part was done.
        self.is_settled = !matches!(&ended, Err(error) if error.is_transient());
        if !ended? {
            debug!(key = %self.key, "the lease had been lost before it ended");
        }
        Ok(())
    }
}

impl Drop for RedisLease {
    fn drop(&mut self) {
        if let Some(signs) = self.signs.take() {
            signs.abort();
        }
        if !self.is_settled {
            let release = Release { key: self.key.clone(), token: self.token.clone() };
            // When too many wait to be given back, this one runs out by itself.
            drop(self.releases.try_send(release));
        }
    }
}

impl std::fmt::Debug for RedisLease {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("RedisLease").field(&self.key).finish()
    }
}
