//! Sweeps: what goes, what stays, and what happens in between.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use crateport_cache::uses::{UseLine, read_batch};
use crateport_coord::{Claim, Coordinator as _, RedisConfig, RedisCoordinator};
use crateport_operate::{Deed, OperateError, Removal, Swept, Verdict};
use crateport_store::{
    FsStore, Object, ObjectMeta, ObjectStore, Payload, PutOptions, Read, StoreError,
};
use crateport_testkit::redis::RedisServer;
use crateport_types::{Area, DistId, StoreKey};
use futures_util::future::BoxFuture;
use url::Url;

use super::house::{DAY, HOUR, House, days, krate, retention, write_uses};

#[tokio::test]
async fn what_nobody_used_goes_and_what_was_used_stays() {
    let house = House::new();
    let [used, unused, new] = ["used", "unused", "new"].map(|name| krate("crates-io", name));
    for (key, ago) in [(&used, days(200)), (&unused, days(200)), (&new, days(5))] {
        house.put(key, 100, ago).await;
    }
    house.used(&[used.clone(), unused.clone()], days(120)).await;
    house.used(std::slice::from_ref(&used), days(30)).await;
    let mut told = Vec::new();
    let swept = house
        .sweeper()
        .sweep(&retention(Some(days(90)), None), Deed::Remove, |removal| {
            told.push((removal.key.clone(), removal.size_bytes, removal.verdict));
        })
        .await
        .unwrap();
    assert_eq!(told, [(unused.clone(), 100, Verdict::Unused)]);
    assert!(house.has(&used) && house.has(&new) && !house.has(&unused));
    assert_eq!((swept.unused.objects, swept.unused.bytes), (1, 100));
    assert_eq!(swept.surplus.objects + swept.spared.objects + swept.failed.objects, 0);
}

#[tokio::test]
async fn a_rehearsal_tells_the_same_and_removes_nothing() {
    let house = House::new();
    let keys = ["a", "b", "c"].map(|name| krate("crates-io", name));
    for (key, ago) in keys.iter().zip([300, 200, 100]) {
        house.put(key, 1000, days(ago)).await;
    }
    let before = house.keys(&Area::All).await;
    let sweep = async |deed| -> (Swept, Vec<StoreKey>) {
        let mut told = Vec::new();
        let retention = retention(Some(days(250)), Some(1500));
        let sweeper = house.sweeper();
        let tell = |removal: &Removal<'_>| told.push(removal.key.clone());
        (sweeper.sweep(&retention, deed, tell).await.unwrap(), told)
    };
    let rehearsed = sweep(Deed::Tell).await;
    assert_eq!(house.keys(&Area::All).await, before);
    let swept = sweep(Deed::Remove).await;
    assert_eq!(rehearsed, swept);
    assert_eq!((swept.0.unused.objects, swept.0.surplus.objects), (1, 1));
    assert_eq!(house.keys(&Area::All).await, [keys[2].to_string()]);
    assert_eq!(swept.0.after().bytes, 1000);
}

#[tokio::test]
async fn nothing_that_was_served_within_the_grace_goes_however_full_the_store_is() {
    let house = House::new();
    let [served, written, old] = ["served", "written", "old"].map(|name| krate("crates-io", name));
    house.put(&served, 100, days(500)).await;
    house.put(&written, 100, HOUR / 2).await;
    house.put(&old, 100, days(500)).await;
    house.used(std::slice::from_ref(&served), HOUR / 2).await;
    let retention = retention(Some(Duration::from_secs(1)), Some(0));
    let swept = house.sweeper().sweep(&retention, Deed::Remove, |_| {}).await.unwrap();
    assert!(house.has(&served) && house.has(&written) && !house.has(&old));
    assert_eq!(swept.graced.objects, 2);
}

#[tokio::test]
async fn the_longest_grace_that_a_replica_counts_on_holds() {
    let house = House::new();
    let key = krate("crates-io", "a");
    house.put(&key, 100, days(500)).await;
    house.used(std::slice::from_ref(&key), 2 * HOUR).await;
    let mut writer = crateport_cache::uses::BatchWriter::new(
        &crateport_cache::uses::BatchHead::new("patient", 3 * 3600),
    );
    writer.line(&UseLine {
        object: "crates-io/crates/b/b-1.0.0.crate".into(),
        count: 1,
        first_s: 0,
        last_s: 0,
        replica: None,
        client: crateport_cache::uses::Client::default(),
    });
    let today = crateport_types::Day::of(std::time::SystemTime::now());
    let batch = StoreKey::usage(today, "patient", 1);
    house.store.put(&batch, writer.finish().into(), PutOptions::default()).await.unwrap();
    let retention = retention(Some(HOUR), None);
    let swept = house.sweeper().sweep(&retention, Deed::Remove, |_| {}).await.unwrap();
    assert_eq!((swept.unused.objects, swept.graced.objects), (0, 1));
}

#[tokio::test]
async fn what_cannot_be_fetched_again_stays() {
    let house = House::new();
    let registry = "crates-io".parse().unwrap();
    let name = "a".parse::<crateport_types::CrateName>().unwrap();
    let stay = [
        krate("hosted", "a"),
        StoreKey::index_file(&registry, &name.index_name()),
        StoreKey::config(&registry),
        StoreKey::upstream_config(&registry),
    ];
    for key in &stay {
        house.put(key, 100, days(900)).await;
    }
    let retention = retention(Some(DAY), Some(0));
    let swept = house.sweeper().sweep(&retention, Deed::Remove, |_| {}).await.unwrap();
    assert_eq!((swept.unused.objects, swept.surplus.objects), (0, 0));
    assert!(stay.iter().all(|key| house.has(key)));
}

#[tokio::test]
async fn a_dist_file_that_never_changes_goes_and_one_that_does_stays() {
    let house = House::new();
    let (dist, path) = (DistId::rustup(), "dist/channel-rust-stable.toml".parse().unwrap());
    let artifact =
        StoreKey::dist_file(&dist, &"dist/2026-01-01/rustc-1.95.0-x.tar.xz".parse().unwrap());
    let used =
        StoreKey::dist_file(&dist, &"dist/2026-01-01/cargo-1.95.0-x.tar.xz".parse().unwrap());
    let given = StoreKey::dist_given(&dist, &path);
    let content = StoreKey::dist_snapshot(&dist, &path, &crateport_types::Sha256::of(b""));
    for key in [&artifact, &used, &given, &content] {
        house.put(key, 100, days(500)).await;
    }
    house.used(std::slice::from_ref(&used), DAY).await;
    let retention = retention(Some(days(90)), None);
    let swept = house.sweeper().sweep(&retention, Deed::Remove, |_| {}).await.unwrap();
    assert_eq!(swept.unused.objects, 1);
    assert!(!house.has(&artifact) && [used, given, content].iter().all(|key| house.has(key)));
}

#[tokio::test]
async fn damaged_uses_of_these_days_stop_a_sweep() {
    let house = House::new();
    let key = krate("crates-io", "a");
    house.put(&key, 100, days(500)).await;
    let batch = house.used(std::slice::from_ref(&key), HOUR / 2).await;
    std::fs::write(house.path(&batch), "rot").unwrap();
    let retention = retention(Some(DAY), None);
    let swept = house.sweeper().sweep(&retention, Deed::Remove, |_| {}).await;
    assert!(matches!(swept, Err(OperateError::Uses { key, .. }) if key == batch));
    assert!(house.has(&key));
}

#[tokio::test]
async fn the_uses_of_a_day_that_is_over_become_one_batch_and_are_counted_once() {
    let house = House::new();
    let keys = ["a", "b", "c"].map(|name| krate("crates-io", name));
    for key in &keys {
        house.put(key, 100, days(500)).await;
        house.used(std::slice::from_ref(key), days(40)).await;
    }
    house.used(&keys[..1], days(400)).await;
    let parts = house.keys(&Area::Usage).await;
    assert_eq!(parts.len(), 4);
    for round in 0..2 {
        let retention = retention(Some(days(41)), None);
        let swept = house.sweeper().sweep(&retention, Deed::Remove, |_| {}).await.unwrap();
        assert_eq!(swept.unused.objects, 0, "round {round}");
        let merged = house.keys(&Area::Usage).await;
        assert_eq!(merged.len(), 1, "the oldest are dropped: {merged:?}");
        let key = StoreKey::listed(&merged[0]).unwrap();
        assert!(key.is_merged_usage());
        let batch = house.store.get(&key, Read::whole()).await.unwrap().unwrap();
        let (mut taken, mut count) = (Vec::new(), 0);
        let bytes = batch.collect(1 << 20).await.unwrap();
        let line = |line: UseLine| {
            count += line.count;
            assert_eq!(line.replica.as_deref(), Some("replica-7"), "who served is not forgotten");
        };
        read_batch(&bytes, |head| taken = head.merged, line).unwrap();
        assert_eq!((taken.len(), count), (3, 3));
    }
}

/// A store in which somebody does something in the moment in which a sweep does.
struct Meddled {
    inner: Arc<FsStore>,
    at: fn(Operation, &StoreKey) -> bool,
    meddling: Mutex<Option<BoxFuture<'static, ()>>>,
}

#[derive(Clone, Copy, PartialEq)]
enum Operation {
    Get,
    Put,
    Other,
}

impl Meddled {
    fn new(
        house: &House,
        at: fn(Operation, &StoreKey) -> bool,
        meddling: impl Future<Output = ()> + Send + 'static,
    ) -> Self {
        Self { inner: Arc::clone(&house.store), at, meddling: Mutex::new(Some(Box::pin(meddling))) }
    }

    async fn meddle(&self, operation: Operation, key: &StoreKey) {
        if (self.at)(operation, key) {
            let meddling = self.meddling.lock().unwrap().take();
            if let Some(meddling) = meddling {
                meddling.await;
            }
        }
    }
}

impl std::fmt::Debug for Meddled {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Meddled").finish_non_exhaustive()
    }
}

#[async_trait]
impl ObjectStore for Meddled {
    async fn head(&self, key: &StoreKey) -> Result<Option<ObjectMeta>, StoreError> {
        self.meddle(Operation::Other, key).await;
        self.inner.head(key).await
    }

    async fn get(&self, key: &StoreKey, read: Read) -> Result<Option<Object>, StoreError> {
        self.meddle(Operation::Get, key).await;
        self.inner.get(key, read).await
    }

    async fn put(
        &self,
        key: &StoreKey,
        payload: Payload,
        options: PutOptions,
    ) -> Result<ObjectMeta, StoreError> {
        self.meddle(Operation::Put, key).await;
        self.inner.put(key, payload, options).await
    }

    async fn delete(&self, key: &StoreKey) -> Result<bool, StoreError> {
        self.meddle(Operation::Other, key).await;
        self.inner.delete(key).await
    }

    async fn list(
        &self,
        area: &Area,
        after: Option<&StoreKey>,
        count_max: usize,
    ) -> Result<Vec<(StoreKey, ObjectMeta)>, StoreError> {
        self.inner.list(area, after, count_max).await
    }

    async fn presign(&self, key: &StoreKey, lifetime: Duration) -> Result<Option<Url>, StoreError> {
        self.inner.presign(key, lifetime).await
    }

    fn base_url(&self) -> Option<Url> {
        self.inner.base_url()
    }
}

/// A sweep has named what it is about to delete.
fn has_doomed(operation: Operation, key: &StoreKey) -> bool {
    operation == Operation::Put && key.as_str().starts_with(&Area::Doomed.prefix())
}

#[tokio::test]
async fn what_is_used_or_written_between_the_count_and_the_removal_stays() {
    for is_written in [false, true] {
        let house = House::new();
        let [spared, unused] = ["spared", "unused"].map(|name| krate("crates-io", name));
        for key in [&spared, &unused] {
            house.put(key, 100, days(200)).await;
        }
        let (store, key) = (Arc::clone(&house.store), spared.clone());
        let meddling = async move {
            if is_written {
                store.put(&key, Bytes::new().into(), PutOptions::default()).await.unwrap();
            } else {
                write_uses(&*store, &[key], Duration::ZERO).await;
            }
        };
        let sweeper = house.sweeper_of(Arc::new(Meddled::new(&house, has_doomed, meddling)));
        let swept = sweeper.sweep(&retention(Some(DAY), None), Deed::Remove, |_| {}).await.unwrap();
        assert!(house.has(&spared) && !house.has(&unused), "{is_written}");
        assert_eq!((swept.unused.objects, swept.spared.objects), (1, 1), "{is_written}");
        assert!(house.keys(&Area::Doomed).await.is_empty(), "no list stays behind");
    }
}

#[tokio::test]
async fn no_use_is_lost_when_two_merge_at_once() {
    let house = House::new();
    let keys = ["a", "b", "c"].map(|name| krate("crates-io", name));
    for key in &keys {
        house.put(key, 100, days(500)).await;
        house.used(std::slice::from_ref(key), days(40)).await;
    }
    let retention = retention(Some(days(41)), None);
    // The other one merges all of it, after this one has read a part.
    let other = house.sweeper();
    let meddling = async move {
        other.sweep(&retention, Deed::Remove, |_| {}).await.unwrap();
    };
    let is_part = |operation, key: &StoreKey| {
        static READ: AtomicUsize = AtomicUsize::new(0);
        operation == Operation::Get
            && key.as_str().starts_with(&Area::Usage.prefix())
            && READ.fetch_add(1, Ordering::Relaxed) == 1
    };
    let sweeper = house.sweeper_of(Arc::new(Meddled::new(&house, is_part, meddling)));
    for _ in 0..2 {
        let swept = sweeper.sweep(&retention, Deed::Remove, |_| {}).await.unwrap();
        assert_eq!(swept.unused.objects, 0);
    }
    assert!(keys.iter().all(|key| house.has(key)));
    assert_eq!(house.keys(&Area::Usage).await.len(), 1);
}

#[tokio::test]
async fn one_sweeps_at_a_time_and_one_of_a_fleet_on_schedule() {
    let house = House::new();
    let redis = RedisServer::start().await;
    let coordinator =
        || RedisCoordinator::start(RedisConfig::new(redis.url().parse().unwrap())).unwrap();
    let other = coordinator();
    let lease = loop {
        match other.claim(&StoreKey::sweep_lease()).await {
            Ok(Claim::Lead(lease)) => break lease,
            _ => tokio::time::sleep(Duration::from_millis(10)).await,
        }
    };
    let sweeper =
        crateport_operate::Sweeper { coordinator: Arc::new(coordinator()), ..house.sweeper() };
    let retention = retention(Some(DAY), None);
    let swept = sweeper.sweep(&retention, Deed::Remove, |_| {}).await;
    assert!(matches!(swept, Err(OperateError::Busy)), "{swept:?}");
    assert!(sweeper.sweep_if_due(&retention, HOUR, |_| {}).await.unwrap().is_none());
    lease.end(None).await.unwrap();
    assert!(sweeper.sweep_if_due(&retention, HOUR, |_| {}).await.unwrap().is_some());
    assert!(sweeper.sweep_if_due(&retention, HOUR, |_| {}).await.unwrap().is_none(), "it is done");
    sweeper.sweep(&retention, Deed::Remove, |_| {}).await.unwrap();
}
