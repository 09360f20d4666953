//! The coordinator of a single process: notes in bounded memory, and leases that are always granted, because the
//! cache already joins its own requests.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use crateport_types::StoreKey;
use tokio::time::Instant;

use crate::{Claim, CoordError, Coordinator, Lease, LeaseKeeper, Note};

/// Notes of this process.
#[derive(Clone, Debug)]
pub struct LocalCoordinator {
    notes: moka::sync::Cache<StoreKey, Arc<Left>>,
}

#[derive(Debug)]
struct Left {
    note: Note,
    at: Instant,
    keep: Duration,
}

#[derive(Debug)]
struct LocalLease {
    coordinator: LocalCoordinator,
    key: StoreKey,
}

impl LocalCoordinator {
    /// Keeps at most `notes_max` notes; the least useful go first.
    #[must_use]
    pub fn new(notes_max: u64) -> Self {
        Self { notes: moka::sync::Cache::new(notes_max) }
    }
}

#[async_trait]
impl Coordinator for LocalCoordinator {
    async fn recall(&self, key: &StoreKey) -> Result<Option<Note>, CoordError> {
        let Some(left) = self.notes.get(key) else { return Ok(None) };
        let age = left.at.elapsed();
        if age >= left.keep {
            self.notes.invalidate(key);
            return Ok(None);
        }
        Ok(Some(match left.note.clone() {
            Note::Fresh { checksum, asked_ago, checked_ago } => {
                Note::Fresh { checksum, asked_ago: asked_ago + age, checked_ago: checked_ago + age }
            }
            other => other,
        }))
    }

    async fn note(&self, key: &StoreKey, note: &Note, keep: Duration) -> Result<(), CoordError> {
        self.notes
            .insert(key.clone(), Arc::new(Left { note: note.clone(), at: Instant::now(), keep }));
        Ok(())
    }

    async fn forget(&self, key: &StoreKey) -> Result<(), CoordError> {
        self.notes.invalidate(key);
        Ok(())
    }

    async fn claim(&self, key: &StoreKey) -> Result<Claim, CoordError> {
        let keeper = LocalLease { coordinator: self.clone(), key: key.clone() };
        Ok(Claim::Lead(Lease::new(Box::new(keeper))))
    }

    async fn wait(&self, _key: &StoreKey, _patience: Duration) -> Result<(), CoordError> {
        Ok(())
    }
}

#[async_trait]
impl LeaseKeeper for LocalLease {
    async fn end(self: Box<Self>, note: Option<(Note, Duration)>) -> Result<(), CoordError> {
        match note {
            Some((note, keep)) => self.coordinator.note(&self.key, &note, keep).await,
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use crateport_types::{Reason, Sha256};

    use super::*;

    fn key() -> StoreKey {
        StoreKey::config(&"crates-io".parse().unwrap())
    }

    #[tokio::test(start_paused = true)]
    async fn a_note_ages_and_runs_out() {
        let notes = LocalCoordinator::new(10);
        let second = Duration::from_secs(1);
        let fresh =
            |ago| Note::Fresh { checksum: Sha256::of(b""), asked_ago: ago, checked_ago: ago };
        notes.note(&key(), &fresh(second), 3 * second).await.unwrap();
        tokio::time::advance(second).await;
        assert_eq!(notes.recall(&key()).await.unwrap(), Some(fresh(2 * second)));
        tokio::time::advance(2 * second).await;
        assert_eq!(notes.recall(&key()).await.unwrap(), None);
    }

    #[tokio::test]
    async fn the_end_of_a_lease_leaves_its_note_until_it_is_forgotten() {
        let notes = LocalCoordinator::new(10);
        let Claim::Lead(lease) = notes.claim(&key()).await.unwrap() else { panic!("not granted") };
        let note = Note::Failed { reason: Reason::UpstreamTimeout };
        lease.end(Some((note.clone(), Duration::from_secs(9)))).await.unwrap();
        assert_eq!(notes.recall(&key()).await.unwrap(), Some(note));
        notes.forget(&key()).await.unwrap();
        assert_eq!(notes.recall(&key()).await.unwrap(), None);
    }
}
