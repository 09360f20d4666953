//! The memory that a large put takes. A program of its own, so that nothing else is measured.

#![expect(clippy::unwrap_used, reason = "a panic is a failed test")]

use std::io::Write as _;

use crateport_store::{
    ObjectStore as _, Payload, PutOptions, S3Config, S3Credentials, S3Store, Scratch,
};
use crateport_testkit::s3::S3Parts;
use crateport_testkit::{S3Operation, S3Server};
use crateport_types::{Hasher, Secret, StoreKey};

const MIB: usize = 1 << 20;
/// Many times what may be in flight.
const SIZE_MIB: usize = 256;
/// Two parts of 8 MiB on the server's side, which collects each, and as much again for buffers on both.
const GROWTH_MIB_MAX: usize = 64;

/// The most memory this process ever had.
fn peak_rss_mib() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<usize>().unwrap() / 1024
}

#[tokio::test]
async fn a_large_put_takes_little_memory() {
    let directory = tempfile::tempdir().unwrap();
    let scratch = Scratch::open(directory.path()).unwrap();
    let file = scratch.file().unwrap();
    let mut hasher = Hasher::default();
    for number in 0..SIZE_MIB {
        let piece = vec![u8::try_from(number % 251).unwrap(); MIB];
        hasher.update(&piece);
        (&**file.file()).write_all(&piece).unwrap();
    }
    let server = S3Server::start().await;
    server.change_dialect(|dialect| dialect.parts = S3Parts::Forgotten);
    let store = S3Store::open(S3Config {
        endpoint: Some(server.endpoint().parse().unwrap()),
        region: Some("us-east-1".to_owned()),
        credentials: S3Credentials::Static {
            access_key: S3Server::ACCESS_KEY.to_owned(),
            secret_key: Secret::new(S3Server::SECRET_KEY),
            session_token: None,
            expires: None,
        },
        ..S3Config::new(format!("s3://{}", S3Server::BUCKET).parse().unwrap())
    })
    .await
    .unwrap();
    let before = peak_rss_mib();
    let options = PutOptions { checksum: Some(hasher.finish()), ..PutOptions::default() };
    store.put(&StoreKey::check(1), Payload::File(file), options).await.unwrap();
    let growth = peak_rss_mib() - before;
    assert_eq!(server.count(S3Operation::UploadPart), SIZE_MIB / 8);
    assert!(growth < GROWTH_MIB_MAX, "{growth} MiB for a file of {SIZE_MIB} MiB");
}
