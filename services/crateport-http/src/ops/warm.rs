//! `POST /warm` with a `Cargo.lock`: fetches what it needs, and answers with one line of JSON for each step.
//!
//! ```text
//! {"done":1,"total":3,"what":"crates-io index file of serde","result":"fetched","bytes":1234}
//! {"done":2,"total":3,"what":"crates-io serde 1.0.0","result":"present"}
//! {"done":3,"total":3,"what":"crates-io gone 1.0.0","result":"failed","why":"crate gone 1.0.0 does not exist"}
//! {"summary":{"present":1,"fetched":1,"fetched_bytes":1234,"failed":1,"elsewhere":[],"complete":false}}
//! ```
//!
//! A client that leaves ends the warming; what was fetched is kept.

use std::convert::Infallible;
use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use crateport_operate::{Cold, Here, Lockfile, Needs, Step, Warmed, Warmth, warm};
use futures_util::stream;
use serde_json::{Value, json};
use tokio::sync::{Semaphore, mpsc};

use super::OpsConfig;

/// Many times the lock file of the largest workspace.
pub(super) const BODY_BYTES_MAX: usize = 16 << 20;
/// Things that are fetched at once for one request.
const AT_ONCE: usize = 32;
/// Requests that are worked on at once; more are told to come again.
const WARMINGS_MAX: usize = 4;

static WARMINGS: Semaphore = Semaphore::const_new(WARMINGS_MAX);

pub(super) async fn answer(State(ops): State<Arc<OpsConfig>>, body: Bytes) -> Response {
    let parsed = std::str::from_utf8(&body).ok().map(Lockfile::parse);
    let lockfile = match parsed {
        Some(Ok(lockfile)) => lockfile,
        Some(Err(error)) => return refused(StatusCode::BAD_REQUEST, &error.to_string()),
        None => return refused(StatusCode::BAD_REQUEST, "it is no Cargo.lock: it is not UTF-8"),
    };
    let Ok(permit) = WARMINGS.try_acquire() else {
        return refused(
            StatusCode::SERVICE_UNAVAILABLE,
            "enough lock files are being warmed already",
        );
    };
    let needs = Needs::of(&[lockfile], &ops.sources);
    // All lines have room, the last one too: the work does not wait for its reader.
    let (lines, received) = mpsc::channel::<Value>(needs.wanted().len() + 1);
    let place = Here(ops.cache.clone());
    let work = tokio::spawn(async move {
        let told = |step: Step<'_>| drop(lines.try_send(line(&step)));
        let last = match Box::pin(warm(&place, &needs, AT_ONCE, told)).await {
            Ok(warmed) => summary(&warmed),
            Err(error) => json!({"error": error.to_string()}),
        };
        drop(lines.try_send(last));
        drop(permit);
    });
    let reader = Reader { received, work };
    let body = stream::unfold(reader, async |mut reader| {
        let line = reader.received.recv().await?;
        Some((Ok::<_, Infallible>(format!("{line}\n")), reader))
    });
    ([(CONTENT_TYPE, "application/x-ndjson")], Body::from_stream(body)).into_response()
}

/// Ends the work when it is dropped.
struct Reader {
    received: mpsc::Receiver<Value>,
    work: tokio::task::JoinHandle<()>,
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.work.abort();
    }
}

fn refused(status: StatusCode, why: &str) -> Response {
    let body = format!("{}\n", json!({"error": why}));
    (status, [(CONTENT_TYPE, "application/json")], body).into_response()
}

fn line(step: &Step<'_>) -> Value {
    let Step { done, total, wanted, result } = step;
    let what = wanted.to_string();
    match result {
        Ok(Warmth::Present) => {
            json!({"done": done, "total": total, "what": what, "result": "present"})
        }
        Ok(Warmth::Fetched { size_bytes }) => {
            json!({"done": done, "total": total, "what": what, "result": "fetched", "bytes": size_bytes})
        }
        Err(Cold { why, .. }) => {
            json!({"done": done, "total": total, "what": what, "result": "failed", "why": why})
        }
    }
}

fn summary(warmed: &Warmed) -> Value {
    json!({"summary": {
        "present": warmed.present,
        "fetched": warmed.fetched,
        "fetched_bytes": warmed.fetched_bytes,
        "failed": warmed.failed.len(),
        "elsewhere": warmed.elsewhere,
        "complete": warmed.is_complete(),
    }})
}
