//! Index files: whatever is accepted has an entry for each of its versions, and only those.
#![no_main]

use crateport_types::{IndexFile, IndexName};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let Ok(name) = IndexName::from_path("3/a/abc") else { return };
    if let Ok(file) = IndexFile::parse(&name, bytes) {
        assert!(file.entry("no such version").is_none() || bytes.windows(15).any(|part| part == b"no such version"));
        assert!(file.len() <= bytes.iter().filter(|byte| **byte == b'\n').count() + 1);
    }
});
