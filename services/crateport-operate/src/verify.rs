//! Verifying: every object read and held against its checksum, every index file against its grammar.
//!
//! A crate's checksum stands in its index file, so a store is verified against itself; that an index file is the one
//! that upstream gave is told by the digest that was kept beside it.

mod batches;
mod look;
mod repair;

use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use crateport_cache::{Cache, mark_changed};
use crateport_store::ObjectStore;
use crateport_types::{DistId, DistObject, Sha256, StoreKey};
use futures_util::StreamExt as _;

use self::batches::Batches;
use self::look::{IndexFiles, Look};
use crate::{OperateError, Tally};

/// Verifies one store.
#[derive(Clone, Debug)]
pub struct Verifier {
    /// What is verified.
    pub store: Arc<dyn ObjectStore>,
    /// Who fetches again what is wrong; without one it stays as it is.
    pub repairer: Option<Cache>,
    /// The dist origins whose files are known here.
    pub dists: Vec<DistId>,
}

/// What is verified.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Everything.
    All,
    /// So many objects, by chance.
    Sample(usize),
    /// What was written since.
    Since(SystemTime),
}

/// What is wrong with an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Its bytes do not have its checksum.
    Damaged {
        /// What it must be.
        expected: Sha256,
        /// What it is.
        found: Sha256,
    },
    /// It is not what its key says.
    Malformed(String),
    /// Nothing tells its checksum: no index file, or nothing beside a dist file.
    Unlisted,
    /// The store does not give it now. It may be right.
    Unreadable(String),
}

/// What became of an object that was wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Repair {
    /// Nothing was tried.
    None,
    /// It was dropped, and nothing needs it.
    Dropped,
    /// It was dropped and fetched again.
    Fetched,
    /// It was dropped and could not be fetched again, or not even dropped.
    Failed(String),
}

/// One object that was wrong.
#[derive(Clone, Debug)]
pub struct Finding {
    /// Which.
    pub key: StoreKey,
    /// What is wrong with it.
    pub fault: Fault,
    /// What was done.
    pub repair: Repair,
}

/// What was found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Verified {
    /// What is as it should be.
    pub sound: Tally,
    /// What is not, and was not repaired.
    pub faulty: Tally,
    /// What was not, and is now.
    pub repaired: Tally,
    /// What this program does not know.
    pub unknown: Tally,
}

/// Objects read at once. Each needs a piece of memory, and index files all of theirs.
const READS_AT_ONCE: usize = 8;
/// Index files kept for the crates that come next, which are of the same name.
const INDEX_FILES_MAX: u64 = 32;

impl Verifier {
    /// Verifies, and tells `found` of each object that is wrong and `seen` of each that was looked at.
    ///
    /// # Errors
    ///
    /// When the store cannot be listed.
    pub async fn verify(
        &self,
        scope: Scope,
        mut found: impl FnMut(&Finding) + Send,
        mut seen: impl FnMut(&Verified) + Send,
    ) -> Result<Verified, OperateError> {
        let index_files = IndexFiles::new(INDEX_FILES_MAX);
        let mut verified = Verified::default();
        let mut changed = Vec::new();
        let mut batches = Batches::new(self, scope).await?;
        while let Some(batch) = batches.next().await? {
            let looks = batch.into_iter().map(async |(key, meta)| {
                let looked = Box::pin(self.look(&key, &index_files)).await;
                (key, meta, looked)
            });
            let mut looks = futures_util::stream::iter(looks).buffer_unordered(READS_AT_ONCE);
            while let Some((key, meta, looked)) = looks.next().await {
                let size_bytes = meta.size_bytes;
                match looked {
                    Look::Sound => verified.sound.add(size_bytes),
                    Look::Gone => {}
                    Look::Unknown => verified.unknown.add(size_bytes),
                    Look::Wrong(fault) => {
                        let repair = Box::pin(self.repair(&key, &fault)).await;
                        match repair {
                            Repair::Fetched | Repair::Dropped => verified.repaired.add(size_bytes),
                            Repair::None | Repair::Failed(_) => verified.faulty.add(size_bytes),
                        }
                        index_files.invalidate(&key);
                        if self.repairer.is_some() {
                            changed.push(key.clone());
                        }
                        found(&Finding { key, fault, repair });
                    }
                }
                seen(&verified);
            }
            // Replicas that serve may believe that what could not be fetched again is there.
            if !changed.is_empty() {
                mark_changed(&*self.store, &std::mem::take(&mut changed)).await?;
            }
        }
        Ok(verified)
    }

    fn dist_object(&self, key: &StoreKey) -> Option<(&DistId, DistObject)> {
        self.dists.iter().find_map(|dist| Some((dist, key.dist_object(dist)?)))
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Damaged { expected, found } => {
                write!(f, "its checksum is {found}, and must be {expected}")
            }
            Self::Malformed(error) | Self::Unreadable(error) => f.write_str(error),
            Self::Unlisted => f.write_str("nothing here tells its checksum"),
        }
    }
}

fn sentence(error: &dyn std::error::Error) -> String {
    let source = error.source().map(|source| format!(": {source}")).unwrap_or_default();
    format!("{error}{source}")
}
