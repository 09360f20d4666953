//! One fill: fetch a crate or a dist file, check it, keep it, and let everyone read along.
//!
//! The fill is a task of its own. It goes on when clients leave, and nothing of it is visible in the store until
//! the whole is verified. Of all replicas one leads and asks upstream (`claim`); the others read along (`along`).

mod along;
mod claim;
mod intake;
mod wanted;

use std::sync::Arc;

use crateport_coord::Note;
use crateport_store::{Attributes, PutOptions};
use crateport_types::{Reason, Sha256, StoreKey};
use crateport_upstream::{Ask, Found, Reply, UpstreamError};
use futures_util::StreamExt as _;
use tokio::time::Instant;
use tracing::{debug, warn};

pub(crate) use self::wanted::{Source, Wanted};

use self::intake::Intake;
use crate::cache::Inner;
use crate::flight::Takeoff;
use crate::metrics::{STORED, UNSTORED};
use crate::spool::{Spool, SpoolReader, Verified};
use crate::{Failure, ServeError};

/// What a fill offers to those who wait for it.
#[derive(Clone, Debug)]
pub(crate) enum Filled {
    /// The bytes, as they come.
    Spool(SpoolReader),
    /// The bytes, as they come from another replica.
    Along(SpoolReader),
    /// Another replica was faster; the store has it.
    Elsewhere,
}

/// The attribute that keeps the digest which a dist file must have: no index tells it.
pub(crate) const CHECKSUM: &str = "sha256";

type Offer = Takeoff<Result<Filled, ServeError>>;

/// One fill on its way.
struct Filling {
    cache: Arc<Inner>,
    wanted: Wanted,
    offer: Offer,
    /// What has come so far, once something is on its way.
    intake: Option<Intake>,
}

impl Inner {
    pub(crate) async fn run_fill(self: &Arc<Self>, wanted: Wanted, offer: Offer) {
        let cache = Arc::clone(self);
        Box::pin(Filling { cache, wanted, offer, intake: None }.run()).await;
    }

    /// The bytes of a fill under way, for another replica that follows it.
    pub(crate) async fn fill_under_way(
        &self,
        key: &StoreKey,
        checksum: &Sha256,
    ) -> Option<SpoolReader> {
        let ticket = self.fills.ticket(key)?;
        match ticket.wait(Instant::now() + self.limits.wait_max).await.ok()?.ok()? {
            Filled::Spool(reader) | Filled::Along(reader) => {
                (reader.checksum() == checksum).then_some(reader)
            }
            Filled::Elsewhere => None,
        }
    }

    fn size_bytes_max(&self, wanted: &Wanted) -> u64 {
        match wanted.source {
            Source::Krate { .. } => self.limits.krate_size_bytes_max,
            Source::Dist { .. } => self.limits.dist_size_bytes_max,
        }
    }
}

impl Filling {
    async fn run(mut self) {
        let cache = Arc::clone(&self.cache);
        // A fill that began when its clients are about to leave would be of no use to them.
        let queue_wait_max = cache.limits.wait_max / 2;
        let permit = tokio::time::timeout(queue_wait_max, cache.fill_permits.acquire()).await;
        let Ok(Ok(_permit)) = permit else {
            let failure = Failure::own(Reason::Overloaded, "too many fills are under way");
            return self.fail(failure);
        };
        let lease = match self.come_to_lead().await {
            Ok(lease) => lease,
            Err(settled) => return self.settle(settled).await,
        };
        let absent_ttl = self.wanted.source.absent_ttl();
        let note = self.lead().await.map(|note| {
            let keep = if note == Note::Absent { absent_ttl } else { cache.limits.failed_ttl };
            (note, keep)
        });
        if let Some(lease) = lease
            && let Err(error) = lease.end(note).await
        {
            debug!(%error, "the lease could not be given back");
        }
    }

    /// Fetches from upstream and keeps what is right; what others should know of it.
    async fn lead(mut self) -> Option<Note> {
        let cache = Arc::clone(&self.cache);
        let found = match self.open().await {
            Ok(Some(found)) => found,
            Ok(None) => {
                cache.metrics.fill(self.wanted.source.kind(), Reason::UpstreamAbsent.as_str());
                let error = absent(&self.wanted, Reason::UpstreamAbsent, Some(404));
                self.refuse(error);
                return Some(Note::Absent);
            }
            Err(failure) => {
                let note = Note::Failed { reason: failure.reason };
                self.fail(failure);
                return Some(note);
            }
        };
        let (wanted, began) = (self.wanted.clone(), Instant::now());
        let received = self.receive(found).await;
        let size_bytes = self.taken_bytes();
        match self.end(received) {
            Ok((verified, _offer)) => {
                let kept = cache.keep(&wanted, verified).await;
                cache.metrics.fill(wanted.source.kind(), kept);
                cache.recent_fills.note(wanted.ended(began, size_bytes, kept));
                None
            }
            // Others would be given the same; what is wrong with this replica or another one is no affair of theirs.
            Err(failure) if matches!(failure.reason, Reason::StoreFailed | Reason::PeerInvalid) => {
                None
            }
            Err(failure) => Some(Note::Failed { reason: failure.reason }),
        }
    }

    /// Asks upstream. `None` means that it says there is no such thing.
    async fn open(&self) -> Result<Option<Found>, Failure> {
        let (cache, wanted) = (&self.cache, &self.wanted);
        let invalid =
            |detail| UpstreamError::Invalid { host: wanted.source.origin().to_owned(), detail };
        let reply = match &wanted.source {
            Source::Krate { registry, name, version } => {
                let config = cache.upstream_config(registry).await?;
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
        let size_bytes_max = cache.size_bytes_max(wanted);
        if found.size_bytes.is_some_and(|size_bytes| size_bytes > size_bytes_max) {
            return Err(UpstreamError::TooLarge { size_bytes_max }.into());
        }
        Ok(Some(found))
    }

    /// What takes the bytes in, made with the first source that has some; then everyone begins to read.
    fn intake(
        &mut self,
        size_bytes: Option<u64>,
        filled: fn(SpoolReader) -> Filled,
    ) -> &mut Intake {
        let Self { cache, wanted, offer, .. } = self;
        self.intake.get_or_insert_with(|| {
            let spool = Spool::new(
                wanted.key.clone(),
                wanted.checksum,
                size_bytes,
                cache.ports.scratch.clone(),
                cache.limits.spool_memory_bytes_max,
            );
            let spool = spool.metered(&cache.metrics.spool_bytes);
            let intake = Intake::new(spool, cache.size_bytes_max(wanted));
            offer.publish(Ok(filled(intake.reader())));
            intake
        })
    }

    fn taken_bytes(&self) -> u64 {
        self.intake.as_ref().map_or(0, Intake::taken_bytes)
    }

    /// Takes in what upstream sends.
    async fn receive(&mut self, mut found: Found) -> Result<(), Failure> {
        let (cache, kind) = (Arc::clone(&self.cache), self.wanted.source.kind());
        let intake = self.intake(found.size_bytes, Filled::Spool);
        intake.begin_again();
        while let Some(chunk) = found.body.next().await {
            let chunk = chunk?;
            cache.metrics.filled(kind, chunk.len());
            intake.take(chunk).await?;
        }
        Ok(())
    }

    /// Ends what everyone reads: as whole if everything was received and is right, else as failed. The flight goes on
    /// for as long as the offer lives that is returned.
    fn end(self, received: Result<(), Failure>) -> Result<(Verified, Option<Offer>), Failure> {
        let Self { cache, wanted, offer, intake } = self;
        let Some(intake) = intake else {
            return Err(Failure::own(Reason::UpstreamInvalid, "the fill was given up"));
        };
        intake.end(received, offer).inspect_err(|failure| {
            cache.metrics.fill(wanted.source.kind(), failure.reason.as_str());
            warn!(key = %wanted.key, reason = failure.reason.as_str(), %failure, "the fill failed; nothing is kept");
        })
    }

    fn fail(self, failure: Failure) {
        self.cache.metrics.fill(self.wanted.source.kind(), failure.reason.as_str());
        let error = unavailable(&self.wanted, failure);
        self.refuse(error);
    }

    /// Tells everyone who waits that there will be nothing, or those who read that there will be no more.
    fn refuse(self, error: ServeError) {
        let Some(intake) = self.intake else { return self.offer.publish(Err(error)) };
        drop(self.offer);
        intake.fail(error.into_failure());
    }
}

impl Inner {
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
}

fn unavailable(wanted: &Wanted, failure: Failure) -> ServeError {
    ServeError::Unavailable { what: wanted.source.to_string(), failure }
}

fn absent(wanted: &Wanted, reason: Reason, upstream_status: Option<u16>) -> ServeError {
    ServeError::Absent { what: wanted.source.to_string(), reason, upstream_status }
}
