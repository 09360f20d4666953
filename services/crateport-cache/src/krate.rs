//! Crates: from the store, or from a fill that this request begins or joins.

use std::sync::Arc;

use crateport_coord::Note;
use crateport_types::{CrateName, CrateVersion, Outcome, Reason, ResourceKind, Sha256, StoreKey};
use crateport_upstream::Condition;
use tokio::time::Instant;
use tracing::{Instrument as _, warn};

use crate::cache::{Inner, Registry};
use crate::fill::{Filled, Wanted};
use crate::flight::Seat;
use crate::hot::IndexCopy;
use crate::index::{Authority, Refreshed, late};
use crate::{Answer, Payload, Redirects, ServeError, StoredObject, trace};

/// The note on a version that upstream's index has not. It is none on the crate itself: once the index has it, the
/// crate is asked for whatever was said before.
pub(crate) const NOT_IN_INDEX: Note = Note::Failed { reason: Reason::NotInIndex };

impl Inner {
    pub(crate) async fn serve_krate(
        self: &Arc<Self>,
        registry: &Arc<Registry>,
        name: &CrateName,
        version: &CrateVersion,
        redirects: Redirects,
    ) -> Result<Answer, ServeError> {
        let checksum = self.checksum(registry, name, version).await?;
        let key = StoreKey::krate(&registry.policy.id, name, version);
        if let Some(url) = self.redirect(&key, &checksum, redirects).await {
            return Ok(answer(Payload::Redirect(url), Outcome::Hit, Reason::Stored));
        }
        if let Some(object) = self.stored_or_fill(&key, &checksum).await {
            return Ok(stored(object, Outcome::Hit, Reason::Stored));
        }
        if registry.upstream.condition() == Condition::Offline {
            let (what, reason) = (format!("crate {name} {version}"), Reason::Offline);
            return Err(ServeError::Absent { what, reason, upstream_status: None });
        }
        let wanted =
            Wanted { key: key.clone(), name: name.clone(), version: version.clone(), checksum };
        let (outcome, ticket) = match self.fills.board(&key) {
            Seat::Follower(ticket) => (Outcome::Join, ticket),
            Seat::Leader(takeoff, ticket) => {
                let span = trace::fill(&registry.policy.id, ResourceKind::Krate, &key);
                let (cache, registry) = (Arc::clone(self), Arc::clone(registry));
                let fill = async move { cache.lead_fill(&registry, wanted, takeoff).await };
                self.tasks.spawn(fill.instrument(span));
                (Outcome::Fill, ticket)
            }
        };
        match ticket.wait(Instant::now() + self.limits.wait_max).await {
            Ok(Ok(Filled::Spool(reader))) => Ok(Answer {
                outcome,
                reason: Reason::Missing,
                upstream_status: Some(200),
                age: None,
                payload: Payload::Spool(reader),
            }),
            Ok(Ok(Filled::Elsewhere)) => {
                // All who waited here come at the same time, and the bytes need not come through this process.
                if let Some(url) = self.redirect(&key, &checksum, redirects).await {
                    return Ok(answer(Payload::Redirect(url), Outcome::Join, Reason::Stored));
                }
                match self.stored_or_fill(&key, &checksum).await {
                    Some(object) => Ok(stored(object, Outcome::Join, Reason::Stored)),
                    None => Err(unavailable(name, version, crate::flight::NoResult::Lost)),
                }
            }
            Ok(Err(error)) => Err(error),
            Err(no_result) => Err(unavailable(name, version, no_result)),
        }
    }

    /// What the store has. Where the store fails, upstream may still help.
    async fn stored_or_fill(&self, key: &StoreKey, checksum: &Sha256) -> Option<StoredObject> {
        self.stored(key, checksum).await.unwrap_or_else(|error| {
            self.metrics.store_failures.inc();
            warn!(%key, %error, "could not be read; upstream is asked instead");
            None
        })
    }

    /// The checksum that the index gives. A version that is not in our copy is absent only when upstream's has it
    /// neither.
    async fn checksum(
        self: &Arc<Self>,
        registry: &Arc<Registry>,
        name: &CrateName,
        version: &CrateVersion,
    ) -> Result<Sha256, ServeError> {
        let index_name = name.index_name();
        let index_key = StoreKey::index_file(&registry.policy.id, &index_name);
        let requested = Instant::now();
        let mut looked = requested;
        let copy = self.copy(registry, &index_name, &index_key).await;
        if let Some(checksum) = copy.and_then(|copy| entry(&copy, name, version)) {
            return Ok(checksum);
        }
        let absent = |reason, upstream_status| ServeError::Absent {
            what: format!("crate {name} {version}"),
            reason,
            upstream_status,
        };
        if registry.upstream.condition() == Condition::Offline {
            return Err(absent(Reason::Offline, None));
        }
        let key = StoreKey::krate(&registry.policy.id, name, version);
        if let Ok(Some(Note::Absent | NOT_IN_INDEX)) = self.ports.coordinator.recall(&key).await {
            return Err(absent(Reason::RememberedAbsent, None));
        }
        let deadline = requested + self.limits.wait_max;
        let refreshed = loop {
            let ask = Authority::Upstream(looked);
            let (_, ticket) = self.refresh(registry, &index_name, &index_key, ask);
            let was_asked_since = ticket.began() >= requested;
            let refreshed = ticket.wait(deadline).await;
            if let Ok(Ok(Refreshed::Current { copy, .. })) = &refreshed
                && let Some(checksum) = entry(copy, name, version)
            {
                return Ok(checksum);
            }
            // What was joined may have asked before the version was published, and what ended without a status only
            // told what was known. Neither is upstream's word on the version, so the next round goes further.
            let is_word = match &refreshed {
                Ok(Ok(refreshed)) => was_asked_since && refreshed.status().is_some(),
                _ => true,
            };
            if is_word || Instant::now() >= deadline {
                break refreshed;
            }
            looked = Instant::now();
        };
        let (copy, reason, status) = match refreshed {
            Ok(Ok(Refreshed::Current { copy, status, .. })) => {
                (Some(copy), Reason::NotInIndex, status)
            }
            Ok(Ok(Refreshed::Absent { copy, reason, status })) => (copy, reason, status),
            Ok(Err(failure)) => {
                return Err(ServeError::Unavailable {
                    what: format!("crate {name} {version}"),
                    failure,
                });
            }
            Err(no_result) => return Err(unavailable(name, version, no_result)),
        };
        if let Some(checksum) = copy.and_then(|copy| entry(&copy, name, version)) {
            return Ok(checksum);
        }
        self.tell(&key, None, NOT_IN_INDEX, registry.policy.absent_ttl).await;
        Err(absent(reason, status))
    }
}

/// Names are exact here, as they are for cargo: `Serde` is not `serde`.
fn entry(copy: &IndexCopy, name: &CrateName, version: &CrateVersion) -> Option<Sha256> {
    let entry = copy.file().entry(version.as_str())?;
    (*entry.name == *name.as_str()).then_some(entry.checksum)
}

fn stored(object: StoredObject, outcome: Outcome, reason: Reason) -> Answer {
    answer(Payload::Stored(object), outcome, reason)
}

fn answer(payload: Payload, outcome: Outcome, reason: Reason) -> Answer {
    Answer { outcome, reason, upstream_status: None, age: None, payload }
}

fn unavailable(
    name: &CrateName,
    version: &CrateVersion,
    no_result: crate::flight::NoResult,
) -> ServeError {
    ServeError::Unavailable { what: format!("crate {name} {version}"), failure: late(no_result) }
}
