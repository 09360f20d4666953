//! The layout of the object store. It is drawn here, and nobody else builds a key.
//!
//! ```text
//! v1/<registry>/index/config.json                       what makes the store a registry by itself
//! v1/<registry>/index/se/rd/serde                       index file, byte for byte as upstream gave it
//! v1/<registry>/crates/serde/serde-1.0.0.crate          crate, verified
//! v1/<registry>/upstream/config.json                    upstream's own config.json
//! v1/<dist>/dist/2026-04-16/rustc-1.95.0-x.tar.xz       dist file that never changes, verified, at upstream's own path
//! v1/<dist>/.snapshots/dist/channel-rust-stable.toml@given
//!                                                       which contents of a file that changes are given, and since when
//! v1/<dist>/.snapshots/dist/channel-rust-stable.toml@<sha256>
//!                                                       one content of it, verified
//! v1/check/<random>                                     written and deleted by `crateport check`
//! ```
//!
//! No registry and no dist origin have the same id. A dist path has no segment that begins with a dot, and no `@`.

use std::fmt;

use crate::{CrateName, CrateVersion, DistId, DistPath, IndexName, RegistryId, Sha256};

/// The version of the layout; a change that old replicas would misread gets a new one.
const LAYOUT: &str = "v1";

/// The name of one object, relative to the store's root.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StoreKey(Box<str>);

/// What an object of a dist origin is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DistObject {
    /// A file that never changes.
    File(DistPath),
    /// One content of a file that changes.
    Snapshot(DistPath, Sha256),
    /// Which contents of a file that changes are given.
    Given(DistPath),
}

/// Where contents of dist files that change lie.
const SNAPSHOTS: &str = ".snapshots";
/// What stands in the place of a digest in the key of what tells which contents are given.
const GIVEN: &str = "given";

/// A part of the store that can be listed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Area {
    /// All index files of a registry.
    Index(RegistryId),
    /// All crates of a registry.
    Crates(RegistryId),
    /// All files of a dist origin, and everything kept beside them.
    Dist(DistId),
    /// Everything.
    All,
}

impl StoreKey {
    /// Every request makes one or two, so they are put together without formatting.
    fn of(parts: &[&str]) -> Self {
        Self(parts.concat().into())
    }

    /// The `config.json` that makes the store a registry by itself.
    #[must_use]
    pub fn config(registry: &RegistryId) -> Self {
        Self::of(&[LAYOUT, "/", registry.as_str(), "/index/config.json"])
    }

    /// An index file.
    #[must_use]
    pub fn index_file(registry: &RegistryId, name: &IndexName) -> Self {
        Self::of(&[LAYOUT, "/", registry.as_str(), "/index/", &name.path()])
    }

    /// A crate.
    #[must_use]
    pub fn krate(registry: &RegistryId, name: &CrateName, version: &CrateVersion) -> Self {
        let (id, name, version) = (registry.as_str(), name.as_str(), version.as_str());
        Self::of(&[LAYOUT, "/", id, "/crates/", name, "/", name, "-", version, ".crate"])
    }

    /// The upstream's own `config.json`.
    #[must_use]
    pub fn upstream_config(registry: &RegistryId) -> Self {
        Self(format!("{LAYOUT}/{registry}/upstream/config.json").into())
    }

    /// A dist file that never changes.
    #[must_use]
    pub fn dist_file(dist: &DistId, path: &DistPath) -> Self {
        Self::of(&[LAYOUT, "/", dist.as_str(), "/", path.as_str()])
    }

    /// One content of a dist file that changes.
    #[must_use]
    pub fn dist_snapshot(dist: &DistId, path: &DistPath, content: &Sha256) -> Self {
        Self(format!("{LAYOUT}/{dist}/{SNAPSHOTS}/{path}@{content}").into())
    }

    /// Which contents of a dist file that changes are given.
    #[must_use]
    pub fn dist_given(dist: &DistId, path: &DistPath) -> Self {
        Self(format!("{LAYOUT}/{dist}/{SNAPSHOTS}/{path}@{GIVEN}").into())
    }

    /// What of `dist` the key names, if it is one of its keys.
    #[must_use]
    pub fn dist_object(&self, dist: &DistId) -> Option<DistObject> {
        let rest = self.0.strip_prefix(LAYOUT)?.strip_prefix('/')?;
        let rest = rest.strip_prefix(dist.as_str())?.strip_prefix('/')?;
        let Some(snapshot) = rest.strip_prefix(SNAPSHOTS).and_then(|it| it.strip_prefix('/'))
        else {
            return rest.parse().ok().map(DistObject::File);
        };
        let (path, mark) = snapshot.rsplit_once('@')?;
        let path = path.parse().ok()?;
        match mark {
            GIVEN => Some(DistObject::Given(path)),
            digest => Some(DistObject::Snapshot(path, digest.parse().ok()?)),
        }
    }

    /// A key that only a check of the store uses; `unique` keeps two checks apart.
    #[must_use]
    pub fn check(unique: u64) -> Self {
        Self(format!("{LAYOUT}/check/{unique:016x}").into())
    }

    /// The key's text, with `/` between its parts.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Takes back a key that a store listed. The text is one that this module wrote earlier, in this release or
    /// another; what could leave the store's root is refused.
    #[must_use]
    pub fn listed(text: &str) -> Option<Self> {
        let sane = |part: &str| {
            !part.is_empty() && part != "." && part != ".." && !part.contains(['\\', '\0'])
        };
        text.split('/').all(sane).then(|| Self(text.into()))
    }
}

impl Area {
    /// The beginning that all keys of this area have.
    #[must_use]
    pub fn prefix(&self) -> String {
        match self {
            Self::Index(registry) => format!("{LAYOUT}/{registry}/index/"),
            Self::Crates(registry) => format!("{LAYOUT}/{registry}/crates/"),
            Self::Dist(dist) => format!("{LAYOUT}/{dist}/"),
            Self::All => format!("{LAYOUT}/"),
        }
    }
}

impl fmt::Display for StoreKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_layout_is_the_one_drawn_above() {
        let registry: RegistryId = "crates-io".parse().unwrap();
        let name: CrateName = "Inflector".parse().unwrap();
        let version: CrateVersion = "1.0.0+b".parse().unwrap();
        let index = Area::Index(registry.clone()).prefix();
        for (key, expected) in [
            (StoreKey::config(&registry), "v1/crates-io/index/config.json"),
            (
                StoreKey::index_file(&registry, &name.index_name()),
                "v1/crates-io/index/in/fl/inflector",
            ),
            (
                StoreKey::krate(&registry, &name, &version),
                "v1/crates-io/crates/Inflector/Inflector-1.0.0+b.crate",
            ),
            (StoreKey::upstream_config(&registry), "v1/crates-io/upstream/config.json"),
        ] {
            assert_eq!(key.as_str(), expected);
            assert_eq!(StoreKey::listed(expected), Some(key));
        }
        let (dist, digest) = (DistId::rustup(), Sha256::of(b""));
        let path: DistPath = "dist/channel-rust-stable.toml".parse().unwrap();
        let snapshots = "v1/rustup/.snapshots/dist/channel-rust-stable.toml";
        for (key, expected, object) in [
            (
                StoreKey::dist_file(&dist, &path),
                "v1/rustup/dist/channel-rust-stable.toml".to_owned(),
                DistObject::File(path.clone()),
            ),
            (
                StoreKey::dist_snapshot(&dist, &path, &digest),
                format!("{snapshots}@{digest}"),
                DistObject::Snapshot(path.clone(), digest),
            ),
            (
                StoreKey::dist_given(&dist, &path),
                format!("{snapshots}@given"),
                DistObject::Given(path.clone()),
            ),
        ] {
            assert_eq!(key.as_str(), expected);
            assert_eq!(StoreKey::listed(&expected), Some(key.clone()));
            assert_eq!(key.dist_object(&dist), Some(object));
            assert_eq!(key.dist_object(&"other".parse().unwrap()), None);
        }
        assert_eq!(Area::Dist(dist).prefix(), "v1/rustup/");
        assert_eq!(index, "v1/crates-io/index/");
        for text in ["", "/a", "a//b", "../a", "a/..", "a/./b", "a\\b"] {
            assert_eq!(StoreKey::listed(text), None, "{text}");
        }
    }
}
