//! A running Crateport in one value, and the words in which the tests speak of it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crateport_cache::{Cache, CacheLimits, Ports, RegistryPolicy, RegistrySetup};
use crateport_coord::LocalCoordinator;
use crateport_http::listen::{Limits, Listener, ListenerConfig, Server};
use crateport_http::{App, AppConfig, BasePolicy, OpsConfig, Readiness, Reports, ops_router};
use crateport_store::{FaultyStore, FsStore, StoreFault};
use crateport_telemetry::metrics::Registry;
use crateport_testkit::client::{self, Answer, RawAnswer};
use crateport_testkit::{RawRequest, ScriptedUpstream};
use crateport_upstream::{
    AllowList, OutboundProxy, SparseConfig, SparseUpstream, UpstreamLimits, UpstreamMetrics,
};
use tempfile::TempDir;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// The one registry of the tests.
pub(crate) const REGISTRY: &str = "crates-io";
/// Long enough that nothing but a bug meets it.
pub(crate) const NEVER: Duration = Duration::from_secs(60);
/// Short enough to be waited for.
pub(crate) const SOON: Duration = Duration::from_millis(50);

/// What is to run.
pub(crate) struct Setup<'a> {
    upstream: &'a ScriptedUpstream,
    directory: Arc<TempDir>,
    fault: Option<StoreFault>,
    pub(crate) cache: CacheLimits,
    pub(crate) policy: RegistryPolicy,
    pub(crate) asking: UpstreamLimits,
    pub(crate) base: BasePolicy,
    pub(crate) requests_max: usize,
}

/// A Crateport that runs until it is stopped or dropped.
pub(crate) struct Crateport {
    pub(crate) base: String,
    pub(crate) ops: String,
    pub(crate) store: Arc<FaultyStore<FsStore>>,
    pub(crate) directory: Arc<TempDir>,
    pub(crate) readiness: Readiness,
    cache: Cache,
    stop: Vec<oneshot::Sender<()>>,
    servers: Vec<JoinHandle<()>>,
}

/// A Crateport in front of `upstream`, with limits that only a bug meets, and without retries or a circuit.
pub(crate) fn in_front_of(upstream: &ScriptedUpstream) -> Setup<'_> {
    Setup {
        upstream,
        directory: Arc::new(tempfile::tempdir().unwrap()),
        fault: None,
        cache: CacheLimits {
            refresh_patience: NEVER,
            wait_max: NEVER,
            failed_ttl: Duration::ZERO,
            ..CacheLimits::default()
        },
        policy: RegistryPolicy {
            index_ttl: NEVER,
            absent_ttl: NEVER,
            ..RegistryPolicy::new(REGISTRY.parse().unwrap())
        },
        asking: UpstreamLimits {
            answer_timeout: NEVER,
            idle_timeout: NEVER,
            deadline: NEVER,
            slow_after: NEVER,
            retries_max: 0,
            failures_before_open: u32::MAX,
            ..UpstreamLimits::default()
        },
        base: BasePolicy::default(),
        requests_max: 1000,
    }
}

impl Setup<'_> {
    /// Any setting.
    pub(crate) fn with(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }

    /// Every request for an index file asks upstream.
    pub(crate) fn always_revalidating(self) -> Self {
        self.with(|setup| setup.policy.index_ttl = Duration::ZERO)
    }

    /// Clients with a copy to be served wait for upstream only shortly.
    pub(crate) fn impatient(self) -> Self {
        self.with(|setup| {
            (setup.cache.refresh_patience, setup.asking.slow_after) = (SOON, SOON);
        })
    }

    /// With the files of another one, which is or was.
    pub(crate) fn on_the_files_of(self, other: &Crateport) -> Self {
        self.with(|setup| setup.directory = Arc::clone(&other.directory))
    }

    /// With a store that is broken from the start.
    pub(crate) fn with_store(self, fault: StoreFault) -> Self {
        self.with(|setup| setup.fault = Some(fault))
    }

    pub(crate) async fn start(self) -> Crateport {
        let metrics = Registry::new("0.0.0-test").unwrap();
        let files = FsStore::open(self.directory.path()).unwrap();
        let scratch = files.scratch().clone();
        let store = Arc::new(FaultyStore::new(files));
        store.set(self.fault);
        let index = format!("sparse+{}", self.upstream.index_url()).parse().unwrap();
        let config = SparseConfig {
            allow: AllowList::new(vec!["127.0.0.0/8".parse().unwrap()]),
            proxy: OutboundProxy::Direct,
            limits: self.asking,
            ..SparseConfig::new(self.policy.id.clone(), index, "crateport-test/1")
        };
        let upstream_metrics = UpstreamMetrics::register(metrics.as_ref()).unwrap();
        let upstream = Arc::new(SparseUpstream::new(config, upstream_metrics.clone()).unwrap());
        let ports = Ports {
            peers: None,
            store: Arc::<FaultyStore<FsStore>>::clone(&store),
            coordinator: Arc::new(LocalCoordinator::new(10_000)),
            scratch,
        };
        let setup = RegistrySetup { policy: self.policy, upstream };
        let cache = Cache::new(self.cache, ports, [setup], metrics.as_ref()).unwrap();
        let config = AppConfig {
            base: self.base,
            replica: "replica-7".to_owned(),
            requests_max: self.requests_max,
        };
        let reports = Reports::new("replica-7", "0.0.0-test", cache.clone(), upstream_metrics);
        let app = App::new(cache.clone(), config, reports.clone(), metrics.as_ref()).unwrap();
        let readiness = Readiness::default();
        readiness.register(metrics.as_ref()).unwrap();
        let ops = ops_router(OpsConfig {
            cache: cache.clone(),
            metrics,
            readiness: readiness.clone(),
            version: "0.0.0-test",
            replica: "replica-7".to_owned(),
            purge_poll: SOON,
            sources: crateport_operate::Sources::default(),
            reports,
        });

        let (mut stop, mut servers, mut bases) = (Vec::new(), Vec::new(), Vec::new());
        for is_main in [true, false] {
            let address = "127.0.0.1:0".parse().unwrap();
            let listener = Listener::bind(ListenerConfig { address, tls: None }).await.unwrap();
            bases.push(format!("http://{}", listener.local_addr()));
            let (stopper, stopped) = oneshot::channel();
            stop.push(stopper);
            let (server, app, ops) = (Server::new(Limits::default()), app.clone(), ops.clone());
            servers.push(tokio::spawn(async move {
                let stopped = async { drop(stopped.await) };
                let listeners = vec![listener];
                if is_main {
                    server.serve(listeners, app, stopped, NEVER).await;
                } else {
                    server.serve(listeners, ops, stopped, NEVER).await;
                }
            }));
        }
        let ops = bases.pop().unwrap();
        let base = bases.pop().unwrap();
        let directory = self.directory;
        Crateport { base, ops, store, directory, readiness, cache, stop, servers }
    }
}

impl Crateport {
    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}/{REGISTRY}/{path}", self.base)
    }

    pub(crate) fn config_url(&self) -> String {
        self.url("index/config.json")
    }

    pub(crate) fn index_url(&self, name: &str) -> String {
        let folder = match name.len() {
            length @ 1..3 => length.to_string(),
            3 => format!("3/{}", &name[..1]),
            _ => format!("{}/{}", &name[..2], &name[2..4]),
        };
        self.url(&format!("index/{folder}/{name}"))
    }

    pub(crate) fn crate_url(&self, name: &str, version: &str) -> String {
        self.url(&format!("crates/{name}/{version}/download"))
    }

    pub(crate) async fn index(&self, name: &str) -> Answer {
        client::get(self.index_url(name)).send().await
    }

    pub(crate) async fn krate(&self, name: &str, version: &str) -> Answer {
        client::get(self.crate_url(name, version)).send().await
    }

    /// What exactly comes over the wire for a crate.
    pub(crate) async fn raw_krate(&self, name: &str, version: &str) -> RawAnswer {
        RawRequest::get(self.crate_url(name, version)).send().await
    }

    pub(crate) async fn search(&self, query: &str) -> Answer {
        client::get(self.url(&format!("api/v1/crates?{query}"))).send().await
    }

    pub(crate) async fn ops(&self, path: &str) -> Answer {
        client::get(format!("{}{path}", self.ops)).send().await
    }

    /// The value of a sample of `/metrics`, by its name and all its labels; nought if there is none.
    pub(crate) async fn metric(&self, sample: &str) -> f64 {
        let answer = self.ops("/metrics").await;
        let line =
            answer.text().lines().find_map(|line| line.strip_prefix(sample)?.strip_prefix(' '));
        line.map_or(0.0, |value| value.parse().unwrap())
    }

    /// Where an object of the registry lies.
    pub(crate) fn object(&self, path: &str) -> std::path::PathBuf {
        self.directory.path().join("v1").join(REGISTRY).join(path)
    }

    pub(crate) fn has_krate(&self, name: &str, version: &str) -> bool {
        self.object(&format!("crates/{name}/{name}-{version}.crate")).exists()
    }

    /// Waits until an object of the registry is in the store, and reads it.
    pub(crate) async fn stored(&self, path: &str) -> Vec<u8> {
        let path = self.object(path);
        until("the object is stored", async || path.exists()).await;
        std::fs::read(path).unwrap()
    }

    /// Waits until a crate is in the store and no fill is under way.
    pub(crate) async fn keeps(&self, name: &str, version: &str) {
        until("the crate is kept", async || {
            self.has_krate(name, version) && self.metric("crateport_fills_in_flight").await == 0.0
        })
        .await;
    }

    /// Waits until its upstream has this condition.
    pub(crate) async fn finds_upstream(&self, condition: &str) {
        let told = format!("\"{REGISTRY}\":\"{condition}\"");
        until(condition, async || self.ops("/readyz").await.text().contains(&told)).await;
    }

    /// Lets everything come to its end, in the order of a real shutdown.
    pub(crate) async fn stop(&mut self) {
        self.readiness.end();
        self.stop.clear();
        for server in self.servers.drain(..) {
            server.await.unwrap();
        }
        assert!(self.cache.drain(NEVER).await, "something never ends");
    }
}

impl Drop for Crateport {
    fn drop(&mut self) {
        for server in &self.servers {
            server.abort();
        }
    }
}

/// The `x-cache` of an answer.
pub(crate) fn outcome(answer: &Answer) -> &str {
    answer.header("x-cache").unwrap()
}

/// Status and `x-cache` in one.
pub(crate) fn seen(answer: &Answer) -> (u16, &str) {
    (answer.status, outcome(answer))
}

/// The fields of a JSON object of texts and flags.
pub(crate) fn json(answer: &Answer) -> BTreeMap<String, serde_json::Value> {
    serde_json::from_slice(&answer.body).unwrap_or_else(|error| panic!("{error}: {answer:?}"))
}

/// Waits for what must come to pass sooner or later.
pub(crate) async fn until(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    let began = Instant::now();
    while !is_so().await {
        assert!(began.elapsed() < NEVER, "waited in vain: {what}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}
