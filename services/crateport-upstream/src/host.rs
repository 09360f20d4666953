//! One host that is asked: how many requests it may have, how it has been, who waits for it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use url::Url;

use crate::circuit::{Admission, Circuit, Failure, Refusal};
use crate::waiting::{Stage, Waiting};
use crate::{Condition, UpstreamError, UpstreamLimits};

/// How many hosts are remembered; beyond it, healthy ones that nobody is asking are forgotten.
const HOSTS_MAX: usize = 256;

/// A scheme, a host and a port that requests go to.
#[derive(Debug)]
pub(crate) struct Host {
    name: String,
    slow_after: Duration,
    permits: Arc<Semaphore>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    circuit: Circuit,
    waiting: Waiting,
}

/// A request to a host. It holds its permit, and when it is dropped without a word, by a cancelled request say, the
/// host is neither better nor worse for it.
#[derive(Debug)]
pub(crate) struct Call {
    host: Arc<Host>,
    admission: Admission,
    _permit: OwnedSemaphorePermit,
}

/// Someone is waiting for a host as long as this lives.
#[derive(Debug)]
pub(crate) struct Wait<'a> {
    host: &'a Host,
    id: u64,
}

/// The hosts of one upstream.
#[derive(Debug)]
pub(crate) struct Hosts {
    limits: UpstreamLimits,
    by_origin: Mutex<HashMap<String, Arc<Host>>>,
}

/// A host and its port, where the port says something: what errors and logs call it.
pub(crate) fn name_of(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    match url.port() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    }
}

/// The clock that everything here reads; tests can pause it.
pub(crate) fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

impl Host {
    fn new(url: &Url, limits: &UpstreamLimits) -> Self {
        let permits = limits.requests_max.clamp(1, Semaphore::MAX_PERMITS);
        Self {
            name: name_of(url),
            slow_after: limits.slow_after,
            permits: Arc::new(Semaphore::new(permits)),
            state: Mutex::new(State { circuit: Circuit::new(limits), waiting: Waiting::default() }),
        }
    }

    /// What errors and logs call it.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// How it has been lately.
    pub(crate) fn condition(&self) -> Condition {
        let now = now();
        let state = self.state();
        if let Some(Refusal::Open(retry_after) | Refusal::CoolingOff(retry_after)) =
            state.circuit.refusal(now)
        {
            return Condition::Down { retry_after };
        }
        match state.waiting.oldest() {
            Some(since) if now.saturating_duration_since(since) > self.slow_after => {
                Condition::Slow
            }
            _ => Condition::Healthy,
        }
    }

    /// Leave to send one request: waits for a permit, unless the host is left alone.
    pub(crate) async fn enter(self: &Arc<Self>) -> Result<Call, UpstreamError> {
        // Who would be refused need not queue.
        let refusal = self.state().circuit.refusal(now());
        if let Some(refusal) = refusal {
            return Err(self.refused(refusal));
        }
        let permit = Arc::clone(&self.permits).acquire_owned().await;
        // The semaphore is never closed.
        let permit = permit.map_err(|_| self.refused(Refusal::Open(Duration::ZERO)))?;
        let admitted = self.state().circuit.admit(now());
        let admission = admitted.map_err(|refusal| self.refused(refusal))?;
        Ok(Call { host: Arc::clone(self), admission, _permit: permit })
    }

    fn refused(&self, refusal: Refusal) -> UpstreamError {
        let host = self.name.clone();
        match refusal {
            Refusal::Open(retry_after) => UpstreamError::CircuitOpen { host, retry_after },
            Refusal::CoolingOff(retry_after) => UpstreamError::RateLimited { host, retry_after },
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_forgettable(self: &Arc<Self>) -> bool {
        Arc::strong_count(self) == 1 && self.state().circuit.is_forgettable(now())
    }
}

impl Call {
    /// What errors and logs call the host.
    pub(crate) fn host(&self) -> &str {
        self.host.name()
    }

    /// Says that someone waits for the host now.
    pub(crate) fn wait(&self, stage: Stage) -> Wait<'_> {
        Wait { host: &self.host, id: self.host.state().waiting.begin(now(), stage) }
    }

    /// The headers of a good answer came; its body follows.
    pub(crate) fn answered(&self) {
        let mut state = self.host.state();
        state.circuit.answered();
        state.waiting.answered();
    }

    /// A good answer came whole.
    pub(crate) fn completed(self) {
        let mut state = self.host.state();
        state.circuit.completed();
        state.waiting.completed();
    }

    /// The host asked to be left alone for `wait`. It lives, so it has not failed.
    pub(crate) fn limited(self, wait: Duration) {
        self.host.state().circuit.cool_off(now(), wait);
        self.completed();
    }

    /// The host failed.
    pub(crate) fn failed(self, failure: Failure) {
        self.host.state().circuit.failed(self.admission, failure, now(), fastrand::f64());
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        // Does nothing to a probe that has already ended in one of the methods above.
        self.host.state().circuit.abandoned(self.admission, now());
    }
}

impl Drop for Wait<'_> {
    fn drop(&mut self) {
        self.host.state().waiting.end(self.id);
    }
}

impl Hosts {
    /// No host yet.
    pub(crate) fn new(limits: &UpstreamLimits) -> Self {
        Self { limits: limits.clone(), by_origin: Mutex::default() }
    }

    /// The host that `url` leads to.
    pub(crate) fn of(&self, url: &Url) -> Arc<Host> {
        let origin = url.origin().ascii_serialization();
        let mut hosts = self.by_origin.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(host) = hosts.get(&origin) {
            return Arc::clone(host);
        }
        if hosts.len() >= HOSTS_MAX {
            hosts.retain(|_, host| !host.is_forgettable());
        }
        let host = Arc::new(Host::new(url, &self.limits));
        hosts.insert(origin, Arc::clone(&host));
        host
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    fn host(requests_max: usize) -> Arc<Host> {
        let limits = UpstreamLimits { requests_max, ..UpstreamLimits::default() };
        Hosts::new(&limits).of(&"http://a.example:81/x".parse().unwrap())
    }

    #[tokio::test(start_paused = true)]
    async fn a_host_is_slow_while_somebody_waits_for_it_in_vain() {
        let host = host(8);
        let call = host.enter().await.unwrap();
        let wait = call.wait(Stage::Answer);
        assert_eq!(host.condition(), Condition::Healthy);
        tokio::time::advance(Duration::from_millis(1001)).await;
        assert_eq!(host.condition(), Condition::Slow);
        host.enter().await.unwrap().answered();
        assert_eq!(host.condition(), Condition::Healthy, "the first success ends it");
        drop(wait);

        let wait = call.wait(Stage::Answer);
        tokio::time::advance(Duration::from_millis(1001)).await;
        assert_eq!(host.condition(), Condition::Slow);
        drop(wait);
        assert_eq!(host.condition(), Condition::Healthy, "a cancelled request does not count");
    }

    #[tokio::test(start_paused = true)]
    async fn a_cancelled_probe_leaves_its_place_to_the_next_request() {
        let host = host(8);
        for _ in 0..3 {
            host.enter().await.unwrap().failed(Failure::Unanswered);
        }
        assert!(matches!(host.condition(), Condition::Down { .. }));
        let error = host.enter().await.unwrap_err();
        assert!(matches!(error, UpstreamError::CircuitOpen { .. }), "{error}");

        tokio::time::advance(Duration::from_secs(1)).await;
        let probe = host.enter().await.unwrap();
        assert!(host.enter().await.is_err(), "one probe at a time");
        drop(probe);
        let probe = host.enter().await.unwrap();
        probe.completed();
        assert_eq!(host.condition(), Condition::Healthy);
    }

    #[tokio::test(start_paused = true)]
    async fn a_host_cools_off_as_long_as_it_asked() {
        let host = host(8);
        host.enter().await.unwrap().limited(Duration::from_secs(7));
        let expected = Condition::Down { retry_after: Duration::from_secs(7) };
        assert_eq!(host.condition(), expected);
        let error = host.enter().await.unwrap_err();
        assert!(matches!(error, UpstreamError::RateLimited { .. }), "{error}");
        tokio::time::advance(Duration::from_secs(7)).await;
        assert!(host.enter().await.is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn who_waits_for_a_permit_gets_it_when_a_call_ends() {
        let host = host(1);
        let call = host.enter().await.unwrap();
        let mut second = Box::pin(host.enter());
        assert!((&mut second).now_or_never().is_none());
        drop(call);
        assert!(second.await.is_ok());
    }

    #[tokio::test]
    async fn hosts_are_remembered_while_they_matter() {
        let hosts = Hosts::new(&UpstreamLimits::default());
        let troubled: Url = "http://troubled.example/".parse().unwrap();
        hosts.of(&troubled).enter().await.unwrap().limited(Duration::from_secs(60));
        for number in 0..2 * HOSTS_MAX {
            hosts.of(&format!("http://h{number}.example/").parse().unwrap());
        }
        assert!(hosts.by_origin.lock().unwrap().len() <= HOSTS_MAX);
        assert!(hosts.of(&troubled).enter().await.is_err());
    }
}
