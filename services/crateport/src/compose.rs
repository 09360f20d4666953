//! Puts the house together from its settings: the only place that names backends.

mod coord;
mod metrics;
mod operate;
mod store;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context as _;
use crateport_cache::uses::UsePolicy;
use crateport_cache::{
    Cache, CacheLimits, DeliveryMode, DeliveryPolicy, DistPolicy, DistSetup, Ports, RegistryPolicy,
    RegistrySetup,
};
use crateport_coord::MeteredCoordinator;
use crateport_http::listen::{Limits, ListenerConfig, TlsFiles};
use crateport_http::{App, AppConfig, BasePolicy, Reports};
use crateport_store::{CircuitStore, MeteredStore, Scratch};
use crateport_telemetry::OtlpConfig;
use crateport_telemetry::logging::LogConfig;
use crateport_types::{DistId, RegistryId};
use crateport_upstream::{
    AllowList, DistConfig, DistUpstream, OfflineUpstream, PeerLimits, Peers, SparseConfig,
    SparseUpstream, Upstream, UpstreamLimits, UpstreamMetrics,
};

pub(crate) use self::coord::{coordinator, redis};
pub(crate) use self::metrics::metrics;
pub(crate) use self::operate::{dists, registries, retention, sources, sweeper};
use self::store::metered_store;
pub(crate) use self::store::{Kept, store};
use crate::settings::{DistSettings, ListenAddress, RegistrySettings, Settings, StoreLocation};

/// Where fills wait when the store has no directory: below the system's temporary one.
const SPOOL: &str = "crateport-spool";

/// A registry's upstream.
pub(crate) fn upstream(
    settings: &Settings,
    registry: &RegistrySettings,
    metrics: UpstreamMetrics,
) -> anyhow::Result<SparseUpstream> {
    let allow = registry.allow.iter().chain(&settings.upstream_allow).cloned();
    let config = SparseConfig {
        token: registry.token.clone(),
        token_hosts: registry.hosts.clone(),
        allow: AllowList::new(allow.collect()),
        ca_files: settings.upstream_ca_files.clone(),
        limits: upstream_limits(settings),
        pass_context: Some(crateport_telemetry::pass_context),
        ..SparseConfig::new(registry.id.clone(), registry.index.clone(), user_agent(settings))
    };
    SparseUpstream::new(config, metrics)
        .with_context(|| format!("the registry {} cannot be used", registry.id))
}

/// Where what is fetched waits until it is verified.
pub(crate) fn scratch(settings: &Settings, beside: Option<Scratch>) -> anyhow::Result<Scratch> {
    match (&settings.spool_dir, beside) {
        (None, Some(scratch)) => Ok(scratch),
        (_, _) => {
            let directory = spool_directory(settings);
            Scratch::open(&directory).with_context(|| {
                format!("the spool directory {} cannot be used", directory.display())
            })
        }
    }
}

/// A dist origin's upstream.
pub(crate) fn dist_upstream(
    settings: &Settings,
    dist: &DistSettings,
    metrics: UpstreamMetrics,
) -> anyhow::Result<DistUpstream> {
    let allow = dist.allow.iter().chain(&settings.upstream_allow).cloned();
    let config = DistConfig {
        token: dist.token.clone(),
        token_hosts: dist.hosts.clone(),
        allow: AllowList::new(allow.collect()),
        ca_files: settings.upstream_ca_files.clone(),
        limits: upstream_limits(settings),
        pass_context: Some(crateport_telemetry::pass_context),
        ..DistConfig::new(dist.id.clone(), dist.url.clone(), user_agent(settings))
    };
    DistUpstream::new(config, metrics)
        .with_context(|| format!("the dist origin {} cannot be used", dist.id))
}

/// The cache, and those of its parts that can be changed while it serves.
pub(crate) struct House {
    pub(crate) cache: Cache,
    /// What is counted of all upstreams.
    pub(crate) upstream_metrics: UpstreamMetrics,
    /// Of each registry that is served.
    pub(crate) upstreams: Vec<(RegistryId, Arc<SparseUpstream>)>,
    /// Of each dist origin that is served.
    pub(crate) dist_upstreams: Vec<(DistId, Arc<DistUpstream>)>,
}

/// The cache alone, for a command that does one thing.
pub(crate) async fn cache(
    settings: &Settings,
    metrics: &prometheus::Registry,
) -> anyhow::Result<Cache> {
    Ok(house(settings, None, metrics).await?.cache)
}

/// The cache and everything below it. `ops` is where this replica's ops listener stands, if it has one.
pub(crate) async fn house(
    settings: &Settings,
    ops: Option<SocketAddr>,
    metrics: &prometheus::Registry,
) -> anyhow::Result<House> {
    let Kept { store, scratch: beside, .. } = metered_store(settings, metrics).await?;
    let scratch = scratch(settings, beside)?;
    let store = MeteredStore::new(Arc::new(CircuitStore::new(store)), metrics)?;
    let advertised = settings.advertise_address.as_ref().zip(ops);
    let advertised = advertised.map(|(address, ops)| address.with_port_of(ops));
    let peers = Peers::new(advertised.as_deref(), peer_limits(settings))?;
    let coordinator = MeteredCoordinator::new(coordinator(settings, advertised)?, metrics)?;
    let ports = Ports {
        store: Arc::new(store),
        coordinator: Arc::new(coordinator),
        scratch,
        peers: Some(peers),
    };
    let upstream_metrics = UpstreamMetrics::register(metrics)?;
    let registries = settings.registries.iter().filter(|registry| registry.is_enabled);
    let (mut setups, mut upstreams) = (Vec::new(), Vec::new());
    for registry in registries {
        let upstream: Arc<dyn Upstream> = if settings.offline {
            Arc::new(OfflineUpstream)
        } else {
            let upstream = Arc::new(upstream(settings, registry, upstream_metrics.clone())?);
            upstreams.push((registry.id.clone(), Arc::clone(&upstream)));
            upstream
        };
        setups.push(RegistrySetup { policy: policy(settings, registry), upstream });
    }
    let (mut dists, mut dist_upstreams) = (Vec::new(), Vec::new());
    for dist in settings.dists.iter().filter(|dist| dist.is_enabled) {
        let upstream: Arc<dyn Upstream> = if settings.offline {
            Arc::new(OfflineUpstream)
        } else {
            let upstream = Arc::new(dist_upstream(settings, dist, upstream_metrics.clone())?);
            dist_upstreams.push((dist.id.clone(), Arc::clone(&upstream)));
            upstream
        };
        dists.push(DistSetup { policy: dist_policy(settings, dist), upstream });
    }
    let cache = Cache::with_dists(cache_limits(settings)?, ports, setups, dists, metrics)?;
    Ok(House { cache, upstream_metrics, upstreams, dist_upstreams })
}

/// Where fills wait until they are verified, or the directory above.
fn spool_directory(settings: &Settings) -> PathBuf {
    match (&settings.spool_dir, &settings.store) {
        (Some(directory), _) | (None, StoreLocation::Fs(directory)) => directory.clone(),
        (None, StoreLocation::S3(_)) => std::env::temp_dir().join(SPOOL),
    }
}

/// The service of the main listeners.
pub(crate) fn app(
    settings: &Settings,
    cache: Cache,
    reports: Reports,
    metrics: &prometheus::Registry,
) -> anyhow::Result<App> {
    let base = BasePolicy {
        public_url: settings.public_url.clone(),
        trusted_proxies: settings.trusted_proxies.clone(),
    };
    let config = AppConfig {
        base,
        replica: settings.replica.clone(),
        requests_max: settings.requests_max.try_into()?,
    };
    Ok(App::new(cache, config, reports, metrics)?)
}

/// The limits of the listeners.
pub(crate) fn listen_limits(settings: &Settings) -> anyhow::Result<Limits> {
    Ok(Limits {
        connections_max: settings.connections_max.try_into()?,
        streams_max: settings.streams_max,
        header_bytes_max: settings.header_size_max.try_into()?,
        handshake_timeout: settings.handshake_timeout,
        header_timeout: settings.header_timeout,
        idle_timeout: settings.idle_timeout,
        body_timeout: settings.body_timeout,
        ..Limits::default()
    })
}

/// One main listener.
pub(crate) fn listener(listen: &ListenAddress) -> ListenerConfig {
    let tls = listen.tls.as_ref();
    let tls = tls.map(|tls| TlsFiles { certificate: tls.cert.clone(), key: tls.key.clone() });
    ListenerConfig { address: listen.address, tls }
}

/// The ops listener.
pub(crate) fn ops_listener(address: SocketAddr) -> ListenerConfig {
    ListenerConfig { address, tls: None }
}

/// How a registry is treated.
pub(crate) fn policy(settings: &Settings, registry: &RegistrySettings) -> RegistryPolicy {
    RegistryPolicy {
        id: registry.id.clone(),
        index_ttl: registry.index_ttl.unwrap_or(settings.index_ttl),
        absent_ttl: registry.absent_ttl.unwrap_or(settings.absent_ttl),
        config_ttl: settings.config_ttl,
    }
}

pub(crate) fn dist_policy(settings: &Settings, dist: &DistSettings) -> DistPolicy {
    DistPolicy {
        id: dist.id.clone(),
        ttl: dist.ttl.unwrap_or(settings.dist_ttl),
        absent_ttl: dist.absent_ttl.unwrap_or(settings.dist_absent_ttl),
        grace: settings.dist_grace,
    }
}

fn cache_limits(settings: &Settings) -> anyhow::Result<CacheLimits> {
    Ok(CacheLimits {
        index_memory_bytes_max: settings.index_memory,
        object_memory_bytes_max: settings.object_memory,
        object_memory_size_bytes_max: settings.object_memory_size_max,
        index_size_bytes_max: settings.index_size_max.try_into()?,
        krate_size_bytes_max: settings.crate_size_max,
        dist_size_bytes_max: settings.dist_size_max,
        fills_max: settings.fills_max.try_into()?,
        spool_memory_bytes_max: settings.spool_memory.try_into()?,
        refresh_patience: settings.refresh_patience,
        wait_max: settings.wait_max,
        delivery: delivery(settings),
        presence_ttl: settings.presence_ttl,
        fetch_ahead_max: settings.fetch_ahead_max.try_into()?,
        refresh_ahead_max: settings.refresh_ahead_max.try_into()?,
        purge_poll: settings.purge_poll,
        uses: UsePolicy {
            replica: settings.replica.clone(),
            flush_every: settings.usage_flush_every,
            grace: settings.sweep_grace,
            ..UsePolicy::default()
        },
        ..CacheLimits::default()
    })
}

/// A directory can give no address of its objects, so nothing needs to be looked up for one.
fn delivery(settings: &Settings) -> DeliveryPolicy {
    let mode = match settings.store {
        StoreLocation::Fs(_) => DeliveryMode::Stream,
        StoreLocation::S3(_) => settings.delivery,
    };
    DeliveryPolicy {
        mode,
        redirect_size_bytes_min: settings.redirect_size_min,
        url_lifetime: settings.url_lifetime,
    }
}

fn upstream_limits(settings: &Settings) -> UpstreamLimits {
    UpstreamLimits {
        connect_timeout: settings.upstream_connect_timeout,
        answer_timeout: settings.upstream_answer_timeout,
        idle_timeout: settings.upstream_idle_timeout,
        deadline: settings.upstream_deadline,
        retries_max: settings.upstream_retries_max,
        requests_max: usize::try_from(settings.upstream_requests_max).unwrap_or(usize::MAX),
        slow_after: settings.refresh_patience,
        cool_off_max: settings.upstream_cool_off_max,
        index_size_bytes_max: settings.index_size_max,
        ..UpstreamLimits::default()
    }
}

fn peer_limits(settings: &Settings) -> PeerLimits {
    PeerLimits {
        connect_timeout: settings.upstream_connect_timeout,
        idle_timeout: settings.upstream_idle_timeout,
    }
}

/// Names this program, as crates.io asks of those who fetch from it.
fn user_agent(settings: &Settings) -> String {
    let contact = settings
        .user_agent_contact
        .as_ref()
        .map(|contact| format!(" ({contact})"))
        .unwrap_or_default();
    format!("crateport/{}{contact}", env!("CARGO_PKG_VERSION"))
}

/// Logs and traces.
pub(crate) fn logs(settings: &Settings) -> LogConfig {
    let variable = |name: &str| std::env::var(name).ok();
    LogConfig {
        format: settings.log_format,
        filter: settings.log.clone(),
        otlp: OtlpConfig::choose(
            settings.otlp_endpoint.clone(),
            &settings.replica,
            env!("CARGO_PKG_VERSION"),
            variable,
        ),
    }
}
