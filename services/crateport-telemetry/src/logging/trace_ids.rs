//! Puts the ids of the current trace and span into a log line, so that one leads to the other.

use std::fmt;

use opentelemetry::trace::{SpanContext, TraceContextExt};
use tracing::{Event, Subscriber, dispatcher};
use tracing_subscriber::Registry;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

/// A format that adds `trace_id` and `span_id` to the lines of another. A line within a trace has no colours.
#[derive(Debug)]
pub(super) struct WithTraceIds<F> {
    inner: F,
    place: Place,
}

/// Where the ids go.
#[derive(Clone, Copy, Debug)]
enum Place {
    /// The last words of a text line.
    LineEnd,
    /// The first keys of a JSON object.
    ObjectStart,
}

impl<F> WithTraceIds<F> {
    pub(super) const fn text(inner: F) -> Self {
        Self { inner, place: Place::LineEnd }
    }

    pub(super) const fn json(inner: F) -> Self {
        Self { inner, place: Place::ObjectStart }
    }
}

impl<S, N, F> FormatEvent<S, N> for WithTraceIds<F>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
    F: FormatEvent<S, N>,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let Some(ids) = span_context(event) else {
            return self.inner.format_event(context, writer, event);
        };
        let mut line = String::new();
        self.inner.format_event(context, Writer::new(&mut line), event)?;
        let (trace_id, span_id) = (ids.trace_id(), ids.span_id());
        match self.place {
            Place::LineEnd => {
                writeln!(writer, "{} trace_id={trace_id} span_id={span_id}", line.trim_end())
            }
            Place::ObjectStart => {
                let rest = line.strip_prefix('{').unwrap_or(&line);
                write!(writer, r#"{{"trace_id":"{trace_id}","span_id":"{span_id}",{rest}"#)
            }
        }
    }
}

/// The nearest span around `event` that is exported. The log filter has no say: it may hide the span from the line.
fn span_context(event: &Event<'_>) -> Option<SpanContext> {
    dispatcher::get_default(|dispatch| {
        let id = event.parent().cloned().or_else(|| dispatch.current_span().id().cloned())?;
        let registry = dispatch.downcast_ref::<Registry>()?;
        let context = registry
            .span(&id)?
            .scope()
            .find_map(|span| tracing_opentelemetry::get_otel_context(&span.id(), dispatch))?;
        let ids = context.span().span_context().clone();
        ids.is_valid().then_some(ids)
    })
}
