//! The machine that a part ran on, and how busy it was with other things.

use std::fs;
use std::process::Command;

use anyhow::Result;
use serde::{Deserialize, Serialize};

use crate::stand::Stand;
use crate::{crateport, nginx};

/// What must be known to read the numbers.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Machine {
    /// The processor's name.
    pub(crate) processor: String,
    /// How many processors there are.
    pub(crate) processors: usize,
    /// Memory.
    pub(crate) memory_bytes: u64,
    /// The kernel's release.
    pub(crate) kernel: String,
    /// The hypervisor's share of the time that it took for others while this part ran.
    pub(crate) stolen: f64,
    /// The share of the processors' time that was in use while this part ran, by the benchmark and by others.
    pub(crate) busy: f64,
    /// Programs that were measured or used.
    pub(crate) versions: Vec<String>,
    /// Whether it was the quick measurement.
    pub(crate) is_quick: bool,
    /// How long this part took.
    pub(crate) seconds: f64,
}

/// The processors' times since the machine started, in ticks.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Ticks {
    total: u64,
    idle: u64,
    stolen: u64,
}

impl Machine {
    /// This machine.
    pub(crate) fn here(stand: &Stand) -> Result<Self> {
        let processors = fs::read_to_string("/proc/cpuinfo")?;
        let memory = fs::read_to_string("/proc/meminfo")?;
        let name = processors.lines().find_map(|line| line.strip_prefix("model name"));
        let total = memory.lines().find_map(|line| line.strip_prefix("MemTotal:"));
        let kib = total.and_then(|total| total.trim().trim_end_matches(" kB").parse::<u64>().ok());
        Ok(Self {
            processor: name.unwrap_or_default().trim_start_matches(['\t', ' ', ':']).to_owned(),
            processors: processors.lines().filter(|line| line.starts_with("processor")).count(),
            memory_bytes: kib.unwrap_or(0) * 1024,
            kernel: fs::read_to_string("/proc/sys/kernel/osrelease")?.trim().to_owned(),
            versions: vec![
                crateport::version(&stand.crateport)?,
                nginx::version()?,
                program_version("cargo"),
                program_version("redis-server"),
            ],
            ..Self::default()
        })
    }
}

impl Ticks {
    /// Up to now.
    pub(crate) fn now() -> Result<Self> {
        let text = fs::read_to_string("/proc/stat")?;
        let line = text.lines().next().unwrap_or_default();
        let times = line.split_whitespace().skip(1).filter_map(|time| time.parse().ok());
        // user nice system idle iowait irq softirq steal; guests are in user already.
        let times: Vec<u64> = times.take(8).collect();
        let at = |index: usize| times.get(index).copied().unwrap_or(0);
        Ok(Self { total: times.iter().sum(), idle: at(3) + at(4), stolen: at(7) })
    }

    /// Writes down how busy the machine was since then.
    pub(crate) fn note(self, machine: &mut Machine) -> Result<()> {
        let now = Self::now()?;
        let total = (now.total - self.total).max(1) as f64;
        machine.stolen = (now.stolen - self.stolen) as f64 / total;
        machine.busy = 1.0 - (now.idle - self.idle) as f64 / total;
        Ok(())
    }
}

fn program_version(program: &str) -> String {
    let output = Command::new(program).arg("--version").output();
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
    text.unwrap_or_default().lines().next().unwrap_or_default().trim().to_owned()
}
