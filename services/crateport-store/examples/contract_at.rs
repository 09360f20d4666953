//! Runs the contract suite against a bucket that is there, with the credentials and the endpoint of the AWS
//! environment; then what only S3 knows: an upload in parts, one that fails, and the clearing of stale ones.
//!
//! `contract_at s3://BUCKET/PREFIX`, where nothing may be below the prefix. For servers that the testkit does not
//! have, and for credentials whose rights are in question.

#![expect(clippy::unwrap_used, reason = "a panic is a failed test")]

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use crateport_store::{ObjectStore as _, Payload, PutOptions, Read, S3Config, S3Store, contract};
use crateport_types::{Sha256, StoreKey};

/// Two parts and a bit, from 17 MiB on.
const IN_PARTS_BYTES: usize = 17 << 20;

#[tokio::main]
async fn main() {
    let location = std::env::args().nth(1).ok_or("name s3://BUCKET/PREFIX").unwrap();
    let store = S3Store::open(S3Config::new(location.parse().unwrap())).await.unwrap();
    contract::run(Arc::new(store.clone())).await;
    println!("the contract holds");

    let key = StoreKey::check(0);
    let bytes = Bytes::from(vec![7; IN_PARTS_BYTES]);
    let put = |checksum| {
        let options = PutOptions { checksum: Some(checksum), ..PutOptions::default() };
        store.put(&key, Payload::Bytes(bytes.clone()), options)
    };
    put(Sha256::of(b"other bytes")).await.unwrap_err();
    assert!(store.head(&key).await.unwrap().is_none());
    println!("an upload in parts that fails leaves nothing");
    put(Sha256::of(&bytes)).await.unwrap();
    let open = store.get(&key, Read::whole()).await.unwrap().unwrap();
    assert_eq!(open.collect(IN_PARTS_BYTES).await.unwrap(), bytes);
    assert!(store.delete(&key).await.unwrap());
    println!("an upload in parts comes back whole");
    assert_eq!(store.abort_stale_uploads(Duration::ZERO).await.unwrap(), 0);
    println!("no upload was left behind");
}
