//! Renewals: upstream is asked what it has of a file that changes now, once for all who want to know. What is new is
//! kept whole before anybody hears of it.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use crateport_coord::{Claim, Note};
use crateport_store::{Attributes, Payload as Stored, PutOptions};
use crateport_types::{DistClass, DistPath, Reason, RecordForm, ResourceKind, Sha256, StoreKey};
use crateport_upstream::{Ask, Reply, UpstreamError};
use tokio::time::Instant;
use tracing::{debug, warn};

use super::given::Given;
use super::proof::MANIFEST_BYTES_MAX;
use super::tracked::Look;
use super::{Dist, wanted};
use crate::cache::Inner;
use crate::fill::{CHECKSUM, Filled};
use crate::flight::{NoResult, Seat, Takeoff, Ticket};
use crate::freshness::{Freshness, Judgement, judge};
use crate::index::{FOLLOWS_MAX, give_back, late, since};
use crate::metrics::STORED;
use crate::spool::SpoolError;
use crate::{Failure, ServeError};

/// What a renewal brought.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Renewed {
    /// The store says what is given, and upstream has nothing newer.
    Current { status: Option<u16> },
    /// Upstream has no such file.
    Absent { reason: Reason, status: Option<u16> },
}

pub(super) type RenewalTicket = Ticket<Result<Renewed, Failure>>;

/// What upstream was found to have.
struct Found {
    content: Sha256,
    /// When that was asked.
    asked: Instant,
    status: Option<u16>,
}

/// A file that upstream changes while we ask is asked for once more.
const ATTEMPTS_MAX: usize = 2;
/// Only a file of gigabytes that trickles in takes longer.
const CONTENT_WAIT_MAX: Duration = Duration::from_secs(3600);
/// How long a content that is given no more is kept, for those who are still reading it: longer than any download and
/// any presigned URL.
const OUTDATED_KEPT: Duration = Duration::from_secs(24 * 3600);

impl Inner {
    /// Begins a renewal or joins the one under way; tells whether it was begun. `known` is what upstream was heard to
    /// have a moment ago.
    pub(super) fn renew(
        self: &Arc<Self>,
        dist: &Arc<Dist>,
        path: &DistPath,
        known: Option<(Sha256, Instant)>,
    ) -> (bool, RenewalTicket) {
        match self.renewals.board(&dist.given_key(path)) {
            Seat::Follower(ticket) => (false, ticket),
            Seat::Leader(takeoff, ticket) => {
                let (cache, dist, path) = (Arc::clone(self), Arc::clone(dist), path.clone());
                self.tasks.spawn(async move {
                    Box::pin(cache.lead_renewal(&dist, &path, known, takeoff)).await;
                });
                (true, ticket)
            }
        }
    }

    async fn lead_renewal(
        self: &Arc<Self>,
        dist: &Arc<Dist>,
        path: &DistPath,
        known: Option<(Sha256, Instant)>,
        takeoff: Takeoff<Result<Renewed, Failure>>,
    ) {
        let key = dist.given_key(path);
        let mut lease = None;
        for _ in 0..FOLLOWS_MAX {
            if known.is_none()
                && let Some(told) = self.told_of_dist(dist, path).await
            {
                return takeoff.publish(told);
            }
            match self.ports.coordinator.claim(&key).await {
                Ok(Claim::Follow { .. }) => {
                    drop(self.ports.coordinator.wait(&key, self.limits.wait_max).await);
                }
                Ok(Claim::Lead(granted)) => {
                    // Somebody may have ended between the look and the claim.
                    if known.is_none()
                        && let Some(told) = self.told_of_dist(dist, path).await
                    {
                        give_back(&key, granted).await;
                        return takeoff.publish(told);
                    }
                    lease = Some(granted);
                    break;
                }
                // Without a coordinator everyone leads.
                Err(_) => break,
            }
        }
        let (note, keep, result) = match self.find_current(dist, path, known).await {
            Ok(Some(Found { content, asked, status })) => {
                let freshness = Freshness { asked, checked: Instant::now() };
                self.snapshots.of(&key).confirm(content, freshness);
                let asked_ago = asked.elapsed();
                let note =
                    Note::Fresh { checksum: content, asked_ago, checked_ago: Duration::ZERO };
                (note, dist.policy.ttl(), Ok(Renewed::Current { status }))
            }
            Ok(None) => {
                let (reason, status) = (Reason::UpstreamAbsent, Some(404));
                (Note::Absent, dist.policy.absent_ttl(), Ok(Renewed::Absent { reason, status }))
            }
            Err(failure) => {
                debug!(%key, %failure, "the renewal failed");
                (Note::Failed { reason: failure.reason }, self.limits.failed_ttl, Err(failure))
            }
        };
        self.tell(&key, lease, note, keep).await;
        takeoff.publish(result);
    }

    /// What the fleet knows, where that answers the question.
    async fn told_of_dist(&self, dist: &Dist, path: &DistPath) -> Option<Result<Renewed, Failure>> {
        let key = dist.given_key(path);
        match self.ports.coordinator.recall(&key).await.ok()?? {
            Note::Failed { reason } => {
                Some(Err(Failure::own(reason, "upstream failed a moment ago")))
            }
            Note::Absent => {
                Some(Ok(Renewed::Absent { reason: Reason::RememberedAbsent, status: None }))
            }
            Note::Fresh { checksum, asked_ago, checked_ago } => {
                let given = self.given(dist, path, Look::Now).await.ok()??;
                let freshness = since(asked_ago, checked_ago)?;
                let current = given.newest() == checksum
                    && judge(Instant::now(), Some(freshness), dist.policy.ttl())
                        == Judgement::Fresh;
                if !current {
                    return None;
                }
                self.snapshots.of(&key).confirm(checksum, freshness);
                Some(Ok(Renewed::Current { status: None }))
            }
        }
    }

    /// Finds out what upstream has, keeps it, and announces it. `None` means that upstream has no such file.
    async fn find_current(
        self: &Arc<Self>,
        dist: &Arc<Dist>,
        path: &DistPath,
        known: Option<(Sha256, Instant)>,
    ) -> Result<Option<Found>, Failure> {
        let before = self.given(dist, path, Look::Now).await?;
        if let Some(given) = before
            && given.is_pending(SystemTime::now())
        {
            // One change at a time: what came after it is found by the next renewal.
            let content = given.newest();
            return Ok(Some(Found { content, asked: Instant::now(), status: None }));
        }
        let found = match path.class() {
            DistClass::Record(form) => self.fetch_record(dist, path, form).await?,
            DistClass::Artifact | DistClass::Snapshot => {
                self.fetch_content(dist, path, known).await?
            }
        };
        let Some(found) = found else { return Ok(None) };
        self.announce(dist, path, before, found.content).await?;
        Ok(Some(found))
    }

    /// The content that upstream's checksum tells of, kept.
    async fn fetch_content(
        self: &Arc<Self>,
        dist: &Arc<Dist>,
        path: &DistPath,
        mut known: Option<(Sha256, Instant)>,
    ) -> Result<Option<Found>, Failure> {
        let mut attempts = 0;
        loop {
            attempts += 1;
            let (content, asked) = match known.take() {
                Some(known) => known,
                None => match self.hear(dist, path).await? {
                    Some(heard) => (heard.content, heard.asked),
                    None => return Ok(None),
                },
            };
            let key = dist.content_key(path, &content);
            if self.kept_sum(&key).await == Some(content) {
                return Ok(Some(Found { content, asked, status: Some(200) }));
            }
            match self.fill_content(dist, path, &key, content).await {
                Ok(true) => return Ok(Some(Found { content, asked, status: Some(200) })),
                Ok(false) => {
                    let detail = "the new content could not be kept";
                    return Err(Failure::own(Reason::StoreFailed, detail));
                }
                // Upstream's own two files may be of two moments.
                Err(failure)
                    if failure.reason == Reason::ChecksumMismatch && attempts < ATTEMPTS_MAX => {}
                Err(failure) => return Err(failure),
            }
        }
    }

    /// Has one content filled to its end. Tells whether it was kept.
    async fn fill_content(
        self: &Arc<Self>,
        dist: &Arc<Dist>,
        path: &DistPath,
        key: &StoreKey,
        content: Sha256,
    ) -> Result<bool, Failure> {
        let (_, ticket) = self.begin_fill(&wanted(dist, path, key.clone(), content));
        let deadline = Instant::now() + CONTENT_WAIT_MAX;
        let filled = match ticket.clone().wait(deadline).await {
            Ok(Ok(filled)) => filled,
            Ok(Err(ServeError::Unavailable { failure, .. })) => return Err(failure),
            Ok(Err(_)) => {
                let detail = format!("{path} is absent, but its checksum is not");
                let host = dist.policy.id.to_string();
                return Err(UpstreamError::Invalid { host, detail }.into());
            }
            Err(no_result) => return Err(late(no_result)),
        };
        if !ticket.over(deadline).await {
            return Err(late(NoResult::Late));
        }
        match filled.failure().await {
            Some(failure) => Err(failure),
            None => Ok(self.kept_sum(key).await == Some(content)),
        }
    }

    /// A record as upstream has it, kept.
    async fn fetch_record(
        &self,
        dist: &Dist,
        path: &DistPath,
        form: RecordForm,
    ) -> Result<Option<Found>, Failure> {
        let asked = Instant::now();
        let invalid =
            |detail: String| UpstreamError::Invalid { host: dist.policy.id.to_string(), detail };
        let found = match dist.upstream.fetch(Ask::Dist(path)).await? {
            Reply::Found(found) => found,
            Reply::Absent => return Ok(None),
            Reply::Unchanged => {
                return Err(invalid("304 to an unconditional request".to_owned()).into());
            }
        };
        let bytes = found.collect(MANIFEST_BYTES_MAX).await?;
        if !form.fits(&bytes) {
            return Err(invalid(format!("{path} does not look as it must")).into());
        }
        let content = Sha256::of(&bytes);
        let key = dist.content_key(path, &content);
        if self.kept_sum(&key).await != Some(content) {
            self.keep_record(&key, content, bytes).await?;
            self.metrics.fill(ResourceKind::Dist, STORED);
        }
        Ok(Some(Found { content, asked, status: Some(200) }))
    }

    async fn keep_record(
        &self,
        key: &StoreKey,
        content: Sha256,
        bytes: Bytes,
    ) -> Result<(), Failure> {
        let attributes = Attributes::from([(CHECKSUM.to_owned(), content.to_string())]);
        let options = PutOptions { checksum: Some(content), attributes };
        let meta = self.ports.store.put(key, Stored::Bytes(bytes), options).await?;
        self.trusted.insert(key.clone(), &meta, content).await;
        self.present.insert(key.clone(), content, &meta, Instant::now()).await;
        Ok(())
    }

    /// Says in the store what is given from now on, or from soon on.
    async fn announce(
        &self,
        dist: &Dist,
        path: &DistPath,
        before: Option<Given>,
        content: Sha256,
    ) -> Result<(), Failure> {
        let key = dist.given_key(path);
        let now = SystemTime::now();
        let given = match before {
            Some(given) if given.newest() == content => return Ok(()),
            Some(given) if self.is_awaited(dist, path, &given).await => {
                given.followed_by(content, now, dist.policy.grace)
            }
            _ => Given::first(content),
        };
        // Without a coordinator another replica may have been faster; then its word holds.
        if self.given(dist, path, Look::Now).await? != before {
            return Ok(());
        }
        let bytes = Bytes::from(given.to_json());
        self.ports.store.put(&key, Stored::Bytes(bytes), PutOptions::default()).await?;
        self.snapshots.of(&key).set_given(given, Instant::now());
        if let Some(outdated) = before.and_then(|before| before.outdated(now, OUTDATED_KEPT)) {
            let outdated = dist.content_key(path, &outdated);
            if let Err(error) = self.ports.store.delete(&outdated).await {
                warn!(key = %outdated, %error, "an old content could not be dropped");
            }
        }
        Ok(())
    }

    /// Whether somebody may have been told the checksum of what is given and can still get the file.
    async fn is_awaited(&self, dist: &Dist, path: &DistPath, given: &Given) -> bool {
        if matches!(path.class(), DistClass::Record(_)) {
            return false;
        }
        let content = given.newest();
        self.kept_sum(&dist.content_key(path, &content)).await == Some(content)
    }
}

impl Filled {
    /// Waits for the end; what went wrong, if something did.
    pub(super) async fn failure(self) -> Option<Failure> {
        match self {
            Self::Spool(mut reader) | Self::Along(mut reader) => {
                reader.ended().await.err().map(|SpoolError(failure)| failure)
            }
            Self::Elsewhere => None,
        }
    }
}
