//! The upstream: a registry's folder in memory, served fast, so that it is never what is measured. It counts what it is
//! asked for, and can publish new versions. Latency and bandwidth come from a [`crate::link`] in front of it.
//!
//! It answers as crates.io does: strong tags, gzip for index files, crates as they are. It knows every crate whose name
//! is four letters, `grow` and a number, so that a store may have known a million of them.

mod counts;
mod files;

use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};

use anyhow::{Context as _, Result};
use bytes::Bytes;
use http::header::{
    ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_TYPE, ETAG, HOST, IF_NONE_MATCH, VARY,
};
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use serde_json::{Value, json};

use self::counts::Counts;
use self::files::{File, Files};
pub(crate) use self::files::{GROWN, grown_index};
use crate::serve::{self, Answer, CertificateFiles};

/// Enough for any load that reaches an upstream.
const THREADS: usize = 2;

/// How it is started.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The registry's folder.
    #[arg(long)]
    folder: PathBuf,
    #[command(flatten)]
    certificate: CertificateFiles,
}

#[derive(Clone)]
struct Upstream {
    files: Arc<RwLock<Files>>,
    counts: Arc<Counts>,
}

/// Runs the part `upstream`. It understands `counts`, `reset` and `publish NAME`.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let files = Arc::new(RwLock::new(Files::read(&arguments.folder)?));
    let upstream = Upstream { files, counts: Arc::default() };
    let threads = serve::Threads::Fixed(THREADS);
    let listeners = serve::start(upstream.clone(), &arguments.certificate, threads)?;
    crate::part::converse(&listeners, |line| match line.split_once(' ').unwrap_or((line, "")) {
        ("counts", _) => Ok(upstream.counts.report()),
        ("reset", _) => {
            upstream.counts.reset();
            Ok(Value::Null)
        }
        ("publish", name) => {
            let mut files = upstream.files.write().unwrap_or_else(PoisonError::into_inner);
            let versions = files.publish(name).context("an index file of the registry")?;
            Ok(json!(versions))
        }
        _ => anyhow::bail!("unknown: {line}"),
    })
}

impl Answer for Upstream {
    type Body = Full<Bytes>;

    async fn answer(&self, request: Request<Incoming>) -> Response<Self::Body> {
        let path = request.uri().path();
        let response = self.respond(&request);
        self.counts.add(path, response.status());
        response
    }
}

impl Upstream {
    fn respond(&self, request: &Request<Incoming>) -> Response<Full<Bytes>> {
        let path = request.uri().path();
        if path == "/index/config.json" {
            return config(request);
        }
        let file = self.files.read().unwrap_or_else(PoisonError::into_inner).get(path);
        match file {
            Some(file) => file_response(&file, request.headers()),
            None => status(StatusCode::NOT_FOUND),
        }
    }
}

/// `config.json` names the address under which it was asked for, which may be a link's.
fn config(request: &Request<Incoming>) -> Response<Full<Bytes>> {
    let host = request.headers().get(HOST).and_then(|host| host.to_str().ok());
    let host = request.uri().authority().map(http::uri::Authority::as_str).or(host);
    // The plain port is for measuring the upstream itself; a registry is used over TLS.
    let text = json!({ "dl": format!("https://{}/crates", host.unwrap_or_default()) }).to_string();
    let mut response = Response::new(Full::new(Bytes::from(text)));
    response.headers_mut().insert(CONTENT_TYPE, http::HeaderValue::from_static("application/json"));
    response
}

fn file_response(file: &File, headers: &HeaderMap) -> Response<Full<Bytes>> {
    let text = |name| headers.get(name).and_then(|value: &http::HeaderValue| value.to_str().ok());
    let known = text(IF_NONE_MATCH).is_some_and(|tags| tags.contains(file.tag()));
    let wants_gzip = text(ACCEPT_ENCODING).is_some_and(|accepted| accepted.contains("gzip"));
    let gzip = file.gzip.as_ref().filter(|_| wants_gzip);
    let body = if known { Bytes::new() } else { gzip.unwrap_or(&file.bytes).clone() };
    let mut response = Response::new(Full::new(body));
    if known {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
    }
    let headers = response.headers_mut();
    headers.insert(ETAG, file.etag.clone());
    headers.insert(CONTENT_TYPE, file.content_type.clone());
    headers.insert(
        http::header::LAST_MODIFIED,
        http::HeaderValue::from_static("Mon, 01 Jan 2024 00:00:00 GMT"),
    );
    if file.gzip.is_some() {
        headers.insert(VARY, http::HeaderValue::from_static("Accept-Encoding"));
    }
    if gzip.is_some() && !known {
        headers.insert(CONTENT_ENCODING, http::HeaderValue::from_static("gzip"));
    }
    response
}

fn status(status: StatusCode) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from_static(b"not here\n")));
    *response.status_mut() = status;
    response
}
