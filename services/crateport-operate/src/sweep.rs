//! Sweeping: what was not used for long, or the least recently used when the store is too large.
//!
//! Only what can be fetched again goes: crates of registries and dist files of origins that are cached here. Index files
//! stay; they are small, and tell what there is. The store is listed twice, once to see how much must go and once to remove it, so memory holds a
//! page of keys and one number per used object.
//!
//! Deleting is safe beside replicas that serve: see `crateport_cache::uses` for their half. The keys of each round are
//! named in the store, then the uses that were written meanwhile are read, and only then is deleted what still has
//! none and is not new. A body that is being streamed from an object goes on to its end.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crateport_cache::uses::{doom, reprieve};
use crateport_coord::{Coordinator, Note};
use crateport_store::{ObjectMeta, ObjectStore, StoreError};
use crateport_types::{Area, Day, DistClass, DistId, DistObject, Named, RegistryId, StoreKey};
use futures_util::StreamExt as _;
use tracing::warn;

use crate::last_uses::LastUses;
use crate::merge::merge;
use crate::retention::{Ages, Judge, Minute};
use crate::turn::{TAKE_AGAIN_AFTER, Turn};
use crate::walk::Walk;
use crate::{OperateError, Retention, Verdict};

/// Sweeps one store.
#[derive(Clone, Debug)]
pub struct Sweeper {
    /// What is swept.
    pub store: Arc<dyn ObjectStore>,
    /// Who sees to it that one sweeps at a time.
    pub coordinator: Arc<dyn Coordinator>,
    /// The registries whose crates can be fetched again.
    pub registries: BTreeSet<RegistryId>,
    /// The dist origins whose files can be fetched again.
    pub dists: BTreeSet<DistId>,
    /// How long uses are kept.
    pub keep_uses: Duration,
}

/// Whether it is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deed {
    /// Remove.
    Remove,
    /// Only tell.
    Tell,
}

/// Objects and their bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// How many.
    pub objects: u64,
    /// How large together.
    pub bytes: u64,
}

/// One object that goes.
#[derive(Debug)]
pub struct Removal<'a> {
    /// Which.
    pub key: &'a StoreKey,
    /// Its size.
    pub size_bytes: u64,
    /// When it was used or written last, to the minute.
    pub last_used: SystemTime,
    /// Why it goes.
    pub verdict: Verdict,
}

/// What a sweep did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Swept {
    /// Everything in the store before.
    pub before: Tally,
    /// What went because it was not used.
    pub unused: Tally,
    /// What went to make room.
    pub surplus: Tally,
    /// What stayed only because it was used a short while ago.
    pub graced: Tally,
    /// What was about to go, and was used or written in this moment.
    pub spared: Tally,
    /// What should have gone, and could not be deleted.
    pub failed: Tally,
}

struct Candidate {
    key: StoreKey,
    meta: ObjectMeta,
    last_used: Minute,
    verdict: Verdict,
}

/// Keys that are named, looked at once more and deleted at a time.
const ROUND_KEYS: usize = 500;
const DELETES_AT_ONCE: usize = 16;
/// A list that is older was left behind by a sweep that died.
const LIST_AGE_MAX: Duration = Duration::from_secs(3600);
const LISTED_MAX: usize = 1000;

impl Swept {
    /// What the store holds after.
    #[must_use]
    pub fn after(&self) -> Tally {
        let gone = |part: fn(&Tally) -> u64| part(&self.unused) + part(&self.surplus);
        Tally {
            objects: self.before.objects.saturating_sub(gone(|tally| tally.objects)),
            bytes: self.before.bytes.saturating_sub(gone(|tally| tally.bytes)),
        }
    }
}

impl Tally {
    pub(crate) fn add(&mut self, size_bytes: u64) {
        self.objects += 1;
        self.bytes += size_bytes;
    }
}

impl Sweeper {
    /// Sweeps, and tells `removed` of each object that goes.
    ///
    /// # Errors
    ///
    /// When another sweep is under way, or the store fails. What was removed before that stays removed.
    pub async fn sweep(
        &self,
        retention: &Retention,
        deed: Deed,
        removed: impl FnMut(&Removal<'_>) + Send,
    ) -> Result<Swept, OperateError> {
        let mut turn = self.turn().await?;
        let swept = Box::pin(turn.during(self.sweep_in_turn(retention, deed, removed))).await;
        turn.end(None).await;
        swept
    }

    /// Sweeps unless one of the fleet has within `every`; then there is no result.
    ///
    /// # Errors
    ///
    /// As [`Self::sweep`].
    pub async fn sweep_if_due(
        &self,
        retention: &Retention,
        every: Duration,
        removed: impl FnMut(&Removal<'_>) + Send,
    ) -> Result<Option<Swept>, OperateError> {
        let mut turn = match self.turn().await {
            Err(OperateError::Busy) => return Ok(None),
            turn => turn?,
        };
        // A note says that there is nothing to sweep for now.
        if turn.recall().await.is_some() {
            turn.end(None).await;
            return Ok(None);
        }
        let sweep = self.sweep_in_turn(retention, Deed::Remove, removed);
        let swept = Box::pin(turn.during(sweep)).await;
        turn.end(swept.is_ok().then_some((Note::Absent, every / 2))).await;
        swept.map(Some)
    }

    async fn turn(&self) -> Result<Turn<'_>, OperateError> {
        Turn::take(&*self.coordinator, StoreKey::sweep_lease(), TAKE_AGAIN_AFTER).await
    }

    async fn sweep_in_turn(
        &self,
        retention: &Retention,
        deed: Deed,
        mut removed: impl FnMut(&Removal<'_>) + Send,
    ) -> Result<Swept, OperateError> {
        let (store, now) = (&*self.store, SystemTime::now());
        if deed == Deed::Remove {
            self.drop_old_lists(now).await?;
            merge(store, now, Day::of(now - self.keep_uses)).await?;
        }
        let mut uses = LastUses::read(store, retention.grace, now).await?;
        let retention = Retention { grace: uses.grace, ..*retention };
        let mut swept = Swept::default();
        let mut judge = self.survey(&retention, now, &uses, &mut swept).await?;
        let crates = self.registries.iter().cloned().map(Area::Crates);
        for area in crates.chain(self.dists.iter().cloned().map(Area::Dist)) {
            let mut walk = Walk::new(store, area);
            while let Some(page) = walk.next().await? {
                let candidates = page.into_iter().filter_map(|(key, meta)| {
                    let last_used = self.last_used(&uses, &key, &meta)?;
                    let verdict = judge.judge(last_used, meta.size_bytes);
                    matches!(verdict, Verdict::Unused | Verdict::Surplus).then_some(Candidate {
                        key,
                        meta,
                        last_used,
                        verdict,
                    })
                });
                let mut candidates = candidates.collect::<Vec<_>>();
                while !candidates.is_empty() {
                    let rest = candidates.split_off(candidates.len().min(ROUND_KEYS));
                    let round = std::mem::replace(&mut candidates, rest);
                    let gone = match deed {
                        Deed::Tell => round,
                        Deed::Remove => self.remove(round, &mut uses, &judge, &mut swept).await?,
                    };
                    for candidate in gone {
                        swept.take(&candidate);
                        removed(&candidate.removal());
                    }
                }
            }
        }
        Ok(swept)
    }

    /// Sees how much there is, and how much must go.
    async fn survey(
        &self,
        retention: &Retention,
        now: SystemTime,
        uses: &LastUses,
        swept: &mut Swept,
    ) -> Result<Judge, OperateError> {
        let mut judge = Judge::new(retention, now);
        let (mut ages, mut unused) = (Ages::default(), Tally::default());
        let mut walk = Walk::new(&*self.store, Area::All);
        while let Some(page) = walk.next().await? {
            for (key, meta) in page {
                swept.before.add(meta.size_bytes);
                let Some(last_used) = self.last_used(uses, &key, &meta) else { continue };
                match judge.judge(last_used, meta.size_bytes) {
                    Verdict::Graced => swept.graced.add(meta.size_bytes),
                    Verdict::Unused => unused.add(meta.size_bytes),
                    Verdict::Keep | Verdict::Surplus => ages.add(last_used, meta.size_bytes),
                }
            }
        }
        let left_bytes = swept.before.bytes.saturating_sub(unused.bytes);
        let surplus_bytes = retention
            .size_bytes_max
            .map_or(0, |size_bytes_max| left_bytes.saturating_sub(size_bytes_max));
        Ok(judge.making_room(surplus_bytes, &ages))
    }

    /// When an object was used last, if it is one that may go at all.
    fn last_used(&self, uses: &LastUses, key: &StoreKey, meta: &ObjectMeta) -> Option<Minute> {
        let can_be_fetched_again = match key.named() {
            Named::Krate(registry, ..) => self.registries.contains(&registry),
            Named::Config(_)
            | Named::IndexFile(..)
            | Named::UpstreamConfig(_)
            | Named::Usage(_)
            | Named::Other => self.dists.iter().any(|dist| is_artifact(key, dist)),
        };
        can_be_fetched_again.then(|| uses.last(key, meta.modified))
    }

    /// Deletes what is still unused after it was named; tells what went.
    async fn remove(
        &self,
        round: Vec<Candidate>,
        uses: &mut LastUses,
        judge: &Judge,
        swept: &mut Swept,
    ) -> Result<Vec<Candidate>, OperateError> {
        let store = &*self.store;
        let keys = round.iter().map(|candidate| candidate.key.clone()).collect::<Vec<_>>();
        let list = doom(store, &keys).await?;
        let read = uses.read_new(store, SystemTime::now()).await;
        let mut gone = Vec::new();
        if read.is_ok() {
            let (doomed, spared) = round.into_iter().partition::<Vec<_>, _>(|candidate| {
                !judge.is_graced(uses.last(&candidate.key, candidate.meta.modified))
            });
            spared.iter().for_each(|candidate| swept.spared.add(candidate.meta.size_bytes));
            let deletes = doomed.into_iter().map(async |candidate| {
                let deleted = delete_if_old(store, &candidate.key, judge).await;
                (candidate, deleted)
            });
            let mut deletes = futures_util::stream::iter(deletes).buffered(DELETES_AT_ONCE);
            while let Some((candidate, deleted)) = deletes.next().await {
                match deleted {
                    Ok(Deleted::Gone) => gone.push(candidate),
                    Ok(Deleted::BeforeUs) => {}
                    Ok(Deleted::Spared) => swept.spared.add(candidate.meta.size_bytes),
                    Err(error) => {
                        warn!(key = %candidate.key, %error, "could not be deleted");
                        swept.failed.add(candidate.meta.size_bytes);
                    }
                }
            }
        }
        reprieve(store, &list).await?;
        read.map(|()| gone)
    }

    async fn drop_old_lists(&self, now: SystemTime) -> Result<(), OperateError> {
        for (list, meta) in self.store.list(&Area::Doomed, None, LISTED_MAX).await? {
            if now.duration_since(meta.modified).unwrap_or_default() > LIST_AGE_MAX {
                reprieve(&*self.store, &list).await?;
            }
        }
        Ok(())
    }
}

enum Deleted {
    Gone,
    /// By somebody else.
    BeforeUs,
    /// It was written again since it was listed.
    Spared,
}

async fn delete_if_old(
    store: &dyn ObjectStore,
    key: &StoreKey,
    judge: &Judge,
) -> Result<Deleted, StoreError> {
    let Some(meta) = store.head(key).await? else { return Ok(Deleted::BeforeUs) };
    if judge.is_graced(Minute::of(meta.modified)) {
        return Ok(Deleted::Spared);
    }
    Ok(if store.delete(key).await? { Deleted::Gone } else { Deleted::BeforeUs })
}

/// Contents of files that change are small, and upstream may not have them any more.
fn is_artifact(key: &StoreKey, dist: &DistId) -> bool {
    match key.dist_object(dist) {
        Some(DistObject::File(path)) => path.class() == DistClass::Artifact,
        Some(DistObject::Snapshot(..) | DistObject::Given(_)) | None => false,
    }
}

impl Candidate {
    fn removal(&self) -> Removal<'_> {
        let Self { key, meta, last_used, verdict } = self;
        let (size_bytes, last_used, verdict) = (meta.size_bytes, last_used.start(), *verdict);
        Removal { key, size_bytes, last_used, verdict }
    }
}

impl Swept {
    fn take(&mut self, candidate: &Candidate) {
        let tally = match candidate.verdict {
            Verdict::Surplus => &mut self.surplus,
            _ => &mut self.unused,
        };
        tally.add(candidate.meta.size_bytes);
    }
}
