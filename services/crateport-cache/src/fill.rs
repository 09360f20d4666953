//! One fill: fetch a crate or a dist file, check it, keep it, and let everyone read along.
//!
//! The fill is a task of its own. It goes on when clients leave, and nothing of it is visible in the store until
//! the whole is verified.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crateport_coord::{Claim, Lease, Note};
use crateport_store::{Attributes, PutOptions};
use crateport_types::{
    CrateName, CrateVersion, DistPath, Hasher, Reason, ResourceKind, Sha256, StoreKey,
};
use crateport_upstream::{Ask, Found, Reply, UpstreamError};
use futures_util::StreamExt as _;
use tokio::time::Instant;
use tracing::{debug, warn};

use crate::cache::{Inner, Registry};
use crate::dist::Dist;
use crate::flight::Takeoff;
use crate::index::give_back;
use crate::krate::NOT_IN_INDEX;
use crate::metrics::{FOUND, STORED, UNSTORED};
use crate::recent::RecentFill;
use crate::spool::{Spool, SpoolReader, Verified};
use crate::{Failure, ServeError};

/// What a fill offers to those who wait for it.
#[derive(Clone, Debug)]
pub(crate) enum Filled {
    /// The bytes, as they come.
    Spool(SpoolReader),
    /// Another replica was faster; the store has it.
    Elsewhere,
}

/// What is to be filled.
#[derive(Clone, Debug)]
pub(crate) struct Wanted {
    /// Where it is kept.
    pub(crate) key: StoreKey,
    /// What its digest must be.
    pub(crate) checksum: Sha256,
    /// Where it comes from.
    pub(crate) source: Source,
}

/// Where a fill gets its bytes.
#[derive(Clone, Debug)]
pub(crate) enum Source {
    Krate { registry: Arc<Registry>, name: CrateName, version: CrateVersion },
    Dist { dist: Arc<Dist>, path: DistPath },
}

/// The attribute that keeps the digest which a dist file must have: no index tells it.
pub(crate) const CHECKSUM: &str = "sha256";

type Offer = Takeoff<Result<Filled, ServeError>>;

impl Inner {
    pub(crate) async fn lead_fill(self: &Arc<Self>, wanted: Wanted, offer: Offer) {
        Box::pin(self.fill_under_lease(wanted, offer)).await;
    }

    async fn fill_under_lease(self: &Arc<Self>, wanted: Wanted, offer: Offer) {
        let kind = wanted.source.kind();
        // A fill that began when its clients are about to leave would be of no use to them.
        let queue_wait_max = self.limits.wait_max / 2;
        let permit = tokio::time::timeout(queue_wait_max, self.fill_permits.acquire()).await;
        let Ok(Ok(_permit)) = permit else {
            let failure = Failure::own(Reason::Overloaded, "too many fills are under way");
            return self.refuse(&offer, &wanted, &failure);
        };
        let lease = match self.lease(&wanted).await {
            Ok(lease) => lease,
            Err(Claimed::Done) => {
                self.metrics.fill(kind, FOUND);
                return offer.publish(Ok(Filled::Elsewhere));
            }
            Err(Claimed::Absent) => {
                return offer.publish(Err(absent(&wanted, Reason::RememberedAbsent, None)));
            }
            Err(Claimed::Failed(reason)) => {
                let failure = Failure::own(reason, "upstream failed a moment ago");
                return offer.publish(Err(unavailable(&wanted, failure)));
            }
        };
        let note = match self.open(&wanted).await {
            Ok(Some(found)) => match self.fill(&wanted, found, offer).await {
                // Others would be given the same; a disk of this replica's own is no affair of theirs.
                Err(failure) if failure.reason != Reason::StoreFailed => {
                    Some(Note::Failed { reason: failure.reason })
                }
                Ok(()) | Err(_) => None,
            },
            Ok(None) => {
                self.metrics.fill(kind, Reason::UpstreamAbsent.as_str());
                offer.publish(Err(absent(&wanted, Reason::UpstreamAbsent, Some(404))));
                Some(Note::Absent)
            }
            Err(failure) => {
                self.refuse(&offer, &wanted, &failure);
                Some(Note::Failed { reason: failure.reason })
            }
        };
        let note = note.map(|note| {
            let is_absent = note == Note::Absent;
            let keep = if is_absent { wanted.source.absent_ttl() } else { self.limits.failed_ttl };
            (note, keep)
        });
        if let Some(lease) = lease
            && let Err(error) = lease.end(note).await
        {
            debug!(%error, "the lease could not be given back");
        }
    }

    /// Becomes the one in the fleet who fills, or learns that there is no need. The store is looked at again under
    /// the lease: somebody may have ended a moment ago.
    async fn lease(&self, wanted: &Wanted) -> Result<Option<Lease>, Claimed> {
        let key = &wanted.key;
        let deadline = Instant::now() + self.limits.follow_max;
        loop {
            match self.ports.coordinator.recall(key).await {
                Ok(Some(Note::Absent)) => return Err(Claimed::Absent),
                // The index has it by now, or nobody would ask for the crate itself.
                Ok(Some(NOT_IN_INDEX)) => {}
                Ok(Some(Note::Failed { reason })) => return Err(Claimed::Failed(reason)),
                Ok(Some(Note::Fresh { .. }) | None) | Err(_) => {}
            }
            let claim = self.ports.coordinator.claim(key).await;
            if let Ok(Claim::Follow) = claim {
                let patience = deadline.saturating_duration_since(Instant::now());
                let _ = self.ports.coordinator.wait(key, patience).await;
            }
            let at = Instant::now();
            if let Ok(Some(object)) = self.stored(key, &wanted.checksum).await {
                if let Some(meta) = object.meta() {
                    self.present.insert(key.clone(), wanted.checksum, meta, at).await;
                }
                if let Ok(Claim::Lead(lease)) = claim {
                    give_back(key, lease).await;
                }
                return Err(Claimed::Done);
            }
            match claim {
                Ok(Claim::Lead(lease)) => return Ok(Some(lease)),
                Ok(Claim::Follow) if Instant::now() < deadline => {}
                // Locks are an optimisation: without one the work is done all the same.
                Ok(Claim::Follow) | Err(_) => return Ok(None),
            }
        }
    }

    /// Asks upstream. `None` means that it says there is no such thing.
    async fn open(self: &Arc<Self>, wanted: &Wanted) -> Result<Option<Found>, Failure> {
        let invalid =
            |detail| UpstreamError::Invalid { host: wanted.source.origin().to_owned(), detail };
        let reply = match &wanted.source {
            Source::Krate { registry, name, version } => {
                let config = self.upstream_config(registry).await?;
                let dl = config.dl_template().map_err(|error| invalid(error.to_string()))?;
                let checksum = &wanted.checksum;
                registry.upstream.fetch(Ask::Krate { dl: &dl, name, version, checksum }).await?
            }
            Source::Dist { dist, path } => dist.upstream.fetch(Ask::Dist(path)).await?,
        };
        let found = match reply {
            Reply::Found(found) => found,
            Reply::Absent => return Ok(None),
            Reply::Unchanged => {
                return Err(invalid("304 to an unconditional request".to_owned()).into());
            }
        };
        // Of no bytes none can be held back until they are verified.
        if found.size_bytes == Some(0) {
            return Err(invalid(format!("{} of no bytes", wanted.source)).into());
        }
        let size_bytes_max = self.size_bytes_max(wanted);
        if found.size_bytes.is_some_and(|size_bytes| size_bytes > size_bytes_max) {
            return Err(UpstreamError::TooLarge { size_bytes_max }.into());
        }
        Ok(Some(found))
    }

    fn size_bytes_max(&self, wanted: &Wanted) -> u64 {
        match wanted.source {
            Source::Krate { .. } => self.limits.krate_size_bytes_max,
            Source::Dist { .. } => self.limits.dist_size_bytes_max,
        }
    }

    /// Takes the bytes in, and keeps them if they are right.
    async fn fill(&self, wanted: &Wanted, found: Found, offer: Offer) -> Result<(), Failure> {
        let began = Instant::now();
        let scratch = self.ports.scratch.clone();
        let memory_bytes_max = self.limits.spool_memory_bytes_max;
        let mut spool = Spool::new(wanted.key.clone(), found.size_bytes, scratch, memory_bytes_max)
            .metered(&self.metrics.spool_bytes);
        offer.publish(Ok(Filled::Spool(spool.reader())));
        let received = self.receive(&mut spool, found, self.size_bytes_max(wanted)).await;
        // Whoever asks again after a failure must begin anew, so the flight is over before the failure is seen.
        let size_bytes = spool.written_bytes();
        let is_whole = matches!(&received, Ok(computed) if *computed == wanted.checksum);
        let _flight = is_whole.then_some(offer);
        let result = match received {
            Ok(computed) => match spool.commit(computed, wanted.checksum) {
                Ok(verified) => Ok(self.keep(wanted, verified).await),
                Err(failure) => Err(failure),
            },
            Err(failure) => {
                spool.fail(failure.clone());
                Err(failure)
            }
        };
        match result {
            Ok(kept) => {
                self.metrics.fill(wanted.source.kind(), kept);
                self.recent_fills.note(wanted.ended(began, size_bytes, kept));
                Ok(())
            }
            Err(failure) => {
                self.metrics.fill(wanted.source.kind(), failure.reason.as_str());
                warn!(key = %wanted.key, reason = failure.reason.as_str(), %failure, "the fill failed; nothing is kept");
                Err(failure)
            }
        }
    }

    async fn receive(
        &self,
        spool: &mut Spool,
        mut found: Found,
        size_bytes_max: u64,
    ) -> Result<Sha256, Failure> {
        let mut hasher = Hasher::default();
        while let Some(chunk) = found.body.next().await {
            let chunk = chunk?;
            if spool.written_bytes() + chunk.len() as u64 > size_bytes_max {
                return Err(UpstreamError::TooLarge { size_bytes_max }.into());
            }
            self.metrics.filled(ResourceKind::Krate, chunk.len());
            hasher.update(&chunk);
            spool.write(chunk).await?;
        }
        Ok(hasher.finish())
    }

    /// Makes the object visible. The clients have their bytes already; a store that fails costs the next fill.
    async fn keep(&self, wanted: &Wanted, verified: Verified) -> &'static str {
        let key = &wanted.key;
        let attributes = match wanted.source {
            Source::Krate { .. } => Attributes::new(),
            Source::Dist { .. } => {
                Attributes::from([(CHECKSUM.to_owned(), verified.checksum.to_string())])
            }
        };
        let options = PutOptions { checksum: Some(verified.checksum), attributes };
        match self.ports.store.put(key, verified.payload, options).await {
            Ok(meta) => {
                self.trusted.insert(key.clone(), &meta, verified.checksum).await;
                self.present.insert(key.clone(), verified.checksum, &meta, Instant::now()).await;
                STORED
            }
            Err(error) => {
                self.metrics.store_failures.inc();
                warn!(%key, %error, "served, but could not be kept");
                UNSTORED
            }
        }
    }

    fn refuse(&self, offer: &Offer, wanted: &Wanted, failure: &Failure) {
        self.metrics.fill(wanted.source.kind(), failure.reason.as_str());
        offer.publish(Err(unavailable(wanted, failure.clone())));
    }
}

fn unavailable(wanted: &Wanted, failure: Failure) -> ServeError {
    ServeError::Unavailable { what: wanted.source.to_string(), failure }
}

impl Wanted {
    /// What is told of a fill that ended well in this moment.
    fn ended(&self, began: Instant, size_bytes: u64, result: &str) -> RecentFill {
        RecentFill {
            ended: SystemTime::now(),
            origin: self.source.origin().to_owned(),
            resource: self.source.kind(),
            key: self.key.clone(),
            size_bytes,
            took: began.elapsed(),
            is_kept: result == STORED,
        }
    }
}

impl Source {
    pub(crate) fn kind(&self) -> ResourceKind {
        match self {
            Self::Krate { .. } => ResourceKind::Krate,
            Self::Dist { .. } => ResourceKind::Dist,
        }
    }

    /// What upstream is called in errors that name no host.
    pub(crate) fn origin(&self) -> &str {
        match self {
            Self::Krate { registry, .. } => registry.policy.id.as_str(),
            Self::Dist { dist, .. } => dist.policy.id.as_str(),
        }
    }

    fn absent_ttl(&self) -> Duration {
        match self {
            Self::Krate { registry, .. } => registry.policy.absent_ttl(),
            Self::Dist { dist, .. } => dist.policy.absent_ttl(),
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Krate { name, version, .. } => write!(f, "crate {name} {version}"),
            Self::Dist { path, .. } => write!(f, "dist file {path}"),
        }
    }
}

/// Why there is nothing to lead.
enum Claimed {
    Done,
    Absent,
    Failed(Reason),
}

fn absent(wanted: &Wanted, reason: Reason, upstream_status: Option<u16>) -> ServeError {
    ServeError::Absent { what: wanted.source.to_string(), reason, upstream_status }
}
