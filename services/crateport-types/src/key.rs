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
//! v1/_usage/2026-01-31/<replica>-<random>               one batch of uses: who was served what, and when
//! v1/_usage/2026-01-31/merged/<sha256>                  batches of a day that is over, in one; of their names
//! v1/_sweep/lease                                       a name for the coordinator; no such object
//! v1/_sweep/doomed/<random>                             the keys that a sweep is about to delete
//! v1/_purge/latest                                      changes with every purge
//! v1/_purge/marks/<random>                              the keys of one purge
//! ```
//!
//! No registry and no dist origin have the same id, and none begins with `_`. A dist path has no segment that begins with
//! a dot, and no `@`.

use std::fmt;

use crate::{CrateName, CrateVersion, Day, DistId, DistPath, IndexName, RegistryId, Sha256};

/// The version of the layout; a change that old replicas would misread gets a new one.
const LAYOUT: &str = "v1";
const USAGE: &str = "_usage";
const MERGED: &str = "merged";

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
    /// All versions of a crate, by the exact spelling of its name.
    CratesOf(RegistryId, CrateName),
    /// All batches of uses.
    Usage,
    /// The batches of uses of one day.
    UsageOf(Day),
    /// What sweeps are about to delete.
    Doomed,
    /// The marks of purges.
    Purges,
    /// All files of a dist origin, and everything kept beside them.
    Dist(DistId),
    /// Everything.
    All,
}

/// What a key names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Named {
    /// The `config.json` that makes the store a registry by itself.
    Config(RegistryId),
    /// An index file.
    IndexFile(RegistryId, IndexName),
    /// A crate.
    Krate(RegistryId, CrateName, CrateVersion),
    /// The upstream's own `config.json`.
    UpstreamConfig(RegistryId),
    /// Uses of one day.
    Usage(Day),
    /// What Crateport keeps for itself, or what another release wrote.
    Other,
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

    /// One batch of the uses of a day. `replica` may hold what a [`Self::listed`] key may.
    #[must_use]
    pub fn usage(day: Day, replica: &str, unique: u64) -> Self {
        Self(format!("{LAYOUT}/{USAGE}/{day}/{replica}-{unique:016x}").into())
    }

    /// Batches of a day that is over, in one; `parts` is the digest of their names.
    #[must_use]
    pub fn merged_usage(day: Day, parts: &Sha256) -> Self {
        Self(format!("{LAYOUT}/{USAGE}/{day}/{MERGED}/{parts}").into())
    }

    /// Whether this is what [`Self::merged_usage`] names.
    #[must_use]
    pub fn is_merged_usage(&self) -> bool {
        let folder = self.0.rsplit_once('/').map_or("", |(folder, _)| folder);
        let name = folder.rsplit_once('/').map_or("", |(_, name)| name);
        folder.starts_with(&Area::Usage.prefix()) && name == MERGED
    }

    /// What the coordinator is asked for by the one who wants to sweep.
    #[must_use]
    pub fn sweep_lease() -> Self {
        Self(format!("{LAYOUT}/_sweep/lease").into())
    }

    /// The keys that a sweep is about to delete.
    #[must_use]
    pub fn doomed(unique: u64) -> Self {
        Self(format!("{}{unique:016x}", Area::Doomed.prefix()).into())
    }

    /// What changes with every purge.
    #[must_use]
    pub fn latest_purge() -> Self {
        Self(format!("{LAYOUT}/_purge/latest").into())
    }

    /// The mark of one purge.
    #[must_use]
    pub fn purge(unique: u64) -> Self {
        Self(format!("{}{unique:016x}", Area::Purges.prefix()).into())
    }

    /// What this key names.
    #[must_use]
    pub fn named(&self) -> Named {
        self.parts().unwrap_or(Named::Other)
    }

    fn parts(&self) -> Option<Named> {
        let (registry, rest) = self.0.strip_prefix(LAYOUT)?.strip_prefix('/')?.split_once('/')?;
        if registry == USAGE {
            return Some(Named::Usage(rest.split_once('/')?.0.parse().ok()?));
        }
        let registry = registry.parse().ok()?;
        match rest.split_once('/')? {
            ("index", "config.json") => Some(Named::Config(registry)),
            ("index", path) => Some(Named::IndexFile(registry, IndexName::from_path(path).ok()?)),
            ("upstream", "config.json") => Some(Named::UpstreamConfig(registry)),
            ("crates", path) => {
                let (name, file) = path.split_once('/')?;
                let version = file.strip_prefix(name)?.strip_prefix('-')?;
                let version = version.strip_suffix(".crate")?.parse().ok()?;
                Some(Named::Krate(registry, name.parse().ok()?, version))
            }
            _ => None,
        }
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
            Self::CratesOf(registry, name) => format!("{LAYOUT}/{registry}/crates/{name}/"),
            Self::Usage => format!("{LAYOUT}/{USAGE}/"),
            Self::UsageOf(day) => format!("{LAYOUT}/{USAGE}/{day}/"),
            Self::Doomed => format!("{LAYOUT}/_sweep/doomed/"),
            Self::Purges => format!("{LAYOUT}/_purge/marks/"),
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
        let day: Day = "2026-01-31".parse().unwrap();
        for (key, expected) in [
            (StoreKey::usage(day, "a.b-1", 7), "v1/_usage/2026-01-31/a.b-1-0000000000000007"),
            (StoreKey::doomed(7), "v1/_sweep/doomed/0000000000000007"),
            (StoreKey::latest_purge(), "v1/_purge/latest"),
            (StoreKey::purge(7), "v1/_purge/marks/0000000000000007"),
        ] {
            assert_eq!(key.as_str(), expected);
        }
        let merged = StoreKey::merged_usage(day, &Sha256::of(b""));
        assert!(merged.as_str().starts_with("v1/_usage/2026-01-31/merged/e3b0c44298fc"));
        assert!(merged.is_merged_usage());
        assert!(!StoreKey::usage(day, "merged", 1).is_merged_usage());
        for text in ["", "/a", "a//b", "../a", "a/..", "a/./b", "a\\b"] {
            assert_eq!(StoreKey::listed(text), None, "{text}");
        }
    }

    #[test]
    fn a_listed_key_tells_what_it_names() {
        let registry: RegistryId = "crates-io".parse().unwrap();
        let name: CrateName = "a-1".parse().unwrap();
        let version: CrateVersion = "1.0.0-a-1".parse().unwrap();
        let day: Day = "2026-01-31".parse().unwrap();
        for (key, expected) in [
            (StoreKey::config(&registry), Named::Config(registry.clone())),
            (StoreKey::upstream_config(&registry), Named::UpstreamConfig(registry.clone())),
            (
                StoreKey::index_file(&registry, &name.index_name()),
                Named::IndexFile(registry.clone(), name.index_name()),
            ),
            (
                StoreKey::krate(&registry, &name, &version),
                Named::Krate(registry.clone(), name.clone(), version.clone()),
            ),
            (StoreKey::usage(day, "r", 1), Named::Usage(day)),
            (StoreKey::doomed(1), Named::Other),
            (StoreKey::check(1), Named::Other),
        ] {
            assert_eq!(key.named(), expected, "{key}");
        }
        for text in [
            "v2/crates-io/index/1/a",
            "v1/crates-io/index/2/a",
            "v1/crates-io/crates/a/b-1.0.0.crate",
            "v1/crates-io/crates/a/a-1.0.crate",
            "v1/crates-io/else",
            "v1",
        ] {
            assert_eq!(StoreKey::listed(text).unwrap().named(), Named::Other, "{text}");
        }
    }
}
