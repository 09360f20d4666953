//! A static sparse registry like crates.io on a real socket, which does what the test's script says: it counts and
//! remembers every request, and can be slow, silent, wrong, cut, held at a gate, or gone.
//!
//! It runs on a thread of its own and speaks HTTP/1.1 and h2 (prior knowledge, or ALPN with TLS). An answer is fixed
//! at the moment its request arrives; gates and faults only change how it goes out.

mod answer;
mod builder;
mod condition;
mod connection;
mod delivery;
mod download_url;
mod fault;
mod gate;
mod h1;
mod h2;
mod journal;
mod registry;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;

use self::answer::Origins;
pub use self::builder::{Settings, UpstreamBuilder};
pub use self::condition::Validators;
pub use self::delivery::Framing;
use self::fault::Rules;
pub use self::fault::{Fault, On, Times};
pub use self::gate::Gate;
use self::journal::Journal;
pub use self::journal::SeenRequest;
use self::registry::Registry;
use crate::krate::Published;
use crate::own_runtime::OwnRuntime;
use crate::port::Port;
use crate::tls::TestCa;

/// How long `wait_for_hits` and the gates' waits last before they fail the test.
pub(crate) const WAIT_DEADLINE: Duration = Duration::from_secs(20);

/// The scripted upstream. Dropping it closes everything.
pub struct ScriptedUpstream {
    shared: Arc<Shared>,
    port: Port,
    downloads: Option<Port>,
    ca: Option<TestCa>,
    runtime: Arc<OwnRuntime>,
}

/// What the connections see.
struct Shared {
    state: Mutex<State>,
    journal: Journal,
}

struct State {
    settings: Settings,
    origins: Origins,
    registry: Registry,
    rules: Rules,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        // A test that panicked while it held the lock has failed already; its neighbours go on.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ScriptedUpstream {
    /// Plain HTTP on a free port of 127.0.0.1 with every setting at its default: like crates.io, empty.
    pub async fn start() -> Self {
        Self::builder().start().await
    }

    /// The same with settings.
    pub fn builder() -> UpstreamBuilder {
        UpstreamBuilder::default()
    }

    // Where it is.

    /// `http://127.0.0.1:PORT` or `https://…`, without a slash at the end.
    pub fn url(&self) -> String {
        self.shared.state().origins.main.clone()
    }

    /// Of the main listener, for a [`crate::chaos::ChaosProxy`] in front of it.
    pub fn address(&self) -> std::net::SocketAddr {
        self.port.address()
    }

    /// The index URL as cargo wants it after `sparse+`, with its slash.
    pub fn index_url(&self) -> String {
        format!("{}/index/", self.url())
    }

    /// The path of a crate's index file, `/index/se/rd/serde`.
    pub fn index_path(&self, name: &str) -> String {
        format!("/index/{}", registry::index_key(name))
    }

    /// The path of a crate's download as the current `dl` makes it, without its query.
    pub fn crate_path(&self, name: &str, version: &str) -> String {
        self.shared.state().crate_path(name, version)
    }

    /// The authority behind its certificate, if it speaks TLS.
    pub fn ca(&self) -> Option<&TestCa> {
        self.ca.as_ref()
    }

    // What it holds.

    /// Adds a version, or replaces it if it is there. `krate(…).publish(&upstream)` is the usual way in.
    #[track_caller]
    pub fn publish(&self, published: &Published) {
        self.shared.state().registry.publish(published);
    }

    /// Marks a version as yanked in its index line.
    #[track_caller]
    pub fn yank(&self, name: &str, version: &str) {
        self.shared.state().registry.yank(name, version);
    }

    /// Takes a crate away: its index file and its downloads are 404.
    pub fn remove(&self, name: &str) {
        self.shared.state().registry.remove(name);
    }

    /// Takes one `.crate` away and leaves its index line.
    pub fn remove_crate(&self, name: &str, version: &str) {
        self.shared.state().registry.remove_crate(name, version);
    }

    /// Puts any bytes in place of an index file.
    pub fn replace_index(&self, name: &str, bytes: impl Into<Bytes>) {
        self.shared.state().registry.replace_index(name, bytes.into());
    }

    /// Whether there is an index file of this crate.
    pub fn has(&self, name: &str) -> bool {
        self.shared.state().registry.has(name)
    }

    /// The bytes of an index file as it now stands.
    #[track_caller]
    pub fn index_bytes(&self, name: &str) -> Bytes {
        self.shared.state().registry.index_bytes(name)
    }

    /// Flips a byte of a stored `.crate`, for good.
    #[track_caller]
    pub fn corrupt_crate(&self, name: &str, version: &str) {
        self.shared.state().registry.corrupt_crate(name, version);
    }

    /// Puts a dist file at a path such as `/dist/x`, over the one that is there.
    pub fn put_file(&self, path: &str, bytes: impl Into<Bytes>) {
        self.shared.state().registry.put_file(path, bytes.into());
    }

    /// The same, and its `.sha256` beside it.
    pub fn put_file_with_sum(&self, path: &str, bytes: impl Into<Bytes>) {
        let bytes = bytes.into();
        let name = path.rsplit('/').next().unwrap_or_default();
        let sum = format!("{}  {name}\n", crate::krate::sha256_hex(&bytes));
        let mut state = self.shared.state();
        state.registry.put_file(&format!("{path}.sha256"), sum.into());
        state.registry.put_file(path, bytes);
    }

    /// The bytes of a dist file.
    #[track_caller]
    pub fn file(&self, path: &str) -> Bytes {
        self.shared.state().registry.file(path)
    }

    /// Takes a dist file away, and leaves what is beside it.
    pub fn remove_file(&self, path: &str) {
        self.shared.state().registry.dist.remove(path);
    }

    /// Changes settings while it runs.
    pub fn change(&self, change: impl FnOnce(&mut Settings)) {
        change(&mut self.shared.state().settings);
    }

    // What goes wrong.

    /// From now on matching requests meet this fault; the latest matching one wins. [`Fault::Refuse`] acts on the
    /// whole server and so only goes with [`On::All`] and [`Times::Always`].
    #[track_caller]
    pub fn fault(&self, on: On, fault: Fault, times: Times) {
        if matches!(fault, Fault::Refuse) {
            let whole = matches!((&on, times), (On::All, Times::Always));
            assert!(whole, "Fault::Refuse acts on the whole server: use On::All and Times::Always");
            self.stop();
        } else {
            self.shared.state().rules.add(on, fault, times);
        }
    }

    /// Forgets every fault and listens again if it had stopped. Gates stay.
    #[track_caller]
    pub fn heal(&self) {
        self.shared.state().rules.clear();
        self.restart();
    }

    /// Holds every matching answer, head and all, until the gate is released.
    #[must_use = "a gate that is dropped is released"]
    pub fn hold(&self, on: On) -> Gate {
        self.add_gate(on, None)
    }

    /// Sends the head and the first `bytes` of the body, then holds.
    #[must_use = "a gate that is dropped is released"]
    pub fn hold_after(&self, on: On, bytes: usize) -> Gate {
        self.add_gate(on, Some(bytes))
    }

    fn add_gate(&self, on: On, after_bytes: Option<usize>) -> Gate {
        let gate = Gate::new(self.runtime.clone());
        self.shared.state().rules.add_gate(on, after_bytes, gate.latch());
        gate
    }

    /// Closes every connection and refuses new ones; the port stays its own.
    #[track_caller]
    pub fn stop(&self) {
        for port in [Some(&self.port), self.downloads.as_ref()].into_iter().flatten() {
            port.close(&self.runtime);
        }
    }

    /// Listens again on the same port.
    #[track_caller]
    pub fn restart(&self) {
        for port in [Some(&self.port), self.downloads.as_ref()].into_iter().flatten() {
            port.reopen(&self.runtime);
        }
    }

    /// Closes every live connection and goes on listening.
    #[track_caller]
    pub fn cut_connections(&self) {
        for port in [Some(&self.port), self.downloads.as_ref()].into_iter().flatten() {
            port.cut_connections(&self.runtime);
        }
    }

    // What it saw.

    /// Requests for a path (without query), whatever became of them.
    pub fn hits(&self, path: &str) -> usize {
        self.shared.journal.count(|seen| seen.path == path)
    }

    /// Requests for a crate's index file.
    pub fn index_hits(&self, name: &str) -> usize {
        self.hits(&self.index_path(name))
    }

    /// Requests for a `.crate`, in raw or escaped spelling.
    pub fn crate_hits(&self, name: &str, version: &str) -> usize {
        let path = self.crate_path(name, version);
        self.shared.journal.count(|seen| download_url::decode(&seen.path) == path)
    }

    /// All requests.
    pub fn total_hits(&self) -> usize {
        self.shared.journal.count(|_| true)
    }

    /// 304 answers for a path.
    pub fn not_modified(&self, path: &str) -> usize {
        self.shared.journal.count(|seen| seen.path == path && seen.status == Some(304))
    }

    /// Every request in the order of arrival.
    pub fn requests(&self) -> Vec<SeenRequest> {
        self.shared.journal.requests(|_| true)
    }

    /// The requests for one path.
    pub fn requests_for(&self, path: &str) -> Vec<SeenRequest> {
        self.shared.journal.requests(|seen| seen.path == path)
    }

    /// The latest request for a path; the test fails if there is none.
    #[track_caller]
    pub fn last_request(&self, path: &str) -> SeenRequest {
        self.requests_for(path)
            .pop()
            .unwrap_or_else(|| panic!("no request for {path}; saw {:#?}", self.paths()))
    }

    /// The time between each two requests for a path that follow each other.
    pub fn gaps(&self, path: &str) -> Vec<Duration> {
        let moments = self.requests_for(path).into_iter().map(|seen| seen.at).collect::<Vec<_>>();
        moments.iter().zip(moments.iter().skip(1)).map(|(before, after)| *after - *before).collect()
    }

    /// Sets all counts back to nothing.
    pub fn forget_requests(&self) {
        self.shared.journal.forget();
    }

    /// Connections accepted since the start.
    pub fn connections(&self) -> usize {
        self.shared.journal.connections()
    }

    /// The most requests that were under way at one moment.
    pub fn peak_in_flight(&self) -> usize {
        self.shared.journal.peak_in_flight()
    }

    /// Waits until a path has been asked for `count` times; fails the test after 20 s.
    pub async fn wait_for_hits(&self, path: &str, count: usize) {
        let (shared, wanted) = (self.shared.clone(), path.to_owned());
        let arrived =
            async move { shared.journal.reached(|seen| seen.path == wanted, count).await };
        if self.runtime.within(WAIT_DEADLINE, arrived).await.is_none() {
            let paths = self.paths();
            panic!(
                "waited {WAIT_DEADLINE:?} for {count} requests for {path}, saw {}: {paths:#?}",
                self.hits(path)
            );
        }
    }

    fn paths(&self) -> Vec<String> {
        self.requests()
            .into_iter()
            .map(|seen| format!("{} {} -> {:?}", seen.method, seen.path, seen.status))
            .collect()
    }
}

#[cfg(test)]
mod tests;
