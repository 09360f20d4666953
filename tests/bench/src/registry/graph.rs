//! Projects with their dependencies: as deep, as wide and with index files as large as a real service's.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;

use anyhow::Result;
use crateport_testkit::krate::{Published, krate};
use flate2::Compression;
use flate2::write::GzEncoder;

use super::write::lines_up_to;
use super::{Project, Random, VERSION, Writer};

/// Sizes of the lock files, in packages.
pub(crate) const SIZES: [usize; 3] = [60, 400, 1000];
/// What is known of a project, beside it.
pub(super) const ABOUT: &str = "about.json";

/// How wide each round of a resolve is: axum, tokio, reqwest, clap, serde and tracing together asked for 183 index
/// files in these nine rounds.
const ROUNDS: [usize; 9] = [7, 56, 51, 29, 12, 9, 15, 3, 1];
/// Further dependencies of a package, on packages below it.
const FURTHER_MAX: usize = 4;
/// The same resolve's index files had 115 KB on average.
const INDEX_BYTES_MEDIAN: f64 = 50_000.0;
const INDEX_SPREAD: f64 = 1.25;
const INDEX_BYTES_MAX: f64 = 1_400_000.0;
/// A line of serde has 520 bytes, one of syn 1800, one of tokio 4300.
const LINE_BYTES_MEDIAN: f64 = 700.0;
const LINE_SPREAD: f64 = 0.7;
const CRATE_BYTES_MEDIAN: f64 = 35_000.0;
const CRATE_SPREAD: f64 = 1.4;
const CRATE_BYTES_MAX: f64 = 3_000_000.0;
const SEED: u64 = 0x0063_7261_7465;
const CRATES_IO: &str = "registry+https://github.com/rust-lang/crates.io-index";
const SYLLABLES: [&str; 16] = [
    "ra", "ton", "ser", "ax", "qui", "lo", "mem", "chr", "by", "hy", "wi", "syn", "ze", "uni",
    "pro", "ind",
];

/// One package of a graph.
struct Node {
    name: String,
    round: usize,
    dependencies: BTreeSet<usize>,
}

/// Writes the registry's part and the project of every size.
pub(super) fn write(writer: &Writer) -> Result<()> {
    for packages in SIZES {
        let mut random = Random::new(SEED ^ u64::try_from(packages)?);
        let nodes = nodes(packages, &mut random);
        let mut about = Project {
            packages: nodes.len(),
            index_bytes: 0,
            index_gzip_bytes: 0,
            crate_bytes: 0,
            depth: nodes.iter().map(|node| node.round + 1).max().unwrap_or(0),
        };
        let mut published = Vec::with_capacity(nodes.len());
        for node in &nodes {
            let krate = package(node, &nodes, &mut random);
            let index_bytes = random.size(INDEX_BYTES_MEDIAN, INDEX_SPREAD).min(INDEX_BYTES_MAX);
            let text = lines_up_to(&krate, index_bytes as usize);
            writer.index(&node.name, &text)?;
            writer.krate(&krate)?;
            about.index_bytes += u64::try_from(text.len())?;
            about.index_gzip_bytes += u64::try_from(gzip(text.as_bytes())?.len())?;
            about.crate_bytes += u64::try_from(krate.bytes.len())?;
            published.push(krate);
        }
        let folder = writer.folder().join(format!("project-{packages}"));
        fs::create_dir_all(folder.join("src"))?;
        fs::write(folder.join("src/main.rs"), "fn main() {}\n")?;
        fs::write(folder.join("Cargo.toml"), manifest(&nodes))?;
        fs::write(folder.join("Cargo.lock"), lock(&nodes, &published))?;
        fs::write(folder.join(ABOUT), serde_json::to_vec(&about)?)?;
    }
    Ok(())
}

/// As the upstream sends index files to those who accept it.
pub(crate) fn gzip(bytes: &[u8]) -> Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    std::io::Write::write_all(&mut encoder, bytes)?;
    Ok(encoder.finish()?)
}

fn nodes(packages: usize, random: &mut Random) -> Vec<Node> {
    let widths_sum: usize = ROUNDS.iter().sum();
    let mut nodes: Vec<Node> = Vec::with_capacity(packages);
    let mut first_of_round = vec![0];
    for (round, width) in ROUNDS.into_iter().enumerate() {
        let width = (width * packages / widths_sum).max(1);
        for _ in 0..width {
            let name = name(packages, nodes.len(), random);
            nodes.push(Node { name, round, dependencies: BTreeSet::new() });
        }
        first_of_round.push(nodes.len());
    }
    let range = |round: usize| {
        let at = |round: usize| first_of_round.get(round).copied().unwrap_or(0);
        at(round)..at(round + 1)
    };
    for index in 0..nodes.len() {
        let round = nodes.get(index).map_or(0, |node| node.round);
        // One parent in the round before makes sure that it is asked for in its own round, and no earlier one does.
        if let Some(above) = round.checked_sub(1).map(range) {
            let parent = above.start + random.below(above.len());
            if let Some(parent) = nodes.get_mut(parent) {
                parent.dependencies.insert(index);
            }
        }
        // Others of the next round may be shared, as they are in life.
        let next = if round + 1 < ROUNDS.len() { range(round + 1) } else { 0..0 };
        for _ in 0..random.below(FURTHER_MAX) {
            if !next.is_empty()
                && let Some(node) = nodes.get_mut(index)
            {
                node.dependencies.insert(next.start + random.below(next.len()));
            }
        }
    }
    nodes
}

fn name(packages: usize, index: usize, random: &mut Random) -> String {
    let mut name = String::new();
    for _ in 0..2 + random.below(2) {
        name += SYLLABLES.get(random.below(SYLLABLES.len())).copied().unwrap_or("x");
    }
    // The number keeps names apart, within a project and between projects.
    let _ = write!(name, "-{packages}x{index}");
    name
}

fn package(node: &Node, nodes: &[Node], random: &mut Random) -> Published {
    let size = random.size(CRATE_BYTES_MEDIAN, CRATE_SPREAD).min(CRATE_BYTES_MAX);
    let mut krate = krate(&node.name, VERSION).payload(size as usize);
    for name in names(&node.dependencies, nodes) {
        krate = krate.dep(name, "^1");
    }
    let line_bytes = random.size(LINE_BYTES_MEDIAN, LINE_SPREAD);
    let mut written = 0.0;
    let mut number = 0;
    while written < line_bytes - 300.0 {
        let first = SYLLABLES.get(random.below(SYLLABLES.len())).copied().unwrap_or("x");
        let feature = format!("{first}-{number}");
        krate = krate.feature(&feature, &[]);
        written += feature.len() as f64 + 6.0;
        number += 1;
    }
    krate.build()
}

fn names<'a>(dependencies: &BTreeSet<usize>, nodes: &'a [Node]) -> BTreeSet<&'a str> {
    dependencies.iter().filter_map(|&index| Some(nodes.get(index)?.name.as_str())).collect()
}

fn roots(nodes: &[Node]) -> impl Iterator<Item = &str> {
    nodes.iter().filter(|node| node.round == 0).map(|node| node.name.as_str())
}

fn manifest(nodes: &[Node]) -> String {
    let mut text = "[package]\nname = \"project\"\nversion = \"0.1.0\"\nedition = \"2021\"\n\n[dependencies]\n".to_owned();
    for name in roots(nodes) {
        let _ = writeln!(text, "{name} = \"1\"");
    }
    text + "\n[workspace]\n"
}

/// `Cargo.lock` as cargo would write it.
fn lock(nodes: &[Node], published: &[Published]) -> String {
    let mut entries: Vec<(&str, String)> = nodes
        .iter()
        .zip(published)
        .map(|(node, krate)| {
            let source = format!("source = \"{CRATES_IO}\"\nchecksum = \"{}\"\n", krate.cksum);
            (
                node.name.as_str(),
                entry(&node.name, VERSION, &source, &names(&node.dependencies, nodes)),
            )
        })
        .collect();
    entries.push(("project", entry("project", "0.1.0", "", &roots(nodes).collect())));
    entries.sort();
    let mut text = "# This file is automatically @generated by Cargo.\n# It is not intended for manual editing.\nversion = 4\n".to_owned();
    for (_, entry) in entries {
        text += &entry;
    }
    text
}

fn entry(name: &str, version: &str, source: &str, dependencies: &BTreeSet<&str>) -> String {
    let mut text = format!("\n[[package]]\nname = \"{name}\"\nversion = \"{version}\"\n{source}");
    if !dependencies.is_empty() {
        text += "dependencies = [\n";
        for name in dependencies {
            let _ = writeln!(text, " \"{name}\",");
        }
        text += "]\n";
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_package_is_reached_in_its_round() {
        for packages in SIZES {
            let nodes = nodes(packages, &mut Random::new(1));
            assert!(nodes.len().abs_diff(packages) < 10, "{}", nodes.len());
            for (index, node) in nodes.iter().enumerate() {
                let asked = nodes.iter().find(|other| other.dependencies.contains(&index));
                assert_eq!(
                    asked.map(|other| other.round + 1),
                    node.round.checked_sub(1).map(|_| node.round)
                );
            }
        }
    }
}
