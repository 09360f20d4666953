//! The ops listener: health, metrics and version. Never public.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Router;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use axum::routing::{get, post};
use crateport_cache::Cache;
use crateport_coord::Health;
use crateport_telemetry::metrics::{Registry, TEXT_CONTENT_TYPE};
use crateport_types::{CrateName, CrateVersion, RegistryId, StoreKey};
use crateport_upstream::Condition;
use serde::Deserialize;
use serde_json::json;

/// What the ops listener tells of.
#[derive(Clone, Debug)]
pub struct OpsConfig {
    /// The cache.
    pub cache: Cache,
    /// The metrics of the whole process.
    pub metrics: Registry,
    /// Whether this replica wants requests.
    pub readiness: Readiness,
    /// The version of this build.
    pub version: &'static str,
    /// The name of this replica.
    pub replica: String,
    /// How often each replica looks for purges.
    pub purge_poll: Duration,
}

/// What is to be purged.
#[derive(Debug, Deserialize)]
struct PurgeQuery {
    registry: String,
    #[serde(rename = "crate")]
    name: String,
    version: Option<String>,
}

/// Whether this replica wants requests: until it begins to shut down.
#[derive(Clone, Debug, Default)]
pub struct Readiness(Arc<AtomicBool>);

/// The store must answer within this to count as usable.
const STORE_WAIT_MAX: Duration = Duration::from_secs(2);

impl Readiness {
    /// From now on load balancers should send requests elsewhere.
    pub fn end(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    fn is_over(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// The service behind the ops listener.
pub fn ops_router(config: OpsConfig) -> Router {
    Router::new()
        .route("/livez", get(async || "ok\n"))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
        .route("/version", get(version))
        .route("/purge", post(purge))
        .with_state(Arc::new(config))
}

/// Ready means: can serve what is here. An upstream or a coordinator that is down makes nobody unready, and is told.
async fn readyz(State(ops): State<Arc<OpsConfig>>) -> impl IntoResponse {
    let upstream = |condition| match condition {
        Condition::Healthy => "healthy",
        Condition::Slow => "slow",
        Condition::Down { .. } => "down",
    };
    let upstreams =
        ops.cache.registries().map(|(id, condition)| (id.to_string(), json!(upstream(condition))));
    let upstreams = upstreams.collect::<serde_json::Map<_, _>>();
    let store = store_answers(&ops.cache).await;
    let ready = store.is_ok() && !ops.readiness.is_over();
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let store = store.map_or_else(|error| error, |()| "ok".to_owned());
    let coordinator = match ops.cache.coordination() {
        Health::Up => "ok".to_owned(),
        Health::Down { reason } => reason,
    };
    let body = json!({
        "ready": ready,
        "draining": ops.readiness.is_over(),
        "store": store,
        "coordinator": coordinator,
        "upstreams": upstreams,
    });
    (status, [(CONTENT_TYPE, "application/json")], format!("{body}\n"))
}

async fn store_answers(cache: &Cache) -> Result<(), String> {
    let Some((registry, _)) = cache.registries().next() else { return Ok(()) };
    let key = StoreKey::upstream_config(registry);
    match tokio::time::timeout(STORE_WAIT_MAX, cache.store().head(&key)).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err(format!("no answer within {} s", STORE_WAIT_MAX.as_secs())),
    }
}

async fn metrics(State(ops): State<Arc<OpsConfig>>) -> impl IntoResponse {
    ops.cache.observe().await;
    match ops.metrics.render() {
        Ok(text) => (StatusCode::OK, [(CONTENT_TYPE, TEXT_CONTENT_TYPE)], text),
        Err(error) => {
            (StatusCode::INTERNAL_SERVER_ERROR, [(CONTENT_TYPE, "text/plain")], error.to_string())
        }
    }
}

/// Answers once the purge holds on every replica that reaches the store.
async fn purge(
    State(ops): State<Arc<OpsConfig>>,
    Query(query): Query<PurgeQuery>,
) -> impl IntoResponse {
    let told = |status, told: serde_json::Value| {
        (status, [(CONTENT_TYPE, "application/json")], format!("{told}\n"))
    };
    let refused = |error: String| told(StatusCode::BAD_REQUEST, json!({"error": error}));
    let (name, version) = (query.name.parse::<CrateName>(), query.version.as_deref());
    let (registry, name) = match (query.registry.parse::<RegistryId>(), name) {
        (Ok(registry), Ok(name)) => (registry, name),
        (Err(error), _) => return refused(error.to_string()),
        (_, Err(error)) => return refused(error.to_string()),
    };
    if !ops.cache.registries().any(|(id, _)| *id == registry) {
        return refused(format!("no registry `{registry}` is configured here"));
    }
    let version = match version.map(str::parse::<CrateVersion>).transpose() {
        Ok(version) => version,
        Err(error) => return refused(error.to_string()),
    };
    let (store, coordinator) = (&**ops.cache.store(), &**ops.cache.coordinator());
    let purge = crateport_cache::purge(store, coordinator, &registry, &name, version.as_ref());
    match Box::pin(purge).await {
        Ok(purged) => {
            tokio::time::sleep(crateport_cache::holds_after(ops.purge_poll)).await;
            let told_of = json!({"crates": purged.crates, "index_files": purged.index_files});
            told(StatusCode::OK, told_of)
        }
        Err(error) => told(StatusCode::SERVICE_UNAVAILABLE, json!({"error": error.to_string()})),
    }
}

async fn version(State(ops): State<Arc<OpsConfig>>) -> impl IntoResponse {
    let body = json!({"name": "crateport", "version": ops.version, "replica": ops.replica});
    ([(CONTENT_TYPE, "application/json")], format!("{body}\n"))
}
