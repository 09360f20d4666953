//! Reading: no body is short, wrong or endless without an error.

use bytes::Bytes;
use crateport_store::{ObjectStore as _, Read, S3Store, StoreError};
use crateport_testkit::{S3Fault, S3Operation, Times};
use futures_util::StreamExt as _;

use super::harness::{MIB, filler, hasty, krate, put, read, store, store_with, told};

/// What a reader gets before the end or the error.
async fn pieces(store: &S3Store) -> (usize, Option<StoreError>) {
    let mut body = store.get(&krate("a"), Read::whole()).await.unwrap().unwrap().body;
    let mut arrived = 0;
    while let Some(piece) = body.next().await {
        match piece {
            Ok(piece) => arrived += piece.len(),
            Err(error) => return (arrived, Some(error)),
        }
    }
    (arrived, None)
}

#[tokio::test]
async fn a_truncated_body_is_an_error() {
    let (server, store) = store().await;
    put(&store, &krate("a"), &filler(2 * MIB)).await.unwrap();
    for end in [0, 1, MIB, 2 * MIB - 1] {
        server.fault(&[S3Operation::GetObject], S3Fault::TruncateBody(end), Times::Next(1));
        let (arrived, error) = pieces(&store).await;
        assert!(arrived <= end, "{arrived} of {end}");
        assert!(error.unwrap().is_transient());
    }
    assert_eq!(read(&store, &krate("a")).await.unwrap(), Some(filler(2 * MIB)));
}

#[tokio::test]
async fn a_body_that_stops_is_an_error_in_time() {
    let (server, store) = store_with(hasty).await;
    put(&store, &krate("a"), &filler(2 * MIB)).await.unwrap();
    server.fault(&[S3Operation::GetObject], S3Fault::HangBody(MIB), Times::Always);
    let (arrived, error) = pieces(&store).await;
    assert!(arrived <= MIB);
    assert!(told(&error.unwrap()).contains("no more bytes came in time"));
}

#[tokio::test]
async fn damaged_bytes_are_never_a_whole_object() {
    let (server, store) = store().await;
    for size_bytes in [8, 2 * MIB] {
        put(&store, &krate("a"), &filler(size_bytes)).await.unwrap();
        server.damage(&server.keys()[0], |bytes| {
            let mut bytes = bytes.to_vec();
            bytes[3] ^= 1;
            Bytes::from(bytes)
        });
        let (arrived, error) = pieces(&store).await;
        assert!(arrived < size_bytes, "{arrived} of {size_bytes}");
        let error = error.unwrap();
        assert!(matches!(error, StoreError::Damaged { .. }), "{error}");
        assert!(!error.is_transient());
    }
}

#[tokio::test]
async fn a_damaged_object_of_parts_is_found_out_as_well() {
    let (server, store) = store_with(|config| config.put_size_single_max_bytes = MIB as u64).await;
    put(&store, &krate("a"), &filler(12 * MIB)).await.unwrap();
    server.damage(&server.keys()[0], |bytes| bytes.slice(..bytes.len() - 1));
    let (_, error) = pieces(&store).await;
    assert!(matches!(error, Some(StoreError::Damaged { .. })));
}

#[tokio::test]
async fn a_reader_has_a_turn_until_its_body_is_gone() {
    let (_server, store) = store_with(|config| {
        hasty(config);
        config.requests_max = 1;
    })
    .await;
    put(&store, &krate("a"), &filler(2 * MIB)).await.unwrap();
    let open = store.get(&krate("a"), Read::whole()).await.unwrap().unwrap();
    let error = store.head(&krate("a")).await.unwrap_err();
    assert!(told(&error).contains("too many requests are under way"), "{}", told(&error));
    drop(open);
    assert!(store.head(&krate("a")).await.unwrap().is_some());
}

#[tokio::test]
async fn a_part_of_what_is_absent_is_absent() {
    let (_server, store) = store().await;
    for range in [0..1, 7..7, 1 << 40..1 << 41] {
        assert!(store.get(&krate("a"), Read::part(range)).await.unwrap().is_none());
    }
    put(&store, &krate("a"), &filler(64)).await.unwrap();
    let behind = store.get(&krate("a"), Read::part(64..100)).await.unwrap().unwrap();
    assert_eq!(behind.meta.size_bytes, 64);
    assert!(behind.collect(1).await.unwrap().is_empty());
}
