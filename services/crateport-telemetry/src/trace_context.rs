//! Traces across processes (W3C Trace Context): joins the one that a client or a proxy in front began, and passes it on.
//!
//! What a client sends is always believed: a trace id is only a name, and whether it is sampled is said by
//! `OTEL_TRACES_SAMPLER` here (who does not want clients to have a say takes one that is not `parentbased_…`). What goes
//! out is `traceparent` alone, random ids without meaning; `tracestate` and baggage, which may tell of the inside of a
//! company, stay here.

use std::fmt;

use http::{HeaderMap, HeaderName, HeaderValue};
use opentelemetry::propagation::{Extractor, TextMapPropagator};
use opentelemetry::trace::{SpanId, TraceContextExt as _, TraceId};
use opentelemetry_sdk::propagation::TraceContextPropagator;
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt;

/// The ids of a span that is exported, for the log line that is written when it ends.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct TraceIds {
    trace_id: TraceId,
    span_id: SpanId,
}

struct Headers<'a>(&'a HeaderMap);

const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
/// The one flag that is defined for sure.
const SAMPLED: u8 = 1;

/// Makes `span` a child of the span that `traceparent` names, if there is one and spans are exported.
///
/// Call it before the span is entered and before anything is logged in it: its place in the trace is fixed then.
pub fn accept_context(headers: &HeaderMap, span: &Span) {
    if !headers.contains_key(TRACEPARENT) {
        return;
    }
    let context = TraceContextPropagator::new().extract(&Headers(headers));
    // Refused when spans are not exported or this one is filtered out: there is nothing to join then.
    let _ = span.set_parent(context);
}

/// Tells whoever gets `headers` which span they come from, if spans are exported.
pub fn pass_context(headers: &mut HeaderMap) {
    let context = Span::current().context();
    let span = context.span();
    let ids = span.span_context();
    if !ids.is_valid() {
        return;
    }
    let flags = ids.trace_flags().to_u8() & SAMPLED;
    let text = format!("00-{}-{}-{flags:02x}", ids.trace_id(), ids.span_id());
    if let Ok(value) = HeaderValue::try_from(text) {
        headers.insert(TRACEPARENT, value);
    }
}

impl TraceIds {
    /// The ids of `span`; `None` if it is not exported.
    #[must_use]
    pub fn of(span: &Span) -> Option<Self> {
        let context = span.context();
        let span = context.span();
        let ids = span.span_context();
        let (trace_id, span_id) = (ids.trace_id(), ids.span_id());
        ids.is_valid().then_some(Self { trace_id, span_id })
    }

    /// Which trace.
    #[must_use]
    pub fn trace_id(&self) -> impl fmt::Display + use<> {
        self.trace_id
    }

    /// Which span of it.
    #[must_use]
    pub fn span_id(&self) -> impl fmt::Display + use<> {
        self.span_id
    }
}

impl fmt::Debug for TraceIds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.trace_id, self.span_id)
    }
}

impl Extractor for Headers<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key)?.to_str().ok()
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(http::HeaderName::as_str).collect()
    }
}
