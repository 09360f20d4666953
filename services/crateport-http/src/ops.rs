//! The ops listener: health, metrics, version, the report, who used what, fills under way for the other replicas, and the
//! operator's hands. Never public: it tells the addresses of clients, and it does as it is told.

mod fill;
mod usage;
mod warm;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Query, State};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use axum::routing::{get, post};
use crateport_cache::{Cache, Purge};
use crateport_coord::Health;
use crateport_operate::Sources;
use crateport_telemetry::metrics::{Registry, TEXT_CONTENT_TYPE};
use crateport_types::{InvalidName, InvalidRegistryId, InvalidVersion, StoreKey};
use crateport_upstream::{Condition, FILL_PATH};
use serde::Deserialize;
use serde_json::json;

use crate::Reports;
use crate::readiness::{Readiness, Serves};
use crate::report::word;

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
    /// Which registries the sources in lock files mean.
    pub sources: Sources,
    /// What `/stats` tells.
    pub reports: Reports,
}

/// What is to be purged.
#[derive(Debug, Deserialize)]
struct PurgeQuery {
    registry: String,
    #[serde(rename = "crate")]
    name: String,
    version: Option<String>,
}

/// The store must answer within this to count as there: shorter than the second that Kubernetes gives a probe, or a
/// store that hangs would make every probe of the fleet fail.
const STORE_WAIT_MAX: Duration = Duration::from_millis(500);
/// Longest that the figures of `/metrics` may take, some of which the system is asked for.
const METRICS_WAIT_MAX: Duration = Duration::from_secs(5);

/// Longest that `/stats` waits until the store was counted for the first time.
const COUNT_WAIT_MAX: Duration = Duration::from_secs(2);

/// The service behind the ops listener.
pub fn ops_router(config: OpsConfig) -> Router {
    Router::new()
        .route("/livez", get(async || "ok\n"))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
        .route("/version", get(version))
        .route("/stats", get(stats))
        .route("/api/usage", get(usage::answer))
        .route(FILL_PATH, get(fill::answer))
        .route("/purge", post(purge))
        .route("/warm", post(warm::answer).layer(DefaultBodyLimit::max(warm::BODY_BYTES_MAX)))
        .with_state(Arc::new(config))
}

/// Whether to send requests here, and what to expect of them: see [`Serves`].
async fn readyz(State(ops): State<Arc<OpsConfig>>) -> impl IntoResponse {
    let registries = ops.cache.registries().map(|(id, condition)| (id.to_string(), condition));
    let dists = ops.cache.dists().map(|(id, condition)| (id.to_string(), condition));
    let registries = registries.collect::<Vec<_>>();
    let store = store_answers(&ops.cache).await;
    let is_down = |(_, condition): &(_, _)| matches!(condition, Condition::Down { .. });
    let serves = Serves::judge(store.is_ok(), registries.iter().map(is_down));
    let is_draining = ops.readiness.is_over();
    let is_ready = serves.is_enough() && !is_draining;
    let status = if is_ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let coordinator = match ops.cache.coordination() {
        Health::Up => "ok".to_owned(),
        Health::Down { reason } => reason,
    };
    let upstreams =
        registries.into_iter().chain(dists).map(|(id, condition)| (id, json!(word(condition))));
    let body = json!({
        "ready": is_ready,
        "serves": serves.as_str(),
        "draining": is_draining,
        "store": store.map_or_else(|error| error, |()| "ok".to_owned()),
        "coordinator": coordinator,
        "upstreams": upstreams.collect::<serde_json::Map<_, _>>(),
    });
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
        Err(_) => Err(format!("no answer within {} ms", STORE_WAIT_MAX.as_millis())),
    }
}

async fn metrics(State(ops): State<Arc<OpsConfig>>) -> impl IntoResponse {
    ops.cache.observe().await;
    // A file system that hangs when it is asked how full it is must not take a thread that runs tasks.
    let metrics = ops.metrics.clone();
    let rendered = tokio::task::spawn_blocking(move || metrics.render());
    let (status, kind, text) = match tokio::time::timeout(METRICS_WAIT_MAX, rendered).await {
        Ok(Ok(Ok(text))) => (StatusCode::OK, TEXT_CONTENT_TYPE, text),
        Ok(Ok(Err(error))) => (StatusCode::INTERNAL_SERVER_ERROR, "text/plain", error.to_string()),
        Ok(Err(error)) => (StatusCode::INTERNAL_SERVER_ERROR, "text/plain", error.to_string()),
        Err(late) => (StatusCode::SERVICE_UNAVAILABLE, "text/plain", late.to_string()),
    };
    (status, [(CONTENT_TYPE, kind)], text)
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
    let what = match query.purge() {
        Ok(what) => what,
        Err(sentence) => return refused(sentence),
    };
    if !ops.cache.registries().any(|(id, _)| *id == what.registry) {
        return refused(format!("no registry `{}` is configured here", what.registry));
    }
    let (store, coordinator) = (&**ops.cache.store(), &**ops.cache.coordinator());
    let purge = crateport_cache::purge(store, coordinator, &what, ops.purge_poll);
    match Box::pin(purge).await {
        Ok(purged) => {
            let told_of = json!({"crates": purged.crates, "index_files": purged.index_files});
            told(StatusCode::OK, told_of)
        }
        Err(error) => told(StatusCode::SERVICE_UNAVAILABLE, json!({"error": error.to_string()})),
    }
}

impl PurgeQuery {
    fn purge(self) -> Result<Purge, String> {
        let version = self.version.map(|version| version.parse()).transpose();
        Ok(Purge {
            registry: self
                .registry
                .parse()
                .map_err(|error: InvalidRegistryId| error.to_string())?,
            name: self.name.parse().map_err(|error: InvalidName| error.to_string())?,
            version: version.map_err(|error: InvalidVersion| error.to_string())?,
        })
    }
}

/// The report, hosts of upstreams in the sentences of its errors included.
async fn stats(State(ops): State<Arc<OpsConfig>>) -> impl IntoResponse {
    let report = ops.reports.counted(COUNT_WAIT_MAX).await;
    // Structs of texts and numbers always serialize.
    let body = serde_json::to_string(&*report).unwrap_or_default();
    ([(CONTENT_TYPE, "application/json")], format!("{body}\n"))
}

async fn version(State(ops): State<Arc<OpsConfig>>) -> impl IntoResponse {
    let body = json!({"name": "crateport", "version": ops.version, "replica": ops.replica});
    ([(CONTENT_TYPE, "application/json")], format!("{body}\n"))
}
