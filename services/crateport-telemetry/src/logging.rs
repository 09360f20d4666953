//! Log lines on stderr and, beside them, spans for a collector.
//!
//! Promises: a log line tells its trace id when spans are exported; the packages that see raw headers never log below
//! `info`, whatever the filter says, so that no token reaches a log; the end of the process waits for the last spans
//! no longer than it is told to.

mod batch;
mod filter;
mod format;
mod line;
mod trace_ids;

use std::fmt;
use std::io::{IsTerminal, Write};
use std::time::Duration;

use opentelemetry::trace::TracerProvider as _;
use opentelemetry_otlp::ExporterBuildError;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tokio::sync::oneshot;
use tracing_subscriber::filter::{FilterExt, LevelFilter, Targets};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::{SubscriberInitExt, TryInitError};
use tracing_subscriber::{Layer, Registry};

use self::batch::Batches;
pub use self::filter::{InvalidLogFilter, LogFilter, LogSwitch};
pub use self::format::{InvalidLogFormat, LogFormat};
pub use self::line::{Field, TARGET as REQUEST_TARGET, flush, log_request};
use self::trace_ids::WithTraceIds;
use crate::otlp::{self, OtlpConfig};

/// How the process tells what it does.
#[derive(Clone, Debug)]
pub struct LogConfig {
    /// Lines for people or for machines.
    pub format: LogFormat,
    /// Which lines.
    pub filter: LogFilter,
    /// Where spans go, if anywhere.
    pub otlp: Option<OtlpConfig>,
}

/// Holds what must be flushed before the process ends.
#[must_use = "the last spans are lost unless the guard is shut down"]
pub struct Guard {
    spans: Option<SdkTracerProvider>,
    switch: LogSwitch,
    lines: Option<Batches>,
}

/// Telemetry could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum InitError {
    /// The collector's address, or another `OTEL_*` variable, cannot be used.
    #[error("spans cannot be exported")]
    Exporter(#[source] ExporterBuildError),
    /// No thread could be had for the log.
    #[error("the log has no thread")]
    Thread(#[source] std::io::Error),
    /// A second call.
    #[error("logging was set up before")]
    Twice(#[source] TryInitError),
}

/// The last spans did not leave.
#[derive(Debug, thiserror::Error)]
pub enum FlushError {
    /// The collector did not take them in time.
    #[error("the collector did not take the last spans within {} s", waited.as_secs_f32())]
    Late {
        /// The deadline that passed.
        waited: Duration,
    },
    /// The exporter gave up.
    #[error("the last spans were not exported: {0}")]
    Failed(String),
}

/// Packages that handle raw headers, in which tokens travel.
const HEADER_HANDLERS: [&str; 6] = ["h2", "hyper", "hyper_util", "reqwest", "rustls", "tower"];

/// Sets up the whole process. Call it once, inside a tokio runtime: spans are sent by a task of that runtime.
///
/// # Errors
/// The collector's address cannot be used, or logging was set up before.
pub fn init(config: &LogConfig) -> Result<Guard, InitError> {
    let ansi = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    init_to(config, std::io::stderr(), ansi)
}

/// The same with another place for the lines than stderr, coloured or not.
///
/// # Errors
/// As for [`init`].
pub fn init_to(
    config: &LogConfig,
    sink: impl Write + Send + 'static,
    ansi: bool,
) -> Result<Guard, InitError> {
    let batches = Batches::to(sink).map_err(InitError::Thread)?;
    let mut guard = subscribe(config, batches.clone(), ansi)?;
    line::write_to(config.format, batches.clone());
    guard.lines = Some(batches);
    Ok(guard)
}

fn subscribe<W>(config: &LogConfig, writer: W, ansi: bool) -> Result<Guard, InitError>
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let provider =
        config.otlp.as_ref().map(otlp::provider).transpose().map_err(InitError::Exporter)?;
    let spans = provider.as_ref().map(|provider| {
        tracing_opentelemetry::layer()
            .with_tracer(provider.tracer("crateport"))
            .with_location(false)
            .with_threads(false)
            .with_filter(Targets::new().with_target("crateport", LevelFilter::INFO))
    });
    let lines = lines(config.format, writer, ansi, provider.is_some());
    let no_headers = HEADER_HANDLERS
        .into_iter()
        .fold(Targets::new().with_default(LevelFilter::TRACE), |targets, package| {
            targets.with_target(package, LevelFilter::INFO)
        });
    let switch = LogSwitch::new(&config.filter);
    let lines = lines.with_filter(switch.clone().and(no_headers));
    let subscriber = tracing_subscriber::registry().with(lines).with(spans);
    subscriber.try_init().map_err(InitError::Twice)?;
    Ok(Guard { spans: provider, switch, lines: None })
}

fn lines<W>(
    format: LogFormat,
    writer: W,
    ansi: bool,
    with_trace_ids: bool,
) -> Box<dyn Layer<Registry> + Send + Sync>
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let layer = tracing_subscriber::fmt::layer().with_writer(writer).with_ansi(ansi);
    match (format, with_trace_ids) {
        (LogFormat::Text, false) => layer.boxed(),
        (LogFormat::Text, true) => layer.map_event_format(WithTraceIds::text).boxed(),
        (LogFormat::Json, false) => layer.json().flatten_event(true).boxed(),
        (LogFormat::Json, true) => {
            layer.json().flatten_event(true).map_event_format(WithTraceIds::json).boxed()
        }
    }
}

impl Guard {
    /// Replaces the filter of log lines.
    pub fn switch(&self) -> LogSwitch {
        self.switch.clone()
    }

    /// Sends the last spans, for at most `deadline`.
    ///
    /// # Errors
    /// The collector did not take them. Nothing else is wrong: the process may end.
    pub async fn shutdown(mut self, deadline: Duration) -> Result<(), FlushError> {
        let Some(provider) = self.spans.take() else { return Ok(()) };
        let (done, flushed) = oneshot::channel();
        // The exporter blocks its thread until its task has answered; a thread of its own holds up no runtime.
        std::thread::spawn(move || {
            let _ = done.send(provider.shutdown());
        });
        match tokio::time::timeout(deadline, flushed).await {
            Ok(Ok(Ok(()))) => Ok(()),
            Ok(Ok(Err(error))) => Err(FlushError::Failed(error.to_string())),
            Ok(Err(_)) => Err(FlushError::Failed("the exporter ended early".to_owned())),
            Err(_) => Err(FlushError::Late { waited: deadline }),
        }
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        if let Some(lines) = &self.lines {
            lines.flush_all();
        }
    }
}

impl fmt::Debug for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Guard").field("spans", &self.spans.is_some()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
