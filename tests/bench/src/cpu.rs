//! What a server has used, by the kernel's accounting: CPU time to the nanosecond, and resident memory.
//!
//! The CPU clock of a process counts all of its threads, those that have ended too, and no other process; so what else
//! runs on the machine shows in it only through the processor's caches.

use std::fs;
use std::ops::Sub;
use std::time::Duration;

use anyhow::{Context as _, Result};
use nix::errno::Errno;
use nix::time::ClockId;
use nix::unistd::Pid;

/// A process and all that it has started.
#[derive(Clone, Debug)]
pub(crate) struct Group {
    pids: Vec<i32>,
}

/// CPU time used up to a moment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CpuTime(Duration);

impl Sub for CpuTime {
    type Output = Duration;

    fn sub(self, earlier: Self) -> Duration {
        self.0.saturating_sub(earlier.0)
    }
}

impl Group {
    /// The process and its descendants as they are now.
    pub(crate) fn of(root: u32) -> Result<Self> {
        let mut pids = vec![i32::try_from(root)?];
        let mut seen = 0;
        while let Some(&pid) = pids.get(seen) {
            pids.extend(children(pid));
            seen += 1;
        }
        Ok(Self { pids })
    }

    /// Several groups as one.
    pub(crate) fn joined(groups: impl IntoIterator<Item = Self>) -> Self {
        Self { pids: groups.into_iter().flat_map(|group| group.pids).collect() }
    }

    /// User and system time of all its processes.
    pub(crate) fn cpu_time(&self) -> Result<CpuTime> {
        let mut sum = Duration::ZERO;
        for &pid in &self.pids {
            match ClockId::pid_cpu_clock_id(Pid::from_raw(pid)).and_then(ClockId::now) {
                Ok(used) => sum += Duration::from(used),
                // nginx's cache loader ends after a minute; the little that it used is not missed.
                Err(Errno::ESRCH | Errno::EINVAL) if Some(&pid) != self.pids.first() => {}
                Err(error) => return Err(error).context("a CPU clock"),
            }
        }
        Ok(CpuTime(sum))
    }

    /// Memory that is resident now.
    pub(crate) fn resident_bytes(&self) -> Result<u64> {
        self.status_bytes("VmRSS:")
    }

    /// The most memory that was ever resident, each process at its own worst moment.
    pub(crate) fn resident_bytes_peak(&self) -> Result<u64> {
        self.status_bytes("VmHWM:")
    }

    fn status_bytes(&self, key: &str) -> Result<u64> {
        let mut sum = 0;
        for pid in &self.pids {
            let Ok(status) = fs::read_to_string(format!("/proc/{pid}/status")) else { continue };
            let line = status.lines().find_map(|line| line.strip_prefix(key));
            let kib = line.and_then(|line| line.trim().strip_suffix(" kB"));
            sum += kib.with_context(|| format!("{key} of {pid}"))?.parse::<u64>()? * 1024;
        }
        Ok(sum)
    }
}

fn children(pid: i32) -> Vec<i32> {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let lists = tasks.filter_map(|task| fs::read_to_string(task.path().join("children")).ok());
    lists
        .flat_map(|list| {
            list.split_whitespace().filter_map(|pid| pid.parse().ok()).collect::<Vec<_>>()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_busy_process_is_seen_to_be_busy() {
        let own = Group::of(std::process::id()).unwrap();
        let before = own.cpu_time().unwrap();
        let start = std::time::Instant::now();
        while start.elapsed() < Duration::from_millis(20) {
            std::hint::spin_loop();
        }
        assert!(own.cpu_time().unwrap() - before > Duration::from_millis(1));
        assert!(own.resident_bytes().unwrap() <= own.resident_bytes_peak().unwrap());
    }
}
