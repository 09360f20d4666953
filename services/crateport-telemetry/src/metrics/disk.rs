//! How full file systems are, asked at each scrape.
//!
//! A file system that cannot be asked has no figures, and no error.

use std::path::PathBuf;

use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{IntGaugeVec, Opts};
use rustix::fs::statvfs;

/// One scrape makes its metrics anew, so that a file system that is gone leaves no old figures.
#[derive(Clone, Debug)]
pub(super) struct DiskCollector {
    areas: Vec<(&'static str, PathBuf)>,
    descriptions: Vec<Desc>,
}

const SIZE: (&str, &str) = ("crateport_disk_size_bytes", "Size of the file system of an area.");
const FREE: (&str, &str) =
    ("crateport_disk_free_bytes", "Bytes of it that are free for this process.");

impl DiskCollector {
    /// Tells of the file system of each area, by the area's name and a path on it.
    pub(super) fn new(areas: Vec<(&'static str, PathBuf)>) -> Result<Self, prometheus::Error> {
        let (size, free) = (gauge(SIZE)?, gauge(FREE)?);
        let descriptions = size.desc().into_iter().chain(free.desc()).cloned().collect();
        Ok(Self { areas, descriptions })
    }

    fn read(&self) -> Result<Vec<MetricFamily>, prometheus::Error> {
        let (size, free) = (gauge(SIZE)?, gauge(FREE)?);
        for (area, path) in &self.areas {
            let Ok(state) = statvfs(path) else { continue };
            let bytes = |blocks: u64| {
                i64::try_from(blocks.saturating_mul(state.f_frsize)).unwrap_or(i64::MAX)
            };
            size.with_label_values(&[area]).set(bytes(state.f_blocks));
            free.with_label_values(&[area]).set(bytes(state.f_bavail));
        }
        Ok(size.collect().into_iter().chain(free.collect()).collect())
    }
}

impl Collector for DiskCollector {
    fn desc(&self) -> Vec<&Desc> {
        self.descriptions.iter().collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        self.read().unwrap_or_default()
    }
}

fn gauge((name, help): (&str, &str)) -> Result<IntGaugeVec, prometheus::Error> {
    IntGaugeVec::new(Opts::new(name, help), &["area"])
}
