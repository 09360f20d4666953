//! Dist files that never change: proved once, kept for ever.

use std::sync::Arc;

use crateport_coord::Note;
use crateport_types::{DistPath, Outcome, Reason, Sha256, StoreKey};
use tokio::time::Instant;

use super::{Dist, absent, sum, unavailable, wanted};
use crate::cache::Inner;
use crate::fill::CHECKSUM;
use crate::flight::NoResult;
use crate::index::late;
use crate::{Answer, Redirects, ServeError};

impl Inner {
    pub(super) async fn serve_artifact(
        self: &Arc<Self>,
        dist: &Arc<Dist>,
        path: &DistPath,
        redirects: Redirects,
    ) -> Result<Answer, ServeError> {
        let key = dist.file_key(path);
        if let Some(kept) = self.kept_sum(&key).await
            && let Some(answer) = self.serve_stored(&key, &kept, redirects).await
        {
            return Ok(answer);
        }
        let expected = self.proved_sum(dist, path, &key).await?;
        self.serve_checked(wanted(dist, path, key, expected), redirects).await
    }

    /// The `.sha256` of a file. A manifest is fetched with it: whoever asks for the one wants the other next, and
    /// from then on both come from the store.
    pub(super) async fn serve_artifact_sum(
        self: &Arc<Self>,
        dist: &Arc<Dist>,
        path: &DistPath,
    ) -> Result<Answer, ServeError> {
        let key = dist.file_key(path);
        if let Some(kept) = self.kept_sum(&key).await {
            return Ok(sum(path, &kept, Outcome::Hit, Reason::Stored));
        }
        let expected = self.proved_sum(dist, path, &key).await?;
        if path.is_manifest() {
            let (_, ticket) = self.begin_fill(&wanted(dist, path, key.clone(), expected));
            let deadline = Instant::now() + self.limits.wait_max;
            let filled = ticket.clone().wait(deadline).await;
            let is_over = ticket.over(deadline).await;
            let failure = match filled {
                Err(no_result) => Some(late(no_result)),
                Ok(Err(ServeError::Unavailable { failure, .. })) => Some(failure),
                Ok(Err(error)) => return Err(error),
                Ok(Ok(_)) if !is_over => Some(late(NoResult::Late)),
                Ok(Ok(filled)) => filled.failure().await,
            };
            if let Some(failure) = failure {
                return Err(unavailable(path, failure));
            }
        }
        Ok(sum(path, &expected, Outcome::Fill, Reason::Missing))
    }

    /// What must be true of a file that is not here, or the word that there is none.
    async fn proved_sum(
        self: &Arc<Self>,
        dist: &Arc<Dist>,
        path: &DistPath,
        key: &StoreKey,
    ) -> Result<Sha256, ServeError> {
        if let Ok(Some(Note::Absent)) = self.ports.coordinator.recall(key).await {
            return Err(absent(path, Reason::RememberedAbsent, None));
        }
        match self.proof(dist, path).await {
            Ok(Some(sum)) => Ok(sum),
            Ok(None) => {
                self.tell(key, None, Note::Absent, dist.policy.absent_ttl()).await;
                Err(absent(path, Reason::UpstreamAbsent, Some(404)))
            }
            Err(failure) => Err(unavailable(path, failure)),
        }
    }

    /// The digest that the object at `key` was proved to have when it was kept. Where the store fails, there is none.
    pub(super) async fn kept_sum(&self, key: &StoreKey) -> Option<Sha256> {
        if let Some(digest) = self.present.digest(key).await {
            return Some(digest);
        }
        let meta = self.ports.store.head(key).await.ok()??;
        meta.attributes.get(CHECKSUM)?.parse().ok()
    }
}
