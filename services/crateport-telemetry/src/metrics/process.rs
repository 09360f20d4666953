//! What the process costs, read from `/proc` at each scrape: the standard `process_*` metrics.
//!
//! Where there is no `/proc` there are no such metrics, and no error.

use std::fs;

use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{Counter, Gauge};
use rustix::process::{Resource, getrlimit};

/// One scrape makes its metrics anew, so that two at a time do not mix their figures.
#[derive(Clone, Debug)]
pub(super) struct ProcessCollector {
    descriptions: Vec<Desc>,
}

/// The figures of one moment, in the order of [`GAUGES`] after the CPU time.
struct Reading {
    cpu_seconds: f64,
    resident_bytes: f64,
    open_fds: f64,
    max_fds: f64,
    start_time_seconds: f64,
}

/// What `/proc/self/stat` tells, in clock ticks and pages.
#[derive(Debug, PartialEq, Eq)]
struct Stat {
    cpu_ticks: u64,
    start_ticks: u64,
    resident_pages: u64,
}

const CPU: (&str, &str) =
    ("process_cpu_seconds_total", "User and system CPU time spent, in seconds.");
const GAUGES: [(&str, &str); 4] = [
    ("process_resident_memory_bytes", "Resident memory, in bytes."),
    ("process_open_fds", "Open file descriptors."),
    ("process_max_fds", "File descriptors that may be open."),
    ("process_start_time_seconds", "When the process started, in seconds since the Unix epoch."),
];

impl ProcessCollector {
    pub(super) fn new() -> Result<Self, prometheus::Error> {
        let mut descriptions = Vec::new();
        descriptions.extend(Counter::new(CPU.0, CPU.1)?.desc().into_iter().cloned());
        for (name, help) in GAUGES {
            descriptions.extend(Gauge::new(name, help)?.desc().into_iter().cloned());
        }
        Ok(Self { descriptions })
    }
}

impl Collector for ProcessCollector {
    fn desc(&self) -> Vec<&Desc> {
        self.descriptions.iter().collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let Some(reading) = read() else { return Vec::new() };
        let mut families = Vec::new();
        if let Ok(cpu) = Counter::new(CPU.0, CPU.1) {
            cpu.inc_by(reading.cpu_seconds);
            families.extend(cpu.collect());
        }
        let values =
            [reading.resident_bytes, reading.open_fds, reading.max_fds, reading.start_time_seconds];
        for ((name, help), value) in GAUGES.into_iter().zip(values) {
            if let Ok(gauge) = Gauge::new(name, help) {
                gauge.set(value);
                families.extend(gauge.collect());
            }
        }
        families
    }
}

fn read() -> Option<Reading> {
    let stat = parse_stat(&fs::read_to_string("/proc/self/stat").ok()?)?;
    let boot_seconds = parse_boot_seconds(&fs::read_to_string("/proc/stat").ok()?)?;
    let ticks_per_second = rustix::param::clock_ticks_per_second() as f64;
    let page_bytes = rustix::param::page_size() as f64;
    Some(Reading {
        cpu_seconds: stat.cpu_ticks as f64 / ticks_per_second,
        resident_bytes: stat.resident_pages as f64 * page_bytes,
        open_fds: fs::read_dir("/proc/self/fd").ok()?.count() as f64,
        max_fds: getrlimit(Resource::Nofile).current.map_or(f64::INFINITY, |limit| limit as f64),
        start_time_seconds: boot_seconds as f64 + stat.start_ticks as f64 / ticks_per_second,
    })
}

/// Fields as proc(5) numbers them: utime 14, stime 15, starttime 22, rss 24.
fn parse_stat(text: &str) -> Option<Stat> {
    // The name in parentheses is field 2 and may itself hold spaces and parentheses.
    let (_, after_name) = text.rsplit_once(')')?;
    let fields: Vec<&str> = after_name.split_ascii_whitespace().collect();
    let field = |number: usize| fields.get(number - 3)?.parse::<u64>().ok();
    Some(Stat {
        cpu_ticks: field(14)?.checked_add(field(15)?)?,
        start_ticks: field(22)?,
        resident_pages: field(24)?,
    })
}

fn parse_boot_seconds(text: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix("btime "))?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stat_line_is_read_after_the_last_parenthesis() {
        let line = "7 (a) b) S 1 7 7 0 -1 4194560 100 0 0 0 30 12 0 0 20 0 5 0 9000 1000000 256 18446744073709551615";
        let expected = Stat { cpu_ticks: 42, start_ticks: 9000, resident_pages: 256 };
        assert_eq!(parse_stat(line), Some(expected));
        assert_eq!(parse_stat("7 (a) S 1"), None);
        assert_eq!(parse_boot_seconds("cpu 1 2\nbtime 1700000000\n"), Some(1_700_000_000));
    }
}
