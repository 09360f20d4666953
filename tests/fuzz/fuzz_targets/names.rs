//! Names, versions, paths and ids: what is accepted prints as it was written, and no key leaves the store.
#![no_main]

use crateport_types::{CrateName, CrateVersion, IndexName, RegistryId, StoreKey};

libfuzzer_sys::fuzz_target!(|text: &str| {
    if let Ok(name) = IndexName::from_path(text) {
        assert_eq!(name.path(), text);
    }
    if let Ok(id) = text.parse::<RegistryId>() {
        assert_eq!(id.as_str(), text);
    }
    let Some((name, version)) = text.split_once('@') else { return };
    if let (Ok(name), Ok(version), Ok(registry)) =
        (name.parse::<CrateName>(), version.parse::<CrateVersion>(), "r".parse())
    {
        let key = StoreKey::krate(&registry, &name, &version);
        assert_eq!(StoreKey::listed(key.as_str()), Some(key));
    }
});
