//! What the store holds, counted in the background for reports.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use crateport_cache::Cache;
use crateport_store::StoreError;
use crateport_types::{Area, DistId, Moment, RegistryId};
use tokio::sync::watch;
use tokio::time::timeout;

/// How often the store is counted, at the most.
const COUNT_EVERY: Duration = Duration::from_secs(300);
/// Keys asked for at once.
const PAGE_KEYS: usize = 10_000;

/// The last count, and how to get the next.
#[derive(Clone, Debug)]
pub(crate) struct Inventory(Arc<Counting>);

#[derive(Debug)]
struct Counting {
    cache: Cache,
    began: Mutex<Option<Instant>>,
    last: watch::Sender<Option<Arc<Held>>>,
}

/// What is held of everything.
#[derive(Debug)]
pub(crate) struct Held {
    /// When that was.
    pub(crate) counted: Moment,
    pub(crate) registries: Vec<Holding>,
    pub(crate) dists: Vec<(DistId, Tally)>,
}

/// What is held of one registry.
#[derive(Clone, Debug)]
pub(crate) struct Holding {
    pub(crate) registry: RegistryId,
    pub(crate) index: Tally,
    pub(crate) crates: Tally,
}

/// Objects and their bytes.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tally {
    pub(crate) objects: u64,
    pub(crate) bytes: u64,
}

impl Inventory {
    pub(crate) fn new(cache: Cache) -> Self {
        Self(Arc::new(Counting { cache, began: Mutex::default(), last: watch::Sender::default() }))
    }

    /// The last count, if there was one. Begins the next when that is old.
    pub(crate) fn look(&self) -> Option<Arc<Held>> {
        let mut began = self.0.began.lock().unwrap_or_else(PoisonError::into_inner);
        if began.is_none_or(|began| began.elapsed() >= COUNT_EVERY) {
            *began = Some(Instant::now());
            let counting = Arc::clone(&self.0);
            tokio::spawn(async move {
                if let Ok(counted) = counting.count().await {
                    counting.last.send_replace(Some(Arc::new(counted)));
                }
            });
        }
        self.0.last.borrow().clone()
    }

    /// Whether there is a count, which is waited for so long.
    pub(crate) async fn counted(&self, patience: Duration) -> bool {
        let mut last = self.0.last.subscribe();
        self.look();
        matches!(timeout(patience, last.wait_for(Option::is_some)).await, Ok(Ok(_)))
    }
}

impl Counting {
    async fn count(&self) -> Result<Held, StoreError> {
        let counted = Moment::of(SystemTime::now());
        let mut held = Held { counted, registries: Vec::new(), dists: Vec::new() };
        let ids = self.cache.registries().map(|(id, _)| id.clone()).collect::<Vec<_>>();
        for registry in ids {
            let index = self.tally(&Area::Index(registry.clone())).await?;
            let crates = self.tally(&Area::Crates(registry.clone())).await?;
            held.registries.push(Holding { registry, index, crates });
        }
        let ids = self.cache.dists().map(|(id, _)| id.clone()).collect::<Vec<_>>();
        for dist in ids {
            let files = self.tally(&Area::Dist(dist.clone())).await?;
            held.dists.push((dist, files));
        }
        Ok(held)
    }

    async fn tally(&self, area: &Area) -> Result<Tally, StoreError> {
        let mut tally = Tally::default();
        let mut after = None;
        loop {
            let page = self.cache.store().list(area, after.as_ref(), PAGE_KEYS).await?;
            tally.objects += page.len() as u64;
            tally.bytes += page.iter().map(|(_, meta)| meta.size_bytes).sum::<u64>();
            match page.into_iter().next_back() {
                Some((key, _)) => after = Some(key),
                None => return Ok(tally),
            }
        }
    }
}
