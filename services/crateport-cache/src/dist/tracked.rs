//! What this process knows of files that change: which content is given, and when upstream last confirmed it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crateport_coord::Note;
use crateport_store::{Read, StoreError};
use crateport_types::{DistPath, Sha256, StoreKey};
use tokio::time::Instant;

use super::Dist;
use super::given::{Given, KNOWN_FOR};
use crate::Failure;
use crate::cache::Inner;
use crate::freshness::{Freshness, Judgement, judge};
use crate::index::since;

/// The files that change, by the keys of what is given of them.
#[derive(Clone, Debug)]
pub(crate) struct Snapshots(moka::sync::Cache<StoreKey, Arc<Tracked>>);

/// One file.
#[derive(Debug, Default)]
pub(super) struct Tracked(Mutex<Known>);

#[derive(Clone, Copy, Debug, Default)]
struct Known {
    /// What the store said, and when.
    given: Option<(Given, Instant)>,
    /// What upstream confirmed, and when.
    confirmed: Option<(Sha256, Freshness)>,
    /// What its checksum was heard to be.
    heard: Option<Heard>,
}

/// What upstream's `.sha256` said of a file.
#[derive(Clone, Copy, Debug)]
pub(super) struct Heard {
    pub(super) content: Sha256,
    /// When upstream was asked.
    pub(super) asked: Instant,
    /// When it had answered.
    told: Instant,
}

/// Whether what is known may be used, or the store must be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Look {
    /// What was read a moment ago will do.
    Lately,
    /// It must be read now.
    Now,
}

/// A few hundred bytes each; more than all channels and versions of a distribution.
const FILES_MAX: u64 = 10_000;
/// Many times what is said of one file.
const GIVEN_BYTES_MAX: usize = 4096;

impl Default for Snapshots {
    fn default() -> Self {
        Self(moka::sync::Cache::new(FILES_MAX))
    }
}

impl Snapshots {
    pub(super) fn of(&self, key: &StoreKey) -> Arc<Tracked> {
        self.0.get_with_by_ref(key, Arc::default)
    }
}

impl Tracked {
    /// Takes note of what the store has now.
    pub(super) fn set_given(&self, given: Given, at: Instant) {
        let mut known = self.known();
        // A slow answer may come after a newer one.
        if known.given.is_none_or(|(_, before)| before <= at) {
            known.given = Some((given, at));
        }
    }

    /// Takes note that upstream has this content.
    pub(super) fn confirm(&self, content: Sha256, freshness: Freshness) {
        self.known().confirmed = Some((content, freshness));
    }

    /// When upstream confirmed `content`, if it did.
    pub(super) fn confirmed(&self, content: &Sha256) -> Option<Freshness> {
        let (confirmed, freshness) = self.known().confirmed?;
        (confirmed == *content).then_some(freshness)
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    /// What is given of a file, if it was ever fetched.
    ///
    /// # Errors
    ///
    /// When the store fails and what was read before is too old to go by.
    pub(super) async fn given(
        &self,
        dist: &Dist,
        path: &DistPath,
        look: Look,
    ) -> Result<Option<Given>, StoreError> {
        let key = dist.given_key(path);
        let tracked = self.snapshots.of(&key);
        let before = tracked.known().given;
        if let Some((given, read)) = before
            && look == Look::Lately
            && read.elapsed() < KNOWN_FOR
        {
            return Ok(Some(given));
        }
        // From here on the answer is as old as the moment before the store was asked.
        let read = Instant::now();
        let found = match self.ports.store.get(&key, Read::whole()).await {
            Ok(Some(object)) => object.collect(GIVEN_BYTES_MAX).await.map(Some),
            Ok(None) => Ok(None),
            Err(error) => Err(error),
        };
        match found {
            Ok(Some(bytes)) => match Given::from_json(&bytes) {
                Some(given) => {
                    tracked.set_given(given, read);
                    Ok(Some(given))
                }
                None => {
                    self.drop_damaged(&key, "it does not say which content is given").await;
                    Ok(None)
                }
            },
            Ok(None) => {
                tracked.known().given = None;
                Ok(None)
            }
            Err(error) => {
                self.metrics.store_failures.inc();
                match before {
                    // No content that was announced since can be given before the grace time is over.
                    Some((given, read)) if read.elapsed() < KNOWN_FOR + dist.policy.grace => {
                        Ok(Some(given))
                    }
                    _ => Err(error),
                }
            }
        }
    }

    /// Asks upstream for a file's checksum, and takes note of it. `None` means that there is none.
    pub(super) async fn hear(
        self: &Arc<Self>,
        dist: &Arc<Dist>,
        path: &DistPath,
    ) -> Result<Option<Heard>, Failure> {
        let asked = Instant::now();
        let Some(content) = self.upstream_sum(dist, path).await? else { return Ok(None) };
        let heard = Heard { content, asked, told: Instant::now() };
        self.snapshots.of(&dist.given_key(path)).known().heard = Some(heard);
        Ok(Some(heard))
    }

    /// What upstream was heard to have of a file that is not here yet: by somebody who asked while this client, which
    /// came at `requested`, was looking, or whose fill is under way.
    pub(super) fn heard(&self, dist: &Dist, path: &DistPath, requested: Instant) -> Option<Heard> {
        let key = dist.given_key(path);
        let heard = self.snapshots.of(&key).known().heard?;
        let is_under_way =
            || self.renewals.has(&key) || self.fills.has(&dist.content_key(path, &heard.content));
        (heard.told >= requested || is_under_way()).then_some(heard)
    }

    /// Whether upstream has confirmed a file's newest content lately, as far as this process or the fleet knows.
    pub(super) async fn is_fresh(&self, dist: &Dist, path: &DistPath, newest: &Sha256) -> bool {
        let key = dist.given_key(path);
        let tracked = self.snapshots.of(&key);
        let fresh =
            |freshness| judge(Instant::now(), freshness, dist.policy.ttl()) != Judgement::Stale;
        if fresh(tracked.confirmed(newest)) {
            return true;
        }
        let Ok(Some(Note::Fresh { checksum, asked_ago, checked_ago })) =
            self.ports.coordinator.recall(&key).await
        else {
            return false;
        };
        match since(asked_ago, checked_ago) {
            Some(freshness) if checksum == *newest => {
                tracked.confirm(checksum, freshness);
                fresh(Some(freshness))
            }
            _ => false,
        }
    }
}
