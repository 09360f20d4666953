//! A store on a server, and objects to put into it.

use std::time::Duration;

use bytes::Bytes;
use crateport_store::{
    ObjectMeta, ObjectStore as _, Payload, PutOptions, Read, S3Config, S3Credentials, S3Store,
    S3Timeouts, Scratch, ScratchFile, StoreError,
};
use crateport_testkit::S3Server;
use crateport_types::{Secret, Sha256, StoreKey};

pub(crate) const MIB: usize = 1 << 20;

/// The settings for a server of the kit.
pub(crate) fn config(server: &S3Server, prefix: &str) -> S3Config {
    let location = format!("s3://{}/{prefix}", S3Server::BUCKET).parse().unwrap();
    S3Config {
        region: Some("us-east-1".to_owned()),
        endpoint: Some(server.endpoint().parse().unwrap()),
        credentials: S3Credentials::Static {
            access_key: S3Server::ACCESS_KEY.to_owned(),
            secret_key: Secret::new(S3Server::SECRET_KEY),
            session_token: None,
            expires: None,
        },
        ..S3Config::new(location)
    }
}

/// A server, and a store on it.
pub(crate) async fn store() -> (S3Server, S3Store) {
    store_with(|_| {}).await
}

/// The same with other settings.
pub(crate) async fn store_with(change: impl FnOnce(&mut S3Config)) -> (S3Server, S3Store) {
    let server = S3Server::start().await;
    let mut config = config(&server, "prefix");
    change(&mut config);
    let store = S3Store::open(config).await.unwrap();
    (server, store)
}

/// Waits that end before a test gets boring.
pub(crate) fn hasty(config: &mut S3Config) {
    let short = Duration::from_millis(300);
    config.timeouts = S3Timeouts {
        head: short,
        attempt: short,
        operation: 3 * short,
        body_idle: short,
        upload_attempt: short,
        upload_operation: 3 * short,
        ..config.timeouts
    };
}

pub(crate) fn krate(name: &str) -> StoreKey {
    let registry = "crates-io".parse().unwrap();
    StoreKey::krate(&registry, &name.parse().unwrap(), &"1.0.0+b".parse().unwrap())
}

/// Bytes of which no two parts are equal.
pub(crate) fn filler(size_bytes: usize) -> Bytes {
    (0..u32::try_from(size_bytes / 4).unwrap()).flat_map(u32::to_le_bytes).collect()
}

pub(crate) fn scratch_file(scratch: &Scratch, bytes: &[u8]) -> ScratchFile {
    let file = scratch.file().unwrap();
    std::io::Write::write_all(&mut &**file.file(), bytes).unwrap();
    file
}

pub(crate) fn with_checksum_of(bytes: &[u8]) -> PutOptions {
    PutOptions { checksum: Some(Sha256::of(bytes)), ..PutOptions::default() }
}

pub(crate) async fn put(
    store: &S3Store,
    key: &StoreKey,
    bytes: &Bytes,
) -> Result<ObjectMeta, StoreError> {
    store.put(key, Payload::Bytes(bytes.clone()), with_checksum_of(bytes)).await
}

pub(crate) async fn read(store: &S3Store, key: &StoreKey) -> Result<Option<Bytes>, StoreError> {
    match store.get(key, Read::whole()).await? {
        Some(open) => open.collect(usize::MAX).await.map(Some),
        None => Ok(None),
    }
}

/// An error with all its causes, as a log would show it.
pub(crate) fn told(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}
