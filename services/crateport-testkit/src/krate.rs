//! Crates built as a sentence, with a real `.crate` archive and the index line that crates.io would write for it.
//! The same sentence always gives the same bytes.

mod archive;
mod dependency;
pub(crate) mod filler;
mod index_line;

use std::collections::BTreeMap;

use bytes::Bytes;
use sha2::{Digest, Sha256};

pub use self::dependency::{Dependency, Kind};
use crate::upstream::ScriptedUpstream;

/// 1024 bytes, for [`Krate::payload`].
pub const KIB: usize = 1024;
/// 1024 KiB, for [`Krate::payload`].
pub const MIB: usize = 1024 * KIB;

/// crates.io writes a `pubtime` for every version; a constant keeps index lines the same from run to run.
const PUBTIME: &str = "2024-01-02T03:04:05Z";

/// A crate that is being described. Ends with [`Krate::publish`] or [`Krate::build`].
#[derive(Debug, Clone)]
#[must_use = "a crate exists only once it is published or built"]
pub struct Krate {
    name: String,
    version: String,
    dependencies: Vec<Dependency>,
    features: BTreeMap<String, Vec<String>>,
    yanked: bool,
    links: Option<String>,
    rust_version: Option<String>,
    pubtime: Option<String>,
    lib: String,
    bin: Option<String>,
    payload_bytes: usize,
}

/// A crate as a registry holds it.
#[derive(Debug, Clone)]
pub struct Published {
    /// Spelled as its author did.
    pub name: String,
    /// With build metadata, if there is any.
    pub version: String,
    /// SHA-256 of `bytes`, 64 lower-case hex digits.
    pub cksum: String,
    /// The `.crate` file.
    pub bytes: Bytes,
    /// One line of JSON, without the line end.
    pub index_line: String,
}

/// Starts the sentence: `krate("a", "1.0.0").dep("b", "1").publish(&upstream)`.
pub fn krate(name: &str, version: &str) -> Krate {
    Krate {
        name: name.to_owned(),
        version: version.to_owned(),
        dependencies: Vec::new(),
        features: BTreeMap::new(),
        yanked: false,
        links: None,
        rust_version: None,
        pubtime: Some(PUBTIME.to_owned()),
        lib: String::new(),
        bin: None,
        payload_bytes: 0,
    }
}

impl Krate {
    /// A normal dependency from the same registry.
    pub fn dep(self, name: &str, req: &str) -> Self {
        self.dependency(Dependency::new(name, req))
    }

    /// A dependency of the tests only.
    pub fn dev_dep(self, name: &str, req: &str) -> Self {
        self.dependency(Dependency::new(name, req).kind(Kind::Dev))
    }

    /// A dependency of the build script only.
    pub fn build_dep(self, name: &str, req: &str) -> Self {
        self.dependency(Dependency::new(name, req).kind(Kind::Build))
    }

    /// A dependency that a feature turns on.
    pub fn optional_dep(self, name: &str, req: &str) -> Self {
        self.dependency(Dependency::new(name, req).optional())
    }

    /// Any other dependency: renamed, for one target, from another registry, …
    pub fn dependency(mut self, dependency: Dependency) -> Self {
        self.dependencies.push(dependency);
        self
    }

    /// A feature and what it turns on. `dep:` and `?/` put it into `features2`, as on crates.io.
    pub fn feature(mut self, name: &str, turns_on: &[&str]) -> Self {
        self.features
            .insert(name.to_owned(), turns_on.iter().map(|&item| item.to_owned()).collect());
        self
    }

    /// Yanked from the start.
    pub fn yanked(mut self) -> Self {
        self.yanked = true;
        self
    }

    /// The `links` key; the archive then has an empty build script, which cargo asks for.
    pub fn links(mut self, library: &str) -> Self {
        self.links = Some(library.to_owned());
        self
    }

    /// The oldest compiler it builds with.
    pub fn rust_version(mut self, version: &str) -> Self {
        self.rust_version = Some(version.to_owned());
        self
    }

    /// When it was published, `YYYY-MM-DDTHH:MM:SSZ`.
    pub fn pubtime(mut self, pubtime: &str) -> Self {
        self.pubtime = Some(pubtime.to_owned());
        self
    }

    /// No `pubtime` in the index line, as other registries write it.
    pub fn without_pubtime(mut self) -> Self {
        self.pubtime = None;
        self
    }

    /// The text of `src/lib.rs`.
    pub fn lib(mut self, text: &str) -> Self {
        text.clone_into(&mut self.lib);
        self
    }

    /// The text of `src/main.rs`, for `cargo install`.
    pub fn bin(mut self, text: &str) -> Self {
        self.bin = Some(text.to_owned());
        self
    }

    /// Adds a file of about this size that does not compress, so that the `.crate` has about that size.
    pub fn payload(mut self, bytes: usize) -> Self {
        self.payload_bytes = bytes;
        self
    }

    /// Builds it and puts it into the upstream's registry.
    #[track_caller]
    pub fn publish(self, upstream: &ScriptedUpstream) -> Published {
        let published = self.build();
        upstream.publish(&published);
        published
    }

    /// Builds it without publishing it.
    #[track_caller]
    pub fn build(self) -> Published {
        let bytes = archive::build(&self);
        let cksum = sha256_hex(&bytes);
        let index_line = index_line::write(&self, &cksum);
        Published { name: self.name, version: self.version, cksum, bytes, index_line }
    }
}

/// SHA-256 as registries write it: 64 lower-case hex digits.
pub fn sha256_hex(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_sentence_gives_the_same_bytes() {
        let build = || krate("a", "1.0.0").dep("b", "1").payload(64 * KIB).build();
        let (first, second) = (build(), build());
        assert_eq!(first.bytes, second.bytes);
        assert_eq!(first.index_line, second.index_line);
        assert_eq!(first.cksum, sha256_hex(&first.bytes));
    }

    #[test]
    fn a_payload_gives_the_archive_about_its_size() {
        for wanted in [KIB, 100 * KIB, 3 * MIB] {
            let size = krate("a", "1.0.0").payload(wanted).build().bytes.len();
            assert!(
                size >= wanted && size < wanted + wanted / 100 + 2 * KIB,
                "{size} for {wanted}"
            );
        }
        let (one, other) =
            (krate("a", "1.0.0").payload(KIB).build(), krate("a", "1.0.1").payload(KIB).build());
        assert_ne!(one.cksum, other.cksum);
    }
}
