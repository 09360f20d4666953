//! The metrics of one process, and their text form for `/metrics`.
//!
//! Packages make their metrics with [`prometheus`] and register them here; labels come only from enums and configured
//! registries, so that their number is bounded.

mod process;

use prometheus::core::Collector;
use prometheus::{IntGauge, Opts, TextEncoder};

pub use prometheus;

use self::process::ProcessCollector;

/// The `Content-Type` of [`Registry::render`].
pub const TEXT_CONTENT_TYPE: &str = prometheus::TEXT_FORMAT;

/// What is registered here is rendered. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Registry(prometheus::Registry);

/// A metric could not be made, registered or rendered: a mistake in the program, found by its first start.
#[derive(Debug, thiserror::Error)]
#[error("a metric is wrong")]
pub struct MetricsError(#[from] prometheus::Error);

impl Registry {
    /// A registry that already tells what the process costs and which build it is.
    ///
    /// # Errors
    /// None that a build which started once could meet.
    pub fn new(version: &str) -> Result<Self, MetricsError> {
        let registry = Self::default();
        registry.register(ProcessCollector::new()?)?;
        let build = Opts::new("crateport_build_info", "The build that runs; always 1.")
            .const_label("version", version)
            .const_label("os", std::env::consts::OS)
            .const_label("arch", std::env::consts::ARCH);
        registry.register(IntGauge::with_opts(build)?)?.set(1);
        Ok(registry)
    }

    /// Registers `metric` and gives it back, for the code that counts.
    ///
    /// # Errors
    /// Another metric has the same name and labels.
    pub fn register<C: Collector + Clone + 'static>(&self, metric: C) -> Result<C, MetricsError> {
        self.0.register(Box::new(metric.clone()))?;
        Ok(metric)
    }

    /// All metrics in the Prometheus text exposition format.
    ///
    /// # Errors
    /// A metric breaks the format.
    pub fn render(&self) -> Result<String, MetricsError> {
        Ok(TextEncoder::new().encode_to_string(&self.0.gather())?)
    }
}

impl AsRef<prometheus::Registry> for Registry {
    fn as_ref(&self) -> &prometheus::Registry {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use prometheus::{IntCounterVec, Opts};

    use super::*;

    #[test]
    fn a_registered_metric_is_rendered_with_its_labels() {
        let registry = Registry::new("1.2.3").unwrap();
        let opts = Opts::new("crateport_fills_total", "Fills by their result.");
        let fills = registry.register(IntCounterVec::new(opts, &["result"]).unwrap()).unwrap();
        fills.with_label_values(&["ok"]).inc();
        let text = registry.render().unwrap();
        assert!(text.contains("crateport_fills_total{result=\"ok\"} 1\n"), "{text}");
        assert!(text.contains("version=\"1.2.3\"} 1\n"), "{text}");
    }

    #[test]
    fn two_metrics_of_one_name_are_refused() {
        let registry = Registry::default();
        let gauge = || IntGauge::new("crateport_a", "A.").unwrap();
        assert!(registry.register(gauge()).is_ok());
        assert!(registry.register(gauge()).is_err());
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn the_process_tells_what_it_costs() {
        let text = Registry::new("0").unwrap().render().unwrap();
        let value = |name: &str| -> f64 {
            let line = text.lines().find(|line| line.starts_with(&format!("{name} "))).unwrap();
            line.rsplit(' ').next().unwrap().parse().unwrap()
        };
        assert!(value("process_resident_memory_bytes") > 100_000.0);
        assert!(value("process_open_fds") >= 3.0);
        assert!(value("process_max_fds") >= value("process_open_fds"));
        assert!(value("process_cpu_seconds_total") >= 0.0);
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
        let age = now.as_secs_f64() - value("process_start_time_seconds");
        assert!((-2.0..86_400.0).contains(&age), "{age}");
    }
}
