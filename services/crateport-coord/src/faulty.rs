//! A coordinator that fails to order, around one that works.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use crateport_types::StoreKey;

use crate::{Claim, CoordError, Coordinator, Health, Lease, LeaseKeeper, Note};

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CoordFault {
    /// Every question fails at once.
    Down,
    /// Every question is done as asked, and its answer is lost.
    Late,
    /// Notes are lost.
    Forgetful,
    /// Somebody else always leads.
    Busy,
    /// Nobody who waits hears of an end.
    Deaf,
}

/// Passes everything on, except for the fault that is set.
#[derive(Debug)]
pub struct FaultyCoordinator<C> {
    inner: C,
    fault: Arc<Mutex<Option<CoordFault>>>,
    claims: AtomicUsize,
}

#[derive(Debug)]
struct FaultyLease {
    inner: Lease,
    fault: Arc<Mutex<Option<CoordFault>>>,
}

impl<C> FaultyCoordinator<C> {
    /// A coordinator without a fault, for now.
    pub fn new(inner: C) -> Self {
        Self { inner, fault: Arc::default(), claims: AtomicUsize::new(0) }
    }

    /// Sets the fault, or heals it.
    pub fn set(&self, fault: Option<CoordFault>) {
        *self.fault.lock().unwrap_or_else(PoisonError::into_inner) = fault;
    }

    /// How many leases were asked for.
    pub fn claims(&self) -> usize {
        self.claims.load(Ordering::Relaxed)
    }

    fn has(&self, fault: CoordFault) -> bool {
        has(&self.fault, fault)
    }
}

fn has(set: &Mutex<Option<CoordFault>>, fault: CoordFault) -> bool {
    *set.lock().unwrap_or_else(PoisonError::into_inner) == Some(fault)
}

fn check(set: &Mutex<Option<CoordFault>>, action: &'static str) -> Result<(), CoordError> {
    if has(set, CoordFault::Down) {
        return Err(CoordError::Down { action, detail: "a fault was ordered".to_owned() });
    }
    Ok(())
}

fn lose<T>(
    set: &Mutex<Option<CoordFault>>,
    action: &'static str,
    answer: T,
) -> Result<T, CoordError> {
    if has(set, CoordFault::Late) {
        return Err(CoordError::Late { action, limit: Duration::ZERO });
    }
    Ok(answer)
}

#[async_trait]
impl<C: Coordinator> Coordinator for FaultyCoordinator<C> {
    async fn recall(&self, key: &StoreKey) -> Result<Option<Note>, CoordError> {
        check(&self.fault, "recall a note")?;
        let note = self.inner.recall(key).await?;
        let note = note.filter(|_| !self.has(CoordFault::Forgetful));
        lose(&self.fault, "recall a note", note)
    }

    async fn note(&self, key: &StoreKey, note: &Note, keep: Duration) -> Result<(), CoordError> {
        check(&self.fault, "leave a note")?;
        self.inner.note(key, note, keep).await?;
        lose(&self.fault, "leave a note", ())
    }

    async fn forget(&self, key: &StoreKey) -> Result<(), CoordError> {
        check(&self.fault, "forget a note")?;
        self.inner.forget(key).await?;
        lose(&self.fault, "forget a note", ())
    }

    async fn claim(&self, key: &StoreKey) -> Result<Claim, CoordError> {
        self.claims.fetch_add(1, Ordering::Relaxed);
        check(&self.fault, "claim a lease")?;
        if self.has(CoordFault::Busy) {
            return Ok(Claim::Follow { leader: None });
        }
        match lose(&self.fault, "claim a lease", self.inner.claim(key).await?)? {
            Claim::Lead(inner) => {
                let fault = self.fault.clone();
                Ok(Claim::Lead(Lease::new(Box::new(FaultyLease { inner, fault }))))
            }
            follow @ Claim::Follow { .. } => Ok(follow),
        }
    }

    async fn wait(&self, key: &StoreKey, patience: Duration) -> Result<(), CoordError> {
        check(&self.fault, "wait for a lease")?;
        if self.has(CoordFault::Deaf) || self.has(CoordFault::Busy) {
            tokio::time::sleep(patience).await;
            return Ok(());
        }
        self.inner.wait(key, patience).await
    }

    fn health(&self) -> Health {
        if self.has(CoordFault::Down) {
            return Health::Down { reason: "a fault was ordered".to_owned() };
        }
        self.inner.health()
    }
}

#[async_trait]
impl LeaseKeeper for FaultyLease {
    async fn end(self: Box<Self>, note: Option<(Note, Duration)>) -> Result<(), CoordError> {
        check(&self.fault, "end a lease")?;
        self.inner.end(note).await?;
        lose(&self.fault, "end a lease", ())
    }
}
