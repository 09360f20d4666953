//! Joins the trace that a client or a proxy in front began (W3C Trace Context).

use http::HeaderMap;
use opentelemetry::propagation::{Extractor, TextMapPropagator};
use opentelemetry_sdk::propagation::TraceContextPropagator;
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt;

struct Headers<'a>(&'a HeaderMap);

/// Makes `span` a child of the span that `traceparent` names, if there is one and spans are exported.
///
/// Call it before the span is entered and before anything is logged in it: its place in the trace is fixed then.
pub fn accept_context(headers: &HeaderMap, span: &Span) {
    if !headers.contains_key("traceparent") {
        return;
    }
    let context = TraceContextPropagator::new().extract(&Headers(headers));
    // Refused when spans are not exported or this one is filtered out: there is nothing to join then.
    let _ = span.set_parent(context);
}

impl Extractor for Headers<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key)?.to_str().ok()
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(http::HeaderName::as_str).collect()
    }
}
