//! Crates: what the index says of one, and then its bytes.

use std::sync::Arc;

use crateport_coord::Note;
use crateport_types::{CrateName, CrateVersion, Reason, Sha256, StoreKey};
use crateport_upstream::Condition;
use tokio::time::Instant;

use crate::cache::{Inner, Registry};
use crate::fill::{Source, Wanted};
use crate::hot::IndexCopy;
use crate::index::{Authority, Refreshed, late};
use crate::{Answer, Redirects, ServeError};

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
        let source = Source::Krate {
            registry: Arc::clone(registry),
            name: name.clone(),
            version: version.clone(),
        };
        self.serve_checked(Wanted { key, checksum, source }, redirects).await
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
        if let Some(checksum) = copy.as_ref().and_then(|copy| entry(copy, name, version)) {
            return Ok(checksum);
        }
        let mut seen = copy.map(|copy| copy.checksum());
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
            let ask = Authority::Upstream { since: looked, seen };
            let (_, ticket) = self.refresh(registry, &index_name, &index_key, ask);
            let was_asked_since = ticket.began() >= requested;
            let refreshed = ticket.wait(deadline).await;
            if let Ok(Ok(Refreshed::Current { copy, .. })) = &refreshed {
                if let Some(checksum) = entry(copy, name, version) {
                    return Ok(checksum);
                }
                seen = Some(copy.checksum());
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
        self.tell(&key, None, NOT_IN_INDEX, registry.policy.absent_ttl()).await;
        Err(absent(reason, status))
    }
}

/// Names are exact here, as they are for cargo: `Serde` is not `serde`.
fn entry(copy: &IndexCopy, name: &CrateName, version: &CrateVersion) -> Option<Sha256> {
    let entry = copy.file().entry(version.as_str())?;
    (*entry.name == *name.as_str()).then_some(entry.checksum)
}

fn unavailable(
    name: &CrateName,
    version: &CrateVersion,
    no_result: crate::flight::NoResult,
) -> ServeError {
    ServeError::Unavailable { what: format!("crate {name} {version}"), failure: late(no_result) }
}
