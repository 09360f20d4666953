//! Who fills: of all replicas one leads; the others end with what it brings.

use std::sync::Arc;

use crateport_coord::{Claim, Lease, Note};
use crateport_types::Reason;
use tokio::time::Instant;

use super::along::Led;
use super::{Filled, Filling, absent, unavailable};
use crate::index::give_back;
use crate::krate::NOT_IN_INDEX;
use crate::metrics::{ALONG, FOUND};
use crate::{Failure, ServeError, StoredObject};

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
        let deadline = Instant::now() + cache.limits.follow_max;
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
                    match self.read_along(leader, &mut led).await {
                        Ok(true) => return Err(Settled::Along(led)),
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
                if self.finish(received).is_ok() {
                    cache.metrics.fill(kind, FOUND);
                }
            }
            Settled::Along(mut led) => {
                let wanted = self.wanted.clone();
                let Ok((verified, _offer)) = self.finish(Ok(())) else { return };
                cache.metrics.fill(kind, ALONG);
                led.over().await;
                // A leader that died at the last moment has kept nothing.
                if cache.see(&wanted.key, &wanted.checksum).await.is_none() {
                    cache.keep(&wanted, verified).await;
                }
            }
            Settled::Refused(error) => self.refuse(error),
            Settled::Failed(failure) => self.fail(failure),
        }
    }
}
