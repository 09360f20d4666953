//! Index files by their lines: pruned to some versions, and merged.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

#[derive(Deserialize)]
struct Version {
    vers: String,
}

/// The version that a line tells of.
fn version(line: &[u8]) -> Option<String> {
    serde_json::from_slice::<Version>(line).ok().map(|line| line.vers)
}

fn lines(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    bytes.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii).filter(|line| !line.is_empty())
}

/// The lines of these versions, as they are and in their order.
pub(super) fn prune(bytes: &[u8], versions: &BTreeSet<String>) -> Vec<u8> {
    let is_meant = |line: &&[u8]| version(line).is_some_and(|version| versions.contains(&version));
    join(lines(bytes).filter(is_meant))
}

/// All lines of both; of two with one version, the newer one's.
pub(super) fn merge(older: &[u8], newer: &[u8]) -> Vec<u8> {
    let mut replaced =
        lines(newer).filter_map(|line| Some((version(line)?, line))).collect::<BTreeMap<_, _>>();
    let mut merged = Vec::new();
    for line in lines(older) {
        merged.push(version(line).and_then(|version| replaced.remove(&version)).unwrap_or(line));
    }
    let left = lines(newer)
        .filter(|line| version(line).is_some_and(|version| replaced.contains_key(&version)));
    merged.extend(left);
    join(merged.into_iter())
}

fn join<'a>(lines: impl Iterator<Item = &'a [u8]>) -> Vec<u8> {
    let mut joined = Vec::new();
    for line in lines {
        joined.extend_from_slice(line);
        joined.push(b'\n');
    }
    joined
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(version: &str, more: &str) -> String {
        format!("{{\"name\":\"a\",\"vers\":\"{version}\"{more}}}\n")
    }

    #[test]
    fn a_pruned_file_has_the_wanted_lines_as_they_were() {
        let file = ["1.0.0", "1.1.0", "2.0.0"].map(|version| line(version, ",\"x\": [1]")).concat();
        let wanted = ["2.0.0", "1.0.0", "9.9.9"].map(str::to_owned).into();
        let expected = [line("1.0.0", ",\"x\": [1]"), line("2.0.0", ",\"x\": [1]")].concat();
        assert_eq!(String::from_utf8(prune(file.as_bytes(), &wanted)).unwrap(), expected);
    }

    #[test]
    fn merging_keeps_every_version_and_believes_the_newer_file() {
        let older = [line("1.0.0", ""), line("1.1.0", "")].concat();
        let newer = [line("1.1.0", ",\"yanked\":true"), line("2.0.0", "")].concat();
        let expected = [line("1.0.0", ""), newer.clone()].concat();
        let merged = merge(older.as_bytes(), newer.as_bytes());
        assert_eq!(String::from_utf8(merged.clone()).unwrap(), expected);
        assert_eq!(merge(&merged, newer.as_bytes()), merged);
        assert_eq!(merge(b"", newer.as_bytes()), newer.as_bytes());
    }
}
