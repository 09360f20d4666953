//! An index file: one line of JSON for each version of one crate (the cargo book, "Registry Index").
//!
//! The bytes are never changed. They are read once, to be sure that this is the index file of the crate that was
//! asked for and that it was not cut, and to know the checksum of each version.

use std::borrow::Cow;

use serde::Deserialize;

use crate::{IndexName, Sha256};

/// What was read from an index file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IndexFile {
    entries: Box<[IndexEntry]>,
}

/// One version in an index file, as far as a cache must know it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IndexEntry {
    /// The crate's name, spelled as its author did.
    pub name: Box<str>,
    /// The version, as written.
    pub version: Box<str>,
    /// The SHA-256 of the `.crate`.
    pub checksum: Sha256,
}

/// Why bytes are not the index file of a crate.
#[derive(Debug, thiserror::Error)]
pub enum InvalidIndexFile {
    /// Nothing in it.
    #[error("the index file is empty")]
    Empty,
    /// A line that is no entry: not JSON, cut, or without a name, a version or a checksum.
    #[error("line {line} of the index file is no index entry")]
    Line {
        /// Counted from 1.
        line: usize,
        /// What the JSON parser says.
        source: serde_json::Error,
    },
    /// A line without a checksum of 64 hex digits.
    #[error("line {line} of the index file has no SHA-256 checksum")]
    Checksum {
        /// Counted from 1.
        line: usize,
    },
    /// A line of another crate.
    #[error("line {line} of the index file is of the crate `{name}`")]
    OtherCrate {
        /// Counted from 1.
        line: usize,
        /// The name that was found.
        name: String,
    },
}

/// The newest index schema whose lines must have a checksum. cargo hides lines with a newer `v`, so they may have
/// any other shape and are let through.
const KNOWN_SCHEMA_MAX: u32 = 2;

#[derive(Deserialize)]
struct Line<'a> {
    #[serde(borrow)]
    name: Cow<'a, str>,
    #[serde(borrow)]
    vers: Cow<'a, str>,
    #[serde(borrow, default)]
    cksum: Option<Cow<'a, str>>,
    #[serde(default)]
    v: Option<u32>,
}

impl IndexFile {
    /// Reads the index file of `name`.
    ///
    /// # Errors
    ///
    /// When it is empty, or when any line is cut, malformed or of another crate.
    pub fn parse(name: &IndexName, bytes: &[u8]) -> Result<Self, InvalidIndexFile> {
        let mut entries = Vec::new();
        let mut seen = false;
        for (number, text) in bytes.split(|byte| *byte == b'\n').enumerate() {
            if text.trim_ascii().is_empty() {
                continue;
            }
            seen = true;
            entries.extend(entry(name, number + 1, text)?);
        }
        if !seen {
            return Err(InvalidIndexFile::Empty);
        }
        // Stable, so that of two lines with one version the later one stays later.
        entries.sort_by(|a, b| a.version.cmp(&b.version));
        Ok(Self { entries: entries.into() })
    }

    /// The entry of a version, by its exact text. Of several lines the last counts, as in cargo.
    #[must_use]
    pub fn entry(&self, version: &str) -> Option<&IndexEntry> {
        let end = self.entries.partition_point(|entry| *entry.version <= *version);
        let last = self.entries.get(end.checked_sub(1)?)?;
        (*last.version == *version).then_some(last)
    }

    /// All entries, in the order of their versions' texts.
    #[must_use]
    pub fn entries(&self) -> &[IndexEntry] {
        &self.entries
    }

    /// How many versions there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether no version is known: only lines of a schema that is not understood.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// About how much memory this takes.
    #[must_use]
    pub fn size_bytes(&self) -> usize {
        let texts: usize =
            self.entries.iter().map(|entry| entry.name.len() + entry.version.len()).sum();
        texts + std::mem::size_of_val(&*self.entries)
    }
}

fn entry(
    name: &IndexName,
    number: usize,
    text: &[u8],
) -> Result<Option<IndexEntry>, InvalidIndexFile> {
    let line: Line<'_> = serde_json::from_slice(text)
        .map_err(|source| InvalidIndexFile::Line { line: number, source })?;
    if !line.name.eq_ignore_ascii_case(name.as_str()) {
        return Err(InvalidIndexFile::OtherCrate { line: number, name: line.name.into_owned() });
    }
    match line.cksum.as_deref().map(str::parse) {
        Some(Ok(checksum)) => {
            Ok(Some(IndexEntry { name: line.name.into(), version: line.vers.into(), checksum }))
        }
        _ if line.v.is_some_and(|v| v > KNOWN_SCHEMA_MAX) => Ok(None),
        _ => Err(InvalidIndexFile::Checksum { line: number }),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SUM: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

    fn parse(text: &str) -> Result<IndexFile, InvalidIndexFile> {
        IndexFile::parse(&IndexName::from_path("3/a/abc").unwrap(), text.as_bytes())
    }

    fn line(version: &str) -> String {
        format!(
            r#"{{"name":"Abc","vers":"{version}","deps":[],"cksum":"{SUM}","new_field":[1],"yanked":true}}"#
        )
    }

    #[test]
    fn a_version_is_found_by_its_exact_text() {
        let text = [line("1.0.0"), line("0.9.0"), line("1.0.0+b"), line("10.0.0")].join("\n");
        for text in
            [text.clone(), format!("{text}\n"), text.replace('\n', "\r\n"), format!("{text}\n\n")]
        {
            let file = parse(&text).unwrap();
            assert_eq!(file.len(), 4);
            for version in ["1.0.0", "0.9.0", "1.0.0+b", "10.0.0"] {
                assert_eq!(&*file.entry(version).unwrap().version, version);
            }
            for version in ["", "0.0.0", "1.0", "1.0.0-b", "2.0.0", "99.0.0"] {
                assert_eq!(file.entry(version), None);
            }
        }
    }

    #[test]
    fn of_two_lines_with_one_version_the_last_counts() {
        let other = line("1.0.0").replace(SUM, &"0".repeat(64));
        let file = parse(&format!("{}\n{other}", line("1.0.0"))).unwrap();
        assert_eq!(file.entry("1.0.0").unwrap().checksum.to_string(), "0".repeat(64));
    }

    #[test]
    fn lines_of_a_later_schema_pass() {
        let text =
            format!("{}\n{}", line("1.0.0"), r#"{"name":"abc","vers":"2.0.0","v":3,"digest":{}}"#);
        assert_eq!(parse(&text).unwrap().len(), 1);
    }

    #[test]
    fn what_is_no_index_file_is_refused() {
        let whole = line("1.0.0");
        for text in [
            "",
            "\n",
            "<!doctype html><title>Sign in</title>",
            "null",
            "{}",
            "[]",
            r#"{"errors":[{"detail":"too many requests"}]}"#,
            &whole[..whole.len() - 1],
            &format!("{whole}\n{}", &whole[..20]),
            &whole.replace("Abc", "abd"),
            &whole.replace(SUM, "abc"),
            &whole.replace("cksum", "checksum"),
            &format!("{whole}{whole}"),
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes: Vec<u8>) {
            let _ = IndexFile::parse(&IndexName::from_path("3/a/abc").unwrap(), &bytes);
        }

        #[test]
        fn a_file_cut_anywhere_but_at_a_line_is_refused(versions in 1_usize..5, cut in 1_usize..2000) {
            let text = (0..versions).map(|n| line(&format!("1.{n}.0"))).collect::<Vec<_>>().join("\n");
            let cut = cut % text.len();
            let at_a_line = text.as_bytes()[cut] == b'\n' || text.as_bytes()[cut - usize::from(cut > 0)] == b'\n';
            prop_assert!(at_a_line || parse(&text[..cut]).is_err());
        }
    }
}
