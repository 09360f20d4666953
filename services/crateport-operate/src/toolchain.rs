//! The files that a toolchain needs, as rustup picks them from a channel's manifest (format 2).

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;

use crateport_types::{Day, DistId, DistPath, Resource, Sha256};
use serde::Deserialize;

use crate::warm::read_again;
use crate::{Cold, Place, Wanted};

/// A toolchain to have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Toolchain {
    /// From where.
    pub dist: DistId,
    /// Which.
    pub channel: Channel,
    /// How much of it: a profile of the manifest, as in `minimal`.
    pub profile: String,
    /// The machines that it runs on, as in `x86_64-unknown-linux-gnu`.
    pub hosts: Vec<String>,
    /// Further components.
    pub components: Vec<String>,
    /// Further machines that it builds for.
    pub targets: Vec<String>,
}

/// A channel, of a day or as it is now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Channel {
    name: String,
    day: Option<Day>,
}

/// The text cannot be a channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no channel such as stable, 1.95.0 or nightly-2026-01-31")]
pub struct InvalidChannel;

#[derive(Deserialize)]
struct Manifest {
    pkg: BTreeMap<String, Package>,
    #[serde(default)]
    profiles: BTreeMap<String, Vec<String>>,
    #[serde(default)]
    renames: BTreeMap<String, Rename>,
}

#[derive(Deserialize)]
struct Package {
    #[serde(default)]
    target: BTreeMap<String, File>,
}

#[derive(Deserialize)]
struct File {
    #[serde(default)]
    available: bool,
    url: Option<String>,
    hash: Option<String>,
    xz_url: Option<String>,
    xz_hash: Option<String>,
}

#[derive(Deserialize)]
struct Rename {
    to: String,
}

/// For every machine.
const ANY_TARGET: &str = "*";
/// The component that exists once for each machine that is built for.
const STD: &str = "rust-std";
/// Where the paths of files begin in their addresses.
const ROOT: &str = "/dist/";
/// Many times the largest manifest.
const MANIFEST_BYTES_MAX: usize = 32 << 20;

impl Channel {
    /// Where its manifest lies.
    fn manifest(&self) -> Option<DistPath> {
        let file = format!("channel-rust-{}.toml", self.name);
        match self.day {
            Some(day) => format!("dist/{day}/{file}").parse().ok(),
            None => format!("dist/{file}").parse().ok(),
        }
    }
}

impl fmt::Display for Channel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.day {
            Some(day) => write!(f, "{}-{day}", self.name),
            None => f.write_str(&self.name),
        }
    }
}

impl FromStr for Channel {
    type Err = InvalidChannel;

    fn from_str(text: &str) -> Result<Self, InvalidChannel> {
        let dated = text.len().checked_sub("-2026-01-31".len()).and_then(|end| {
            let (name, day) = text.split_at_checked(end)?;
            Some((name, day.strip_prefix('-')?.parse::<Day>().ok()?))
        });
        let (name, day) = dated.map_or((text, None), |(name, day)| (name, Some(day)));
        let legal =
            |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b".-".contains(&byte);
        let channel = Self { name: name.to_owned(), day };
        let is_one = !name.is_empty() && name.bytes().all(legal) && channel.manifest().is_some();
        is_one.then_some(channel).ok_or(InvalidChannel)
    }
}

impl Toolchain {
    /// Everything that rustup would ask for to install it: the manifest, which is fetched to know, and its files.
    ///
    /// # Errors
    ///
    /// When the manifest cannot be had, or has not what is wanted.
    pub async fn files(&self, place: &dyn Place) -> Result<Vec<Wanted>, Cold> {
        let manifest = self.channel.manifest().ok_or_else(|| Cold::for_good(&InvalidChannel))?;
        // rustup asks for the checksum first.
        let sum = manifest.sum().ok_or_else(|| Cold::for_good(&InvalidChannel))?;
        let (sum, manifest) = (self.wanted(sum, None), self.wanted(manifest, None));
        read_again(place, &sum, MANIFEST_BYTES_MAX).await?;
        let bytes = read_again(place, &manifest, MANIFEST_BYTES_MAX).await?;
        let text = std::str::from_utf8(&bytes).map_err(|error| Cold::for_good(&error))?;
        let told = toml::from_str::<Manifest>(text).map_err(|error| Cold::for_good(&error))?;
        let picked = self.pick(&told).map_err(|why| Cold { why, retry_after: None })?;
        let picked = picked.into_iter().map(|(path, checksum)| self.wanted(path, Some(checksum)));
        Ok([sum, manifest].into_iter().chain(picked).collect())
    }

    fn wanted(&self, path: DistPath, checksum: Option<Sha256>) -> Wanted {
        Wanted { origin: self.dist.to_string(), resource: Resource::Dist(path), checksum }
    }

    /// The files of a manifest that are wanted, each once.
    fn pick(&self, manifest: &Manifest) -> Result<BTreeSet<(DistPath, Sha256)>, String> {
        let profile = manifest
            .profiles
            .get(&self.profile)
            .ok_or_else(|| format!("the manifest has no profile `{}`", self.profile))?;
        let mut picked = BTreeSet::new();
        for host in &self.hosts {
            // A profile names what only some machines have.
            for name in profile {
                picked.extend(file(manifest, name, host));
            }
            for name in &self.components {
                let found = file(manifest, name, host);
                picked.insert(found.ok_or_else(|| format!("there is no `{name}` for {host}"))?);
            }
        }
        for target in &self.targets {
            let found = file(manifest, STD, target);
            picked.insert(found.ok_or_else(|| format!("there is no {STD} for {target}"))?);
        }
        Ok(picked)
    }
}

fn file(manifest: &Manifest, name: &str, target: &str) -> Option<(DistPath, Sha256)> {
    let renamed = manifest.renames.get(name).map(|rename| rename.to.as_str());
    let package =
        [Some(name), renamed].into_iter().flatten().find_map(|it| manifest.pkg.get(it))?;
    let found = package.target.get(target).or_else(|| package.target.get(ANY_TARGET));
    let file = found.filter(|file| file.available)?;
    // rustup takes the smaller archive where there is one.
    let best = file.xz_url.as_ref().zip(file.xz_hash.as_ref());
    let (url, hash) = best.or_else(|| file.url.as_ref().zip(file.hash.as_ref()))?;
    let at = url.find(ROOT)?;
    Some((url.get(at + 1..)?.parse().ok()?, hash.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SUM: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    const HOST: &str = "x86_64-unknown-linux-gnu";

    fn manifest() -> Manifest {
        let target = |package: &str, target: &str| {
            let file = target.replace('*', "any");
            format!(
                "[pkg.{package}.target.\"{target}\"]\navailable = true\n\
                 url = \"https://a.example/dist/2026-01-01/{package}-{file}.tar.gz\"\nhash = \"{SUM}\"\n\
                 xz_url = \"https://a.example/dist/2026-01-01/{package}-{file}.tar.xz\"\nxz_hash = \"{SUM}\"\n"
            )
        };
        let text = [
            "[profiles]\nminimal = [\"rustc\", \"rust-std\", \"rust-mingw\"]\n".to_owned(),
            "[renames.clippy]\nto = \"clippy-preview\"\n".to_owned(),
            target("rustc", HOST),
            target("rust-std", HOST),
            target("rust-std", "wasm32-unknown-unknown"),
            target("clippy-preview", HOST),
            target("rust-src", "*"),
            format!("[pkg.miri.target.{HOST}]\navailable = false\n"),
        ];
        toml::from_str(&text.concat()).unwrap()
    }

    fn toolchain(components: &[&str], targets: &[&str]) -> Toolchain {
        let own = |texts: &[&str]| texts.iter().map(|&text| text.to_owned()).collect();
        Toolchain {
            dist: DistId::rustup(),
            channel: "stable".parse().unwrap(),
            profile: "minimal".to_owned(),
            hosts: vec![HOST.to_owned()],
            components: own(components),
            targets: own(targets),
        }
    }

    #[test]
    fn what_rustup_would_fetch_is_picked() {
        let picked = |components: &[&str], targets: &[&str]| {
            let picked = toolchain(components, targets).pick(&manifest())?;
            let names = picked.iter().map(|(path, _)| path.file_name().to_owned());
            Ok::<_, String>(names.collect::<Vec<_>>())
        };
        let (rustc, std) = (format!("rustc-{HOST}.tar.xz"), format!("rust-std-{HOST}.tar.xz"));
        assert_eq!(picked(&[], &[]).unwrap(), [std, rustc]);
        let all = picked(&["clippy", "rust-src"], &["wasm32-unknown-unknown"]).unwrap();
        assert_eq!(all.len(), 5, "{all:?}");
        assert!(all.contains(&"rust-std-wasm32-unknown-unknown.tar.xz".to_owned()));
        assert!(picked(&["miri"], &[]).is_err(), "it is not available");
        assert!(picked(&[], &["riscv"]).is_err());
    }

    #[test]
    fn a_channel_may_be_of_a_day() {
        for (text, expected) in [
            ("stable", "dist/channel-rust-stable.toml"),
            ("1.95.0", "dist/channel-rust-1.95.0.toml"),
            ("nightly-2026-01-31", "dist/2026-01-31/channel-rust-nightly.toml"),
        ] {
            let channel: Channel = text.parse().unwrap();
            assert_eq!(channel.manifest().unwrap().as_str(), expected);
        }
        for text in ["", "../a", "Stable", "a/b"] {
            assert_eq!(text.parse::<Channel>(), Err(InvalidChannel), "{text}");
        }
    }
}
