//! One component's archive, in the format of rust-installer.

use std::io::Write as _;

use bytes::Bytes;
use flate2::{Compression, GzBuilder};

use crate::krate::filler;

/// The same moment as in crates; rustup does not look at it.
const MTIME_SECONDS: u64 = 1_153_704_088;
const FORMAT: &str = "3\n";

/// `rustc-1.0.0-x86_64-unknown-linux-gnu.tar.gz`.
pub(super) fn file_name(name: &str, version: &str, target: &str) -> String {
    format!("{name}-{version}-{target}.tar.gz")
}

/// The archive of a component; `payload_bytes` of noise are added to what it installs.
pub(super) fn archive(name: &str, version: &str, target: &str, payload_bytes: usize) -> Bytes {
    let gzip = GzBuilder::new().mtime(0).write(Vec::new(), Compression::fast());
    let mut tar = tar::Builder::new(gzip);
    let folder = format!("{name}-{version}-{target}");
    // The standard library's folder bears the target, so that those of several targets can be installed.
    let component = match name {
        "rust-std" => format!("{name}-{target}"),
        _ => name.to_owned(),
    };
    let mut folders = std::collections::BTreeSet::new();
    let mut add = |path: &str, mode: u32, contents: &[u8]| {
        // rustup wants to be told of folders before what is in them.
        for (end, _) in path.match_indices('/') {
            if folders.insert(path[..end].to_owned()) {
                let mut header = tar::Header::new_gnu();
                header.set_entry_type(tar::EntryType::Directory);
                header.set_size(0);
                header.set_mode(0o755);
                header.set_mtime(MTIME_SECONDS);
                tar.append_data(&mut header, format!("{folder}/{}/", &path[..end]), &b""[..])
                    .expect("a tar entry in memory");
            }
        }
        let mut header = tar::Header::new_gnu();
        header.set_size(contents.len() as u64);
        header.set_mode(mode);
        header.set_mtime(MTIME_SECONDS);
        tar.append_data(&mut header, format!("{folder}/{path}"), contents)
            .expect("a tar entry in memory");
    };
    add("rust-installer-version", 0o644, FORMAT.as_bytes());
    add("components", 0o644, format!("{component}\n").as_bytes());
    let (path, mode, contents) = match name {
        "rust-std" => {
            let mut contents = format!("{version} for {target}\n").into_bytes();
            contents.extend(filler::bytes(&folder, payload_bytes));
            (format!("lib/rustlib/{target}/lib/libstd.rlib"), 0o644, contents)
        }
        "rust-docs" => ("share/doc/rust/html/index.html".to_owned(), 0o644, version.into()),
        program => {
            let script = format!("#!/bin/sh\necho '{program} {version} (tiny)'\n");
            (format!("bin/{program}"), 0o755, script.into_bytes())
        }
    };
    add(&format!("{component}/manifest.in"), 0o644, format!("file:{path}\n").as_bytes());
    add(&format!("{component}/{path}"), mode, &contents);
    let mut gzip = tar.into_inner().expect("a tar in memory");
    gzip.flush().expect("a gzip stream in memory");
    gzip.finish().expect("a gzip stream in memory").into()
}
