//! Dist paths, checksums, manifests and records: nothing panics, no key leaves the store, every path has a class.
#![no_main]

use crateport_types::{DistId, DistObject, DistPath, Manifest, RecordForm, StoreKey, read_sum, write_sum};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    for form in [RecordForm::Release, RecordForm::Manifests, RecordForm::Signature] {
        let _ = form.fits(bytes);
    }
    let manifest = Manifest::parse(bytes).unwrap_or_default();
    for (path, sum) in manifest.files() {
        let path: DistPath = path.parse().expect("only legal paths are kept");
        assert!(manifest.sum(&path).is_none_or(|found| found == sum));
    }
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let Ok(path) = text.parse::<DistPath>() else { return };
    let _ = (path.class(), path.content_type());
    let key = StoreKey::dist_file(&DistId::rustup(), &path);
    assert_eq!(StoreKey::listed(key.as_str()), Some(key.clone()));
    assert_eq!(key.dist_object(&DistId::rustup()), Some(DistObject::File(path.clone())));
    let digest = crateport_types::Sha256::of(bytes);
    assert_eq!(read_sum(write_sum(&path, &digest).as_bytes()), Ok(digest));
});
