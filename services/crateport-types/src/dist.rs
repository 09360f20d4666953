//! The ids of dist origins and the paths of their files, as rustup asks for them.

mod class;
mod manifest;
mod sum;

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

pub use self::class::{DistClass, RecordForm};
pub use self::manifest::{InvalidManifest, Manifest};
pub use self::sum::{InvalidSum, read_sum, write_sum};

/// The id of a dist origin: 1 to 32 of `a-z`, `0-9` and `-`, beginning with a letter, and no word that a route needs.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DistId(Arc<str>);

/// The text cannot be a dist origin's id.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidDistId {
    /// Wrong characters or length.
    #[error("`{0}` is no dist id: 1 to 32 of a-z, 0-9 and -, beginning with a letter")]
    Form(String),
    /// A word that routes or the object layout use for something else.
    #[error("`{0}` cannot be a dist id: Crateport uses the word itself")]
    Reserved(String),
}

/// Where a dist file lies below its origin: `dist/2026-04-16/rustc-1.95.0-x86_64-unknown-linux-gnu.tar.xz`.
///
/// One to sixteen segments of `a-z`, `A-Z`, `0-9`, `.`, `-`, `_`, `+` and `~`, none of which begins with a dot. So no
/// path leaves its origin or hides, and what the store keeps beside dist files has names that no path has.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DistPath(Box<str>);

/// The text cannot be a dist file's path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "no dist path: 1 to 16 segments of letters, digits, `.`, `-`, `_`, `+` and `~`, none beginning with a dot"
)]
pub struct InvalidDistPath;

/// The id of Rust's own distribution server, which rustup can be told to replace.
pub const RUSTUP: &str = "rustup";

/// The end of a checksum file's name.
const SUM_SUFFIX: &str = ".sha256";

const ID_LENGTH_MAX: usize = 32;
const RESERVED: [&str; 6] = ["dist", "api", "v1", "metrics", "as-of", "check"];
const PATH_LENGTH_MAX: usize = 512;
const SEGMENTS_MAX: usize = 16;
/// With a snapshot's mark and digest behind it, a segment is still a file name.
const SEGMENT_LENGTH_MAX: usize = 160;

impl DistId {
    /// The id's text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Rust's own distribution server.
    #[must_use]
    pub fn rustup() -> Self {
        Self(RUSTUP.into())
    }
}

impl DistPath {
    /// The path's text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The last segment.
    #[must_use]
    pub fn file_name(&self) -> &str {
        self.0.rsplit('/').next().unwrap_or_default()
    }

    /// The file whose checksum this path holds, if it is one of a checksum.
    #[must_use]
    pub fn sum_of(&self) -> Option<Self> {
        let file = self.0.strip_suffix(SUM_SUFFIX)?;
        // A file called `.sha256` alone is none of anything.
        file.parse().ok()
    }

    /// Where the file's checksum lies, beside it. A name that leaves no room for it has none.
    #[must_use]
    pub fn sum(&self) -> Option<Self> {
        format!("{}{SUM_SUFFIX}", self.0).parse().ok()
    }

    /// Whether it can change, and what proves it.
    #[must_use]
    pub fn class(&self) -> DistClass {
        class::of(self)
    }

    /// Whether it is a channel's manifest in the second format: the one that names other files and their checksums.
    #[must_use]
    pub fn is_manifest(&self) -> bool {
        let name = self.file_name();
        name.starts_with("channel-rust-") && name.ends_with(".toml")
    }

    /// The media type. An archive says what it is as its type and never as a content encoding.
    #[must_use]
    pub fn content_type(&self) -> &'static str {
        let name = self.file_name();
        match name.rsplit_once('.').map_or("", |(_, extension)| extension) {
            "toml" | "txt" | "sha256" | "asc" | "sh" => "text/plain; charset=utf-8",
            "gz" => "application/gzip",
            "xz" => "application/x-xz",
            "zst" => "application/zstd",
            _ if name.starts_with("channel-rust-") => "text/plain; charset=utf-8",
            _ => "application/octet-stream",
        }
    }
}

impl FromStr for DistId {
    type Err = InvalidDistId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let begins_well = text.bytes().next().is_some_and(|byte| byte.is_ascii_lowercase());
        let legal = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        if !begins_well || text.len() > ID_LENGTH_MAX || !text.bytes().all(legal) {
            return Err(InvalidDistId::Form(text.to_owned()));
        }
        if RESERVED.contains(&text) {
            return Err(InvalidDistId::Reserved(text.to_owned()));
        }
        Ok(Self(text.into()))
    }
}

impl FromStr for DistPath {
    type Err = InvalidDistPath;

    fn from_str(text: &str) -> Result<Self, InvalidDistPath> {
        let legal = |byte: u8| byte.is_ascii_alphanumeric() || b".-_+~".contains(&byte);
        let sane = |segment: &str| {
            (1..=SEGMENT_LENGTH_MAX).contains(&segment.len())
                && !segment.starts_with('.')
                && segment.bytes().all(legal)
        };
        let is_path = text.len() <= PATH_LENGTH_MAX
            && text.split('/').count() <= SEGMENTS_MAX
            && text.split('/').all(sane);
        if is_path { Ok(Self(text.into())) } else { Err(InvalidDistPath) }
    }
}

impl fmt::Display for DistId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for DistPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::borrow::Borrow<str> for DistId {
    fn borrow(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn only_plain_words_that_no_route_needs_are_ids() {
        assert_eq!(DistId::rustup().as_str(), "rustup");
        for text in ["rustup", "toolchains", "a", "r2-d2"] {
            assert!(text.parse::<DistId>().is_ok(), "{text}");
        }
        for text in ["", "Rustup", "-a", "2a", "a_b", "a/b", "..", "api", "dist", &"a".repeat(33)] {
            assert!(text.parse::<DistId>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_path_stays_below_its_origin_and_never_hides() {
        for text in [
            "manifests.txt",
            "dist/channel-rust-stable.toml",
            "dist/2026-04-16/rust-std-1.95.0-x86_64-unknown-linux-gnu.tar.xz",
            "rustup/archive/1.29.0/x86_64-pc-windows-msvc/rustup-init.exe",
            "a/b~1/c+d_e",
        ] {
            assert_eq!(text.parse::<DistPath>().unwrap().as_str(), text);
        }
        for text in [
            "",
            "/",
            "/dist/x",
            "dist/",
            "dist//x",
            "..",
            "dist/../x",
            "dist/.x",
            ".snapshots/dist/x",
            "dist/x@y",
            "dist/a b",
            "dist/a%2fb",
            "dist\\x",
            "dist/a\nb",
            "dist/a\0b",
            "dist/é",
            "a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a",
            &"a".repeat(161),
            &format!("{}a", "abcdefgh/".repeat(64)),
        ] {
            assert!(text.parse::<DistPath>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_checksum_belongs_to_the_file_beside_it() {
        let file: DistPath = "dist/channel-rust-stable.toml".parse().unwrap();
        let sum = file.sum().unwrap();
        assert_eq!(sum.as_str(), "dist/channel-rust-stable.toml.sha256");
        assert_eq!(sum.sum_of(), Some(file.clone()));
        assert_eq!((file.sum_of(), file.file_name()), (None, "channel-rust-stable.toml"));
        let long: DistPath = "a".repeat(160).parse().unwrap();
        assert_eq!(long.sum(), None);
    }

    #[test]
    fn archives_are_typed_by_their_names() {
        for (path, expected) in [
            ("dist/channel-rust-stable.toml", "text/plain; charset=utf-8"),
            ("dist/channel-rust-nightly", "text/plain; charset=utf-8"),
            ("dist/x/y.tar.xz", "application/x-xz"),
            ("dist/x/y.tar.gz", "application/gzip"),
            ("rustup/dist/x86_64-unknown-linux-gnu/rustup-init", "application/octet-stream"),
        ] {
            assert_eq!(path.parse::<DistPath>().unwrap().content_type(), expected, "{path}");
        }
    }

    proptest! {
        #[test]
        fn no_accepted_path_escapes(path in ".{0,90}") {
            if let Ok(parsed) = path.parse::<DistPath>() {
                prop_assert_eq!(parsed.as_str(), path.as_str());
                prop_assert!(!path.contains("..") || path.split('/').all(|it| !it.starts_with('.')));
                prop_assert!(!path.contains(['@', '\\', '%', '\0']));
            }
        }
    }
}
