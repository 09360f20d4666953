//! A store that is left alone while it fails, around any other.
//!
//! A store that does not answer costs whoever asks it the whole of its deadline, and one request asks several times:
//! longer than cargo waits. So when an operation has run into its deadline, or some have failed one after the other,
//! the next ones fail at once, and nobody is sent to the store for himself; every second one operation is let through
//! to find out whether it is back. A store that answers, be it with a refusal, is not one that fails.

use std::fmt;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use crateport_types::{Area, StoreKey};
use tokio::time::Instant;
use tracing::{info, warn};
use url::Url;

use crate::{Object, ObjectMeta, ObjectStore, Payload, PutOptions, Read, StoreError};

/// Leaves a store alone while it fails.
pub struct CircuitStore {
    inner: Arc<dyn ObjectStore>,
    circuit: Mutex<Circuit>,
}

#[derive(Debug, Default)]
struct Circuit {
    /// One after the other.
    failures: u32,
    /// When the next operation is let through, if not at once.
    next_try: Option<Instant>,
}

/// So many failures one after the other open the circuit.
const FAILURES_MAX: u32 = 3;
/// One operation is let through in this time while it is open.
const PAUSE: Duration = Duration::from_secs(1);

impl CircuitStore {
    /// Watches over `inner`.
    #[must_use]
    pub fn new(inner: Arc<dyn ObjectStore>) -> Self {
        Self { inner, circuit: Mutex::default() }
    }

    fn circuit(&self) -> MutexGuard<'_, Circuit> {
        self.circuit.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn watched<T>(
        &self,
        action: &'static str,
        object: impl fmt::Display + Send,
        operation: impl Future<Output = Result<T, StoreError>> + Send,
    ) -> Result<T, StoreError> {
        if !self.circuit().admits(Instant::now()) {
            let text = "the store failed a moment ago and is left alone";
            return Err(StoreError::of(action, &object, io::Error::other(text)));
        }
        let done = operation.await;
        let turn = self.circuit().judge(Instant::now(), Weight::of(&done));
        match (turn, &done) {
            (Some(Turn::Opened), Err(error)) => warn!(%error, "the store fails; it is left alone"),
            (Some(Turn::Closed), _) => info!("the store answers again"),
            _ => {}
        }
        done
    }
}

/// What the end of an operation says about the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Weight {
    Answered,
    Failed,
    /// Nothing came until the deadline: nobody needs to see that twice.
    Silent,
}

/// The circuit has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Turn {
    Opened,
    Closed,
}

impl Weight {
    fn of<T>(done: &Result<T, StoreError>) -> Self {
        match done {
            Err(StoreError::Failed { source, .. }) => match source.kind() {
                io::ErrorKind::TimedOut => Self::Silent,
                _ => Self::Failed,
            },
            Ok(_) | Err(_) => Self::Answered,
        }
    }
}

impl Circuit {
    fn admits(&mut self, now: Instant) -> bool {
        match self.next_try {
            None => true,
            Some(at) if now >= at => {
                self.next_try = Some(now + PAUSE);
                true
            }
            Some(_) => false,
        }
    }

    fn judge(&mut self, now: Instant, weight: Weight) -> Option<Turn> {
        let was_open = self.next_try.is_some();
        match weight {
            Weight::Answered => *self = Self::default(),
            Weight::Failed => self.failures = self.failures.saturating_add(1),
            Weight::Silent => self.failures = FAILURES_MAX,
        }
        if self.failures >= FAILURES_MAX && !was_open {
            self.next_try = Some(now + PAUSE);
        }
        match (was_open, self.next_try.is_some()) {
            (false, true) => Some(Turn::Opened),
            (true, false) => Some(Turn::Closed),
            _ => None,
        }
    }
}

#[async_trait]
impl ObjectStore for CircuitStore {
    async fn head(&self, key: &StoreKey) -> Result<Option<ObjectMeta>, StoreError> {
        self.watched("look up", key, self.inner.head(key)).await
    }

    async fn get(&self, key: &StoreKey, read: Read) -> Result<Option<Object>, StoreError> {
        self.watched("open", key, self.inner.get(key, read)).await
    }

    async fn put(
        &self,
        key: &StoreKey,
        payload: Payload,
        options: PutOptions,
    ) -> Result<ObjectMeta, StoreError> {
        self.watched("put", key, self.inner.put(key, payload, options)).await
    }

    async fn delete(&self, key: &StoreKey) -> Result<bool, StoreError> {
        self.watched("delete", key, self.inner.delete(key)).await
    }

    async fn list(
        &self,
        area: &Area,
        after: Option<&StoreKey>,
        count_max: usize,
    ) -> Result<Vec<(StoreKey, ObjectMeta)>, StoreError> {
        self.watched("list", area.prefix(), self.inner.list(area, after, count_max)).await
    }

    /// None while the store fails: a client had better have the bytes from here.
    async fn presign(&self, key: &StoreKey, lifetime: Duration) -> Result<Option<Url>, StoreError> {
        if self.circuit().next_try.is_some() {
            return Ok(None);
        }
        self.inner.presign(key, lifetime).await
    }

    fn base_url(&self) -> Option<Url> {
        self.inner.base_url()
    }
}

impl fmt::Debug for CircuitStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("CircuitStore").field(&self.inner).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn weight_of(kind: io::ErrorKind) -> Weight {
        Weight::of::<()>(&Err(StoreError::of("open", &"a", kind.into())))
    }

    #[test]
    fn what_an_end_says_about_the_store() {
        for (kind, weight) in [
            (io::ErrorKind::TimedOut, Weight::Silent),
            (io::ErrorKind::ConnectionRefused, Weight::Failed),
            (io::ErrorKind::Other, Weight::Failed),
            (io::ErrorKind::PermissionDenied, Weight::Answered),
            (io::ErrorKind::StorageFull, Weight::Answered),
        ] {
            assert_eq!(weight_of(kind), weight, "{kind:?}");
        }
        assert_eq!(Weight::of(&Ok(())), Weight::Answered);
    }

    #[tokio::test(start_paused = true)]
    async fn it_opens_by_silence_or_by_failures_in_a_row_and_closes_by_an_answer() {
        use Weight::{Answered, Failed, Silent};
        for (weights, is_open) in [
            (vec![Failed, Failed], false),
            (vec![Failed, Failed, Answered, Failed], false),
            (vec![Failed, Failed, Failed], true),
            (vec![Silent], true),
            (vec![Silent, Answered], false),
        ] {
            let (mut circuit, now) = (Circuit::default(), Instant::now());
            for weight in &weights {
                circuit.judge(now, *weight);
            }
            assert_eq!(!circuit.admits(now), is_open, "{weights:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn while_it_is_open_one_operation_is_let_through_each_second() {
        let (mut circuit, start) = (Circuit::default(), Instant::now());
        assert_eq!(circuit.judge(start, Weight::Silent), Some(Turn::Opened));
        assert!(!circuit.admits(start + PAUSE / 2));
        assert!(circuit.admits(start + PAUSE));
        assert!(!circuit.admits(start + PAUSE));
        assert_eq!(circuit.judge(start + PAUSE, Weight::Silent), None);
        assert!(circuit.admits(start + 2 * PAUSE));
        assert_eq!(circuit.judge(start + 2 * PAUSE, Weight::Answered), Some(Turn::Closed));
        assert!(circuit.admits(start + 2 * PAUSE));
    }
}
