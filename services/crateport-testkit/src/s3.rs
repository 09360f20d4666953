//! An S3 server on a real socket that checks what S3 checks: signatures, presigned URLs, SHA-256 checksums, and the
//! conditions of writes, atomically. It counts every operation, and can be slow, silent, wrong, cut, or a poorer
//! dialect of S3.
//!
//! It has one bucket, keeps everything in memory, and answers path style only. A fault shows only to requests whose
//! signature was right.

mod access;
mod backend;
mod body;
mod bucket;
mod check;
mod dialect;
mod fault;
mod multipart;
mod objects;
mod serve;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;

use self::bucket::Bucket;
pub use self::bucket::{S3About, S3Object, S3Upload};
pub use self::dialect::{S3Checksums, S3Conditions, S3Dialect, S3Metadata, S3Parts, S3Reads};
use self::fault::Script;
pub use self::fault::{S3Fault, S3Operation};
use crate::own_runtime::OwnRuntime;
use crate::port::Port;
use crate::upstream::{Times, WAIT_DEADLINE};

/// The S3 server. Dropping it closes everything.
pub struct S3Server {
    shared: Arc<Shared>,
    port: Port,
    runtime: OwnRuntime,
}

/// What the backend sees.
struct Shared {
    state: Mutex<State>,
    script: Script,
}

struct State {
    bucket: Bucket,
    dialect: S3Dialect,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        // A test that panicked while it held the lock has failed already; its neighbours go on.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn dialect(&self) -> S3Dialect {
        self.state().dialect
    }
}

impl S3Server {
    /// The one bucket.
    pub const BUCKET: &'static str = "crateport";
    /// The one access key.
    pub const ACCESS_KEY: &'static str = "AKIACRATEPORT";
    /// Its secret.
    pub const SECRET_KEY: &'static str = "a secret for tests";

    /// Listens on a free port of 127.0.0.1, with an empty bucket.
    #[expect(clippy::unused_async, reason = "like every other part of the kit")]
    pub async fn start() -> Self {
        let runtime = OwnRuntime::start("s3");
        let state = State { bucket: Bucket::default(), dialect: S3Dialect::default() };
        let shared = Arc::new(Shared { state: Mutex::new(state), script: Script::default() });
        let port = Port::open(&runtime, serve::connections(shared.clone()));
        Self { shared, port, runtime }
    }

    // Where it is.

    /// `http://127.0.0.1:PORT`, without a slash at the end.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address())
    }

    /// The same server under another name: `http://localhost:PORT`.
    pub fn other_endpoint(&self) -> String {
        format!("http://localhost:{}", self.address().port())
    }

    /// For a [`crate::chaos::ChaosProxy`] in front of it.
    pub fn address(&self) -> SocketAddr {
        self.port.address()
    }

    /// The environment with which the AWS SDK finds the credentials and looks nowhere else.
    pub fn environment(&self) -> [(&'static str, &'static str); 4] {
        [
            ("AWS_ACCESS_KEY_ID", Self::ACCESS_KEY),
            ("AWS_SECRET_ACCESS_KEY", Self::SECRET_KEY),
            ("AWS_REGION", "us-east-1"),
            ("AWS_EC2_METADATA_DISABLED", "true"),
        ]
    }

    // What it holds.

    /// The keys in order.
    pub fn keys(&self) -> Vec<String> {
        self.shared.state().bucket.keys()
    }

    /// An object as it is kept.
    pub fn object(&self, key: &str) -> Option<S3Object> {
        self.shared.state().bucket.object(key).cloned()
    }

    /// Changes the stored bytes and nothing else: the checksum, the ETag and the date stay, as when a disk rots.
    #[track_caller]
    pub fn damage(&self, key: &str, damage: impl FnOnce(Bytes) -> Bytes) {
        self.shared.state().bucket.damage(key, damage);
    }

    /// Has an object written so long before it was.
    #[track_caller]
    pub fn age(&self, key: &str, by: Duration) {
        self.shared.state().bucket.age(key, by);
    }

    /// Loses one object.
    pub fn remove(&self, key: &str) {
        self.shared.state().bucket.remove(key);
    }

    /// Loses everything.
    pub fn empty(&self) {
        self.shared.state().bucket = Bucket::default();
    }

    /// Multipart uploads that were neither completed nor aborted.
    pub fn leftover_uploads(&self) -> Vec<S3Upload> {
        self.shared.state().bucket.uploads()
    }

    /// Becomes another sort of S3.
    pub fn change_dialect(&self, change: impl FnOnce(&mut S3Dialect)) {
        change(&mut self.shared.state().dialect);
    }

    // What goes wrong.

    /// From now on these operations meet this fault; the latest matching one wins.
    pub fn fault(&self, on: &[S3Operation], fault: S3Fault, times: Times) {
        self.shared.script.add(on, fault, times);
    }

    /// Forgets every fault and listens again if it had stopped. The dialect stays.
    #[track_caller]
    pub fn heal(&self) {
        self.shared.script.clear();
        self.restart();
    }

    /// Closes every connection and refuses new ones; the port stays its own.
    #[track_caller]
    pub fn stop(&self) {
        self.port.close(&self.runtime);
    }

    /// Listens again on the same port.
    #[track_caller]
    pub fn restart(&self) {
        self.port.reopen(&self.runtime);
    }

    /// Closes every live connection and goes on listening.
    #[track_caller]
    pub fn cut_connections(&self) {
        self.port.cut_connections(&self.runtime);
    }

    // What it saw.

    /// Operations of one sort that arrived with a right signature, whatever became of them.
    pub fn count(&self, operation: S3Operation) -> usize {
        self.shared.script.count(operation)
    }

    /// All operations.
    pub fn total_count(&self) -> usize {
        S3Operation::ALL.into_iter().map(|operation| self.count(operation)).sum()
    }

    /// The most operations of one sort that were under way at one moment.
    pub fn peak_in_flight(&self, operation: S3Operation) -> usize {
        self.shared.script.peak_in_flight(operation)
    }

    /// Sets all counts back to nothing.
    pub fn forget_counts(&self) {
        self.shared.script.forget_counts();
    }

    /// Waits until an operation was asked for `count` times; fails the test after 20 s.
    pub async fn wait_for(&self, operation: S3Operation, count: usize) {
        let shared = self.shared.clone();
        let reached = async move {
            while shared.script.count(operation) < count {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        assert!(
            self.runtime.within(WAIT_DEADLINE, reached).await.is_some(),
            "waited {WAIT_DEADLINE:?} for {count} × {operation:?}, saw {}",
            self.count(operation)
        );
    }

    /// Waits until no multipart upload is left over; fails the test after 20 s.
    pub async fn wait_for_no_leftovers(&self) {
        let shared = self.shared.clone();
        let cleared = async move {
            while !shared.state().bucket.uploads().is_empty() {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        let left = self.runtime.within(WAIT_DEADLINE, cleared).await;
        assert!(left.is_some(), "left over: {:?}", self.leftover_uploads());
    }
}
