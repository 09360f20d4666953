//! `GET /fill?key=KEY&checksum=SHA256`: the bytes of a fill under way, for a replica that follows it.
//!
//! They come as they come here, and the last one only once all are verified. A fill that breaks off breaks off there too.

use std::sync::Arc;

use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use crateport_types::{ETag, Sha256, StoreKey};
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, ETAG};
use serde::Deserialize;

use super::OpsConfig;
use crate::body::Body;

/// Which fill.
#[derive(Debug, Deserialize)]
pub(super) struct FillQuery {
    key: String,
    checksum: String,
}

pub(super) async fn answer(
    State(ops): State<Arc<OpsConfig>>,
    Query(query): Query<FillQuery>,
) -> Response {
    let (Some(key), Ok(checksum)) =
        (StoreKey::listed(&query.key), query.checksum.parse::<Sha256>())
    else {
        let sentence = "a key and a SHA-256 in hexadecimal digits are needed\n";
        return (StatusCode::BAD_REQUEST, sentence).into_response();
    };
    let Some(reader) = ops.cache.fill_under_way(&key, &checksum).await else {
        return (StatusCode::NOT_FOUND, "no such fill is under way here\n").into_response();
    };
    let size_bytes = reader.size_bytes();
    let body = axum::body::Body::new(Body::pieces(reader.into_stream(), size_bytes));
    let kind = (CONTENT_TYPE, "application/octet-stream".to_owned());
    let tag = (ETAG, ETag::of(&checksum).as_str().to_owned());
    match size_bytes {
        Some(size_bytes) => {
            ([kind, tag, (CONTENT_LENGTH, size_bytes.to_string())], body).into_response()
        }
        None => ([kind, tag], body).into_response(),
    }
}
