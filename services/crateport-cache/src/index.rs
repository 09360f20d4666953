//! Index files: served from memory, refreshed once for all who want them, and stale rather than not at all.

mod kept;

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use crateport_coord::{Claim, Lease, Note};
use crateport_types::{IndexName, Outcome, Reason, ResourceKind, Sha256, StoreKey, Validators};
use crateport_upstream::{Ask, Condition, Reply, UpstreamError};
use tokio::time::Instant;
use tracing::{Instrument as _, debug};

pub(crate) use self::kept::without_validators;
use crate::cache::{Inner, Registry};
use crate::flight::{NoResult, Seat, Takeoff, Ticket};
use crate::freshness::{Freshness, Judgement};
use crate::hot::{self, IndexCopy};
use crate::metrics::STORED;
use crate::{Answer, Failure, Payload, ServeError, trace};

/// What a refresh brought.
#[derive(Clone, Debug)]
pub(crate) enum Refreshed {
    /// The file as upstream has it now.
    Current { copy: Arc<IndexCopy>, reason: Reason, status: Option<u16> },
    /// Upstream has no such file. There may be a copy of the one it had.
    Absent { copy: Option<Arc<IndexCopy>>, reason: Reason, status: Option<u16> },
}

impl Refreshed {
    /// The status upstream gave, if it was asked.
    pub(crate) fn status(&self) -> Option<u16> {
        match self {
            Self::Current { status, .. } | Self::Absent { status, .. } => *status,
        }
    }
}

pub(crate) type RefreshTicket = Ticket<Result<Refreshed, Failure>>;

/// Whether a refresh may end with what other replicas know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Authority {
    /// Their knowledge is enough.
    Fleet,
    /// Only upstream's own word will do, or bytes that have not been looked at.
    Upstream {
        /// Since when the word counts.
        since: Instant,
        /// The bytes that have been looked at, and are not enough.
        seen: Option<Sha256>,
    },
}

/// How often a replica waits for another one's lease before it does the work itself.
pub(crate) const FOLLOWS_MAX: usize = 3;
/// The longest that the other replicas wait for a new file to be in the store; then each asks upstream for it.
const SAVE_PATIENCE: Duration = Duration::from_secs(2);

impl Inner {
    pub(crate) async fn serve_index_file(
        self: &Arc<Self>,
        registry: &Arc<Registry>,
        name: &IndexName,
    ) -> Result<Answer, ServeError> {
        let key = StoreKey::index_file(&registry.policy.id, name);
        let copy = match self.hot.get(&key).await {
            Some(copy) => Some(copy),
            None if self.gone.holds(&key).await => {
                return Err(absent(name, Reason::RememberedAbsent, None));
            }
            None => self.copy(registry, name, &key).await,
        };
        if registry.upstream.condition() == Condition::Offline {
            return match &copy {
                Some(copy) => held(name, copy, Outcome::Hit, Reason::Offline),
                None => Err(absent(name, Reason::Offline, None)),
            };
        }
        if let Some(copy) = &copy {
            copy.count_use();
            match copy.judge(Instant::now(), registry.ttl(copy)) {
                Judgement::Fresh => return held(name, copy, Outcome::Hit, Reason::Fresh),
                Judgement::Due => {
                    self.refresh(registry, name, &key, Authority::Fleet);
                    return held(name, copy, Outcome::Hit, Reason::Fresh);
                }
                Judgement::Stale => {}
            }
        }
        let (led, ticket) = self.refresh(registry, name, &key, Authority::Fleet);
        let condition = registry.upstream.condition();
        let deadline = match (&copy, condition) {
            (None, _) => Instant::now() + self.limits.wait_max,
            // Who joins late has the less to wait: one refresh costs one patience, and not one per client.
            (Some(_), Condition::Healthy) => ticket.began() + self.limits.refresh_patience,
            // Upstream has shown that it would be in vain.
            (Some(_), Condition::Slow | Condition::Down { .. } | Condition::Offline) => {
                Instant::now()
            }
        };
        let failure = match ticket.wait(deadline).await {
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
            Err(NoResult::Late) if copy.is_some() => unasked(condition),
            Err(no_result) => late(no_result),
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
                let span = trace::refresh(&registry.policy.id, &key);
                let refresh = async move {
                    cache.lead_refresh(&registry, &name, &key, ask, takeoff).await;
                };
                self.tasks.spawn(refresh.instrument(span));
                (true, ticket)
            }
        }
    }

    async fn lead_refresh(
        self: &Arc<Self>,
        registry: &Arc<Registry>,
        name: &IndexName,
        key: &StoreKey,
        ask: Authority,
        takeoff: Takeoff<Result<Refreshed, Failure>>,
    ) {
        if let Some(come) = self.come_meanwhile(registry, key, ask).await {
            return takeoff.publish(Ok(come));
        }
        let mut lease = None;
        for _ in 0..FOLLOWS_MAX {
            if let Some(told) = self.told(registry, name, key, ask).await {
                return takeoff.publish(told);
            }
            match self.ports.coordinator.claim(key).await {
                Ok(Claim::Follow { .. }) => {
                    drop(self.ports.coordinator.wait(key, self.limits.wait_max).await);
                }
                Ok(Claim::Lead(granted)) => {
                    // Somebody may have ended between the look and the claim.
                    if let Some(told) = self.told(registry, name, key, ask).await {
                        give_back(key, granted).await;
                        return takeoff.publish(told);
                    }
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
        let concluded = Instant::now();
        let (note, keep, unsaved) = self.conclude(registry, name, key, &result, asked).await;
        takeoff.publish(result);
        // Who asks from here on has not asked for this refresh.
        drop(takeoff);
        // The fleet is told of bytes that it can have. A store that takes its time is not waited for.
        let saved = async {
            if let Some(copy) = unsaved {
                self.save_in_turn(key, &copy).await;
            }
        };
        tokio::pin!(saved);
        let is_saved = tokio::time::timeout(SAVE_PATIENCE, &mut saved).await.is_ok();
        self.tell(key, lease, note.aged(concluded.elapsed()), keep).await;
        if !is_saved {
            saved.await;
        }
    }

    /// What came here while the one who asks was looking elsewhere: a flight may have ended between its look and this
    /// one, and the fleet is not told before the store has the file.
    async fn come_meanwhile(
        &self,
        registry: &Registry,
        key: &StoreKey,
        ask: Authority,
    ) -> Option<Refreshed> {
        let Some(copy) = self.hot.get(key).await else {
            let is_gone = ask == Authority::Fleet && self.gone.holds(key).await;
            let reason = Reason::RememberedAbsent;
            return is_gone.then_some(Refreshed::Absent { copy: None, reason, status: None });
        };
        let is_enough = match ask {
            Authority::Fleet => copy.judge(Instant::now(), registry.ttl(&copy)) == Judgement::Fresh,
            Authority::Upstream { seen, .. } => Some(copy.checksum()) != seen,
        };
        let is_news = is_enough && !copy.is_withdrawn();
        is_news.then_some(Refreshed::Current { copy, reason: Reason::Fresh, status: None })
    }

    /// What the fleet knows, where that answers the question.
    async fn told(
        &self,
        registry: &Registry,
        name: &IndexName,
        key: &StoreKey,
        ask: Authority,
    ) -> Option<Result<Refreshed, Failure>> {
        match self.ports.coordinator.recall(key).await.ok()?? {
            // Upstream is left alone after a failure, whoever asks.
            Note::Failed { reason } => {
                Some(Err(Failure::own(reason, "upstream failed a moment ago")))
            }
            Note::Absent if ask != Authority::Fleet => None,
            Note::Absent => Some(Ok(Refreshed::Absent {
                copy: self.copy(registry, name, key).await,
                reason: Reason::RememberedAbsent,
                status: None,
            })),
            Note::Fresh { checksum, asked_ago, checked_ago } => {
                let copy = self.copy_with(registry, name, key, checksum).await?;
                let freshness = since(asked_ago, checked_ago)?;
                copy.confirm(freshness);
                let enough = match ask {
                    // A file that is due may still be served, but this is the refresh that it is due for.
                    Authority::Fleet => {
                        copy.judge(Instant::now(), registry.ttl(&copy)) == Judgement::Fresh
                    }
                    Authority::Upstream { since, seen } => {
                        freshness.checked >= since || seen != Some(copy.checksum())
                    }
                };
                enough.then_some(Ok(Refreshed::Current {
                    copy,
                    reason: Reason::Fresh,
                    status: None,
                }))
            }
        }
    }

    /// The copy that a note is on: the one that is here, or the one that another replica has saved since. A note is on
    /// the file as upstream has it, and so on no copy that was withdrawn before.
    async fn copy_with(
        &self,
        registry: &Registry,
        name: &IndexName,
        key: &StoreKey,
        checksum: Sha256,
    ) -> Option<Arc<IndexCopy>> {
        let fits = |copy: &Arc<IndexCopy>| copy.checksum() == checksum && !copy.is_withdrawn();
        if let Some(copy) = self.copy(registry, name, key).await.filter(fits) {
            return Some(copy);
        }
        let saved = self.load(registry, name, key).await.ok().filter(fits)?;
        self.hot.insert(key.clone(), Arc::clone(&saved)).await;
        Some(saved)
    }

    /// Asks upstream, and reads what it says against the copy that is here.
    async fn ask_index_file(
        self: &Arc<Self>,
        registry: &Arc<Registry>,
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
        let (status, checksum) = (Some(200), hot::digest(&bytes).await);
        let is_new = copy.is_none();
        if let Some(copy) = copy.filter(|copy| copy.checksum() == checksum) {
            let same = *copy.validators() == validators && !copy.is_withdrawn();
            let copy = if same { copy } else { Arc::new(copy.with(validators, false)) };
            return Ok(Refreshed::Current { copy, reason: Reason::Unchanged, status });
        }
        let copy = self
            .parsed(name, bytes, checksum, validators)
            .await
            .map_err(|error| invalid(error.to_string()))?;
        self.metrics.fill(ResourceKind::Index, STORED);
        if is_new {
            self.fetch_ahead(registry, copy.bytes());
        }
        Ok(Refreshed::Current { copy, reason: Reason::Changed, status })
    }

    async fn parsed(
        &self,
        name: &IndexName,
        bytes: Bytes,
        checksum: Sha256,
        validators: Validators,
    ) -> Result<Arc<IndexCopy>, crateport_types::InvalidIndexFile> {
        let file = hot::parse(name, &bytes).await?;
        self.metrics.filled(ResourceKind::Index, bytes.len());
        let copy = IndexCopy::new(bytes, checksum, file, validators, SystemTime::now(), false);
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
                (Some(copy), note, registry.policy.index_ttl())
            }
            Ok(Refreshed::Absent { copy, .. }) => {
                (copy.as_ref(), Note::Absent, registry.policy.absent_ttl())
            }
            Err(failure) => {
                debug!(%key, %failure, "the refresh failed");
                (None, Note::Failed { reason: failure.reason }, self.limits.failed_ttl)
            }
        };
        let Some(copy) = copy else {
            if note == Note::Absent {
                self.gone.insert(key.clone(), asked + keep).await;
            }
            return (note, keep, None);
        };
        self.gone.forget(key).await;
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

/// Why a client got nothing from work that it waited for.
pub(crate) fn late(no_result: NoResult) -> Failure {
    match no_result {
        NoResult::Late => Failure::own(Reason::UpstreamTimeout, "upstream did not answer in time"),
        NoResult::Lost => Failure::own(Reason::Overloaded, "the work was given up"),
    }
}

/// Why a client that could be served a known file did not wait for a newer one.
pub(crate) fn unasked(condition: Condition) -> Failure {
    match condition {
        Condition::Healthy | Condition::Slow => {
            Failure::own(Reason::UpstreamSlow, "upstream is slow")
        }
        Condition::Offline => Failure::own(Reason::Offline, "upstream is never asked"),
        Condition::Down { .. } => {
            Failure::own(Reason::UpstreamCircuitOpen, "upstream is left alone for now")
        }
    }
}

/// Gives back a lease whose work somebody else has done.
pub(crate) async fn give_back(key: &StoreKey, lease: Lease) {
    if let Err(error) = lease.end(None).await {
        debug!(%key, %error, "the lease could not be given back");
    }
}

pub(crate) fn since(asked_ago: Duration, checked_ago: Duration) -> Option<Freshness> {
    let now = Instant::now();
    Some(Freshness { asked: now.checked_sub(asked_ago)?, checked: now.checked_sub(checked_ago)? })
}
