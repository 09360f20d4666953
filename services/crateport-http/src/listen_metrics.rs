//! The listeners' counters, as metrics.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::SystemTime;

use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry};

use crate::listen::{CertificateHandle, ListenStats};

struct ListenCollector {
    stats: Arc<ListenStats>,
    open: IntGauge,
    events: IntCounterVec,
}

/// Looks at the certificates in use at each scrape, so that one taken into use later shows.
struct CertificateCollector {
    certificates: Vec<(SocketAddr, CertificateHandle)>,
    expiry: IntGaugeVec,
}

/// Makes `metrics` tell what the listeners counted.
///
/// # Errors
///
/// When it does already.
pub fn register_listeners(
    stats: &Arc<ListenStats>,
    metrics: &Registry,
) -> Result<(), prometheus::Error> {
    let open = IntGauge::new("crateport_listen_connections", "Connections open now.")?;
    let opts = Opts::new("crateport_listen_events_total", "What happened to connections.");
    let events = IntCounterVec::new(opts, &["event"])?;
    metrics.register(Box::new(ListenCollector { stats: Arc::clone(stats), open, events }))
}

/// Makes `metrics` tell when the certificates of listeners end, each by the address that is configured for it.
///
/// # Errors
///
/// When it does already.
pub fn register_certificates(
    certificates: Vec<(SocketAddr, CertificateHandle)>,
    metrics: &Registry,
) -> Result<(), prometheus::Error> {
    let opts = Opts::new(
        "crateport_tls_certificate_expiry_timestamp_seconds",
        "When the certificate of a listener ends, in seconds since the Unix epoch.",
    );
    let expiry = IntGaugeVec::new(opts, &["address"])?;
    metrics.register(Box::new(CertificateCollector { certificates, expiry }))
}

impl Collector for CertificateCollector {
    fn desc(&self) -> Vec<&Desc> {
        self.expiry.desc()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        for (address, certificate) in &self.certificates {
            let not_after = certificate.state().not_after;
            let seconds = not_after.and_then(|end| end.duration_since(SystemTime::UNIX_EPOCH).ok());
            if let Some(Ok(seconds)) = seconds.map(|seconds| i64::try_from(seconds.as_secs())) {
                self.expiry.with_label_values(&[&address.to_string()]).set(seconds);
            }
        }
        self.expiry.collect()
    }
}

impl Collector for ListenCollector {
    fn desc(&self) -> Vec<&Desc> {
        let mut descriptions = self.open.desc();
        descriptions.extend(self.events.desc());
        descriptions
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let now = self.stats.snapshot();
        self.open.set(i64::try_from(now.connections_open).unwrap_or(i64::MAX));
        for (event, count) in [
            ("accepted", now.accepted),
            ("accept-paused", now.accept_pauses),
            ("accept-failed", now.accept_errors),
            ("handshake-failed", now.handshake_failures),
            ("upgraded", now.upgrades),
            ("idle-closed", now.idle_closes),
            ("header-late", now.header_timeouts),
            ("connection-stalled", now.stalled_connections),
            ("stream-stalled", now.stalled_streams),
            ("broken", now.connection_errors),
            ("drain-cut", now.drain_cuts),
            ("certificate-reloaded", now.certificate_reloads),
            ("certificate-refused", now.certificate_reload_failures),
        ] {
            let counter = self.events.with_label_values(&[event]);
            counter.inc_by(count.saturating_sub(counter.get()));
        }
        let mut families = self.open.collect();
        families.extend(self.events.collect());
        families
    }
}

impl fmt::Debug for ListenCollector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ListenCollector")
    }
}

impl fmt::Debug for CertificateCollector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CertificateCollector")
    }
}
