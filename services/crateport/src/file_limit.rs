//! How many files and sockets the process may have open.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Descriptors beside those that connections and fills need: the log, the runtime, libraries.
const SPARE: u64 = 64;

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_is_raised_to_the_highest() {
        assert_eq!(raise(), highest());
    }
}
