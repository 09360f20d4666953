//! The ops listener: health, metrics and version. Never public.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use axum::routing::get;
use crateport_cache::Cache;
use crateport_telemetry::metrics::{Registry, TEXT_CONTENT_TYPE};
use crateport_types::StoreKey;
use crateport_upstream::Condition;
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
        .with_state(Arc::new(config))
}

/// Ready means: can serve what is here. An upstream that is down makes nobody unready, and is told.
async fn readyz(State(ops): State<Arc<OpsConfig>>) -> impl IntoResponse {
    let upstream = |condition| match condition {
        Condition::Healthy => "healthy",
        Condition::Slow => "slow",
        Condition::Down { .. } => "down",
    };
    let registries = ops.cache.registries().map(|(id, condition)| (id.to_string(), condition));
    let dists = ops.cache.dists().map(|(id, condition)| (id.to_string(), condition));
    let upstreams = registries.chain(dists).map(|(id, condition)| (id, json!(upstream(condition))));
    let upstreams = upstreams.collect::<serde_json::Map<_, _>>();
    let store = store_answers(&ops.cache).await;
    let ready = store.is_ok() && !ops.readiness.is_over();
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let store = store.map_or_else(|error| error, |()| "ok".to_owned());
    let body = json!({"ready": ready, "draining": ops.readiness.is_over(), "store": store, "upstreams": upstreams});
    (status, [(CONTENT_TYPE, "application/json")], format!("{body}\n"))
}

async fn store_answers(cache: &Cache) -> Result<(), String> {
    // Any key will do; one that is read anyway is the best.
    let key = match cache.registries().next() {
        Some((registry, _)) => StoreKey::upstream_config(registry),
        None => StoreKey::check(0),
    };
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

async fn version(State(ops): State<Arc<OpsConfig>>) -> impl IntoResponse {
    let body = json!({"name": "crateport", "version": ops.version, "replica": ops.replica});
    ([(CONTENT_TYPE, "application/json")], format!("{body}\n"))
}
