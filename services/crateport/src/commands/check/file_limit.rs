//! Whether the process may open as many files as its limits on connections promise.

use super::Finding;
use crate::file_limit::{highest, needed};
use crate::settings::Settings;

/// One finding.
pub(super) fn check(settings: &Settings) -> Vec<Finding> {
    let needed = needed(settings.connections_max, settings.requests_max, settings.fills_max);
    vec![judge(needed, highest())]
}

fn judge(needed: u64, highest: Option<u64>) -> Finding {
    match highest {
        None => Finding::Ok("the number of open files is not limited".to_owned()),
        Some(highest) if highest >= needed => {
            Finding::Ok(format!("{highest} files may be open, {needed} are enough"))
        }
        Some(highest) => Finding::Warning(format!(
            "only {highest} files may be open, where connections-max, requests-max and fills-max \
             may need {needed}: raise the limit (ulimit -Hn, LimitNOFILE=) or lower the settings"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_below_what_is_needed_is_a_warning() {
        assert!(matches!(judge(100, None), Finding::Ok(_)));
        assert!(matches!(judge(100, Some(100)), Finding::Ok(_)));
        assert!(matches!(judge(100, Some(99)), Finding::Warning(_)));
    }
}
