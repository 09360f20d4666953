//! Refreshing index files ahead of need.
//!
//! A file that was used more than once since its last refresh is refreshed the moment that may begin again, so that
//! the next client finds it fresh. Files that nobody uses are left alone, and upstream sees no more requests than
//! the TTL allows.

use std::sync::{Arc, Weak};

use crateport_types::{IndexName, StoreKey};
use futures_util::StreamExt as _;
use tokio::sync::{Semaphore, mpsc};
use tokio::time::Instant;
use tokio_util::time::DelayQueue;

use crate::cache::{Inner, Registry};
use crate::freshness::{Freshness, Judgement};
use crate::index::Authority;

/// Takes plans.
#[derive(Debug)]
pub(crate) struct Ahead(mpsc::Sender<Plan>);

/// Carries them out.
#[derive(Debug)]
pub(crate) struct Due(mpsc::Receiver<Plan>);

#[derive(Debug)]
struct Plan {
    registry: crateport_types::RegistryId,
    name: IndexName,
    key: StoreKey,
    at: Instant,
}

/// A file with fewer uses since its last refresh is not worth a request.
const USES_MIN: u32 = 2;
/// Plans at once; what comes beyond is refreshed when a client asks.
const PLANS_MAX: usize = 65_536;
/// Plans on their way to the task that keeps them.
const QUEUE_MAX: usize = 1024;

impl Ahead {
    pub(crate) fn new() -> (Self, Due) {
        let (sender, receiver) = mpsc::channel(QUEUE_MAX);
        (Self(sender), Due(receiver))
    }

    /// Looks at the file again when its next refresh may begin.
    pub(crate) fn plan(
        &self,
        registry: &Registry,
        name: &IndexName,
        key: &StoreKey,
        freshness: Freshness,
    ) {
        let (id, at) = (registry.policy.id.clone(), freshness.asked + registry.policy.index_ttl());
        // A full queue only means that a client will have to ask.
        let _ = self.0.try_send(Plan { registry: id, name: name.clone(), key: key.clone(), at });
    }
}

impl Due {
    /// Runs for as long as the cache lives.
    pub(crate) fn run(mut self, cache: &Arc<Inner>) {
        let at_once = Arc::new(Semaphore::new(cache.limits.refresh_ahead_max));
        let cache = Arc::downgrade(cache);
        tokio::spawn(async move {
            let mut plans = DelayQueue::new();
            loop {
                tokio::select! {
                    plan = self.0.recv() => match plan {
                        Some(plan) if plans.len() < PLANS_MAX => {
                            let at = plan.at;
                            plans.insert_at(plan, at);
                        }
                        Some(_) => {}
                        None => return,
                    },
                    Some(due) = plans.next() => {
                        tokio::spawn(carry_out(Weak::clone(&cache), due.into_inner(), Arc::clone(&at_once)));
                    }
                }
            }
        });
    }
}

async fn carry_out(cache: Weak<Inner>, plan: Plan, at_once: Arc<Semaphore>) {
    let Some(cache) = cache.upgrade() else { return };
    if cache.limits.refresh_ahead_max == 0 || cache.tasks.is_closed() {
        return;
    }
    // Files that a build used together are due together: they take turns for as long as a client would wait.
    let turn = tokio::time::timeout(cache.limits.wait_max, at_once.acquire()).await;
    let Ok(Ok(_permit)) = turn else { return };
    let (Some(registry), Some(copy)) =
        (cache.registries.get(&plan.registry), cache.hot.get(&plan.key).await)
    else {
        return;
    };
    let refreshed_since = copy.judge(Instant::now(), registry.ttl(&copy)) == Judgement::Fresh;
    if refreshed_since || copy.take_uses() < USES_MIN {
        return;
    }
    cache.metrics.refreshes_ahead.inc();
    let (_, ticket) = cache.refresh(registry, &plan.name, &plan.key, Authority::Fleet);
    let _ = ticket.wait(Instant::now() + cache.limits.wait_max).await;
}
