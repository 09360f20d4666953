//! When each object was used last, from the batches in the store: one number per object, newest days first.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::time::{Duration, SystemTime};

use crateport_cache::uses::{BatchHead, UseLine, read_batch};
use crateport_store::{ObjectStore, Read};
use crateport_types::{Area, Day, Named, StoreKey};
use tracing::warn;

use crate::OperateError;
use crate::retention::Minute;
use crate::walk::Walk;

/// A larger batch is not one of ours.
pub(crate) const BATCH_BYTES_MAX: usize = 64 << 20;
/// Objects whose last use is remembered: 24 bytes or so each.
const OBJECTS_MAX: usize = 4_000_000;

/// The last uses.
#[derive(Debug, Default)]
pub(crate) struct LastUses {
    /// By a hash of the key. Two keys with one hash have the later use of both.
    minutes: HashMap<u64, Minute>,
    /// What is not in the map may have been used then; later it was not.
    unknown: Minute,
    /// The batches of the last days that were read.
    read: HashSet<StoreKey>,
    /// The longest grace that a replica counts on.
    pub(crate) grace: Duration,
}

/// The days of which there are uses, in ascending order.
pub(crate) async fn days(store: &dyn ObjectStore) -> Result<BTreeSet<Day>, OperateError> {
    let (mut days, mut walk) = (BTreeSet::new(), Walk::new(store, Area::Usage));
    while let Some(page) = walk.next().await? {
        days.extend(page.iter().filter_map(|(key, _)| match key.named() {
            Named::Usage(day) => Some(day),
            _ => None,
        }));
    }
    Ok(days)
}

/// The batches of a day without those that were taken into others.
pub(crate) async fn batches(
    store: &dyn ObjectStore,
    day: Day,
) -> Result<Vec<StoreKey>, OperateError> {
    let (mut merged, mut parts) = (Vec::new(), Vec::new());
    let mut walk = Walk::new(store, Area::UsageOf(day));
    while let Some(page) = walk.next().await? {
        for (key, _) in page {
            if key.is_merged_usage() { merged.push(key) } else { parts.push(key) }
        }
    }
    let mut taken = HashSet::new();
    for key in &merged {
        let bytes = bytes(store, key).await?.unwrap_or_default();
        // Damage is found by whoever reads the uses.
        let _ = read_batch(&bytes, |head| taken.extend(head.merged), |_| {});
    }
    parts.retain(|key| !taken.contains(key.as_str()));
    Ok(merged.into_iter().chain(parts).collect())
}

/// The bytes of a batch, none if it is gone.
pub(crate) async fn bytes(
    store: &dyn ObjectStore,
    key: &StoreKey,
) -> Result<Option<bytes::Bytes>, OperateError> {
    match store.get(key, Read::whole()).await? {
        Some(object) => Ok(Some(object.collect(BATCH_BYTES_MAX).await?)),
        None => Ok(None),
    }
}

impl LastUses {
    /// Reads all of them. Damage in a batch of a day within `grace` is an error.
    pub(crate) async fn read(
        store: &dyn ObjectStore,
        grace: Duration,
        now: SystemTime,
    ) -> Result<Self, OperateError> {
        let mut uses = Self { grace, ..Self::default() };
        for day in days(store).await?.into_iter().rev() {
            if uses.minutes.len() >= OBJECTS_MAX {
                uses.unknown = Minute::of(day.start() + Duration::from_secs(86_400));
                warn!(%day, "more objects than can be remembered: what was not used since is taken to have been used then");
                break;
            }
            uses.read_day(store, day, now).await?;
        }
        Ok(uses)
    }

    /// Reads what was written since, by replicas whose clocks are at most a day apart.
    pub(crate) async fn read_new(
        &mut self,
        store: &dyn ObjectStore,
        now: SystemTime,
    ) -> Result<(), OperateError> {
        let today = Day::of(now);
        let tomorrow = Day::of(now + Duration::from_secs(86_400));
        for day in [today.before(), today, tomorrow] {
            self.read_day(store, day, now).await?;
        }
        Ok(())
    }

    async fn read_day(
        &mut self,
        store: &dyn ObjectStore,
        day: Day,
        now: SystemTime,
    ) -> Result<(), OperateError> {
        let is_recent = day >= Day::of(now).before();
        let mut keys = Vec::new();
        if is_recent {
            // Not merged yet, and looked at again and again: only what is new is read.
            let mut walk = Walk::new(store, Area::UsageOf(day));
            while let Some(page) = walk.next().await? {
                keys.extend(page.into_iter().map(|(key, _)| key));
            }
            keys.retain(|key| self.read.insert(key.clone()));
        } else {
            keys = batches(store, day).await?;
        }
        for key in keys {
            let Some(bytes) = bytes(store, &key).await? else { continue };
            let mut grace_s = 0;
            let head = |head: BatchHead| grace_s = head.grace_s;
            let read = read_batch(&bytes, head, |line| self.note(&line));
            self.grace = self.grace.max(Duration::from_secs(grace_s));
            match read {
                Ok(()) => {}
                Err(source) if day >= Day::of(now - self.grace.min(GRACE_MAX)) => {
                    return Err(OperateError::Uses { key, source });
                }
                Err(error) => warn!(%key, %error, "old uses cannot be read, and are passed over"),
            }
        }
        Ok(())
    }

    fn note(&mut self, line: &UseLine) {
        let last = self.minutes.entry(hash(&line.object)).or_default();
        *last = Minute::of_seconds(line.last_s).max(*last);
    }

    /// When an object was used last, or written.
    pub(crate) fn last(&self, key: &StoreKey, modified: SystemTime) -> Minute {
        let used = self.minutes.get(&hash(UseLine::name_of(key))).copied();
        used.unwrap_or(self.unknown).max(Minute::of(modified))
    }
}

/// No grace is longer.
const GRACE_MAX: Duration = Duration::from_secs(366 * 86_400);

fn hash(object: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    object.hash(&mut hasher);
    hasher.finish()
}
