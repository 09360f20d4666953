//! Memory, CPU time and open files of a process, as Linux tells them in `/proc` (proc(5)).

use std::time::Duration;

use rustix::param::clock_ticks_per_second;
use rustix::process::Pid;

/// Where utime and stime stand behind the command's name in `/proc/<pid>/stat`.
const USER_TICKS_FIELD: usize = 11;
const SYSTEM_TICKS_FIELD: usize = 12;

/// A size in `/proc/<pid>/status`; the kernel's `kB` are 1024 bytes.
#[track_caller]
pub(super) fn status_bytes(pid: Pid, field: &str) -> u64 {
    let status = read(pid, "status");
    let line = status.lines().find_map(|line| line.strip_prefix(field));
    let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    kib.unwrap_or_else(|| panic!("no {field} for process {pid:?}: it has ended")) * 1024
}

#[track_caller]
pub(super) fn cpu_time(pid: Pid) -> Duration {
    let stat = read(pid, "stat");
    // The name is in parentheses and may contain anything, spaces and parentheses too.
    let fields = stat
        .rsplit_once(')')
        .map(|(_, fields)| fields.split_whitespace().collect::<Vec<_>>())
        .unwrap_or_default();
    let ticks = |field: usize| {
        fields.get(field).and_then(|text| text.parse::<u64>().ok()).expect("a field of proc(5)")
    };
    let ticks = ticks(USER_TICKS_FIELD) + ticks(SYSTEM_TICKS_FIELD);
    Duration::from_secs_f64(ticks as f64 / clock_ticks_per_second() as f64)
}

#[track_caller]
pub(super) fn open_files(pid: Pid) -> usize {
    let path = format!("/proc/{}/fd", pid.as_raw_nonzero());
    let entries = std::fs::read_dir(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    entries.count()
}

#[track_caller]
fn read(pid: Pid, file: &str) -> String {
    let path = format!("/proc/{}/{file}", pid.as_raw_nonzero());
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
}
