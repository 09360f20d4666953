//! A store with objects of known ages, and the uses of them.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crateport_cache::uses::{BatchHead, BatchWriter, Client, UseLine};
use crateport_coord::LocalCoordinator;
use crateport_operate::{Retention, Sweeper};
use crateport_store::{FsStore, ObjectStore, Payload, PutOptions};
use crateport_types::{Area, Day, DistId, Sha256, StoreKey};
use tempfile::TempDir;

pub(crate) const DAY: Duration = Duration::from_secs(86_400);
pub(crate) const HOUR: Duration = Duration::from_secs(3600);

pub(crate) struct House {
    directory: TempDir,
    pub(crate) store: Arc<FsStore>,
}

pub(crate) fn days(count: u32) -> Duration {
    DAY * count
}

pub(crate) fn krate(registry: &str, name: &str) -> StoreKey {
    let version = "1.0.0".parse().unwrap();
    StoreKey::krate(&registry.parse().unwrap(), &name.parse().unwrap(), &version)
}

pub(crate) fn retention(unused_for: Option<Duration>, size_bytes_max: Option<u64>) -> Retention {
    Retention { unused_for, size_bytes_max, grace: HOUR }
}

impl House {
    pub(crate) fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let store = Arc::new(FsStore::open(directory.path()).unwrap());
        Self { directory, store }
    }

    /// Puts an object that was written so long ago.
    pub(crate) async fn put(&self, key: &StoreKey, size_bytes: usize, ago: Duration) {
        let bytes = vec![b'x'; size_bytes];
        let options = PutOptions { checksum: Some(Sha256::of(&bytes)), ..PutOptions::default() };
        self.store.put(key, Payload::Bytes(bytes.into()), options).await.unwrap();
        self.age(key, ago);
    }

    pub(crate) fn age(&self, key: &StoreKey, ago: Duration) {
        let file = std::fs::File::options().write(true).open(self.path(key)).unwrap();
        file.set_modified(SystemTime::now() - ago).unwrap();
    }

    /// Writes a batch as a replica does: these objects were used once, so long ago.
    pub(crate) async fn used(&self, keys: &[StoreKey], ago: Duration) -> StoreKey {
        write_uses(&*self.store, keys, ago).await
    }

    pub(crate) fn has(&self, key: &StoreKey) -> bool {
        self.path(key).exists()
    }

    pub(crate) fn path(&self, key: &StoreKey) -> PathBuf {
        Path::new(self.directory.path()).join(key.as_str())
    }

    pub(crate) async fn keys(&self, area: &Area) -> Vec<String> {
        let listed = self.store.list(area, None, 10_000).await.unwrap();
        listed.into_iter().map(|(key, _)| key.to_string()).collect()
    }

    pub(crate) fn sweeper(&self) -> Sweeper {
        self.sweeper_of(Arc::<FsStore>::clone(&self.store))
    }

    pub(crate) fn sweeper_of(&self, store: Arc<dyn ObjectStore>) -> Sweeper {
        Sweeper {
            store,
            coordinator: Arc::new(LocalCoordinator::new(10)),
            registries: ["crates-io".parse().unwrap()].into(),
            dists: [DistId::rustup()].into(),
            keep_uses: days(365),
        }
    }
}

pub(crate) async fn write_uses(
    store: &dyn ObjectStore,
    keys: &[StoreKey],
    ago: Duration,
) -> StoreKey {
    let at = SystemTime::now() - ago;
    let at_s = at.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
    let mut writer = BatchWriter::new(&BatchHead::new("replica-7", 0));
    for key in keys {
        let object = UseLine::name_of(key).into();
        let client = Client::default();
        writer.line(&UseLine {
            object,
            count: 1,
            first_s: at_s,
            last_s: at_s,
            replica: None,
            client,
        });
    }
    let key = StoreKey::usage(Day::of(at), "replica-7", fastrand::u64(..));
    store.put(&key, writer.finish().into(), PutOptions::default()).await.unwrap();
    key
}
