//! The listeners' counters, as metrics.

use std::fmt;
use std::sync::Arc;

use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{IntCounterVec, IntGauge, Opts, Registry};

use crate::listen::ListenStats;

struct ListenCollector {
    stats: Arc<ListenStats>,
    open: IntGauge,
    events: IntCounterVec,
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
