//! A collector of traces on a real socket: takes OTLP over HTTP with protobuf bodies, and keeps every span.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;
use tokio::sync::watch;

use crate::own_runtime::OwnRuntime;
use crate::port::Port;
use crate::upstream::WAIT_DEADLINE;

/// The collector. Dropping it closes everything.
pub struct Collector {
    shared: Arc<Shared>,
    port: Port,
    runtime: OwnRuntime,
}

/// One span as it was exported; ids are lower-case hexadecimal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeenSpan {
    /// Its name.
    pub name: String,
    /// `server`, `client`, `internal` or another kind.
    pub kind: String,
    /// The trace it belongs to.
    pub trace_id: String,
    /// Its own id.
    pub span_id: String,
    /// The span above it; empty for the root of a trace.
    pub parent_id: String,
    /// The spans it is linked to, as `(trace_id, span_id)`.
    pub links: Vec<(String, String)>,
    /// What it says of itself.
    pub attributes: BTreeMap<String, String>,
    /// What its process says of itself.
    pub resource: BTreeMap<String, String>,
    /// Whether it ended in an error.
    pub is_error: bool,
}

#[derive(Default)]
struct Shared {
    spans: Mutex<Vec<SeenSpan>>,
    changed: watch::Sender<()>,
}

/// Where OTLP over HTTP brings traces.
const TRACES_PATH: &str = "/v1/traces";
/// The status code of a span that ended in an error.
const ERROR: i32 = 2;

impl Collector {
    /// Listens on a free port of 127.0.0.1.
    #[expect(clippy::unused_async, reason = "like every other part of the kit")]
    pub async fn start() -> Self {
        let runtime = OwnRuntime::start("collector");
        let shared = Arc::<Shared>::default();
        let kept = Arc::clone(&shared);
        let port = Port::open(&runtime, move |stream| {
            let shared = Arc::clone(&kept);
            async move {
                let answer = service_fn(move |request| answer(Arc::clone(&shared), request));
                // How a connection ends is the client's affair.
                let _ = hyper::server::conn::http1::Builder::new()
                    .timer(TokioTimer::new())
                    .serve_connection(TokioIo::new(stream), answer)
                    .await;
            }
        });
        Self { shared, port, runtime }
    }

    /// `http://127.0.0.1:PORT`, to which `/v1/traces` is added.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.port.address())
    }

    /// Every span so far, in the order of their arrival.
    pub fn spans(&self) -> Vec<SeenSpan> {
        self.shared.spans.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits for a span of which this is true; fails the test if none comes.
    pub async fn wait_for(&self, wanted: impl Fn(&SeenSpan) -> bool + Send + 'static) -> SeenSpan {
        let shared = Arc::clone(&self.shared);
        let found = async move {
            let mut changed = shared.changed.subscribe();
            loop {
                let spans = shared.spans.lock().unwrap_or_else(PoisonError::into_inner).clone();
                if let Some(span) = spans.into_iter().find(&wanted) {
                    return span;
                }
                // The sender lives as long as `shared`.
                let _ = changed.changed().await;
            }
        };
        let found = self.runtime.within(WAIT_DEADLINE, found).await;
        found.unwrap_or_else(|| {
            panic!("no such span within {WAIT_DEADLINE:?}; there are {:#?}", self.spans())
        })
    }
}

impl SeenSpan {
    /// An attribute; empty if it has none of that name.
    pub fn attribute(&self, name: &str) -> &str {
        self.attributes.get(name).map_or("", String::as_str)
    }
}

async fn answer(
    shared: Arc<Shared>,
    request: Request<Incoming>,
) -> Result<Response<Empty<Bytes>>, Infallible> {
    let is_traces = request.uri().path() == TRACES_PATH;
    let body = request.into_body().collect().await.map(http_body_util::Collected::to_bytes);
    let export = body.ok().and_then(|body| ExportTraceServiceRequest::decode(body).ok());
    let status = match export.filter(|_| is_traces) {
        Some(export) => {
            let mut spans = shared.spans.lock().unwrap_or_else(PoisonError::into_inner);
            spans.extend(seen(export));
            drop(spans);
            shared.changed.send_replace(());
            StatusCode::OK
        }
        None => StatusCode::BAD_REQUEST,
    };
    let mut response = Response::new(Empty::new());
    *response.status_mut() = status;
    Ok(response)
}

fn seen(export: ExportTraceServiceRequest) -> Vec<SeenSpan> {
    let mut spans = Vec::new();
    for of_process in export.resource_spans {
        let resource = attributes(of_process.resource.unwrap_or_default().attributes);
        for span in of_process.scope_spans.into_iter().flat_map(|scope| scope.spans) {
            spans.push(SeenSpan { resource: resource.clone(), ..seen_span(span) });
        }
    }
    spans
}

fn seen_span(span: Span) -> SeenSpan {
    let kind = span.kind().as_str_name().trim_start_matches(SPAN_KIND).to_lowercase();
    let links = span.links.iter().map(|link| (hex(&link.trace_id), hex(&link.span_id)));
    SeenSpan {
        kind,
        trace_id: hex(&span.trace_id),
        span_id: hex(&span.span_id),
        parent_id: hex(&span.parent_span_id),
        links: links.collect(),
        attributes: attributes(span.attributes),
        resource: BTreeMap::new(),
        is_error: span.status.is_some_and(|status| status.code == ERROR),
        name: span.name,
    }
}

/// How the names of kinds begin in protobuf.
const SPAN_KIND: &str = "SPAN_KIND_";

fn attributes(pairs: Vec<KeyValue>) -> BTreeMap<String, String> {
    pairs.into_iter().map(|pair| (pair.key, text(pair.value))).collect()
}

fn text(value: Option<AnyValue>) -> String {
    match value.and_then(|value| value.value) {
        Some(Value::StringValue(text)) => text,
        Some(Value::IntValue(number)) => number.to_string(),
        Some(Value::BoolValue(flag)) => flag.to_string(),
        Some(Value::DoubleValue(number)) => number.to_string(),
        other => format!("{other:?}"),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
