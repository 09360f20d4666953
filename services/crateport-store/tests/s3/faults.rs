//! Every fault has its class of error, within the deadlines, and is never taken for absence.

use std::time::Duration;

use crateport_store::{ObjectStore as _, Read, S3Credentials, S3Store, StoreError};
use crateport_testkit::{S3Fault, S3Operation, S3Server, Times};
use crateport_types::{Area, Secret};

use super::harness::{config, filler, hasty, krate, put, store, store_with, told};

/// Longer than every deadline of these stores together.
const BORING: Duration = Duration::from_secs(30);

type Class = fn(&StoreError) -> bool;

/// All operations of the port, with what came of them.
async fn everything(store: &S3Store) -> [(&'static str, Result<(), StoreError>); 5] {
    let all = async {
        let body = async {
            let open = store.get(&krate("a"), Read::whole()).await?;
            open.unwrap().collect(usize::MAX).await
        };
        let head = store.head(&krate("a")).await.map(|found| assert!(found.is_some()));
        [
            ("put", put(store, &krate("b"), &filler(64)).await.map(drop)),
            ("get", body.await.map(drop)),
            ("head", head),
            ("list", store.list(&Area::All, None, 9).await.map(drop)),
            ("delete", store.delete(&krate("a")).await.map(drop)),
        ]
    };
    tokio::time::timeout(BORING, all).await.unwrap()
}

#[tokio::test]
async fn every_fault_has_its_class() {
    let transient: Class = |error| matches!(error, StoreError::Failed { .. });
    let denied: Class = |error| matches!(error, StoreError::Denied { .. });
    let full: Class = |error| matches!(error, StoreError::Full { .. });
    let table: [(S3Fault, Class, &str); 8] = [
        (S3Fault::INTERNAL_ERROR, transient, "500 InternalError"),
        (S3Fault::SLOW_DOWN, transient, "503 SlowDown"),
        (S3Fault::ACCESS_DENIED, denied, "403"),
        (S3Fault::EXPIRED_TOKEN, transient, "400"),
        (S3Fault::STORAGE_FULL, full, ""),
        (S3Fault::Drop, transient, "connection"),
        (S3Fault::Hang, transient, "in time"),
        (S3Fault::Slow(BORING), transient, "in time"),
    ];
    for (fault, is_expected, text) in table {
        let (server, store) = store_with(hasty).await;
        put(&store, &krate("a"), &filler(64)).await.unwrap();
        server.fault(&S3Operation::ALL, fault, Times::Always);
        for (operation, result) in everything(&store).await {
            let error = result.unwrap_err();
            assert!(is_expected(&error), "{fault:?} {operation}: {error:?}");
            // HEAD has no body, so the server's code is lost on the way.
            let has_code = !["head", "delete"].contains(&operation);
            assert!(!has_code || told(&error).contains(text), "{operation}: {}", told(&error));
        }
        server.heal();
        for (operation, result) in everything(&store).await {
            assert!(result.is_ok(), "{operation} after {fault:?}: {result:?}");
        }
    }
}

#[tokio::test]
async fn what_goes_wrong_once_is_tried_again() {
    for fault in [S3Fault::INTERNAL_ERROR, S3Fault::SLOW_DOWN, S3Fault::Drop, S3Fault::LoseAnswer] {
        let (server, store) = store().await;
        put(&store, &krate("a"), &filler(64)).await.unwrap();
        for operation in S3Operation::ALL {
            server.fault(&[operation], fault, Times::Next(1));
        }
        for (operation, result) in everything(&store).await {
            assert!(result.is_ok(), "{operation}, {fault:?}: {result:?}");
        }
    }
}

#[tokio::test]
async fn a_server_that_is_down_is_an_error_and_then_it_is_back() {
    let (server, store) = store_with(hasty).await;
    put(&store, &krate("a"), &filler(64)).await.unwrap();
    server.stop();
    for (operation, result) in everything(&store).await {
        assert!(matches!(result, Err(StoreError::Failed { .. })), "{operation}: {result:?}");
    }
    server.restart();
    for (operation, result) in everything(&store).await {
        assert!(result.is_ok(), "{operation}: {result:?}");
    }
}

#[tokio::test]
async fn a_store_opens_while_its_server_is_down() {
    let server = S3Server::start().await;
    server.stop();
    let mut config = config(&server, "prefix");
    hasty(&mut config);
    let store = S3Store::open(config).await.unwrap();
    assert!(store.head(&krate("a")).await.unwrap_err().is_transient());
    server.restart();
    assert!(store.head(&krate("a")).await.unwrap().is_none());
}

#[tokio::test]
async fn a_missing_bucket_is_no_missing_object() {
    let (_server, store) =
        store_with(|config| config.location = "s3://elsewhere".parse().unwrap()).await;
    let error = store.get(&krate("a"), Read::whole()).await.unwrap_err();
    assert!(told(&error).contains("NoSuchBucket"), "{}", told(&error));
}

#[tokio::test]
async fn errors_name_the_object_and_no_secret() {
    let (_server, store) = store_with(|config| {
        config.credentials = S3Credentials::Static {
            access_key: S3Server::ACCESS_KEY.to_owned(),
            secret_key: Secret::new("a wrong secret"),
            session_token: Some(Secret::new("a session token")),
            expires: None,
        };
    })
    .await;
    let error = store.get(&krate("a"), Read::whole()).await.unwrap_err();
    assert!(matches!(error, StoreError::Denied { .. }), "{error:?}");
    let texts = [told(&error), format!("{error:?}"), format!("{store:?}")];
    assert!(texts[0].contains(&format!("s3://crateport/prefix/{}", krate("a"))), "{}", texts[0]);
    for text in texts {
        for secret in ["a wrong secret", "a session token", "Signature=", "Authorization"] {
            assert!(!text.contains(secret), "{text}");
        }
    }
}
