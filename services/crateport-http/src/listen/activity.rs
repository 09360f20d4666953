//! What one connection is doing, as its watch needs to know it: a handful of atomics, no lock.
//!
//! The transport and the service adapter write here, [`super::watch`] reads. Times are milliseconds since the
//! connection was accepted.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU32, AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::task::AtomicWaker;
use tokio::time::Instant;

/// The shared state of one connection.
#[derive(Debug)]
pub(crate) struct Activity {
    accepted_at: Instant,
    in_flight: AtomicU32,
    idle_since_ms: AtomicU64,
    head_since_ms: AtomicU64,
    written_bytes: AtomicU64,
    phase: AtomicU8,
    waker: AtomicWaker,
}

/// What the server wants of a connection. It only ever grows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Phase {
    /// Serve requests.
    Serving = 0,
    /// Finish the requests in flight, then close.
    Draining = 1,
    /// Close now.
    Cut = 2,
}

/// What a watch sees of an [`Activity`] at one moment; times are since the connection was accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) in_flight: u32,
    pub(crate) idle_since: Duration,
    pub(crate) head_since: Option<Duration>,
    pub(crate) written_bytes: u64,
}

/// A request in flight: from its head until its response's body is handed over or dropped.
#[derive(Debug)]
pub(crate) struct InFlight(Arc<Activity>);

const NO_HEAD: u64 = u64::MAX;

impl Activity {
    pub(crate) fn new() -> Self {
        Self {
            accepted_at: Instant::now(),
            in_flight: AtomicU32::new(0),
            idle_since_ms: AtomicU64::new(0),
            head_since_ms: AtomicU64::new(NO_HEAD),
            written_bytes: AtomicU64::new(0),
            phase: AtomicU8::new(Phase::Serving as u8),
            waker: AtomicWaker::new(),
        }
    }

    /// The time since the connection was accepted.
    pub(crate) fn age(&self) -> Duration {
        self.accepted_at.elapsed()
    }

    /// The moment that lies `age` after the connection was accepted.
    pub(crate) fn moment(&self, age: Duration) -> Instant {
        self.accepted_at + age
    }

    /// A request head, or a preface, is awaited from now on; the connection counts as used.
    pub(crate) fn begin_head(&self) {
        let now_ms = self.now_ms();
        self.idle_since_ms.store(now_ms, Ordering::Relaxed);
        self.head_since_ms.store(now_ms, Ordering::Relaxed);
    }

    /// Bytes came from the peer. Between two requests they are the start of the next head.
    pub(crate) fn note_read(&self) {
        if self.in_flight.load(Ordering::Relaxed) == 0
            && self.head_since_ms.load(Ordering::Relaxed) == NO_HEAD
        {
            self.head_since_ms.store(self.now_ms(), Ordering::Relaxed);
        }
    }

    /// The peer's side of the socket took `bytes`.
    pub(crate) fn note_written(&self, bytes: usize) {
        self.written_bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// A whole request head has come.
    pub(crate) fn begin_request(self: &Arc<Self>) -> InFlight {
        self.in_flight.fetch_add(1, Ordering::Relaxed);
        self.head_since_ms.store(NO_HEAD, Ordering::Relaxed);
        InFlight(Arc::clone(self))
    }

    pub(crate) fn seen(&self) -> Seen {
        // Acquire pairs with the release in `InFlight::drop`: a zero here comes with the time it became zero.
        let in_flight = self.in_flight.load(Ordering::Acquire);
        let head_since_ms = self.head_since_ms.load(Ordering::Relaxed);
        Seen {
            in_flight,
            idle_since: Duration::from_millis(self.idle_since_ms.load(Ordering::Relaxed)),
            head_since: (head_since_ms != NO_HEAD).then(|| Duration::from_millis(head_since_ms)),
            written_bytes: self.written_bytes.load(Ordering::Relaxed),
        }
    }

    /// Tells the connection what the server wants of it; never goes back.
    pub(crate) fn order(&self, phase: Phase) {
        self.phase.fetch_max(phase as u8, Ordering::Release);
        self.waker.wake();
    }

    pub(crate) fn phase(&self) -> Phase {
        match self.phase.load(Ordering::Acquire) {
            0 => Phase::Serving,
            1 => Phase::Draining,
            _ => Phase::Cut,
        }
    }

    /// The phase, and a wake-up of this task when it changes. Only the connection's own task may ask.
    pub(crate) fn poll_phase(&self, context: &Context<'_>) -> Phase {
        self.waker.register(context.waker());
        self.phase()
    }

    /// Waits until the server wants at least `phase`.
    pub(crate) async fn ordered(&self, phase: Phase) {
        std::future::poll_fn(|context| {
            if self.poll_phase(context) >= phase { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }

    fn now_ms(&self) -> u64 {
        u64::try_from(self.age().as_millis()).unwrap_or(NO_HEAD - 1)
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        // Written by every request that ends, because another may end at the same moment on another thread.
        self.0.idle_since_ms.store(self.0.now_ms(), Ordering::Relaxed);
        self.0.in_flight.fetch_sub(1, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_in_flight_until_it_is_dropped() {
        let activity = Arc::new(Activity::new());
        let first = activity.begin_request();
        let second = activity.begin_request();
        assert_eq!(activity.seen().in_flight, 2);
        drop(first);
        drop(second);
        assert_eq!(activity.seen().in_flight, 0);
    }

    #[test]
    fn bytes_between_requests_begin_a_head_and_bytes_within_one_do_not() {
        let activity = Arc::new(Activity::new());
        assert_eq!(activity.seen().head_since, None);
        activity.note_read();
        assert!(activity.seen().head_since.is_some());
        let request = activity.begin_request();
        assert_eq!(activity.seen().head_since, None);
        activity.note_read();
        assert_eq!(activity.seen().head_since, None);
        drop(request);
    }

    #[test]
    fn a_phase_never_goes_back() {
        let activity = Activity::new();
        activity.order(Phase::Cut);
        activity.order(Phase::Draining);
        assert_eq!(activity.phase(), Phase::Cut);
    }
}
