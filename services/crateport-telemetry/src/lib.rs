//! Logs, traces and metrics.
//!
//! [`logging::init`] sets up the process once: log lines on stderr as text or JSON and, when a collector is named,
//! spans over OTLP. [`metrics::Registry`] is what the other packages register their metrics into, and renders them for
//! `/metrics`. Nothing here is needed for an answer to be right: a collector that is gone costs spans, never a request.

pub mod logging;
pub mod metrics;
mod otlp;
mod trace_context;

pub use otlp::OtlpConfig;
pub use trace_context::{TraceIds, accept_context, pass_context};
