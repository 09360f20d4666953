//! Tiny toolchains, as Rust's own server has them: manifests in rustup's second format, components that a real rustup
//! unpacks, and rustup-init.
//!
//! ```no_run
//! # async fn example() {
//! use crateport_testkit::{ScriptedUpstream, toolchain};
//!
//! let upstream = ScriptedUpstream::start().await;
//! toolchain("1.0.0", "2026-01-01").extra_target("wasm32-unknown-unknown").release(&upstream, &["stable"]);
//! # }
//! ```

mod component;
mod manifest;

use std::collections::BTreeSet;

use bytes::Bytes;

use crate::krate::sha256_hex;
use crate::upstream::ScriptedUpstream;

/// What manifests call their own server; rustup puts another one in its place.
pub const RUST_SERVER: &str = "https://static.rust-lang.org";

/// The components of every toolchain, and the one that can be added.
const DEFAULT_COMPONENTS: [&str; 3] = ["rustc", "cargo", "rust-std"];
/// Can be added to a toolchain.
pub const EXTRA_COMPONENT: &str = "rust-docs";

/// A toolchain that is being described.
#[derive(Debug, Clone)]
#[must_use = "nothing is there before release()"]
pub struct Toolchain {
    version: String,
    date: String,
    targets: BTreeSet<String>,
    missing: BTreeSet<String>,
    payload_bytes: usize,
}

/// What a release put where.
#[derive(Debug, Clone)]
pub struct Released {
    /// The manifest, byte for byte.
    pub manifest: Bytes,
    /// The paths of the components' archives, with their bytes.
    pub files: Vec<(String, Bytes)>,
}

/// A toolchain of this version (`1.0.0`, or `nightly`), released on this day (`2026-01-01`).
pub fn toolchain(version: &str, date: &str) -> Toolchain {
    Toolchain {
        version: version.to_owned(),
        date: date.to_owned(),
        targets: BTreeSet::new(),
        missing: BTreeSet::new(),
        payload_bytes: 0,
    }
}

/// The platform that the tests run on, as Rust names it.
pub fn host_triple() -> String {
    let arch = std::env::consts::ARCH;
    match std::env::consts::OS {
        "macos" => format!("{arch}-apple-darwin"),
        _ => format!("{arch}-unknown-linux-gnu"),
    }
}

impl Toolchain {
    /// One more target that programs can be built for.
    pub fn extra_target(mut self, target: &str) -> Self {
        self.targets.insert(target.to_owned());
        self
    }

    /// Without a component, as nightlies sometimes are.
    pub fn without(mut self, component: &str) -> Self {
        self.missing.insert(component.to_owned());
        self
    }

    /// Makes the standard library this large.
    pub fn payload(mut self, bytes: usize) -> Self {
        self.payload_bytes = bytes;
        self
    }

    /// Puts the components and the manifest of the day there, and makes it the newest of these channels.
    #[track_caller]
    pub fn release(&self, upstream: &ScriptedUpstream, channels: &[&str]) -> Released {
        let released = self.build();
        for (path, bytes) in &released.files {
            upstream.put_file_with_sum(path, bytes.clone());
        }
        for channel in channels {
            let name = format!("channel-rust-{channel}.toml");
            upstream.put_file_with_sum(
                &format!("/dist/{}/{name}", self.date),
                released.manifest.clone(),
            );
            upstream.put_file_with_sum(&format!("/dist/{name}"), released.manifest.clone());
        }
        released
    }

    /// The files, put nowhere.
    pub fn build(&self) -> Released {
        let host = host_triple();
        let mut files = Vec::new();
        let mut add = |name: &str, target: &str| {
            let file = component::file_name(name, &self.version, target);
            let payload = if name == "rust-std" { self.payload_bytes } else { 0 };
            let bytes = component::archive(name, &self.version, target, payload);
            files.push((format!("/dist/{}/{file}", self.date), bytes));
        };
        for component in DEFAULT_COMPONENTS.into_iter().chain([EXTRA_COMPONENT]) {
            if !self.missing.contains(component) {
                add(component, &host);
            }
        }
        for target in &self.targets {
            add("rust-std", target);
        }
        let sum = |file: &str| {
            let found = files.iter().find(|(path, _)| path.ends_with(&format!("/{file}")));
            found.map(|(path, bytes)| (format!("{RUST_SERVER}{path}"), sha256_hex(bytes)))
        };
        let manifest = manifest::text(self, &host, sum).into();
        Released { manifest, files }
    }
}

impl Released {
    /// The path of a component's archive for the host.
    #[track_caller]
    pub fn path(&self, component: &str) -> &str {
        let prefix = format!("/{component}-");
        let found = self.files.iter().find(|(path, _)| path.contains(&prefix));
        &found.unwrap_or_else(|| panic!("no {component}: {:?}", self.files)).0
    }
}

/// Makes `program` the newest rustup of this version.
#[track_caller]
pub fn release_rustup(upstream: &ScriptedUpstream, version: &str, program: &Bytes) {
    let host = host_triple();
    record_rustup(upstream, version);
    for path in [
        format!("/rustup/archive/{version}/{host}/rustup-init"),
        format!("/rustup/dist/{host}/rustup-init"),
    ] {
        upstream.put_file_with_sum(&path, program.clone());
    }
}

/// Says that this is the newest rustup; a rustup of this version is content.
pub fn record_rustup(upstream: &ScriptedUpstream, version: &str) {
    let record = format!("schema-version = '1'\nversion = '{version}'\n");
    upstream.put_file("/rustup/release-stable.toml", record);
}
