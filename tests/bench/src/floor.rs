//! The floor: the least that a server on hyper does. It answers with static bytes, and logs, counts and looks up
//! nothing. It is what Crateport's CPU time per request is divided by.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use anyhow::{Context as _, Result};
use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use serde_json::Value;

use crate::serve::{self, Answer};

/// Bodies by size, each made once.
#[derive(Clone, Default)]
struct Floor(Arc<RwLock<HashMap<usize, Bytes>>>);

/// The path of an answer with this status and so many bytes.
pub(crate) fn path(status: u16, body_bytes: u64) -> String {
    format!("/{status}/{body_bytes}")
}

/// Runs the part `floor`.
pub(crate) fn run(certificate: &serve::CertificateFiles) -> Result<()> {
    let listeners = serve::start(Floor::default(), certificate, serve::Threads::OneEach)?;
    crate::part::converse(&listeners, |_| Ok(Value::Null))
}

impl Answer for Floor {
    type Body = Full<Bytes>;

    async fn answer(&self, request: Request<Incoming>) -> Response<Self::Body> {
        self.respond(request.uri().path()).unwrap_or_else(|error| {
            let mut response = Response::new(Full::new(Bytes::from(format!("{error:#}"))));
            *response.status_mut() = StatusCode::BAD_REQUEST;
            response
        })
    }
}

impl Floor {
    fn respond(&self, path: &str) -> Result<Response<Full<Bytes>>> {
        let mut words = path.trim_start_matches('/').split('/');
        let status = words.next().unwrap_or_default().parse::<u16>()?;
        let size = words.next().context("a size")?.parse::<usize>()?;
        let response = Response::builder()
            .status(status)
            .header("content-type", "application/octet-stream")
            .header("etag", "\"00112233445566778899aabbccddeeff\"");
        Ok(match status {
            302 => {
                response.header("location", "http://127.0.0.1:1/somewhere").body(Full::default())
            }
            304 => response.body(Full::default()),
            _ => response.body(Full::new(self.body(size))),
        }?)
    }

    fn body(&self, size: usize) -> Bytes {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner).get(&size).cloned();
        known.unwrap_or_else(|| {
            let body = Bytes::from(vec![b'x'; size]);
            let mut bodies = self.0.write().unwrap_or_else(PoisonError::into_inner);
            bodies.insert(size, body.clone());
            body
        })
    }
}
