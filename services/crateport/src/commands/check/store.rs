//! Whether the store can be written, read back and cleared again.

use crateport_store::{ObjectStore, Payload, PutOptions, Read, S3Store, StoreError};
use crateport_types::{Sha256, StoreKey};

use super::Finding;
use crate::compose;
use crate::settings::Settings;

const TEXT: &[u8] = b"written by `crateport check`, and deleted at once";

pub(super) async fn check(settings: &Settings) -> Vec<Finding> {
    let kept = match compose::store(settings).await {
        Ok(kept) => kept,
        Err(error) => return vec![Finding::Failed(sentence(&error))],
    };
    let mut findings = match round_trip(&*kept.store).await {
        Ok(true) => {
            vec![Finding::Ok(format!("{} takes objects and gives them back", settings.store))]
        }
        Ok(false) => {
            let text =
                format!("{} gives back other bytes than it took: do not use it", settings.store);
            return vec![Finding::Failed(text)];
        }
        Err(error) => return vec![Finding::Failed(sentence(&anyhow::Error::new(error)))],
    };
    if let Some(s3) = kept.s3 {
        findings.extend(capabilities(&s3).await);
    }
    findings
}

/// What an S3 server cannot do. Caching lives with all of it but one.
async fn capabilities(store: &S3Store) -> Vec<Finding> {
    let can = match store.probe().await {
        Ok(can) => can,
        Err(error) => return vec![Finding::Failed(sentence(&anyhow::Error::new(error)))],
    };
    let findings = can.findings().into_iter().filter(|(_, finding)| !finding.is_yes());
    let findings = findings.map(|(name, finding)| format!("{name}: {finding}")).collect::<Vec<_>>();
    if !can.absence.is_yes() {
        let lacking = findings.join("; ");
        return vec![Finding::Failed(format!("{lacking}: give the right to list the bucket"))];
    }
    if findings.is_empty() {
        return vec![Finding::Ok("the S3 server can do all that is asked of one".to_owned())];
    }
    findings
        .into_iter()
        .map(|text| Finding::Warning(format!("{text}; caching does without")))
        .collect()
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
