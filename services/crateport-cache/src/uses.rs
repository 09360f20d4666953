//! Who used what: recorded in memory, written to the store in batches.
//!
//! Two promises are made to sweeps. A use is in the store within [`UsePolicy::flush_every`], or within a second or so
//! if its object was not used for long. And nobody is sent to an object in the store unless it was written within
//! half the grace, or a use of it is *in the store* since, and it was seen there after that: `Uses::hold` waits for
//! the one, and its caller looks for the other. After each batch the list of what a sweep is about to delete is read; a
//! sweep writes that list before it reads the batches. So either the sweep sees the use, or the replica sees the list
//! and sends nobody, or the object is gone before the replica looks.

mod batch;
mod doomed;

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use crateport_store::{ObjectStore, PutOptions};
use crateport_types::{Day, StoreKey};
use prometheus::{IntCounter, Registry};
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tracing::warn;

pub use self::batch::{BatchHead, BatchWriter, Client, InvalidBatch, UseLine, read_batch};
pub use self::doomed::{doom, doomed, reprieve};
pub(crate) use self::doomed::{list_all, read_keys, text};

/// How uses are recorded.
#[derive(Clone, Debug)]
pub struct UsePolicy {
    /// The name of this replica.
    pub replica: String,
    /// How long a use may be on its way to the store.
    pub flush_every: Duration,
    /// What was used or written within this time, no sweep removes.
    pub grace: Duration,
    /// Uses in memory, counted by object and client; what comes beyond while the store fails is lost.
    pub pending_max: usize,
    /// Objects whose use is known to be in the store, remembered by count.
    pub held_max: u64,
}

/// Why no sweep removes an object within half the grace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hold {
    /// It was written a short while ago.
    Young,
    /// A use of it is in the store since then. It was not removed after, but it may have been before.
    Since(Instant),
}

/// The record of uses. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Uses(Arc<Shared>);

struct Shared {
    store: Arc<dyn ObjectStore>,
    policy: UsePolicy,
    pending: Mutex<Pending>,
    /// The objects with a use in the store within half the grace.
    held: moka::sync::Cache<StoreKey, Instant>,
    /// What somebody else is changing.
    doubted: moka::sync::Cache<StoreKey, ()>,
    flush: Arc<Wanted>,
    /// The rounds that have ended.
    rounds: watch::Sender<u64>,
    /// One flush at a time.
    flushing: tokio::sync::Mutex<()>,
    metrics: Metrics,
}

#[derive(Default)]
struct Pending {
    uses: HashMap<(StoreKey, Client), Tally>,
    /// The round that takes what is here.
    round: u64,
}

#[derive(Clone, Copy)]
struct Tally {
    count: u64,
    first_s: u64,
    last_s: u64,
}

/// Tells the task that writes.
#[derive(Default)]
struct Wanted {
    /// A client waits.
    now: Notify,
    /// Within a second.
    soon: Notify,
}

struct Metrics {
    batches: IntCounter,
    failures: IntCounter,
    lost: IntCounter,
}

/// What is wanted at once is gathered for so long, so that one batch serves many clients.
const GATHER: Duration = Duration::from_millis(20);
/// What is wanted soon is gathered for so long.
const SOON: Duration = Duration::from_secs(1);
/// A client waits no longer for a use to be written; it is served through this process then.
const HOLD_WAIT_MAX: Duration = Duration::from_secs(2);
/// One write.
const WRITE_WAIT_MAX: Duration = Duration::from_secs(10);
/// A longer user agent is cut.
const USER_AGENT_BYTES_MAX: usize = 200;

impl Default for UsePolicy {
    fn default() -> Self {
        Self {
            replica: "crateport".to_owned(),
            flush_every: Duration::from_secs(300),
            grace: Duration::from_secs(24 * 3600),
            pending_max: 20_000,
            held_max: 100_000,
        }
    }
}

impl Uses {
    /// Begins to record, within a Tokio runtime. What is doubted is so for `doubt`.
    pub(crate) fn start(
        store: Arc<dyn ObjectStore>,
        policy: UsePolicy,
        doubt: Duration,
        metrics: &Registry,
    ) -> Result<Self, prometheus::Error> {
        let held = moka::sync::Cache::builder()
            .max_capacity(policy.held_max)
            .time_to_live(policy.grace / 2)
            .build();
        let doubted =
            moka::sync::Cache::builder().max_capacity(policy.held_max).time_to_live(doubt).build();
        let shared = Arc::new(Shared {
            store,
            pending: Mutex::default(),
            held,
            doubted,
            flush: Arc::default(),
            rounds: watch::Sender::new(0),
            flushing: tokio::sync::Mutex::default(),
            metrics: Metrics::register(metrics)?,
            policy,
        });
        tokio::spawn(write_batches(
            Arc::downgrade(&shared),
            Arc::clone(&shared.flush),
            shared.policy.flush_every,
        ));
        Ok(Self(shared))
    }

    /// Takes note of a use.
    pub(crate) fn record(&self, key: StoreKey, client: Client) {
        self.0.note(key, cut(client), 1);
    }

    /// Takes note that an object is read through this process. What was not used for long is written soon.
    pub(crate) fn touch(&self, key: &StoreKey, modified: SystemTime) {
        if self.0.hold(key, modified).is_none() {
            self.0.note(key.clone(), Client::default(), 0);
            self.0.flush.soon.notify_one();
        }
    }

    /// Whether a client may be sent to the object, and why. Waits for a batch to be written if need be.
    pub(crate) async fn hold(&self, key: &StoreKey, modified: SystemTime) -> Option<Hold> {
        if self.0.doubted.contains_key(key) {
            return None;
        }
        let hold = self.0.hold(key, modified);
        if hold.is_some() {
            return hold;
        }
        let round = self.0.note(key.clone(), Client::default(), 0)?;
        self.0.flush.now.notify_one();
        let mut rounds = self.0.rounds.subscribe();
        let _ = timeout(HOLD_WAIT_MAX, rounds.wait_for(|ended| *ended > round)).await;
        self.0.held.get(key).map(Hold::Since)
    }

    /// Sends nobody to an object for a while: somebody else changes it.
    pub(crate) fn doubt(&self, key: &StoreKey) {
        self.0.doubted.insert(key.clone(), ());
        self.0.held.invalidate(key);
    }

    /// Writes what is pending.
    pub(crate) async fn flush(&self) {
        self.0.write().await;
    }
}

impl Shared {
    fn hold(&self, key: &StoreKey, modified: SystemTime) -> Option<Hold> {
        if modified.elapsed().unwrap_or_default() < self.policy.grace / 2 {
            return Some(Hold::Young);
        }
        self.held.get(key).map(Hold::Since)
    }

    fn pending(&self) -> MutexGuard<'_, Pending> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The round that takes it, if there is room.
    fn note(&self, key: StoreKey, client: Client, count: u64) -> Option<u64> {
        let now_s = seconds(SystemTime::now());
        let mut pending = self.pending();
        let is_full = pending.uses.len() >= self.policy.pending_max;
        if is_full {
            self.flush.now.notify_one();
            if !pending.uses.contains_key(&(key.clone(), client.clone())) {
                self.metrics.lost.inc();
                return None;
            }
        }
        let new = Tally { count: 0, first_s: now_s, last_s: now_s };
        let tally = pending.uses.entry((key, client)).or_insert(new);
        tally.count += count;
        tally.last_s = now_s;
        Some(pending.round)
    }

    async fn write(&self) {
        let _turn = self.flushing.lock().await;
        let (uses, round) = {
            let mut pending = self.pending();
            pending.round += 1;
            (std::mem::take(&mut pending.uses), pending.round)
        };
        if !uses.is_empty() {
            self.write_batch(uses).await;
        }
        self.rounds.send_replace(round);
    }

    async fn write_batch(&self, uses: HashMap<(StoreKey, Client), Tally>) {
        let UsePolicy { replica, grace, .. } = &self.policy;
        let mut writer = BatchWriter::new(&BatchHead::new(replica, grace.as_secs()));
        for ((key, client), tally) in &uses {
            let object = UseLine::name_of(key).into();
            let Tally { count, first_s, last_s } = *tally;
            let client = client.clone();
            writer.line(&UseLine { object, count, first_s, last_s, replica: None, client });
        }
        let name =
            replica.replace(|letter: char| !letter.is_ascii_alphanumeric() && letter != '-', "_");
        let key = StoreKey::usage(Day::of(SystemTime::now()), &name, fastrand::u64(..));
        let put = self.store.put(&key, writer.finish().into(), PutOptions::default());
        let written = match timeout(WRITE_WAIT_MAX, put).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => Err(error.to_string()),
            Err(_) => Err(format!("no answer within {} s", WRITE_WAIT_MAX.as_secs())),
        };
        if let Err(error) = written {
            self.metrics.failures.inc();
            warn!(%error, uses = uses.len(), "uses could not be written; they are tried again");
            return self.put_back(uses);
        }
        self.metrics.batches.inc();
        // What a sweep has named before it could see this batch is not held.
        let doomed = timeout(WRITE_WAIT_MAX, doomed(&*self.store)).await;
        let Ok(Ok(doomed)) = doomed else { return };
        for ((key, _), _) in uses {
            if !doomed.contains(&key) {
                self.held.insert(key, Instant::now());
            }
        }
    }

    fn put_back(&self, uses: HashMap<(StoreKey, Client), Tally>) {
        let mut pending = self.pending();
        for (key, tally) in uses {
            if pending.uses.len() >= self.policy.pending_max && !pending.uses.contains_key(&key) {
                self.metrics.lost.inc();
                continue;
            }
            let later = pending.uses.entry(key).or_insert(tally);
            if later.first_s > tally.first_s {
                later.count += tally.count;
                later.first_s = tally.first_s;
            }
        }
    }
}

async fn write_batches(shared: std::sync::Weak<Shared>, wanted: Arc<Wanted>, every: Duration) {
    let mut due = Instant::now() + every;
    loop {
        tokio::select! {
            () = wanted.now.notified() => sleep(GATHER).await,
            () = wanted.soon.notified() => tokio::select! {
                () = sleep(SOON) => {}
                () = wanted.now.notified() => sleep(GATHER).await,
            },
            () = sleep_until(due) => {}
        }
        let Some(shared) = shared.upgrade() else { return };
        shared.write().await;
        due = Instant::now() + every;
    }
}

impl Metrics {
    fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        let counter = |name: &str, help: &str| -> Result<IntCounter, prometheus::Error> {
            let counter = IntCounter::new(name, help)?;
            registry.register(Box::new(counter.clone()))?;
            Ok(counter)
        };
        Ok(Self {
            batches: counter(
                "crateport_use_batches_total",
                "Batches of uses written to the store.",
            )?,
            failures: counter(
                "crateport_use_batch_failures_total",
                "Batches of uses that the store did not take; they are tried again.",
            )?,
            lost: counter(
                "crateport_uses_lost_total",
                "Uses that were not recorded because too many waited for the store.",
            )?,
        })
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.flush.now.notify_one();
    }
}

impl fmt::Debug for Uses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Uses").field("policy", &self.0.policy).finish_non_exhaustive()
    }
}

fn cut(client: Client) -> Client {
    let user_agent = client.user_agent.map(|agent| {
        let end = agent.floor_char_boundary(USER_AGENT_BYTES_MAX);
        agent.get(..end).unwrap_or_default().into()
    });
    Client { user_agent, ..client }
}

fn seconds(moment: SystemTime) -> u64 {
    moment.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs()
}

#[cfg(test)]
mod tests {
    use crateport_store::{FaultyStore, FsStore, StoreFault};
    use crateport_types::Area;

    use super::*;

    fn key(name: &str) -> StoreKey {
        let registry = "crates-io".parse().unwrap();
        StoreKey::krate(&registry, &name.parse().unwrap(), &"1.0.0".parse().unwrap())
    }

    fn start(store: &Arc<FaultyStore<FsStore>>) -> Uses {
        let policy = UsePolicy { flush_every: Duration::from_secs(3600), ..UsePolicy::default() };
        let store: Arc<dyn ObjectStore> = Arc::clone(store) as _;
        Uses::start(store, policy, Duration::from_secs(60), &Registry::new()).unwrap()
    }

    fn store() -> (tempfile::TempDir, Arc<FaultyStore<FsStore>>) {
        let directory = tempfile::tempdir().unwrap();
        let store = FaultyStore::new(FsStore::open(directory.path()).unwrap());
        (directory, Arc::new(store))
    }

    async fn lines(store: &FaultyStore<FsStore>) -> Vec<UseLine> {
        let mut lines = Vec::new();
        for (key, _) in store.list(&Area::Usage, None, 100).await.unwrap() {
            let batch = store.get(&key, Default::default()).await.unwrap().unwrap();
            let bytes = batch.collect(1 << 20).await.unwrap();
            read_batch(&bytes, |_| {}, |line| lines.push(line)).unwrap();
        }
        lines
    }

    #[tokio::test]
    async fn uses_of_one_object_by_one_client_are_one_line() {
        let (_directory, store) = store();
        let uses = start(&store);
        let agent = |agent: &str| Client { user_agent: Some(agent.into()), ..Client::default() };
        for name in ["cargo", "cargo", "curl"] {
            uses.record(key("a"), agent(name));
        }
        uses.flush().await;
        let mut counts = lines(&store).await.into_iter().map(|line| line.count).collect::<Vec<_>>();
        counts.sort_unstable();
        assert_eq!(counts, [1, 2]);
    }

    #[tokio::test]
    async fn nobody_is_sent_to_an_old_object_before_its_use_is_in_the_store() {
        let (_directory, store) = store();
        let uses = start(&store);
        let old = SystemTime::UNIX_EPOCH;
        assert_eq!(uses.hold(&key("new"), SystemTime::now()).await, Some(Hold::Young));
        assert!(lines(&store).await.is_empty(), "what was just written needs no use");
        let hold = uses.hold(&key("a"), old).await;
        assert!(matches!(hold, Some(Hold::Since(_))), "{hold:?}");
        assert_eq!(&*lines(&store).await[0].object, "crates-io/crates/a/a-1.0.0.crate");
        store.set(Some(StoreFault::Writes));
        assert_eq!(uses.hold(&key("a"), old).await, hold, "it still is");
        assert_eq!(uses.hold(&key("b"), old).await, None);
    }

    #[tokio::test]
    async fn nobody_is_sent_to_what_a_sweep_is_about_to_delete() {
        let (_directory, store) = store();
        let uses = start(&store);
        let list = doom(&*store, &[key("a")]).await.unwrap();
        assert!(uses.hold(&key("a"), SystemTime::UNIX_EPOCH).await.is_none());
        assert!(uses.hold(&key("b"), SystemTime::UNIX_EPOCH).await.is_some());
        reprieve(&*store, &list).await.unwrap();
        assert!(uses.hold(&key("a"), SystemTime::UNIX_EPOCH).await.is_some());
    }

    #[tokio::test]
    async fn nobody_is_sent_to_what_somebody_else_changes() {
        let (_directory, store) = store();
        let uses = start(&store);
        uses.doubt(&key("a"));
        assert!(uses.hold(&key("a"), SystemTime::now()).await.is_none());
        assert!(uses.hold(&key("b"), SystemTime::now()).await.is_some());
    }

    #[tokio::test]
    async fn uses_that_the_store_did_not_take_are_tried_again() {
        let (_directory, store) = store();
        let uses = start(&store);
        uses.record(key("a"), Client::default());
        store.set(Some(StoreFault::Writes));
        uses.flush().await;
        store.set(None);
        uses.record(key("a"), Client::default());
        uses.flush().await;
        assert_eq!(lines(&store).await.iter().map(|line| line.count).sum::<u64>(), 2);
    }
}
