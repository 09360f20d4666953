//! The metrics of one process, and their text form for `/metrics`.
//!
//! Packages make their metrics with [`prometheus`] and register them here; labels come only from enums and configured
//! registries, so that their number is bounded.

mod disk;
mod process;
mod runtime;

use std::path::PathBuf;

use prometheus::core::Collector;
use prometheus::{IntGauge, Opts, TextEncoder};

pub use prometheus;
use tokio::runtime::Handle;

use self::disk::DiskCollector;
use self::process::ProcessCollector;
use self::runtime::RuntimeCollector;

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

    /// Tells how busy a runtime is.
    ///
    /// # Errors
    /// It was told before.
    pub fn tell_runtime(&self, handle: Handle) -> Result<(), MetricsError> {
        self.register(RuntimeCollector::new(handle)?).map(drop)
    }

    /// Tells how full the file systems are that these paths lie on, each by the name of its area.
    ///
    /// # Errors
    /// It was told before.
    pub fn tell_disks(&self, areas: Vec<(&'static str, PathBuf)>) -> Result<(), MetricsError> {
        self.register(DiskCollector::new(areas)?).map(drop)
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

    #[tokio::test]
    async fn the_runtime_and_the_disks_tell_how_busy_and_how_full_they_are() {
        let registry = Registry::default();
        registry.tell_runtime(Handle::current()).unwrap();
        let areas = vec![("spool", std::env::temp_dir()), ("store", "/no/such/place".into())];
        registry.tell_disks(areas).unwrap();
        let text = registry.render().unwrap();
        assert!(text.contains("crateport_runtime_workers 1\n"), "{text}");
        assert!(text.contains("crateport_runtime_busy_seconds_total "), "{text}");
        for name in ["size", "free"] {
            let sample = format!("crateport_disk_{name}_bytes{{area=\"spool\"}} ");
            let line = text.lines().find_map(|line| line.strip_prefix(&sample)).unwrap();
            assert!(line.parse::<f64>().unwrap() > 0.0, "{text}");
        }
        assert!(!text.contains("store"), "what cannot be asked has no figures: {text}");
    }
}
