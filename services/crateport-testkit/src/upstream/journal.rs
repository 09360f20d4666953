//! Everything the upstream was asked, kept for the test's questions.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use http::{HeaderMap, Method, Version};
use tokio::sync::watch;

/// One request as it arrived.
#[derive(Debug, Clone)]
pub struct SeenRequest {
    /// Its method.
    pub method: Method,
    /// Its path, escaped as the client sent it.
    pub path: String,
    /// What stood behind `?`.
    pub query: Option<String>,
    /// All its headers.
    pub headers: HeaderMap,
    /// HTTP/1.1 or HTTP/2.
    pub version: Version,
    /// The connection it came over; the first is 1.
    pub connection: usize,
    /// When its head had been read.
    pub at: Instant,
    /// The status it gets; `None` if a fault keeps it from getting any.
    pub status: Option<u16>,
}

impl SeenRequest {
    /// A header's value as text, if it is there.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }
}

#[derive(Default)]
pub(super) struct Journal {
    requests: Mutex<Vec<SeenRequest>>,
    changed: watch::Sender<()>,
    connections: AtomicUsize,
    traffic: Arc<Traffic>,
}

#[derive(Default)]
struct Traffic {
    in_flight: AtomicUsize,
    peak: AtomicUsize,
}

/// A request that is under way for as long as this lives.
pub(super) struct InFlight(Arc<Traffic>);

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Journal {
    fn lock(&self) -> MutexGuard<'_, Vec<SeenRequest>> {
        self.requests.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn record(&self, request: SeenRequest) -> InFlight {
        let now = self.traffic.in_flight.fetch_add(1, Ordering::SeqCst) + 1;
        self.traffic.peak.fetch_max(now, Ordering::SeqCst);
        self.lock().push(request);
        self.changed.send_replace(());
        InFlight(self.traffic.clone())
    }

    /// Counts a new connection and gives it its number.
    pub(super) fn next_connection(&self) -> usize {
        self.connections.fetch_add(1, Ordering::SeqCst) + 1
    }

    pub(super) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    pub(super) fn peak_in_flight(&self) -> usize {
        self.traffic.peak.load(Ordering::SeqCst)
    }

    pub(super) fn count(&self, which: impl Fn(&SeenRequest) -> bool) -> usize {
        self.lock().iter().filter(|seen| which(seen)).count()
    }

    pub(super) fn requests(&self, which: impl Fn(&SeenRequest) -> bool) -> Vec<SeenRequest> {
        self.lock().iter().filter(|seen| which(seen)).cloned().collect()
    }

    pub(super) fn forget(&self) {
        self.lock().clear();
        self.traffic.peak.store(self.traffic.in_flight.load(Ordering::SeqCst), Ordering::SeqCst);
    }

    /// Ends once `count` such requests have arrived.
    pub(super) async fn reached(&self, which: impl Fn(&SeenRequest) -> bool, count: usize) {
        let mut changed = self.changed.subscribe();
        while self.count(&which) < count {
            // The sender lives as long as `self`.
            let _ = changed.changed().await;
        }
    }
}
