//! The cache as a whole: its ports, its registries, and the way a request takes.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crateport_coord::{Coordinator, Health};
use crateport_store::{ObjectStore, Scratch};
use crateport_types::{DistId, Reason, RegistryId, Resource, Sha256, StoreKey};
use crateport_upstream::{Condition, Peers, Upstream};
use tokio::sync::Semaphore;
use tokio_util::task::TaskTracker;

use crate::ahead::Ahead;
use crate::dist::{Dist, Manifests, Proofs, Renewed, Snapshots};
use crate::fill::Filled;
use crate::flight::Flights;
use crate::foresight::Foresight;
use crate::gone::Gone;
use crate::hot::{HotSet, IndexCopy};
use crate::index::Refreshed;
use crate::known::KnownConfig;
use crate::live_policy::LivePolicy;
use crate::metrics::CacheMetrics;
use crate::recent::{RecentFill, RecentFills};
use crate::small::SmallObjects;
use crate::stored::{Present, Trusted};
use crate::uses::{Client, Uses};
use crate::{
    Answer, CacheLimits, DistPolicy, Failure, Redirects, RegistryPolicy, ServeError, SpoolReader,
};

/// A pull-through cache of some registries. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Cache(Arc<Inner>);

/// What the cache stands on.
#[derive(Clone, Debug)]
pub struct Ports {
    /// Where everything is kept.
    pub store: Arc<dyn ObjectStore>,
    /// What replicas tell each other.
    pub coordinator: Arc<dyn Coordinator>,
    /// Where large fills lie while they come.
    pub scratch: Scratch,
    /// The other replicas, where fills can be read along.
    pub peers: Option<Peers>,
}

/// One registry to be cached.
#[derive(Clone, Debug)]
pub struct RegistrySetup {
    /// How it is treated.
    pub policy: RegistryPolicy,
    /// Where it comes from.
    pub upstream: Arc<dyn Upstream>,
}

/// One dist origin to be cached.
#[derive(Clone, Debug)]
pub struct DistSetup {
    /// How it is treated.
    pub policy: DistPolicy,
    /// Where it comes from.
    pub upstream: Arc<dyn Upstream>,
}

#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) limits: CacheLimits,
    pub(crate) ports: Ports,
    pub(crate) registries: BTreeMap<RegistryId, Arc<Registry>>,
    pub(crate) dists: BTreeMap<DistId, Arc<Dist>>,
    pub(crate) snapshots: Snapshots,
    pub(crate) manifests: Manifests,
    pub(crate) proofs: Proofs,
    pub(crate) renewals: Flights<Result<Renewed, Failure>>,
    /// Questions for checksums.
    pub(crate) sums: Flights<Result<Option<Sha256>, Failure>>,
    pub(crate) hot: HotSet,
    pub(crate) gone: Gone,
    pub(crate) trusted: Trusted,
    pub(crate) present: Present,
    pub(crate) small: SmallObjects,
    pub(crate) refreshes: Flights<Result<Refreshed, Failure>>,
    /// Index files on their way to the store.
    pub(crate) saves: Flights<()>,
    pub(crate) fills: Flights<Result<Filled, ServeError>>,
    pub(crate) fill_permits: Semaphore,
    pub(crate) ahead: Ahead,
    pub(crate) uses: Uses,
    pub(crate) foresight: Foresight,
    pub(crate) recent_fills: RecentFills,
    pub(crate) metrics: CacheMetrics,
    /// Everything that goes on without a client waiting for it.
    pub(crate) tasks: TaskTracker,
}

#[derive(Debug)]
pub(crate) struct Registry {
    pub(crate) policy: LivePolicy,
    pub(crate) upstream: Arc<dyn Upstream>,
    pub(crate) config: KnownConfig,
}

impl Registry {
    /// How long upstream's latest word on this copy is good for: that it is current, or that it is no more.
    pub(crate) fn ttl(&self, copy: &IndexCopy) -> Duration {
        if copy.is_withdrawn() { self.policy.absent_ttl() } else { self.policy.index_ttl() }
    }
}

impl Cache {
    /// Puts a cache together. It must be made within a Tokio runtime, where its background work runs.
    ///
    /// # Errors
    ///
    /// When `metrics` has the cache's metrics already.
    pub fn new(
        limits: CacheLimits,
        ports: Ports,
        registries: impl IntoIterator<Item = RegistrySetup>,
        metrics: &prometheus::Registry,
    ) -> Result<Self, prometheus::Error> {
        Self::with_dists(limits, ports, registries, [], metrics)
    }

    /// The same with dist origins. None of them may have a registry's id.
    ///
    /// # Errors
    ///
    /// When `metrics` has the cache's metrics already.
    pub fn with_dists(
        limits: CacheLimits,
        ports: Ports,
        registries: impl IntoIterator<Item = RegistrySetup>,
        dists: impl IntoIterator<Item = DistSetup>,
        metrics: &prometheus::Registry,
    ) -> Result<Self, prometheus::Error> {
        let dist = |setup: DistSetup| (setup.policy.id.clone(), Arc::new(Dist::new(setup)));
        let registry = |setup: RegistrySetup| {
            let id = setup.policy.id.clone();
            let config = KnownConfig::default();
            let policy = LivePolicy::new(setup.policy);
            (id, Arc::new(Registry { policy, upstream: setup.upstream, config }))
        };
        let (ahead, due) = Ahead::new();
        let (store, doubt) = (Arc::clone(&ports.store), crate::purge::doubt_of(limits.purge_poll));
        let uses = Uses::start(store, limits.uses.clone(), doubt, metrics)?;
        let cache = Self(Arc::new(Inner {
            hot: HotSet::new(limits.index_memory_bytes_max),
            gone: Gone::new(limits.gone_max),
            trusted: Trusted::new(limits.trusted_max),
            present: Present::new(limits.trusted_max, limits.presence_ttl),
            small: SmallObjects::new(
                limits.object_memory_bytes_max,
                limits.object_memory_size_bytes_max,
            ),
            refreshes: Flights::default(),
            saves: Flights::default(),
            fills: Flights::default(),
            fill_permits: Semaphore::new(limits.fills_max),
            ahead,
            uses,
            foresight: Foresight::new(limits.fetch_ahead_max),
            recent_fills: RecentFills::default(),
            metrics: CacheMetrics::register(metrics)?,
            tasks: TaskTracker::new(),
            registries: registries.into_iter().map(registry).collect(),
            dists: dists.into_iter().map(dist).collect(),
            snapshots: Snapshots::default(),
            manifests: Manifests::default(),
            proofs: Proofs::default(),
            renewals: Flights::default(),
            sums: Flights::default(),
            limits,
            ports,
        }));
        due.run(&cache.0);
        crate::purge::watch(&cache.0);
        Ok(cache)
    }

    /// Answers a request.
    ///
    /// # Errors
    ///
    /// When there is nothing to serve: see [`ServeError`]. Only upstream's own word makes something absent.
    pub async fn serve(
        &self,
        registry: &str,
        resource: &Resource,
        redirects: Redirects,
    ) -> Result<Answer, ServeError> {
        match self.serve_from(registry, resource, redirects).await {
            // Where upstream is never asked, trying again is of no use.
            Err(ServeError::Unavailable { what, failure }) if failure.reason == Reason::Offline => {
                Err(ServeError::Absent { what, reason: Reason::Offline, upstream_status: None })
            }
            answer => answer,
        }
    }

    async fn serve_from(
        &self,
        registry: &str,
        resource: &Resource,
        redirects: Redirects,
    ) -> Result<Answer, ServeError> {
        let unknown = || ServeError::UnknownRegistry { id: registry.to_owned() };
        if let Resource::Dist(path) = resource {
            let dist = self.0.dists.get(registry).ok_or_else(unknown)?;
            return self.0.serve_dist(dist, path, redirects).await;
        }
        let registry = self.0.registries.get(registry).ok_or_else(unknown)?;
        match resource {
            Resource::Config => self.0.serve_config(registry).await,
            Resource::IndexFile(name) => self.0.serve_index_file(registry, name).await,
            Resource::Krate { name, version } => {
                self.0.serve_krate(registry, name, version, redirects).await
            }
            Resource::Search { query } => self.0.serve_search(registry, query).await,
            Resource::Dist(_) => Err(unknown()),
        }
    }

    /// The registries, in the order of their ids, each with the condition of its upstream.
    pub fn registries(&self) -> impl Iterator<Item = (&RegistryId, Condition)> {
        self.0.registries.iter().map(|(id, registry)| (id, registry.upstream.condition()))
    }

    /// Changes how a registry is treated, from now on. One that is not here is passed over.
    pub fn set_policy(&self, policy: &RegistryPolicy) {
        if let Some(registry) = self.0.registries.get(&policy.id) {
            registry.policy.set(policy);
        }
    }

    /// The same for a dist origin, but for its grace time.
    pub fn set_dist_policy(&self, policy: &DistPolicy) {
        if let Some(dist) = self.0.dists.get(&policy.id) {
            dist.policy.set(policy);
        }
    }

    /// Whether the replicas can tell each other anything, as far as is known.
    #[must_use]
    pub fn coordination(&self) -> Health {
        self.0.ports.coordinator.health()
    }

    /// The dist origins, in the order of their ids, each with the condition of its upstream.
    pub fn dists(&self) -> impl Iterator<Item = (&DistId, Condition)> {
        self.0.dists.iter().map(|(id, dist)| (id, dist.upstream.condition()))
    }

    /// The store beneath, for those who inspect it.
    #[must_use]
    pub fn store(&self) -> &Arc<dyn ObjectStore> {
        &self.0.ports.store
    }

    /// The coordinator beneath.
    #[must_use]
    pub fn coordinator(&self) -> &Arc<dyn Coordinator> {
        &self.0.ports.coordinator
    }

    /// Forgets all that this process knows of an object; what the store has stays.
    pub async fn forget(&self, key: &StoreKey) {
        self.0.forget(key).await;
    }

    /// Takes note of who was served an object.
    pub fn record_use(&self, key: StoreKey, client: Client) {
        self.0.uses.record(key, client);
    }

    /// Has the uses that were recorded here written to the store now.
    pub async fn write_uses(&self) {
        self.0.uses.flush().await;
    }

    /// The bytes of a fill of this object that is under way here, for a replica that follows it. A fill that has no
    /// byte yet is waited for.
    pub async fn fill_under_way(&self, key: &StoreKey, checksum: &Sha256) -> Option<SpoolReader> {
        self.0.fill_under_way(key, checksum).await
    }

    /// The fills that ended well a short while ago, the newest first.
    #[must_use]
    pub fn recent_fills(&self) -> Vec<RecentFill> {
        self.0.recent_fills.all()
    }

    /// Brings the gauges up to date, before they are read.
    pub async fn observe(&self) {
        self.0.hot.settle().await;
        self.0.small.settle().await;
        let metrics = &self.0.metrics;
        let gauge = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
        metrics.fills_in_flight.set(i64::try_from(self.0.fills.len()).unwrap_or(i64::MAX));
        metrics.index_memory_bytes.set(gauge(self.0.hot.memory_bytes()));
        metrics.index_memory_files.set(gauge(self.0.hot.len()));
        metrics.object_memory_bytes.set(gauge(self.0.small.memory_bytes()));
        metrics.object_memory_objects.set(gauge(self.0.small.len()));
    }

    /// Lets fills and refreshes under way come to their end, for at most `patience`. Tells whether all did.
    /// Then the last uses are written.
    pub async fn drain(&self, patience: Duration) -> bool {
        self.0.tasks.close();
        let ended = tokio::time::timeout(patience, self.0.tasks.wait()).await.is_ok();
        self.0.uses.flush().await;
        ended
    }
}
