//! The file store: the contract, and what only files can suffer.

#![expect(clippy::unwrap_used, reason = "a panic is a failed test")]

use std::sync::Arc;

use bytes::Bytes;
use crateport_store::{FsStore, ObjectStore as _, Payload, PutOptions, Read, StoreError, contract};
use crateport_types::StoreKey;

fn key() -> StoreKey {
    StoreKey::krate(&"crates-io".parse().unwrap(), &"a".parse().unwrap(), &"1.0.0".parse().unwrap())
}

#[tokio::test]
async fn the_file_store_keeps_the_contract() {
    let directory = tempfile::tempdir().unwrap();
    contract::run(Arc::new(FsStore::open(directory.path()).unwrap())).await;
}

#[tokio::test]
async fn two_stores_on_one_directory_see_each_others_objects() {
    let directory = tempfile::tempdir().unwrap();
    let (one, two) =
        (FsStore::open(directory.path()).unwrap(), FsStore::open(directory.path()).unwrap());
    one.put(&key(), Payload::Bytes(Bytes::from("a")), PutOptions::default()).await.unwrap();
    let seen = two.get(&key(), Read::whole()).await.unwrap().unwrap();
    assert_eq!(seen.collect(9).await.unwrap(), "a");
}

#[tokio::test]
async fn a_file_altered_by_another_hand_has_another_version() {
    let directory = tempfile::tempdir().unwrap();
    let store = FsStore::open(directory.path()).unwrap();
    let put = store
        .put(&key(), Payload::Bytes(Bytes::from("good")), PutOptions::default())
        .await
        .unwrap();
    let path = directory.path().join(key().as_str());
    let modified = std::fs::metadata(&path).unwrap().modified().unwrap();
    std::fs::write(&path, "evil").unwrap();
    std::fs::File::options().write(true).open(&path).unwrap().set_modified(modified).unwrap();
    assert_ne!(store.head(&key()).await.unwrap().unwrap().version, put.version);
}

#[tokio::test]
async fn a_file_that_shrinks_under_a_reader_is_an_error_and_no_short_body() {
    let directory = tempfile::tempdir().unwrap();
    let store = FsStore::open(directory.path()).unwrap();
    store
        .put(&key(), Payload::Bytes(vec![7; 1 << 20].into()), PutOptions::default())
        .await
        .unwrap();
    let open = store.get(&key(), Read::whole()).await.unwrap().unwrap();
    let file =
        std::fs::File::options().write(true).open(directory.path().join(key().as_str())).unwrap();
    file.set_len(1000).unwrap();
    assert!(matches!(open.collect(usize::MAX).await, Err(StoreError::Cut { .. })));
}

#[tokio::test]
async fn a_directory_that_cannot_be_written_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("file");
    std::fs::write(&file, "").unwrap();
    let error = FsStore::open(&file.join("store")).unwrap_err();
    assert!(error.to_string().contains("file/store"), "{error}");
}
