//! Whether the process may use as much memory as its limits promise.

use super::Finding;
use crate::memory_limit::{limit_bytes, needed_bytes};
use crate::settings::Settings;

const MIB: u64 = 1 << 20;

/// One finding.
pub(super) fn check(settings: &Settings) -> Vec<Finding> {
    vec![judge(needed_bytes(settings), limit_bytes())]
}

fn judge(needed_bytes: u64, limit_bytes: Option<u64>) -> Finding {
    let needed = needed_bytes.div_ceil(MIB);
    match limit_bytes {
        None => Finding::Ok(format!("memory is not limited; {needed} MiB may be needed")),
        Some(limit) if needed_bytes <= limit => {
            Finding::Ok(format!("{} MiB may be used, {needed} are enough", limit / MIB))
        }
        Some(limit) => Finding::Warning(format!(
            "only {} MiB may be used, where index-memory, fills-max times spool-memory and connections may need \
             {needed}: raise the limit (memory of the container, MemoryMax=) or lower the settings",
            limit / MIB
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_below_what_is_needed_is_a_warning() {
        assert!(matches!(judge(100 * MIB, None), Finding::Ok(_)));
        assert!(matches!(judge(100 * MIB, Some(100 * MIB)), Finding::Ok(_)));
        let Finding::Warning(text) = judge(100 * MIB + 1, Some(100 * MIB)) else { panic!() };
        assert!(text.starts_with("only 100 MiB") && text.contains("need 101"), "{text}");
    }
}
