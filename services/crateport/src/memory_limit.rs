//! How much memory the process may use: what its control group says, which is what a container's limit becomes.

use std::fs;
use std::path::{Path, PathBuf};

use crate::settings::Settings;

/// What a process takes that holds nothing yet: code, threads, a runtime. 20 MiB were resident at rest.
const BASE_BYTES: u64 = 32 << 20;
/// What one connection may take: a response that waits to be sent (64 KiB) and a TLS record in each direction.
const CONNECTION_BYTES: u64 = 96 << 10;
/// Of all connections that may be, those that are at work at once count; the others are a socket and a few KiB.
const CONNECTIONS_AT_WORK_MAX: u64 = 1024;
/// Where control groups are mounted.
const CONTROL_GROUPS: &str = "/sys/fs/cgroup";
/// Version 1 has no word for no limit, but this and more.
const NO_LIMIT_BYTES: u64 = 1 << 60;

/// What the settings may come to need.
pub(crate) fn needed_bytes(settings: &Settings) -> u64 {
    let connections = u64::from(settings.connections_max).min(CONNECTIONS_AT_WORK_MAX);
    let fills = u64::from(settings.fills_max).saturating_mul(settings.spool_memory);
    // What is on its way may take as much again as what is kept.
    let objects = settings.object_memory.saturating_mul(2);
    let held = settings.index_memory.saturating_add(objects).saturating_add(fills);
    held.saturating_add(connections * CONNECTION_BYTES).saturating_add(BASE_BYTES)
}

/// The limit of this process; `None` for none, or for a system that has no such limits.
pub(crate) fn limit_bytes() -> Option<u64> {
    let groups = fs::read_to_string("/proc/self/cgroup").ok()?;
    files(&groups, Path::new(CONTROL_GROUPS)).iter().filter_map(|file| read(file)).min()
}

/// The files that may hold a limit: of the process's own group and of every one above it, since each binds.
fn files(groups: &str, root: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for line in groups.lines() {
        let mut parts = line.splitn(3, ':').skip(1);
        let (Some(controllers), Some(path)) = (parts.next(), parts.next()) else { continue };
        let (root, name) = match controllers {
            "" => (root.to_owned(), "memory.max"),
            _ if controllers.split(',').any(|controller| controller == "memory") => {
                (root.join("memory"), "memory.limit_in_bytes")
            }
            _ => continue,
        };
        // In a container the path may be that of the host, and the mount its own group.
        let own = Path::new(path.trim_start_matches('/'));
        files.extend(own.ancestors().map(|group| root.join(group).join(name)));
    }
    files
}

fn read(file: &Path) -> Option<u64> {
    let limit = fs::read_to_string(file).ok()?.trim().parse().ok()?;
    (limit < NO_LIMIT_BYTES).then_some(limit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lowest_limit_from_the_group_up_to_the_root_binds_in_both_versions() {
        let root = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        write("a/b/memory.max", "max\n");
        write("a/memory.max", "5000\n");
        write("memory.max", "9000\n");
        write("memory/c/memory.limit_in_bytes", "9223372036854771712\n");
        write("memory/memory.limit_in_bytes", "7000\n");
        for (groups, expected) in [
            ("0::/a/b\n", Some(5000)),
            ("0::/\n", Some(9000)),
            ("0::/elsewhere\n", Some(9000)),
            ("5:cpu,cpuacct:/x\n4:memory:/c\n", Some(7000)),
            ("5:cpu:/x\n", None),
            ("", None),
        ] {
            let found = files(groups, root.path()).iter().filter_map(|file| read(file)).min();
            assert_eq!(found, expected, "{groups}");
        }
    }
}
