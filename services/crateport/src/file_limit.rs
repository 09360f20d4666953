//! How many files and sockets the process may have open.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Descriptors beside those that connections and fills need: the log, the runtime, libraries.
const SPARE: u64 = 64;

/// The part of all files that connections get at least.
const CONNECTIONS_PART: u64 = 2;

/// How many descriptors this many connections, requests and fills may need at once: a request may read a stored file,
/// a fill has a connection to upstream and a spool file.
pub(crate) fn needed(connections_max: u32, requests_max: u32, fills_max: u32) -> u64 {
    u64::from(connections_max) + u64::from(requests_max) + 2 * u64::from(fills_max) + SPARE
}

/// The highest limit that this process may give itself; `None` for no limit.
pub(crate) fn highest() -> Option<u64> {
    getrlimit(Resource::Nofile).maximum
}

/// Raises the limit as far as the system allows without asking, and tells what it is then; `None` for no limit.
pub(crate) fn raise() -> Option<u64> {
    let limit = getrlimit(Resource::Nofile);
    // What cannot be raised stays as it is: `check` and the log tell.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit });
    getrlimit(Resource::Nofile).current
}

/// How many connections may be open under a limit of `files`, so that accepting one never takes the file that a fill or
/// a stored object needs; `None` if all of them may.
pub(crate) fn connections(
    files: Option<u64>,
    connections_max: u32,
    requests_max: u32,
    fills_max: u32,
) -> Option<u32> {
    let files = files?;
    let lacking = needed(connections_max, requests_max, fills_max).saturating_sub(files);
    if lacking == 0 {
        return None;
    }
    let left = u64::from(connections_max).saturating_sub(lacking);
    // Requests and fills seldom need all that they may, and nobody is served without connections.
    let share = files / CONNECTIONS_PART;
    let connections = u32::try_from(left.max(share)).unwrap_or(u32::MAX);
    Some(connections.clamp(1, connections_max))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_give_way_where_files_are_short() {
        for (files, expected) in [
            (None, None),
            (Some(20_000), None),
            (Some(8192 + 4096 + 2 * 256 + 64), None),
            (Some(12_000), Some(12_000 - 4096 - 2 * 256 - 64)),
            (Some(1024), Some(512)),
            (Some(1), Some(1)),
        ] {
            assert_eq!(connections(files, 8192, 4096, 256), expected, "{files:?}");
        }
        assert_eq!(connections(Some(1024), 100, 4096, 256), Some(100));
    }

    #[test]
    fn the_limit_is_raised_to_the_highest() {
        assert_eq!(raise(), highest());
    }
}
