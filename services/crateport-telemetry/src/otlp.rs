//! Spans for a collector: OTLP over HTTP with protobuf bodies.

mod outage;

use std::fmt;

use crateport_types::RedactedUrl;
use opentelemetry::KeyValue;
use opentelemetry_otlp::{ExporterBuildError, Protocol, SpanExporter, WithExportConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::runtime::Tokio;
use opentelemetry_sdk::trace::SdkTracerProvider;
use opentelemetry_sdk::trace::span_processor_with_async_runtime::BatchSpanProcessor;
use url::Url;

use self::outage::TellsOutages;

/// Where spans go, and as whose. Sampling, batching and headers follow the standard `OTEL_*` variables.
#[derive(Clone)]
pub struct OtlpConfig {
    /// The collector's base URL, to which `/v1/traces` is added; without it the standard variables say where.
    endpoint: Option<Url>,
    /// `service.instance.id`.
    replica: String,
    /// `service.version`.
    version: String,
}

const TRACES_PATH: &str = "/v1/traces";

impl OtlpConfig {
    /// Decides whether spans are exported: `endpoint` if set, else what the standard variables ask for.
    /// `variable` reads the environment.
    #[must_use]
    pub fn choose(
        endpoint: Option<Url>,
        replica: &str,
        version: &str,
        variable: impl Fn(&str) -> Option<String>,
    ) -> Option<Self> {
        let is = |name: &str, value: &str| {
            variable(name).is_some_and(|text| text.eq_ignore_ascii_case(value))
        };
        let named = |name: &str| variable(name).is_some_and(|text| !text.is_empty());
        let by_standard = (named("OTEL_EXPORTER_OTLP_ENDPOINT")
            || named("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"))
            && !is("OTEL_TRACES_EXPORTER", "none");
        if is("OTEL_SDK_DISABLED", "true") || (endpoint.is_none() && !by_standard) {
            return None;
        }
        Some(Self { endpoint, replica: replica.to_owned(), version: version.to_owned() })
    }
}

impl fmt::Debug for OtlpConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OtlpConfig")
            .field("endpoint", &self.endpoint.as_ref().map(RedactedUrl))
            .field("replica", &self.replica)
            .field("version", &self.version)
            .finish()
    }
}

/// Makes what collects spans and sends them in batches, from a task of the current tokio runtime.
pub(crate) fn provider(config: &OtlpConfig) -> Result<SdkTracerProvider, ExporterBuildError> {
    let builder = SpanExporter::builder().with_http().with_protocol(Protocol::HttpBinary);
    let builder = match &config.endpoint {
        Some(base) => builder.with_endpoint(traces_url(base)),
        None => builder,
    };
    let exporter = TellsOutages::new(builder.build()?);
    let resource = Resource::builder().with_attributes([
        KeyValue::new("service.version", config.version.clone()),
        KeyValue::new("service.instance.id", config.replica.clone()),
    ]);
    let resource = match std::env::var_os("OTEL_SERVICE_NAME") {
        Some(_) => resource,
        None => resource.with_service_name("crateport"),
    };
    Ok(SdkTracerProvider::builder()
        .with_resource(resource.build())
        .with_span_processor(BatchSpanProcessor::builder(exporter, Tokio).build())
        .build())
}

fn traces_url(base: &Url) -> String {
    format!("{}{TRACES_PATH}", base.as_str().trim_end_matches('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_exported_when_the_setting_or_the_standard_variables_say_where() {
        type Row = (Option<&'static str>, &'static [(&'static str, &'static str)], bool);
        const BASE: &str = "http://collector.example:4318";
        let table: [Row; 7] = [
            (None, &[], false),
            (Some(BASE), &[], true),
            (None, &[("OTEL_EXPORTER_OTLP_ENDPOINT", BASE)], true),
            (None, &[("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", BASE)], true),
            (None, &[("OTEL_EXPORTER_OTLP_ENDPOINT", "")], false),
            (
                None,
                &[("OTEL_EXPORTER_OTLP_ENDPOINT", BASE), ("OTEL_TRACES_EXPORTER", "none")],
                false,
            ),
            (Some(BASE), &[("OTEL_SDK_DISABLED", "true")], false),
        ];
        for (setting, variables, expected) in table {
            let endpoint = setting.map(|text| text.parse().unwrap());
            let chosen = OtlpConfig::choose(endpoint, "r", "0", |name| {
                variables.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
            });
            assert_eq!(chosen.is_some(), expected, "{setting:?} {variables:?}");
        }
    }

    #[test]
    fn the_path_for_traces_is_added_to_the_base() {
        for (base, expected) in [
            ("http://collector.example:4318", "http://collector.example:4318/v1/traces"),
            ("https://collector.example/otlp/", "https://collector.example/otlp/v1/traces"),
        ] {
            assert_eq!(traces_url(&base.parse().unwrap()), expected);
        }
    }

    #[test]
    fn a_printed_config_hides_the_password_in_the_endpoint() {
        let endpoint = "https://user:hunter2@collector.example".parse().ok();
        let config = OtlpConfig::choose(endpoint, "r", "0", |_| None);
        assert!(!format!("{config:?}").contains("hunter2"));
    }
}
