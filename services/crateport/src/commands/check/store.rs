//! Whether the store can be written, read back and cleared again.

use crateport_store::{ObjectStore, Payload, PutOptions, Read, StoreError};
use crateport_types::{Sha256, StoreKey};

use super::Finding;
use crate::compose;
use crate::settings::Settings;

const TEXT: &[u8] = b"written by `crateport check`, and deleted at once";

pub(super) async fn check(settings: &Settings) -> Vec<Finding> {
    let finding = match compose::store(settings) {
        Ok(store) => match round_trip(&store).await {
            Ok(true) => {
                Finding::Ok(format!("{} takes objects and gives them back", settings.store))
            }
            Ok(false) => Finding::Failed(format!(
                "{} gives back other bytes than it took: do not use it",
                settings.store
            )),
            Err(error) => Finding::Failed(sentence(&anyhow::Error::new(error))),
        },
        Err(error) => Finding::Failed(sentence(&error)),
    };
    vec![finding]
}

fn sentence(error: &anyhow::Error) -> String {
    format!("{error:#}; see that this user may write there and that there is room")
}

async fn round_trip(store: &dyn ObjectStore) -> Result<bool, StoreError> {
    let key = StoreKey::check(fastrand::u64(..));
    let options = PutOptions { checksum: Some(Sha256::of(TEXT)), ..PutOptions::default() };
    store.put(&key, Payload::Bytes(TEXT.into()), options).await?;
    let read = match store.get(&key, Read::whole()).await? {
        Some(object) => Some(object.collect(TEXT.len()).await?),
        None => None,
    };
    store.delete(&key).await?;
    Ok(read.is_some_and(|read| read == TEXT))
}
