//! `config.json`: a `dl` that is accepted can be rendered.
#![no_main]

use crateport_types::{RegistryConfig, Sha256};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let Ok(config) = RegistryConfig::parse(bytes) else { return };
    if let (Ok(template), Ok(name), Ok(version)) = (config.dl_template(), "a".parse(), "1.0.0".parse()) {
        assert!(!template.render(&name, &version, &Sha256::of(b"")).is_empty());
    }
});
