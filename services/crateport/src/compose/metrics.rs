//! The metrics of the process as a whole: its build, its costs, its disks and what its limits are set to.

use crateport_telemetry::metrics::Registry;
use prometheus::{IntGaugeVec, Opts};
use tokio::runtime::Handle;

use super::spool_directory;
use crate::settings::{Settings, StoreLocation};

/// The registry that everything else registers its metrics in. Call it inside the runtime that is to be watched. The
/// system may allow fewer connections than the settings.
pub(crate) fn metrics(settings: &Settings, connections_max: u32) -> anyhow::Result<Registry> {
    let registry = Registry::new(env!("CARGO_PKG_VERSION"))?;
    registry.tell_runtime(Handle::current())?;
    let spool = ("spool", spool_directory(settings));
    let store = match &settings.store {
        StoreLocation::Fs(directory) => Some(("store", directory.clone())),
        StoreLocation::S3(_) => None,
    };
    registry.tell_disks([spool].into_iter().chain(store).collect())?;
    let opts = Opts::new("crateport_limit", "What a limit is set to.");
    let limits = registry.register(IntGaugeVec::new(opts, &["what"])?)?;
    let s3_requests = match &settings.store {
        StoreLocation::Fs(_) => None,
        StoreLocation::S3(_) => Some(("s3-requests", u64::from(settings.s3_requests_max))),
    };
    let set = [
        ("requests", u64::from(settings.requests_max)),
        ("connections", u64::from(connections_max)),
        ("fills", u64::from(settings.fills_max)),
        ("index-memory-bytes", settings.index_memory),
    ];
    for (what, limit) in set.into_iter().chain(s3_requests) {
        limits.with_label_values(&[what]).set(i64::try_from(limit).unwrap_or(i64::MAX));
    }
    Ok(registry)
}
