//! Fetching what a resolver will ask for next.
//!
//! A resolver that gets an index file asks for those of its dependencies in its next breath. When a file comes from
//! upstream for the first time, those that its newest release names are fetched along, and theirs in turn, so that a
//! cold resolve waits for upstream's latency once and not once for each level of the tree. The budget is one of
//! fetches at once: what finds it spent is left to the client.

use std::sync::Arc;

use crateport_types::{StoreKey, newest_dependencies};
use tokio::sync::Semaphore;
use tokio::time::Instant;

use crate::cache::{Inner, Registry};
use crate::index::Authority;

/// The budget.
#[derive(Debug)]
pub(crate) struct Foresight(Arc<Semaphore>);

impl Foresight {
    pub(crate) fn new(fetches_max: usize) -> Self {
        Self(Arc::new(Semaphore::new(fetches_max)))
    }
}

impl Inner {
    /// Begins to fetch what this index file, which was not known before, leads to.
    pub(crate) fn fetch_ahead(self: &Arc<Self>, registry: &Arc<Registry>, index_file: &[u8]) {
        if self.foresight.0.available_permits() == 0 {
            return;
        }
        for name in newest_dependencies(index_file) {
            let key = StoreKey::index_file(&registry.policy.id, &name);
            if self.hot.contains(&key) {
                continue;
            }
            let Ok(permit) = Arc::clone(&self.foresight.0).try_acquire_owned() else { return };
            let (cache, registry) = (Arc::clone(self), Arc::clone(registry));
            self.tasks.spawn(async move {
                let _permit = permit;
                if cache.copy(&registry, &name, &key).await.is_none() {
                    cache.metrics.fetches_ahead.inc();
                    let (_, ticket) = cache.refresh(&registry, &name, &key, Authority::Fleet);
                    // How it went is for those to know who ask for it.
                    let _ = ticket.wait(Instant::now() + cache.limits.wait_max).await;
                }
            });
        }
    }
}
