//! `Cargo.lock`, as far as it tells what must be fetched (versions 1 to 4 of its format; newer ones if they keep to
//! `[[package]]`).

use std::collections::BTreeMap;

use crateport_types::{CrateName, CrateVersion, RegistryId, Sha256};
use serde::Deserialize;

use crate::Wanted;

/// The packages of a `Cargo.lock` that come from registries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lockfile {
    packages: Vec<Locked>,
}

/// One package of a `Cargo.lock`.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Locked {
    name: CrateName,
    version: CrateVersion,
    source: String,
    checksum: Option<Sha256>,
}

/// Why a text is no `Cargo.lock`.
#[derive(Debug, thiserror::Error)]
pub enum InvalidLockfile {
    /// It is not TOML, or not of this form.
    #[error("it is no Cargo.lock")]
    Form(#[source] toml::de::Error),
    /// A package that cannot be one.
    #[error("it locks `{name} {version}`, which no registry can have")]
    Package {
        /// Its name.
        name: String,
        /// Its version.
        version: String,
    },
}

/// Which registry stands for which source of a lockfile.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    by_url: BTreeMap<String, RegistryId>,
    ids: Vec<RegistryId>,
    /// Where a Crateport is, whatever registries it has.
    base: Option<String>,
}

/// A crate that a lockfile needs.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct NeededCrate {
    /// From where.
    pub registry: RegistryId,
    /// Its name.
    pub name: CrateName,
    /// Its version.
    pub version: CrateVersion,
    /// What the lockfile says its digest is.
    pub checksum: Option<Sha256>,
}

/// What some lockfiles need, and toolchains.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Needs {
    /// Each once, in order.
    pub crates: Vec<NeededCrate>,
    /// The files of toolchains.
    pub files: Vec<Wanted>,
    /// What comes from registries that are not cached here: `name version (source)`.
    pub elsewhere: Vec<String>,
}

#[derive(Deserialize)]
struct Document {
    #[serde(default)]
    package: Vec<Package>,
    /// Where version 1 of the format keeps checksums.
    #[serde(default)]
    metadata: BTreeMap<String, String>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    version: String,
    source: Option<String>,
    checksum: Option<String>,
}

impl Lockfile {
    /// Reads a `Cargo.lock`.
    ///
    /// # Errors
    ///
    /// When it is none.
    pub fn parse(text: &str) -> Result<Self, InvalidLockfile> {
        let document: Document = toml::from_str(text).map_err(InvalidLockfile::Form)?;
        let mut packages = Vec::new();
        for package in document.package {
            let Some(source) = package.source.filter(|source| is_registry(source)) else {
                continue;
            };
            let (Ok(name), Ok(version)) = (package.name.parse(), package.version.parse()) else {
                let (name, version) = (package.name, package.version);
                return Err(InvalidLockfile::Package { name, version });
            };
            let entry = format!("checksum {name} {version} ({source})");
            let checksum = package.checksum.as_ref().or_else(|| document.metadata.get(&entry));
            let checksum = checksum.and_then(|text| text.parse().ok());
            packages.push(Locked { name, version, source, checksum });
        }
        Ok(Self { packages })
    }
}

/// Paths and git repositories are no registry's.
fn is_registry(source: &str) -> bool {
    source.starts_with("registry+") || source.starts_with("sparse+")
}

impl Sources {
    /// Says that a lockfile's `url` means a registry, with or without `registry+` or `sparse+` before it.
    pub fn add(&mut self, url: &str, registry: &RegistryId) {
        self.by_url.insert(plain(url).to_owned(), registry.clone());
        if !self.ids.contains(registry) {
            self.ids.push(registry.clone());
        }
    }

    /// Says that any `<base>/<id>/index/` means the registry of that id, because a Crateport is there.
    pub fn add_base(&mut self, base: &str) {
        self.base = Some(plain(base).to_owned());
    }

    /// The registry that a source means: one that was added, or one of those under a Crateport's own address.
    #[must_use]
    pub fn registry(&self, source: &str) -> Option<RegistryId> {
        let url = plain(source);
        self.by_url.get(url).cloned().or_else(|| {
            let (base, id) = url.strip_suffix("/index")?.rsplit_once('/')?;
            let known = self.ids.iter().find(|known| known.as_str() == id).cloned();
            known.or_else(|| (self.base.as_deref() == Some(base)).then(|| id.parse().ok())?)
        })
    }
}

fn plain(source: &str) -> &str {
    let url = source.strip_prefix("registry+").or_else(|| source.strip_prefix("sparse+"));
    url.unwrap_or(source).trim_end_matches('/')
}

impl Needs {
    /// What these lockfiles need together.
    #[must_use]
    pub fn of(lockfiles: &[Lockfile], sources: &Sources) -> Self {
        let mut needs = Self::default();
        for package in lockfiles.iter().flat_map(|lockfile| &lockfile.packages) {
            let Locked { name, version, source, checksum } = package;
            match sources.registry(source) {
                Some(registry) => needs.crates.push(NeededCrate {
                    registry,
                    name: name.clone(),
                    version: version.clone(),
                    checksum: *checksum,
                }),
                None => needs.elsewhere.push(format!("{name} {version} ({source})")),
            }
        }
        needs.crates.sort();
        needs.crates.dedup();
        needs.elsewhere.sort();
        needs.elsewhere.dedup();
        needs
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SUM: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    const GIT_INDEX: &str = "registry+https://github.com/rust-lang/crates.io-index";

    fn sources() -> Sources {
        let mut sources = Sources::default();
        let crates_io = "crates-io".parse().unwrap();
        sources.add(GIT_INDEX, &crates_io);
        sources.add("sparse+https://sparse.example.com/", &crates_io);
        sources.add("https://crates.example.com/index", &"internal".parse().unwrap());
        sources.add_base("http://10.0.0.2:8080/");
        sources
    }

    #[test]
    fn every_source_finds_its_registry() {
        let sources = sources();
        for (source, expected) in [
            (GIT_INDEX, Some("crates-io")),
            ("sparse+https://sparse.example.com/", Some("crates-io")),
            ("sparse+https://crates.example.com/index/", Some("internal")),
            ("sparse+http://10.0.0.1:8080/internal/index/", Some("internal")),
            ("sparse+http://10.0.0.1:8080/unknown/index/", None),
            ("sparse+http://10.0.0.2:8080/unknown/index/", Some("unknown")),
            ("sparse+http://10.0.0.2:8080/Un_known/index/", None),
            ("registry+https://example.com/git", None),
        ] {
            let found = sources.registry(source);
            assert_eq!(found.as_ref().map(RegistryId::as_str), expected, "{source}");
        }
    }

    #[test]
    fn what_is_needed_stands_once_whatever_the_format() {
        let package = |name: &str, rest: &str| {
            format!("[[package]]\nname = \"{name}\"\nversion = \"1.0.0\"\n{rest}\n")
        };
        let from = |source: &str| format!("source = \"{source}\"");
        let new = [
            "version = 4\n".to_owned(),
            package("mine", ""),
            package("git", &from("git+https://example.com/a?rev=1#abc")),
            package("b", &format!("{}\nchecksum = \"{SUM}\"", from(GIT_INDEX))),
            package("else", &from("registry+https://example.com/git")),
        ];
        let old = [
            package("b", &from(GIT_INDEX)),
            format!("[metadata]\n\"checksum b 1.0.0 ({GIT_INDEX})\" = \"{SUM}\"\n"),
        ];
        let lockfiles = [new.concat(), old.concat()].map(|text| Lockfile::parse(&text).unwrap());
        let needs = Needs::of(&lockfiles, &sources());
        let expected = NeededCrate {
            registry: "crates-io".parse().unwrap(),
            name: "b".parse().unwrap(),
            version: "1.0.0".parse().unwrap(),
            checksum: Some(SUM.parse().unwrap()),
        };
        assert_eq!(needs.crates, [expected]);
        assert_eq!(needs.elsewhere, ["else 1.0.0 (registry+https://example.com/git)"]);
    }

    #[test]
    fn what_is_no_lockfile_is_refused() {
        for text in ["<html>", "package = 1"] {
            assert!(matches!(Lockfile::parse(text), Err(InvalidLockfile::Form(_))), "{text}");
        }
        let text =
            format!("[[package]]\nname = \"../a\"\nversion = \"1.0.0\"\nsource = \"{GIT_INDEX}\"");
        assert!(matches!(Lockfile::parse(&text), Err(InvalidLockfile::Package { .. })));
    }
}
