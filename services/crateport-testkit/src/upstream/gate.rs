//! A gate at which answers wait until the test says go: order by construction, not by sleeps.

use std::sync::Arc;

use tokio::sync::watch;

use super::WAIT_DEADLINE;
use crate::own_runtime::OwnRuntime;

/// Holds answers until it is released; dropping it releases it too.
pub struct Gate {
    latch: Arc<Latch>,
    runtime: Arc<OwnRuntime>,
}

/// The side that the answers wait at.
#[derive(Default)]
pub(super) struct Latch {
    open: watch::Sender<bool>,
    waiting: watch::Sender<usize>,
}

impl Gate {
    pub(super) fn new(runtime: Arc<OwnRuntime>) -> Self {
        Self { latch: Arc::default(), runtime }
    }

    pub(super) fn latch(&self) -> Arc<Latch> {
        self.latch.clone()
    }

    /// Lets every held answer go, and every later one pass.
    pub fn release(self) {
        drop(self);
    }

    /// Answers that stand at the gate now.
    pub fn waiting(&self) -> usize {
        *self.latch.waiting.borrow()
    }

    /// Waits until `count` answers stand at the gate; fails the test after 20 s.
    pub async fn wait_for(&self, count: usize) {
        let mut waiting = self.latch.waiting.subscribe();
        let arrived = async move { waiting.wait_for(|&now| now >= count).await.is_ok() };
        let arrived = self.runtime.within(WAIT_DEADLINE, arrived).await;
        assert!(
            arrived.is_some(),
            "waited {WAIT_DEADLINE:?} for {count} answers at the gate, saw {}",
            self.waiting()
        );
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        self.latch.open.send_replace(true);
    }
}

impl Latch {
    pub(super) fn is_open(&self) -> bool {
        *self.open.borrow()
    }

    pub(super) async fn pass(&self) {
        let _standing = Standing::at(self);
        // The sender lives as long as `self`.
        let _ = self.open.subscribe().wait_for(|&open| open).await;
    }
}

/// Counted at the gate for as long as it lives, so that a client that leaves is counted off.
struct Standing<'a>(&'a Latch);

impl<'a> Standing<'a> {
    fn at(latch: &'a Latch) -> Self {
        latch.waiting.send_modify(|waiting| *waiting += 1);
        Self(latch)
    }
}

impl Drop for Standing<'_> {
    fn drop(&mut self) {
        self.0.waiting.send_modify(|waiting| *waiting -= 1);
    }
}
