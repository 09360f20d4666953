//! The regression check: CPU time per request as a ratio to the floor's of the same run, and counts of upstream
//! requests, against a committed baseline. Seconds are never compared, so that it holds on any machine.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, bail, ensure};
use serde::{Deserialize, Serialize};

use crate::results::Results;
use crate::warm::Server;

/// How much larger a ratio may be than the baseline's before it counts as slower: runs on a shared machine lie up to 15 %
/// apart, and processors differ in their caches.
const TOLERANCE: f64 = 1.25;

/// What a run is compared with.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Baseline {
    /// CPU time per request, over the floor's, by server, answer and protocol.
    pub(crate) cpu: BTreeMap<String, f64>,
    /// GETs of crates that reach the upstream, by stampede.
    pub(crate) upstream: BTreeMap<String, f64>,
}

impl Baseline {
    /// What these results say.
    pub(crate) fn of(results: &Results) -> Self {
        let mut baseline = Self::default();
        if let Some(found) = &results.warm {
            for cell in &found.cells {
                let floor = found.cell(cell.case, cell.protocol, Server::Floor);
                let (Some(floor), false) = (floor, cell.server.is_measure()) else { continue };
                if floor.cpu_us.min() > 0.0 {
                    // What else runs only adds to a number, so the smallest of the rounds is the least disturbed.
                    let ratio = cell.cpu_us.min() / floor.cpu_us.min();
                    let (case, protocol) = (cell.case.name(), cell.protocol.name());
                    let key = format!("{}: {case}, {protocol}", cell.server.name());
                    baseline.cpu.insert(key, (ratio * 1000.0).round() / 1000.0);
                }
            }
        }
        if let Some(found) = &results.stampede {
            for cell in found.cells.iter().filter(|cell| cell.whom.is_ours()) {
                let key = format!("{:?}: {:?}", cell.whom, cell.what).to_lowercase();
                baseline.upstream.insert(key, cell.upstream_crates.max());
            }
        }
        baseline
    }

    /// Reads it.
    pub(crate) fn read(file: &Path) -> Result<Self> {
        let text = fs::read(file).with_context(|| file.display().to_string())?;
        Ok(serde_json::from_slice(&text)?)
    }

    /// Writes it.
    pub(crate) fn write(&self, file: &Path) -> Result<()> {
        Ok(fs::write(file, serde_json::to_string_pretty(self)? + "\n")?)
    }

    /// What has become worse than this.
    fn regressions(&self, now: &Self) -> Vec<String> {
        let mut worse = Vec::new();
        for (key, before) in &self.cpu {
            if let Some(after) = now.cpu.get(key).filter(|after| **after > before * TOLERANCE) {
                worse.push(format!("{key}: CPU is floor × {after:.2}, was floor × {before:.2}"));
            }
        }
        for (key, before) in &self.upstream {
            if let Some(after) = now.upstream.get(key).filter(|after| *after > before) {
                worse.push(format!("{key}: {after} upstream requests, were {before}"));
            }
        }
        worse
    }
}

/// Fails if anything has become worse.
pub(crate) fn check(baseline: &Path, results: &Results) -> Result<()> {
    let (before, now) = (Baseline::read(baseline)?, Baseline::of(results));
    let compared = now.cpu.keys().filter(|key| before.cpu.contains_key(*key)).count();
    ensure!(compared > 0, "nothing was measured that {} knows", baseline.display());
    let worse = before.regressions(&now);
    if worse.is_empty() {
        eprintln!(
            "{compared} CPU ratios and {} counts are no worse than the baseline",
            now.upstream.len()
        );
        return Ok(());
    }
    bail!("worse than the baseline:\n  {}", worse.join("\n  "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_slower_by_more_than_the_tolerance_is_named() {
        let baseline = |cpu: f64, upstream: f64| Baseline {
            cpu: BTreeMap::from([("a".to_owned(), cpu)]),
            upstream: BTreeMap::from([("b".to_owned(), upstream)]),
        };
        let before = baseline(2.0, 1.0);
        let table = [(2.0, 1.0, 0), (2.4, 1.0, 0), (2.6, 1.0, 1), (1.0, 2.0, 1), (3.0, 3.0, 2)];
        for (cpu, upstream, count) in table {
            assert_eq!(
                before.regressions(&baseline(cpu, upstream)).len(),
                count,
                "{cpu} {upstream}"
            );
        }
    }
}
