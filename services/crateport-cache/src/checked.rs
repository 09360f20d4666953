//! Whatever has a checksum, once that is known: from the store, or from a fill that this request begins or joins.

use std::sync::Arc;

use crateport_types::{Outcome, Reason, Sha256, StoreKey};
use tokio::time::Instant;
use tracing::{Instrument as _, warn};

use crate::cache::Inner;
use crate::fill::{Filled, Wanted};
use crate::flight::{NoResult, Seat, Ticket};
use crate::index::late;
use crate::{Answer, Payload, Redirects, ServeError, StoredObject, trace};

pub(crate) type FillTicket = Ticket<Result<Filled, ServeError>>;

impl Inner {
    pub(crate) async fn serve_checked(
        self: &Arc<Self>,
        wanted: Wanted,
        redirects: Redirects,
    ) -> Result<Answer, ServeError> {
        let (key, checksum) = (wanted.key.clone(), wanted.checksum);
        if let Some(answer) = self.serve_stored(&key, &checksum, redirects).await {
            return Ok(answer);
        }
        let unavailable = |no_result| ServeError::Unavailable {
            what: wanted.source.to_string(),
            failure: late(no_result),
        };
        let (led, ticket) = self.begin_fill(&wanted);
        match ticket.wait(Instant::now() + self.limits.wait_max).await {
            Ok(Ok(Filled::Spool(reader))) => Ok(Answer {
                outcome: if led { Outcome::Fill } else { Outcome::Join },
                reason: Reason::Missing,
                upstream_status: Some(200),
                age: None,
                payload: Payload::Spool(reader),
            }),
            Ok(Ok(Filled::Along(reader))) => {
                Ok(answer(Payload::Spool(reader), Outcome::Join, Reason::Missing))
            }
            // All who waited here come at the same time, and the bytes need not come through this process.
            Ok(Ok(Filled::Elsewhere)) => {
                match self.serve_stored(&key, &checksum, redirects).await {
                    Some(stored) => Ok(Answer { outcome: Outcome::Join, ..stored }),
                    None => Err(unavailable(NoResult::Lost)),
                }
            }
            Ok(Err(error)) => Err(error),
            Err(no_result) => Err(unavailable(no_result)),
        }
    }

    /// What the store has, or its address.
    pub(crate) async fn serve_stored(
        &self,
        key: &StoreKey,
        checksum: &Sha256,
        redirects: Redirects,
    ) -> Option<Answer> {
        let payload = match self.redirect(key, checksum, redirects).await {
            Some(url) => Payload::Redirect(url),
            None => Payload::Stored(self.stored_or_fill(key, checksum).await?),
        };
        Some(answer(payload, Outcome::Hit, Reason::Stored))
    }

    /// Begins a fill or joins the one under way; tells whether it was begun.
    pub(crate) fn begin_fill(self: &Arc<Self>, wanted: &Wanted) -> (bool, FillTicket) {
        match self.fills.board(&wanted.key) {
            Seat::Follower(ticket) => (false, ticket),
            Seat::Leader(takeoff, ticket) => {
                let (cache, wanted) = (Arc::clone(self), wanted.clone());
                let span = trace::fill(wanted.source.origin(), wanted.source.kind(), &wanted.key);
                let fill = async move { cache.run_fill(wanted, takeoff).await };
                self.tasks.spawn(fill.instrument(span));
                (true, ticket)
            }
        }
    }

    /// What the store has. Where the store fails, upstream may still help.
    async fn stored_or_fill(&self, key: &StoreKey, checksum: &Sha256) -> Option<StoredObject> {
        self.stored(key, checksum).await.unwrap_or_else(|error| {
            self.metrics.store_failures.inc();
            warn!(%key, %error, "could not be read; upstream is asked instead");
            None
        })
    }
}

fn answer(payload: Payload, outcome: Outcome, reason: Reason) -> Answer {
    Answer { outcome, reason, upstream_status: None, age: None, payload }
}
