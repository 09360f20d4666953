//! The `.crate` file: a gzip'd tar whose every entry lies under `{name}-{version}/`.

use std::fmt::Write as _;

use bytes::Bytes;
use flate2::{Compression, GzBuilder};

use super::dependency::{Dependency, Kind};
use super::{Krate, filler};

/// 2006-07-24, the moment cargo itself stamps on entries. Zero would make some unpackers warn.
const MTIME_SECONDS: u64 = 1_153_704_088;

pub(super) fn build(krate: &Krate) -> Bytes {
    let gzip = GzBuilder::new().mtime(0).write(Vec::new(), Compression::default());
    let mut tar = tar::Builder::new(gzip);
    let mut add = |path: &str, contents: &[u8]| {
        let mut header = tar::Header::new_gnu();
        header.set_size(contents.len() as u64);
        header.set_mode(0o644);
        header.set_mtime(MTIME_SECONDS);
        let path = format!("{}-{}/{path}", krate.name, krate.version);
        tar.append_data(&mut header, path, contents).expect("a tar entry in memory");
    };
    add("Cargo.toml", manifest(krate).as_bytes());
    add("src/lib.rs", krate.lib.as_bytes());
    if let Some(bin) = &krate.bin {
        add("src/main.rs", bin.as_bytes());
    }
    if krate.links.is_some() {
        add("build.rs", b"fn main() {}\n");
    }
    if krate.payload_bytes > 0 {
        let seed = format!("{} {}", krate.name, krate.version);
        add("payload.bin", &filler::bytes(&seed, krate.payload_bytes));
    }
    tar.into_inner()
        .and_then(flate2::write::GzEncoder::finish)
        .expect("a gzip stream in memory")
        .into()
}

/// A Rust debug string is a TOML basic string for everything that stands in a manifest.
fn manifest(krate: &Krate) -> String {
    let mut text = format!(
        "[package]\nname = {:?}\nversion = {:?}\nedition = \"2021\"\n",
        krate.name, krate.version
    );
    text += "description = \"made for a test\"\nlicense = \"MIT\"\n";
    if let Some(links) = &krate.links {
        let _ = writeln!(text, "links = {links:?}");
    }
    if let Some(rust_version) = &krate.rust_version {
        let _ = writeln!(text, "rust-version = {rust_version:?}");
    }
    for dependency in &krate.dependencies {
        write_dependency(&mut text, dependency);
    }
    if !krate.features.is_empty() {
        text += "\n[features]\n";
        for (name, turns_on) in &krate.features {
            let _ = writeln!(text, "{name:?} = {turns_on:?}");
        }
    }
    text
}

fn write_dependency(text: &mut String, dependency: &Dependency) {
    let table = match dependency.kind {
        Kind::Normal => "dependencies",
        Kind::Build => "build-dependencies",
        Kind::Dev => "dev-dependencies",
    };
    let target =
        dependency.target.as_ref().map(|target| format!("target.'{target}'.")).unwrap_or_default();
    let _ = writeln!(
        text,
        "\n[{target}{table}.{:?}]\nversion = {:?}",
        dependency.local_name(),
        dependency.req
    );
    if dependency.renamed_to.is_some() {
        let _ = writeln!(text, "package = {:?}", dependency.name);
    }
    if let Some(registry) = &dependency.registry {
        let _ = writeln!(text, "registry-index = {registry:?}");
    }
    if dependency.optional {
        *text += "optional = true\n";
    }
    if !dependency.default_features {
        *text += "default-features = false\n";
    }
    if !dependency.features.is_empty() {
        let _ = writeln!(text, "features = {:?}", dependency.features);
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::super::krate;

    #[test]
    fn every_entry_lies_under_the_name_and_version() {
        let published =
            krate("a-b", "1.0.0+x.1").bin("fn main() {}").links("z").payload(10).build();
        let mut archive = tar::Archive::new(flate2::read::GzDecoder::new(&published.bytes[..]));
        let mut paths = Vec::new();
        for entry in archive.entries().unwrap() {
            let mut entry = entry.unwrap();
            paths.push(entry.path().unwrap().display().to_string());
            entry.read_to_end(&mut Vec::new()).unwrap();
        }
        let files = ["Cargo.toml", "src/lib.rs", "src/main.rs", "build.rs", "payload.bin"];
        assert_eq!(paths, files.map(|file| format!("a-b-1.0.0+x.1/{file}")));
    }
}
