//! How one registry or dist origin is treated, as it is now: its times to live can be changed while they are used.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crateport_types::{DistId, RegistryId};

use crate::{DistPolicy, RegistryPolicy};

/// A [`RegistryPolicy`] that can be changed. A request sees the old or the new value of each time to live.
#[derive(Debug)]
pub(crate) struct LivePolicy {
    pub(crate) id: RegistryId,
    index_ttl: Millis,
    absent_ttl: Millis,
    config_ttl: Millis,
}

/// A [`DistPolicy`] that can be changed in the same way, but for the grace time: replicas have to agree on it.
#[derive(Debug)]
pub(crate) struct LiveDistPolicy {
    pub(crate) id: DistId,
    pub(crate) grace: Duration,
    ttl: Millis,
    absent_ttl: Millis,
}

#[derive(Debug)]
struct Millis(AtomicU64);

impl LivePolicy {
    pub(crate) fn new(policy: RegistryPolicy) -> Self {
        Self {
            index_ttl: Millis::new(policy.index_ttl),
            absent_ttl: Millis::new(policy.absent_ttl),
            config_ttl: Millis::new(policy.config_ttl),
            id: policy.id,
        }
    }

    /// Takes the times to live of `policy`.
    pub(crate) fn set(&self, policy: &RegistryPolicy) {
        self.index_ttl.set(policy.index_ttl);
        self.absent_ttl.set(policy.absent_ttl);
        self.config_ttl.set(policy.config_ttl);
    }

    pub(crate) fn index_ttl(&self) -> Duration {
        self.index_ttl.get()
    }

    pub(crate) fn absent_ttl(&self) -> Duration {
        self.absent_ttl.get()
    }

    pub(crate) fn config_ttl(&self) -> Duration {
        self.config_ttl.get()
    }
}

impl LiveDistPolicy {
    pub(crate) fn new(policy: DistPolicy) -> Self {
        Self {
            grace: policy.grace,
            ttl: Millis::new(policy.ttl),
            absent_ttl: Millis::new(policy.absent_ttl),
            id: policy.id,
        }
    }

    /// Takes the times to live of `policy`.
    pub(crate) fn set(&self, policy: &DistPolicy) {
        self.ttl.set(policy.ttl);
        self.absent_ttl.set(policy.absent_ttl);
    }

    pub(crate) fn ttl(&self) -> Duration {
        self.ttl.get()
    }

    pub(crate) fn absent_ttl(&self) -> Duration {
        self.absent_ttl.get()
    }
}

impl Millis {
    fn new(duration: Duration) -> Self {
        let millis = Self(AtomicU64::new(0));
        millis.set(duration);
        millis
    }

    fn set(&self, duration: Duration) {
        let millis = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        self.0.store(millis, Ordering::Relaxed);
    }

    fn get(&self) -> Duration {
        Duration::from_millis(self.0.load(Ordering::Relaxed))
    }
}
