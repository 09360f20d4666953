//! Who fills: of all replicas one leads; the others end with what it brings.

use std::sync::Arc;

use crateport_coord::{Claim, Lease, Note};
use crateport_types::Reason;
use futures_util::StreamExt as _;
use tokio::time::Instant;
use tracing::debug;

use super::along::Led;
use super::{Filled, Filling, Wanted, absent, unavailable};
use crate::cache::Inner;
use crate::index::give_back;
use crate::krate::NOT_IN_INDEX;
use crate::metrics::{ALONG, FOUND};
use crate::spool::Verified;
use crate::{Failure, ServeError, StoredObject};

/// How often the rest is read from the store before the fill fails.
const STORE_TRIES_MAX: u32 = 3;

/// How a fill ends without this replica having led it.
pub(super) enum Settled {
    /// The store has it.
    Stored(StoredObject),
    /// All bytes came from the replica that leads, until it does so no more.
    Along(Led),
    /// It went wrong a moment ago, elsewhere.
    Refused(ServeError),
    /// It went wrong here.
    Failed(Failure),
}

impl Filling {
    /// Becomes the one in the fleet who fills, or learns that there is no need. The store is looked at again under
    /// the lease: somebody may have ended a moment ago.
    pub(super) async fn come_to_lead(&mut self) -> Result<Option<Lease>, Settled> {
        let (cache, key) = (Arc::clone(&self.cache), self.wanted.key.clone());
        let coordinator = &cache.ports.coordinator;
        let mut deadline = Instant::now() + cache.limits.follow_max;
        loop {
            match coordinator.recall(&key).await {
                Ok(Some(Note::Absent)) => {
                    let error = absent(&self.wanted, Reason::RememberedAbsent, None);
                    return Err(Settled::Refused(error));
                }
                // The index has it by now, or nobody would ask for the crate itself.
                Ok(Some(NOT_IN_INDEX)) => {}
                Ok(Some(Note::Failed { reason })) => {
                    let failure = Failure::own(reason, "upstream failed a moment ago");
                    return Err(Settled::Refused(unavailable(&self.wanted, failure)));
                }
                Ok(Some(Note::Fresh { .. }) | None) | Err(_) => {}
            }
            let claim = coordinator.claim(&key).await;
            if let Ok(Claim::Follow { leader }) = &claim {
                let mut led = self.led(deadline);
                if let Some(leader) = leader {
                    let before = self.taken_bytes();
                    match self.read_along(leader, &mut led).await {
                        Ok(true) => return Err(Settled::Along(led)),
                        Ok(false) if self.taken_bytes() > before => {
                            deadline = Instant::now() + cache.limits.follow_max;
                        }
                        Ok(false) => {}
                        Err(failure) => return Err(Settled::Failed(failure)),
                    }
                }
                led.over().await;
            }
            let at = Instant::now();
            if let Ok(Some(object)) = cache.stored(&key, &self.wanted.checksum).await {
                if let Some(meta) = object.meta() {
                    cache.present.insert(key.clone(), self.wanted.checksum, meta, at).await;
                }
                if let Ok(Claim::Lead(lease)) = claim {
                    give_back(&key, lease).await;
                }
                return Err(Settled::Stored(object));
            }
            match claim {
                Ok(Claim::Lead(lease)) => return Ok(Some(lease)),
                Ok(Claim::Follow { .. }) if Instant::now() < deadline => {}
                // Locks are an optimisation: without one the work is done all the same.
                Ok(Claim::Follow { .. }) | Err(_) => return Ok(None),
            }
        }
    }

    /// The time in which somebody else leads, up to `deadline`.
    fn led(&self, deadline: Instant) -> Led {
        let (coordinator, key) =
            (Arc::clone(&self.cache.ports.coordinator), self.wanted.key.clone());
        Led::until(async move {
            let patience = deadline.saturating_duration_since(Instant::now());
            let _ = coordinator.wait(&key, patience).await;
        })
    }

    /// Ends without having led.
    pub(super) async fn settle(mut self, settled: Settled) {
        let (cache, kind) = (Arc::clone(&self.cache), self.wanted.source.kind());
        match settled {
            Settled::Stored(_) if self.intake.is_none() => {
                cache.metrics.fill(kind, FOUND);
                self.offer.publish(Ok(Filled::Elsewhere));
            }
            // Clients have the beginning already.
            Settled::Stored(object) => {
                let received = self.take_stored(object).await;
                if self.end(received).is_ok() {
                    cache.metrics.fill(kind, FOUND);
                }
            }
            Settled::Along(mut led) => {
                let wanted = self.wanted.clone();
                let Ok((verified, _offer)) = self.end(Ok(())) else { return };
                led.over().await;
                let result = cache.keep_after_leader(&wanted, verified).await;
                cache.metrics.fill(kind, result);
            }
            Settled::Refused(error) => self.refuse(error),
            Settled::Failed(failure) => self.fail(failure),
        }
    }

    /// Takes the rest from the store, which may break off too.
    async fn take_stored(&mut self, mut object: StoredObject) -> Result<(), Failure> {
        let Some(intake) = &mut self.intake else { return Ok(()) };
        let size_bytes = object.size_bytes();
        for tries_left in (0..STORE_TRIES_MAX).rev() {
            let failure = match object.read_part(intake.go_on()..size_bytes).await {
                Ok(mut body) => loop {
                    match body.next().await {
                        Some(Ok(chunk)) => intake.take(chunk).await?,
                        Some(Err(error)) => break error,
                        None => return Ok(()),
                    }
                },
                Err(error) => error,
            };
            if tries_left == 0 {
                return Err(failure.into());
            }
            debug!(key = %self.wanted.key, error = %failure, "the store broke off");
            let again = self.cache.stored(&self.wanted.key, &self.wanted.checksum).await?;
            object = again.ok_or(failure)?;
        }
        Ok(())
    }
}

impl Inner {
    /// Sees to it that the store has what a leader should have kept: one that died at the last moment has not. Tells
    /// how the fill ended.
    async fn keep_after_leader(&self, wanted: &Wanted, verified: Verified) -> &'static str {
        let (key, deadline) = (&wanted.key, Instant::now() + self.limits.follow_max);
        loop {
            if self.see(key, &wanted.checksum).await.is_some() {
                return ALONG;
            }
            match self.ports.coordinator.claim(key).await {
                Ok(Claim::Follow { .. }) if Instant::now() < deadline => {
                    let patience = deadline.saturating_duration_since(Instant::now());
                    let _ = self.ports.coordinator.wait(key, patience).await;
                }
                // It is for somebody else to keep.
                Ok(Claim::Follow { .. }) => return ALONG,
                Ok(Claim::Lead(lease)) => {
                    let kept = match self.see(key, &wanted.checksum).await {
                        Some(_) => ALONG,
                        None => self.keep(wanted, verified).await,
                    };
                    give_back(key, lease).await;
                    return kept;
                }
                Err(_) => return self.keep(wanted, verified).await,
            }
        }
    }
}
