//! Objects in the bucket: the contract, on every dialect, and what a bucket shows to others.

use std::sync::Arc;

use bytes::Bytes;
use crateport_store::{
    Attributes, ObjectStore as _, Payload, PutOptions, S3Checksums, S3Encryption, S3Store, Scratch,
    contract,
};
use crateport_testkit::S3Server;
use crateport_testkit::s3::{S3Checksums as Checksums, S3Conditions, S3Metadata};
use crateport_types::{Area, Sha256, StoreKey};

use super::harness::{
    config, filler, krate, put, read, scratch_file, store, store_with, told, with_checksum_of,
};

#[tokio::test]
async fn the_s3_store_keeps_the_contract() {
    let (_server, store) = store().await;
    contract::run(Arc::new(store)).await;
}

#[tokio::test]
async fn the_contract_holds_without_a_prefix_and_with_short_pages() {
    let server = S3Server::start().await;
    server.change_dialect(|dialect| dialect.list_page_keys_max = 3);
    contract::run(Arc::new(S3Store::open(config(&server, "")).await.unwrap())).await;
}

#[tokio::test]
async fn the_contract_holds_when_everything_goes_in_parts() {
    let (_server, store) = store_with(|config| config.put_size_single_max_bytes = 0).await;
    contract::run(Arc::new(store)).await;
}

#[tokio::test]
async fn the_contract_holds_on_a_server_without_checksums_and_conditions() {
    let (server, store) = store().await;
    server.change_dialect(|dialect| {
        dialect.checksums = Checksums::Ignored;
        dialect.conditional_puts = S3Conditions::Ignored;
    });
    contract::run(Arc::new(store)).await;
}

#[tokio::test]
async fn the_contract_holds_with_checksums_switched_off() {
    let (server, store) = store_with(|config| config.checksums = S3Checksums::Off).await;
    contract::run(Arc::new(store)).await;
    assert!(server.keys().iter().all(|key| server.object(key).unwrap().checksum_sha256.is_none()));
}

#[tokio::test]
async fn a_wrong_checksum_is_refused_and_nothing_is_stored() {
    let directory = tempfile::tempdir().unwrap();
    let scratch = Scratch::open(directory.path()).unwrap();
    let (server, store) = store().await;
    let bytes = filler(1 << 20);
    let file = Payload::File(scratch_file(&scratch, &bytes));
    for payload in [Payload::Bytes(bytes.clone()), file] {
        let wrong = with_checksum_of(b"something else");
        let error = store.put(&krate("a"), payload, wrong).await.unwrap_err();
        assert!(told(&error).contains("BadDigest"), "{}", told(&error));
        assert!(server.keys().is_empty());
    }
}

#[tokio::test]
async fn the_store_vouches_for_what_it_checked_and_for_nothing_else() {
    let (server, store) = store().await;
    let bytes = filler(4096);
    let kept = put(&store, &krate("a"), &bytes).await.unwrap();
    let found = store.head(&krate("a")).await.unwrap().unwrap();
    assert_eq!(kept.checksum, Some(Sha256::of(&bytes)));
    assert_eq!((found.checksum, found.version), (kept.checksum, kept.version));

    server.change_dialect(|dialect| dialect.checksums = Checksums::Ignored);
    let kept = put(&store, &krate("b"), &bytes).await.unwrap();
    assert_eq!(kept.checksum, None);
    assert_eq!(store.head(&krate("b")).await.unwrap().unwrap().checksum, None);
}

#[tokio::test]
async fn a_put_without_a_checksum_gets_that_of_its_bytes() {
    let (server, store) = store().await;
    let key = StoreKey::config(&"crates-io".parse().unwrap());
    let kept = store.put(&key, Payload::Bytes(Bytes::from("{}")), PutOptions::default()).await;
    assert_eq!(kept.unwrap().checksum, Some(Sha256::of(b"{}")));
    assert!(server.object("prefix/v1/crates-io/index/config.json").is_some());
}

#[tokio::test]
async fn the_bucket_tells_a_static_reader_types_and_lifetimes() {
    let (server, store) = store().await;
    let registry = "crates-io".parse().unwrap();
    let name = "a".parse::<crateport_types::CrateName>().unwrap();
    let index = StoreKey::index_file(&registry, &name.index_name());
    for (key, content_type, cache_control) in [
        (krate("a"), "application/gzip", "public, max-age=31536000, immutable"),
        (index, "text/plain; charset=utf-8", "no-cache"),
        (StoreKey::config(&registry), "application/json", "no-cache"),
    ] {
        put(&store, &key, &filler(8)).await.unwrap();
        let about = server.object(&format!("prefix/{key}")).unwrap().about;
        assert_eq!(about.content_type.as_deref(), Some(content_type));
        assert_eq!(about.cache_control.as_deref(), Some(cache_control));
        assert_eq!(about.encryption, None);
    }
}

#[tokio::test]
async fn objects_are_encrypted_as_was_chosen() {
    let kms = S3Encryption::Kms { key: "alias/crates".to_owned() };
    for (encryption, how, key) in
        [(S3Encryption::SseS3, "AES256", None), (kms, "aws:kms", Some("alias/crates"))]
    {
        for single_max in [0, 1 << 20] {
            let (server, store) = store_with(|config| {
                config.encryption = encryption.clone();
                config.put_size_single_max_bytes = single_max;
            })
            .await;
            put(&store, &krate("a"), &filler(8)).await.unwrap();
            let about = server.object(&server.keys()[0]).unwrap().about;
            assert_eq!((about.encryption.as_deref(), about.kms_key.as_deref()), (Some(how), key));
        }
    }
}

#[tokio::test]
async fn attributes_survive_whatever_is_in_them() {
    let (server, store) = store().await;
    let attributes = Attributes::from([
        ("upstream-etag".to_owned(), "W/\"ä 日本\"".to_owned()),
        ("Mixed-Case".to_owned(), "  two  spaces, 100%\t".to_owned()),
        ("empty".to_owned(), String::new()),
    ]);
    let options = PutOptions { attributes: attributes.clone(), ..PutOptions::default() };
    let kept = store.put(&krate("a"), Payload::Bytes(filler(8)), options).await.unwrap();
    let found = store.head(&krate("a")).await.unwrap().unwrap();
    assert_eq!((kept.attributes, found.attributes), (attributes.clone(), attributes));

    server.change_dialect(|dialect| dialect.metadata = S3Metadata::Lost);
    put(&store, &krate("a"), &filler(8)).await.unwrap();
    assert!(store.head(&krate("a")).await.unwrap().unwrap().attributes.is_empty());
}

#[tokio::test]
async fn two_stores_in_one_bucket_do_not_see_each_other() {
    let server = S3Server::start().await;
    let one = S3Store::open(config(&server, "team")).await.unwrap();
    let two = S3Store::open(config(&server, "team-b/x")).await.unwrap();
    put(&one, &krate("a"), &filler(8)).await.unwrap();
    put(&two, &krate("b"), &filler(16)).await.unwrap();
    assert_eq!(server.keys().len(), 2);
    assert!(two.head(&krate("a")).await.unwrap().is_none());
    assert!(!two.delete(&krate("a")).await.unwrap());
    for (store, name) in [(&one, "a"), (&two, "b")] {
        let listed = store.list(&Area::All, None, 10).await.unwrap();
        let keys = listed.into_iter().map(|(key, _)| key).collect::<Vec<_>>();
        assert_eq!(keys, [krate(name)]);
    }
}

#[tokio::test]
async fn a_key_of_another_hand_is_not_listed() {
    let server = S3Server::start().await;
    let whole = S3Store::open(config(&server, "")).await.unwrap();
    put(&whole, &krate("a"), &filler(8)).await.unwrap();
    let inside = S3Store::open(config(&server, "v1/crates-io/crates")).await.unwrap();
    assert!(inside.list(&Area::All, None, 10).await.unwrap().is_empty());
    assert_eq!(read(&whole, &krate("a")).await.unwrap(), Some(filler(8)));
}
