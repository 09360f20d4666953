//! What the probe finds out about servers of every sort.

use crateport_store::{ObjectStore as _, S3Capabilities, S3Checksums, StoreError};
use crateport_testkit::s3::{S3Checksums as Checksums, S3Conditions, S3Metadata};
use crateport_testkit::{S3Dialect, S3Fault, S3Operation, Times};

use super::harness::{hasty, store, store_with};

type Change = fn(&mut S3Dialect);

/// The names of what a server cannot do.
fn lacks(found: &S3Capabilities) -> Vec<&'static str> {
    let lacking = found.findings().into_iter().filter(|(_, finding)| !finding.is_yes());
    lacking.map(|(name, _)| name).collect()
}

#[tokio::test]
async fn every_dialect_is_found_out_and_left_clean() {
    let conditions = ["creates only what is absent", "replaces only what is unchanged"];
    let table: [(Change, Vec<&str>); 5] = [
        (|_| {}, vec![]),
        (
            |dialect| dialect.checksums = Checksums::Ignored,
            vec!["refuses wrong checksums", "vouches for checksums"],
        ),
        (|dialect| dialect.metadata = S3Metadata::Lost, vec!["keeps attributes"]),
        (
            |dialect| dialect.conditional_puts = S3Conditions::Ignored,
            vec![conditions[0], conditions[1], "lets one of many create"],
        ),
        (|dialect| dialect.conditional_puts = S3Conditions::Racy, vec!["lets one of many create"]),
    ];
    for (change, expected) in table {
        let (server, store) = store().await;
        server.change_dialect(change);
        let found = store.probe().await.unwrap();
        assert_eq!(lacks(&found), expected, "{found}");
        assert_eq!(found.has_conditional_writes(), !expected.contains(&"lets one of many create"));
        assert!(server.keys().is_empty(), "{:?}", server.keys());
        assert!(server.total_count() < 50, "{}", server.total_count());
    }
}

#[tokio::test]
async fn a_public_endpoint_that_cannot_be_reached_is_found_out() {
    let (_server, store) =
        store_with(|c| c.public_endpoint = Some("http://127.0.0.1:9".parse().unwrap())).await;
    let found = store.probe().await.unwrap();
    assert_eq!(lacks(&found), ["signed URLs work"]);
    assert!(!found.to_string().contains("Signature"), "{found}");
}

#[tokio::test]
async fn checksums_that_are_switched_off_are_said_to_be() {
    let (_server, store) = store_with(|c| c.checksums = S3Checksums::Off).await;
    let found = store.probe().await.unwrap();
    assert!(found.to_string().contains("refuses wrong checksums: no: checksums are switched off"));
}

#[tokio::test]
async fn a_role_that_may_not_list_the_bucket_is_found_out() {
    let (server, store) = store().await;
    // AWS tells such a role 403 for what is absent; here the first GET of the probe gets it.
    server.fault(&[S3Operation::GetObject], S3Fault::ACCESS_DENIED, Times::Next(1));
    assert_eq!(lacks(&store.probe().await.unwrap()), ["tells what is absent"]);
}

#[tokio::test]
async fn a_store_that_cannot_be_written_fails_the_probe() {
    let (server, store) = store_with(hasty).await;
    server.fault(&[S3Operation::PutObject], S3Fault::ACCESS_DENIED, Times::Always);
    let error = store.probe().await.unwrap_err();
    assert!(matches!(error, StoreError::Denied { .. }), "{error:?}");
    assert!(store.list(&crateport_types::Area::All, None, 1).await.unwrap().is_empty());
}
