//! What a channel's manifest says of other files: their checksums, and nothing more is read of it.
//!
//! The format is rustup's "manifest-version 2". Its addresses are absolute; what counts is the path below the
//! origin, because rustup puts its own server in front of it.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::DistPath;
use crate::Sha256;

/// The checksums in a manifest, by path.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Manifest {
    /// Sorted by path.
    sums: Vec<(Box<str>, Sha256)>,
}

/// The text is no manifest in the second format.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no channel manifest: {0}")]
pub struct InvalidManifest(String);

#[derive(Deserialize)]
struct File {
    #[serde(rename = "manifest-version")]
    version: String,
    #[serde(default)]
    pkg: BTreeMap<String, Package>,
}

#[derive(Deserialize)]
struct Package {
    #[serde(default)]
    target: BTreeMap<String, Target>,
}

#[derive(Deserialize)]
struct Target {
    url: Option<String>,
    hash: Option<String>,
    xz_url: Option<String>,
    xz_hash: Option<String>,
    zst_url: Option<String>,
    zst_hash: Option<String>,
}

const VERSION: &str = "2";
/// Where the paths of components begin in their addresses.
const ROOT: &str = "/dist/";
/// What an entry takes besides its path, roughly.
const OVERHEAD_BYTES: usize = 64;

impl Manifest {
    /// Reads a manifest.
    ///
    /// # Errors
    ///
    /// When it is not TOML, or not in the second format.
    pub fn parse(bytes: &[u8]) -> Result<Self, InvalidManifest> {
        let text = std::str::from_utf8(bytes).map_err(|error| invalid(&error))?;
        let file: File = toml::from_str(text).map_err(|error| invalid(&error.message()))?;
        if file.version != VERSION {
            return Err(InvalidManifest(format!("its version is {}", file.version)));
        }
        let targets = file.pkg.into_values().flat_map(|package| package.target.into_values());
        let mut sums: Vec<_> = targets.flat_map(Target::sums).collect();
        sums.sort_unstable();
        sums.dedup();
        sums.shrink_to_fit();
        Ok(Self { sums })
    }

    /// The checksum of the file at `path`, if the manifest names it, and if it names only one.
    #[must_use]
    pub fn sum(&self, path: &DistPath) -> Option<Sha256> {
        let start = self.sums.partition_point(|(known, _)| **known < *path.as_str());
        let mut found =
            self.sums.iter().skip(start).take_while(|(known, _)| **known == *path.as_str());
        let (_, sum) = found.next()?;
        found.next().is_none().then_some(*sum)
    }

    /// How many files it names.
    #[must_use]
    pub fn len(&self) -> usize {
        self.sums.len()
    }

    /// Whether it names none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.sums.is_empty()
    }

    /// The files it names and their checksums, in order.
    pub fn files(&self) -> impl Iterator<Item = (&str, Sha256)> {
        self.sums.iter().map(|(path, sum)| (&**path, *sum))
    }

    /// The memory it takes, roughly.
    #[must_use]
    pub fn size_bytes(&self) -> usize {
        self.sums.iter().map(|(path, _)| path.len() + OVERHEAD_BYTES).sum()
    }
}

impl Target {
    fn sums(self) -> impl Iterator<Item = (Box<str>, Sha256)> {
        let pairs =
            [(self.url, self.hash), (self.xz_url, self.xz_hash), (self.zst_url, self.zst_hash)];
        pairs.into_iter().filter_map(|(url, hash)| {
            let url = url?;
            let start = url.find(ROOT)? + 1;
            let path: DistPath = url.get(start..)?.parse().ok()?;
            Some((path.as_str().into(), hash?.parse().ok()?))
        })
    }
}

fn invalid(error: &dyn std::fmt::Display) -> InvalidManifest {
    InvalidManifest(error.to_string().replace('\n', " "))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = r#"manifest-version = "2"
date = "2026-04-16"
[pkg.rustc]
version = "1.95.0 (x 2026-04-14)"
[pkg.rustc.target.x86_64-unknown-linux-gnu]
available = true
url = "https://static.example/dist/2026-04-16/rustc-1.95.0-x.tar.gz"
hash = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
xz_url = "https://static.example/dist/2026-04-16/rustc-1.95.0-x.tar.xz"
xz_hash = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
[pkg.rustc.target.mips]
available = false
[pkg.rust-src.target."*"]
available = true
url = "https://static.example/dist/2026-04-16/odd name"
hash = "cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc"
[profiles]
minimal = ["rustc"]
"#;

    #[test]
    fn a_manifest_tells_the_checksums_of_what_it_names() {
        let manifest = Manifest::parse(TEXT.as_bytes()).unwrap();
        assert_eq!(manifest.len(), 2, "what has no legal path cannot be asked for");
        for (path, digit) in [
            ("dist/2026-04-16/rustc-1.95.0-x.tar.gz", "a"),
            ("dist/2026-04-16/rustc-1.95.0-x.tar.xz", "b"),
        ] {
            let expected = digit.repeat(64).parse().ok();
            assert_eq!(manifest.sum(&path.parse().unwrap()), expected, "{path}");
        }
        assert_eq!(manifest.sum(&"dist/2026-04-17/rustc-1.95.0-x.tar.xz".parse().unwrap()), None);
    }

    #[test]
    fn a_manifest_that_contradicts_itself_proves_nothing() {
        let text = TEXT.replace("x.tar.xz", "x.tar.gz");
        let manifest = Manifest::parse(text.as_bytes()).unwrap();
        let path = "dist/2026-04-16/rustc-1.95.0-x.tar.gz".parse().unwrap();
        assert_eq!(manifest.sum(&path), None);
    }

    #[test]
    fn what_is_no_manifest_is_refused() {
        for text in ["", "<html>", "manifest-version = \"1\"\n", "manifest-version = 2\n"] {
            assert!(Manifest::parse(text.as_bytes()).is_err(), "{text}");
        }
        assert!(Manifest::parse(&[0xff]).is_err());
    }
}
