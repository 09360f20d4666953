//! Index files: served from memory, refreshed once for all who want them, and stale rather than not at all.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use crateport_coord::{Claim, Lease, Note};
use crateport_store::{Attributes, Payload as Stored, PutOptions, Read};
use crateport_types::{IndexName, Outcome, Reason, ResourceKind, Sha256, StoreKey, Validators};
use crateport_upstream::{Ask, Condition, Reply, UpstreamError};
use tokio::time::Instant;
use tracing::{debug, warn};

use crate::cache::{Inner, Registry};
use crate::flight::{NoResult, Seat, Takeoff, Ticket};
use crate::freshness::{Freshness, Judgement};
use crate::hot::{self, IndexCopy};
use crate::metrics::STORED;
use crate::{Answer, Failure, Payload, ServeError};

/// What a refresh brought.
#[derive(Clone, Debug)]
pub(crate) enum Refreshed {
    /// The file as upstream has it now.
    Current { copy: Arc<IndexCopy>, reason: Reason, status: Option<u16> },
    /// Upstream has no such file. There may be a copy of the one it had.
    Absent { copy: Option<Arc<IndexCopy>>, reason: Reason, status: Option<u16> },
}

pub(crate) type RefreshTicket = Ticket<Result<Refreshed, Failure>>;

/// Whether a refresh may end with what other replicas know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Authority {
    /// Their knowledge is enough.
    Fleet,
    /// Only upstream's own word will do.
    Upstream,
}

#[derive(Clone, Debug)]
struct NotStored;

const ETAG: &str = "upstream-etag";
const LAST_MODIFIED: &str = "upstream-last-modified";
const WITHDRAWN: &str = "upstream-absent";
const CHECKSUM: &str = "sha256";

/// How often a replica waits for another one's lease before it does the work itself.
const FOLLOWS_MAX: usize = 3;

impl Inner {
    pub(crate) async fn serve_index_file(
        self: &Arc<Self>,
        registry: &Arc<Registry>,
        name: &IndexName,
    ) -> Result<Answer, ServeError> {
        let key = StoreKey::index_file(&registry.policy.id, name);
        let copy = self.copy(registry, name, &key).await;
        if let Some(copy) = &copy {
            copy.count_use();
            match copy.judge(Instant::now(), registry.policy.index_ttl) {
                Judgement::Fresh => return held(name, copy, Outcome::Hit, Reason::Fresh),
                Judgement::Due => {
                    self.refresh(registry, name, &key, Authority::Fleet);
                    return held(name, copy, Outcome::Hit, Reason::Fresh);
                }
                Judgement::Stale => {}
            }
        }
        let (led, ticket) = self.refresh(registry, name, &key, Authority::Fleet);
        let patience = self.patience(registry, copy.as_deref());
        let failure = match ticket.wait(Instant::now() + patience).await {
            Ok(Ok(Refreshed::Current { copy: current, reason, status })) => {
                let outcome = match (&copy, led) {
                    (Some(_), _) => Outcome::Revalidated,
                    (None, true) => Outcome::Fill,
                    (None, false) => Outcome::Join,
                };
                return Ok(Answer {
                    upstream_status: status,
                    ..held(name, &current, outcome, reason)?
                });
            }
            Ok(Ok(Refreshed::Absent { reason, status, .. })) => {
                return Err(absent(name, reason, status));
            }
            Ok(Err(failure)) => failure,
            Err(no_result) => late(no_result, copy.is_some()),
        };
        match copy {
            Some(copy) => {
                let reason = failure.reason;
                Ok(Answer {
                    upstream_status: failure.upstream_status,
                    ..held(name, &copy, Outcome::Stale, reason)?
                })
            }
            None => {
                Err(ServeError::Unavailable { what: format!("the index file of {name}"), failure })
            }
        }
    }

    /// How long a client waits for a refresh: as long as cargo will, when there is nothing else to serve; not at
    /// all, when there is and upstream has shown that it would be in vain.
    fn patience(&self, registry: &Registry, copy: Option<&IndexCopy>) -> Duration {
        match (copy, registry.upstream.condition()) {
            (None, _) => self.limits.wait_max,
            (Some(_), Condition::Healthy) => self.limits.refresh_patience,
            (Some(_), Condition::Slow | Condition::Down { .. }) => Duration::ZERO,
        }
    }

    /// The copy that is here, in memory or in the store.
    pub(crate) async fn copy(
        &self,
        registry: &Registry,
        name: &IndexName,
        key: &StoreKey,
    ) -> Option<Arc<IndexCopy>> {
        match self.hot.get(key).await {
            Some(copy) => Some(copy),
            None => self.hot.get_or_load(key, Box::pin(self.load(registry, name, key))).await.ok(),
        }
    }

    async fn load(
        &self,
        registry: &Registry,
        name: &IndexName,
        key: &StoreKey,
    ) -> Result<Arc<IndexCopy>, NotStored> {
        let opened = match self.ports.store.get(key, Read::whole().with_attributes()).await {
            Ok(Some(object)) => {
                let meta = object.meta.clone();
                object.collect(self.limits.index_size_bytes_max).await.map(|bytes| (meta, bytes))
            }
            Ok(None) => return Err(NotStored),
            Err(error) => Err(error),
        };
        let (meta, bytes) = opened.map_err(|error| {
            self.metrics.store_failures.inc();
            warn!(%key, %error, "could not be read");
            NotStored
        })?;
        let attribute = |name: &str| meta.attributes.get(name);
        let intact =
            attribute(CHECKSUM).is_none_or(|checksum| *checksum == Sha256::of(&bytes).to_string());
        let file = match hot::parse(name, &bytes).await {
            Ok(file) if intact => file,
            parsed => {
                self.drop_damaged(
                    key,
                    &parsed.err().map_or("wrong checksum".into(), |error| error.to_string()),
                )
                .await;
                return Err(NotStored);
            }
        };
        let validators = Validators {
            etag: attribute(ETAG).map(|etag| etag.as_str().into()),
            last_modified: attribute(LAST_MODIFIED).map(|date| date.as_str().into()),
        };
        let copy =
            IndexCopy::new(bytes, file, validators, meta.modified, attribute(WITHDRAWN).is_some());
        if let Ok(Some(Note::Fresh { checksum, asked_ago, checked_ago })) =
            self.ports.coordinator.recall(key).await
            && checksum == copy.checksum()
            && let Some(freshness) = since(asked_ago, checked_ago)
        {
            copy.confirm(freshness);
            self.ahead.plan(registry, name, key, freshness);
        }
        Ok(Arc::new(copy))
    }

    /// Drops an object whose bytes are not what they were when it was kept.
    pub(crate) async fn drop_damaged(&self, key: &StoreKey, detail: &str) {
        self.metrics.damaged.inc();
        warn!(%key, detail, "a stored object is damaged; it is dropped and will be filled again");
        if let Err(error) = self.ports.store.delete(key).await {
            self.metrics.store_failures.inc();
            warn!(%key, %error, "could not be dropped");
        }
    }

    /// Begins a refresh or joins the one under way; tells whether it was begun.
    pub(crate) fn refresh(
        self: &Arc<Self>,
        registry: &Arc<Registry>,
        name: &IndexName,
        key: &StoreKey,
        ask: Authority,
    ) -> (bool, RefreshTicket) {
        match self.refreshes.board(key) {
            Seat::Follower(ticket) => (false, ticket),
            Seat::Leader(takeoff, ticket) => {
                let (cache, registry, name, key) =
                    (Arc::clone(self), Arc::clone(registry), name.clone(), key.clone());
                self.tasks.spawn(async move {
                    cache.lead_refresh(&registry, &name, &key, ask, takeoff).await;
                });
                (true, ticket)
            }
        }
    }

    async fn lead_refresh(
        &self,
        registry: &Arc<Registry>,
        name: &IndexName,
        key: &StoreKey,
        ask: Authority,
        takeoff: Takeoff<Result<Refreshed, Failure>>,
    ) {
        let mut lease = None;
        for _ in 0..FOLLOWS_MAX {
            if ask == Authority::Fleet
                && let Some(told) = self.told(registry, name, key).await
            {
                return takeoff.publish(told);
            }
            match self.ports.coordinator.claim(key).await {
                Ok(Claim::Follow) => {
                    drop(self.ports.coordinator.wait(key, self.limits.wait_max).await);
                }
                Ok(Claim::Lead(granted)) => {
                    lease = Some(granted);
                    break;
                }
                // Without a coordinator everyone leads.
                Err(_) => break,
            }
        }
        let copy = self.copy(registry, name, key).await;
        let asked = Instant::now();
        let result = self.ask_index_file(registry, name, copy).await;
        let (note, keep, unsaved) = self.conclude(registry, name, key, &result, asked).await;
        takeoff.publish(result);
        self.tell(key, lease, note, keep).await;
        if let Some(copy) = unsaved {
            self.save(key, &copy).await;
        }
    }

    /// What the fleet knows, where that answers the question.
    async fn told(
        &self,
        registry: &Registry,
        name: &IndexName,
        key: &StoreKey,
    ) -> Option<Result<Refreshed, Failure>> {
        match self.ports.coordinator.recall(key).await.ok()?? {
            Note::Absent => Some(Ok(Refreshed::Absent {
                copy: self.copy(registry, name, key).await,
                reason: Reason::RememberedAbsent,
                status: None,
            })),
            Note::Failed { reason } => {
                Some(Err(Failure::own(reason, "upstream failed a moment ago")))
            }
            Note::Fresh { checksum, asked_ago, checked_ago } => {
                let copy = self.copy(registry, name, key).await?;
                if copy.checksum() != checksum {
                    return None;
                }
                copy.confirm(since(asked_ago, checked_ago)?);
                let stale =
                    copy.judge(Instant::now(), registry.policy.index_ttl) == Judgement::Stale;
                (!stale).then_some(Ok(Refreshed::Current {
                    copy,
                    reason: Reason::Fresh,
                    status: None,
                }))
            }
        }
    }

    /// Asks upstream, and reads what it says against the copy that is here.
    async fn ask_index_file(
        &self,
        registry: &Registry,
        name: &IndexName,
        copy: Option<Arc<IndexCopy>>,
    ) -> Result<Refreshed, Failure> {
        let nothing = Validators::default();
        let validators = copy
            .as_ref()
            .filter(|copy| !copy.is_withdrawn())
            .map_or(&nothing, |copy| copy.validators());
        let invalid = |detail: String| UpstreamError::Invalid {
            host: registry.policy.id.to_string(),
            detail,
        };
        let found = match registry.upstream.fetch(Ask::IndexFile { name, validators }).await? {
            Reply::Found(found) => found,
            Reply::Unchanged => {
                let copy =
                    copy.ok_or_else(|| invalid("304 to an unconditional request".to_owned()))?;
                return Ok(Refreshed::Current {
                    copy,
                    reason: Reason::Unchanged,
                    status: Some(304),
                });
            }
            Reply::Absent => {
                let withdrawn = |copy: Arc<IndexCopy>| match copy.is_withdrawn() {
                    true => copy,
                    false => Arc::new(copy.with(Validators::default(), true)),
                };
                let (reason, status) = (Reason::UpstreamAbsent, Some(404));
                return Ok(Refreshed::Absent { copy: copy.map(withdrawn), reason, status });
            }
        };
        let validators = found.validators.clone();
        let bytes = found.collect(self.limits.index_size_bytes_max).await?;
        let status = Some(200);
        if let Some(copy) = copy.filter(|copy| copy.checksum() == Sha256::of(&bytes)) {
            let same = *copy.validators() == validators && !copy.is_withdrawn();
            let copy = if same { copy } else { Arc::new(copy.with(validators, false)) };
            return Ok(Refreshed::Current { copy, reason: Reason::Unchanged, status });
        }
        let copy = self
            .parsed(name, bytes, validators)
            .await
            .map_err(|error| invalid(error.to_string()))?;
        self.metrics.fill(ResourceKind::Index, STORED);
        Ok(Refreshed::Current { copy, reason: Reason::Changed, status })
    }

    async fn parsed(
        &self,
        name: &IndexName,
        bytes: Bytes,
        validators: Validators,
    ) -> Result<Arc<IndexCopy>, crateport_types::InvalidIndexFile> {
        let file = hot::parse(name, &bytes).await?;
        self.metrics.filled_bytes.inc_by(bytes.len() as u64);
        let copy = IndexCopy::new(bytes, file, validators, SystemTime::now(), false);
        copy.set_saved(false);
        Ok(Arc::new(copy))
    }

    /// Takes a result into memory; says what the fleet is to be told, and what is to be saved.
    async fn conclude(
        &self,
        registry: &Arc<Registry>,
        name: &IndexName,
        key: &StoreKey,
        result: &Result<Refreshed, Failure>,
        asked: Instant,
    ) -> (Note, Duration, Option<Arc<IndexCopy>>) {
        let freshness = Freshness { asked, checked: Instant::now() };
        let (copy, note, keep) = match result {
            Ok(Refreshed::Current { copy, .. }) => {
                let asked_ago = asked.elapsed();
                let note = Note::Fresh {
                    checksum: copy.checksum(),
                    asked_ago,
                    checked_ago: Duration::ZERO,
                };
                (Some(copy), note, registry.policy.index_ttl)
            }
            Ok(Refreshed::Absent { copy, .. }) => {
                (copy.as_ref(), Note::Absent, registry.policy.absent_ttl)
            }
            Err(failure) => {
                debug!(%key, %failure, "the refresh failed");
                (None, Note::Failed { reason: failure.reason }, self.limits.failed_ttl)
            }
        };
        let Some(copy) = copy else { return (note, keep, None) };
        copy.confirm(freshness);
        self.hot.insert(key.clone(), Arc::clone(copy)).await;
        self.ahead.plan(registry, name, key, freshness);
        (note, keep, (!copy.is_saved()).then(|| Arc::clone(copy)))
    }

    /// Leaves a note for the fleet, and gives the lease back.
    pub(crate) async fn tell(
        &self,
        key: &StoreKey,
        lease: Option<Lease>,
        note: Note,
        keep: Duration,
    ) {
        let told = match lease {
            Some(lease) => lease.end(Some((note, keep))).await,
            None => self.ports.coordinator.note(key, &note, keep).await,
        };
        if let Err(error) = told {
            debug!(%key, %error, "the fleet could not be told");
        }
    }

    async fn save(&self, key: &StoreKey, copy: &IndexCopy) {
        let validators = copy.validators();
        let texts = [
            (ETAG, validators.etag.as_deref().map(str::to_owned)),
            (LAST_MODIFIED, validators.last_modified.as_deref().map(str::to_owned)),
            (WITHDRAWN, copy.is_withdrawn().then(|| "true".to_owned())),
            (CHECKSUM, Some(copy.checksum().to_string())),
        ];
        let attributes: Attributes =
            texts.into_iter().filter_map(|(name, text)| Some((name.to_owned(), text?))).collect();
        let options = PutOptions { checksum: Some(copy.checksum()), attributes };
        match self.ports.store.put(key, Stored::Bytes(copy.bytes().clone()), options).await {
            Ok(_) => copy.set_saved(true),
            Err(error) => {
                self.metrics.store_failures.inc();
                warn!(%key, %error, "could not be kept; it is served from memory");
            }
        }
    }
}

/// The answer from a copy that is here.
fn held(
    name: &IndexName,
    copy: &Arc<IndexCopy>,
    outcome: Outcome,
    reason: Reason,
) -> Result<Answer, ServeError> {
    if copy.is_withdrawn() {
        return Err(absent(name, Reason::RememberedAbsent, None));
    }
    let payload = Payload::Index(Arc::clone(copy));
    Ok(Answer { outcome, reason, upstream_status: None, age: copy.age(), payload })
}

fn absent(name: &IndexName, reason: Reason, upstream_status: Option<u16>) -> ServeError {
    ServeError::Absent { what: format!("the crate {name}"), reason, upstream_status }
}

/// Why a client got nothing from a refresh that it waited for.
pub(crate) fn late(no_result: NoResult, has_copy: bool) -> Failure {
    match (no_result, has_copy) {
        (NoResult::Late, true) => Failure::own(Reason::UpstreamSlow, "upstream is slow"),
        (NoResult::Late, false) => {
            Failure::own(Reason::UpstreamTimeout, "upstream did not answer in time")
        }
        (NoResult::Lost, _) => Failure::own(Reason::Overloaded, "the work was given up"),
    }
}

fn since(asked_ago: Duration, checked_ago: Duration) -> Option<Freshness> {
    let now = Instant::now();
    Some(Freshness { asked: now.checked_sub(asked_ago)?, checked: now.checked_sub(checked_ago)? })
}
