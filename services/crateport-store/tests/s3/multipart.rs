//! Large objects in parts.

use std::sync::Arc;
use std::time::Duration;

use crateport_store::{ObjectStore as _, Payload, S3Config, Scratch, StoreError};
use crateport_testkit::{S3Fault, S3Operation, Times};
use crateport_types::Sha256;

use super::harness::{
    MIB, filler, krate, put, read, scratch_file, store, store_with, told, with_checksum_of,
};

/// Parts as small as S3 takes them.
fn in_parts(config: &mut S3Config) {
    config.put_size_single_max_bytes = MIB as u64;
    config.part_size_bytes = 5 * MIB as u64;
}

#[tokio::test]
async fn a_large_file_goes_in_parts_a_few_at_a_time() {
    let directory = tempfile::tempdir().unwrap();
    let scratch = Scratch::open(directory.path()).unwrap();
    let (server, store) = store().await;
    let bytes = filler(40 * MIB);
    let file = Payload::File(scratch_file(&scratch, &bytes));
    let kept = store.put(&krate("a"), file, with_checksum_of(&bytes)).await.unwrap();
    assert_eq!(server.count(S3Operation::UploadPart), 5);
    assert!(server.peak_in_flight(S3Operation::UploadPart) <= 2);
    assert_eq!(server.count(S3Operation::PutObject), 0);
    let found = store.head(&krate("a")).await.unwrap().unwrap();
    assert_eq!((kept.version, kept.size_bytes), (found.version, found.size_bytes));
    assert_eq!((kept.checksum, found.checksum), (Some(Sha256::of(&bytes)), kept.checksum));
    assert_eq!(read(&store, &krate("a")).await.unwrap(), Some(bytes));
    assert!(server.leftover_uploads().is_empty());
}

#[tokio::test]
async fn an_upload_that_fails_leaves_nothing() {
    for (operation, fault) in [
        (S3Operation::UploadPart, S3Fault::ACCESS_DENIED),
        (S3Operation::UploadPart, S3Fault::INTERNAL_ERROR),
        (S3Operation::CompleteMultipartUpload, S3Fault::ACCESS_DENIED),
        (S3Operation::CompleteMultipartUpload, S3Fault::Drop),
    ] {
        let (server, store) = store_with(in_parts).await;
        server.fault(&[operation], fault, Times::Always);
        let error = put(&store, &krate("a"), &filler(12 * MIB)).await.unwrap_err();
        let is_denied = matches!(error, StoreError::Denied { .. });
        assert_eq!(is_denied, fault == S3Fault::ACCESS_DENIED, "{error:?}");
        server.wait_for_no_leftovers().await;
        assert!(server.keys().is_empty());
    }
}

#[tokio::test]
async fn an_upload_that_is_given_up_leaves_nothing() {
    for operation in [S3Operation::UploadPart, S3Operation::CompleteMultipartUpload] {
        let (server, store) = store_with(in_parts).await;
        server.fault(&[operation], S3Fault::Hang, Times::Always);
        let putting =
            tokio::spawn(async move { put(&store, &krate("a"), &filler(12 * MIB)).await });
        server.wait_for(operation, 1).await;
        assert_eq!(server.leftover_uploads().len(), 1);
        putting.abort();
        server.wait_for_no_leftovers().await;
        assert!(server.keys().is_empty());
    }
}

#[tokio::test]
async fn parts_that_go_wrong_once_are_sent_again() {
    for fault in [S3Fault::INTERNAL_ERROR, S3Fault::Drop, S3Fault::LoseAnswer] {
        let directory = tempfile::tempdir().unwrap();
        let scratch = Scratch::open(directory.path()).unwrap();
        let (server, store) = store_with(in_parts).await;
        for operation in S3Operation::ALL {
            server.fault(&[operation], fault, Times::Next(1));
        }
        let bytes = filler(12 * MIB);
        let file = Payload::File(scratch_file(&scratch, &bytes));
        store.put(&krate("a"), file, with_checksum_of(&bytes)).await.unwrap();
        assert_eq!(read(&store, &krate("a")).await.unwrap(), Some(bytes), "{fault:?}");
    }
}

#[tokio::test]
async fn bytes_that_are_not_the_promised_ones_are_not_kept() {
    let (server, store) = store_with(in_parts).await;
    let wrong = with_checksum_of(b"something else");
    let payload = Payload::Bytes(filler(12 * MIB));
    let error = store.put(&krate("a"), payload, wrong).await.unwrap_err();
    assert!(told(&error).contains("do not have the checksum"), "{}", told(&error));
    assert!(server.keys().is_empty() && server.leftover_uploads().is_empty());
}

#[tokio::test]
async fn racing_uploads_leave_one_whole_object() {
    let (server, store) = store_with(in_parts).await;
    let store = Arc::new(store);
    let sizes = [11 * MIB, 12 * MIB];
    let puts = sizes.map(|size| {
        let store = store.clone();
        tokio::spawn(async move { put(&store, &krate("a"), &filler(size)).await })
    });
    for put in puts {
        put.await.unwrap().unwrap();
    }
    let left = read(&store, &krate("a")).await.unwrap().unwrap();
    assert!(sizes.map(filler).contains(&left));
    assert!(server.leftover_uploads().is_empty());
}

#[tokio::test]
async fn what_a_killed_process_left_is_aborted_when_it_is_stale() {
    let (server, store) = store_with(in_parts).await;
    server.fault(&[S3Operation::AbortMultipartUpload], S3Fault::ACCESS_DENIED, Times::Next(1));
    server.fault(&[S3Operation::UploadPart], S3Fault::ACCESS_DENIED, Times::Next(1));
    put(&store, &krate("a"), &filler(6 * MIB)).await.unwrap_err();
    assert_eq!(server.leftover_uploads().len(), 1);
    assert_eq!(store.abort_stale_uploads(Duration::from_secs(3600)).await.unwrap(), 0);
    assert_eq!(store.abort_stale_uploads(Duration::ZERO).await.unwrap(), 1);
    assert!(server.leftover_uploads().is_empty());
}
