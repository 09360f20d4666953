//! Files of the registry's folder: `index/…` and `crates/NAME/VERSION/download`, as the upstream names them.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Result;
use crateport_testkit::krate::Published;
use sha2::{Digest as _, Sha256};

use super::VERSION;

/// Writes into a registry's folder.
pub(super) struct Writer {
    folder: PathBuf,
}

impl Writer {
    pub(super) fn new(folder: &Path) -> Self {
        Self { folder: folder.to_owned() }
    }

    /// The registry's folder.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// A crate and an index file with this one version.
    pub(super) fn publish(&self, published: &Published) -> Result<()> {
        self.index(&published.name, &format!("{}\n", published.index_line))?;
        self.krate(published)
    }

    /// An index file.
    pub(super) fn index(&self, name: &str, text: &str) -> Result<()> {
        write(&self.folder.join("index").join(index_path(name)), text.as_bytes())
    }

    /// A crate.
    pub(super) fn krate(&self, published: &Published) -> Result<()> {
        let Published { name, version, bytes, .. } = published;
        write(&self.folder.join("crates").join(name).join(version).join("download"), bytes)
    }
}

/// The newest version's line, after lines of older ones that fill the file up to about this size.
pub(super) fn lines_up_to(published: &Published, size_bytes: usize) -> String {
    let mut text = String::new();
    let mut number = 0;
    let newest = &published.index_line;
    while text.len() + 2 * (newest.len() + 1) <= size_bytes {
        let version = format!("0.{}.{}", number / 10, number % 10);
        let digest = Sha256::digest(format!("{} {version}", published.name));
        let checksum: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        let line = newest
            .replace(&format!("\"vers\":\"{VERSION}\""), &format!("\"vers\":\"{version}\""))
            .replace(&published.cksum, &checksum);
        text += &line;
        text.push('\n');
        number += 1;
    }
    text += newest;
    text.push('\n');
    text
}

/// Where the index file of a crate lies.
pub(crate) fn index_path(name: &str) -> String {
    let lower = name.to_lowercase();
    match (lower.len(), lower.get(..1), lower.get(..2), lower.get(2..4)) {
        (1, ..) => format!("1/{lower}"),
        (2, ..) => format!("2/{lower}"),
        (3, Some(first), ..) => format!("3/{first}/{lower}"),
        (_, _, Some(first), Some(second)) => format!("{first}/{second}/{lower}"),
        _ => lower,
    }
}

fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent)?;
    }
    Ok(fs::write(path, bytes)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn index_files_lie_where_cargo_looks() {
        let table = [("A", "1/a"), ("ab", "2/ab"), ("abc", "3/a/abc"), ("Abcd", "ab/cd/abcd")];
        for (name, path) in table {
            assert_eq!(index_path(name), path);
        }
    }

    #[test]
    fn an_index_file_is_filled_up_to_its_size() {
        let published = crateport_testkit::krate("warm", VERSION).build();
        let text = lines_up_to(&published, 5_000);
        assert!((4_500..=5_000).contains(&text.len()), "{}", text.len());
        assert!(text.ends_with(&format!("{}\n", published.index_line)));
    }
}
