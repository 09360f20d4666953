//! What is looked at, in parts.

use std::collections::BTreeMap;
use std::time::SystemTime;

use crateport_store::{ObjectMeta, StoreError};
use crateport_types::{Area, Named, StoreKey};

use super::{Scope, Verifier};
use crate::OperateError;
use crate::walk::Walk;

/// What is looked at, a part at a time.
pub(super) enum Batches<'a> {
    Walk(Walk<'a>, Option<SystemTime>),
    Sample(Option<Vec<(StoreKey, ObjectMeta)>>),
}

impl<'a> Batches<'a> {
    pub(super) async fn new(verifier: &'a Verifier, scope: Scope) -> Result<Self, OperateError> {
        let mut walk = Walk::new(&*verifier.store, Area::All);
        let count = match scope {
            Scope::All => return Ok(Self::Walk(walk, None)),
            Scope::Since(since) => return Ok(Self::Walk(walk, Some(since))),
            Scope::Sample(count) => count,
        };
        // Each object has a number by chance; those with the smallest are the sample.
        let mut sample = BTreeMap::new();
        while let Some(page) = walk.next().await? {
            for (key, meta) in page {
                if key.named() == Named::Other && verifier.dist_object(&key).is_none() {
                    continue;
                }
                sample.insert((fastrand::u64(..), key), meta);
                if sample.len() > count {
                    sample.pop_last();
                }
            }
        }
        let mut sample = sample.into_iter().map(|((_, key), meta)| (key, meta)).collect::<Vec<_>>();
        sample.sort_by(|(a, _), (b, _)| a.cmp(b));
        Ok(Self::Sample(Some(sample)))
    }

    pub(super) async fn next(&mut self) -> Result<Option<Vec<(StoreKey, ObjectMeta)>>, StoreError> {
        match self {
            Self::Sample(sample) => Ok(sample.take()),
            Self::Walk(walk, since) => {
                let page = walk.next().await?;
                let is_meant = |meta: &ObjectMeta| since.is_none_or(|since| meta.modified >= since);
                Ok(page.map(|page| page.into_iter().filter(|(_, meta)| is_meant(meta)).collect()))
            }
        }
    }
}
