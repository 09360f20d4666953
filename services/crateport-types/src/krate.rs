//! The names and versions of crates, and the path of a crate's index file.

use std::fmt;
use std::str::FromStr;

use crate::dl::prefix;

/// A crate's name as its author spelled it: 1 to 64 of ASCII letters, digits, `-` and `_`, beginning with a letter
/// or a digit. Case and the choice between `-` and `_` are kept, and matter.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CrateName(Box<str>);

/// A crate's name in lower case: what names its index file.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct IndexName(Box<str>);

/// A crate's version: semantic versioning 2.0.0, kept as it was written, build metadata included. In the order of
/// the texts, not of precedence.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CrateVersion(Box<str>);

/// The text cannot be a crate's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no crate name: 1 to 64 of a-z, A-Z, 0-9, - and _, beginning with a letter or a digit")]
pub struct InvalidName;

/// The text cannot be a crate's version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "no crate version: MAJOR.MINOR.PATCH with optional -pre-release and +build, 150 characters at most"
)]
pub struct InvalidVersion;

/// The path is not the one cargo would ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no index path: cargo asks for 1/a, 2/ab, 3/a/abc or ab/cd/abcd, in lower case")]
pub struct InvalidIndexPath;

/// The limit of crates.io.
const NAME_LENGTH_MAX: usize = 64;
/// The limit of crates.io.
const VERSION_LENGTH_MAX: usize = 150;

impl CrateName {
    /// The name as spelled.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name of its index file.
    #[must_use]
    pub fn index_name(&self) -> IndexName {
        IndexName(self.0.to_ascii_lowercase().into())
    }
}

impl IndexName {
    /// The name in lower case.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Where the index file lies below the index's root: `se/rd/serde`.
    #[must_use]
    pub fn path(&self) -> String {
        [&prefix(&self.0), "/", &*self.0].concat()
    }

    /// The name whose index file lies at `path`.
    ///
    /// # Errors
    ///
    /// When no name has that path: a wrong prefix, an upper-case letter, an illegal name.
    pub fn from_path(path: &str) -> Result<Self, InvalidIndexPath> {
        let (directory, file) = path.rsplit_once('/').ok_or(InvalidIndexPath)?;
        let lower = !file.bytes().any(|byte| byte.is_ascii_uppercase());
        let name: CrateName = file.parse().map_err(|_| InvalidIndexPath)?;
        if lower && directory == prefix(file) { Ok(Self(name.0)) } else { Err(InvalidIndexPath) }
    }
}

impl CrateVersion {
    /// The version as written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for CrateName {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, InvalidName> {
        let begins_well = text.bytes().next().is_some_and(|byte| byte.is_ascii_alphanumeric());
        let legal = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        if begins_well && text.len() <= NAME_LENGTH_MAX && text.bytes().all(legal) {
            Ok(Self(text.into()))
        } else {
            Err(InvalidName)
        }
    }
}

impl FromStr for CrateVersion {
    type Err = InvalidVersion;

    fn from_str(text: &str) -> Result<Self, InvalidVersion> {
        if text.len() > VERSION_LENGTH_MAX || semver::Version::parse(text).is_err() {
            return Err(InvalidVersion);
        }
        Ok(Self(text.into()))
    }
}

impl fmt::Display for CrateName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for IndexName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for CrateVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_index_path_is_the_one_cargo_makes() {
        for (name, path) in [
            ("a", "1/a"),
            ("Ab", "2/ab"),
            ("abc", "3/a/abc"),
            ("serde", "se/rd/serde"),
            ("Inflector", "in/fl/inflector"),
            ("bb-bb", "bb/-b/bb-bb"),
            ("a_b-c", "a_/b-/a_b-c"),
        ] {
            let name: CrateName = name.parse().unwrap();
            assert_eq!(name.index_name().path(), path);
            assert_eq!(IndexName::from_path(path), Ok(name.index_name()));
        }
    }

    #[test]
    fn paths_that_cargo_never_asks_for_are_refused() {
        for path in [
            "",
            "a",
            "1/ab",
            "se/rd/Serde",
            "se/rd/sedr",
            "rd/se/serde",
            "SE/RD/serde",
            "3/b/abc",
            "../a",
        ] {
            assert!(IndexName::from_path(path).is_err(), "{path}");
        }
        for path in [
            "se/rd/serde/",
            "/se/rd/serde",
            "se//rd/serde",
            "se/rd/serde.json",
            "..",
            "config.json",
            "1/.",
        ] {
            assert!(IndexName::from_path(path).is_err(), "{path}");
        }
    }

    #[test]
    fn names_are_what_a_registry_accepts() {
        for name in ["a", "A", "serde_json", "bb-bb", "7z", &"a".repeat(64)] {
            assert!(name.parse::<CrateName>().is_ok(), "{name}");
        }
        for name in ["", "-a", "_a", "a.b", "a b", "ä", "a/b", "a%", &"a".repeat(65)] {
            assert!(name.parse::<CrateName>().is_err(), "{name}");
        }
    }

    #[test]
    fn versions_are_semantic_and_kept_as_written() {
        for version in ["1.0.0", "0.1.2-alpha.1", "1.0.0+build.5", "300.0.0+3.0.0"] {
            assert_eq!(version.parse::<CrateVersion>().unwrap().as_str(), version);
        }
        for version in [
            "",
            "1",
            "1.0",
            "v1.0.0",
            "1.0.0 ",
            "01.0.0",
            "1.0.0+",
            "1.0.0/..",
            &format!("1.0.0-{:0150}", 1),
        ] {
            assert!(version.parse::<CrateVersion>().is_err(), "{version}");
        }
    }

    proptest! {
        #[test]
        fn a_name_and_its_path_belong_together(name in "[A-Za-z0-9][A-Za-z0-9_-]{0,63}") {
            let index_name = name.parse::<CrateName>().unwrap().index_name();
            prop_assert_eq!(IndexName::from_path(&index_name.path()), Ok(index_name));
        }

        #[test]
        fn no_path_panics_and_no_accepted_path_escapes(path in ".{0,90}") {
            if let Ok(name) = IndexName::from_path(&path) {
                prop_assert_eq!(name.path(), path);
            }
        }

        #[test]
        fn no_version_with_a_slash_is_accepted(version in ".{0,40}") {
            if let Ok(version) = version.parse::<CrateVersion>() {
                prop_assert!(!version.as_str().contains(['/', '\\', '\0']));
            }
        }
    }
}
