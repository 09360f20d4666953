//! Searches, passed on to upstream's web API. Nothing of them is kept.

use std::sync::Arc;

use crateport_types::{Outcome, Reason};
use crateport_upstream::{Ask, Condition, Reply};

use crate::cache::{Inner, Registry};
use crate::{Answer, Failure, Payload, ServeError};

/// Many times what cargo asks for: 100 crates with their descriptions.
const SIZE_BYTES_MAX: usize = 4 << 20;

impl Inner {
    pub(crate) async fn serve_search(
        self: &Arc<Self>,
        registry: &Arc<Registry>,
        query: &str,
    ) -> Result<Answer, ServeError> {
        let what = || format!("search in {}", registry.policy.id);
        let unavailable = |failure| ServeError::Unavailable { what: what(), failure };
        if registry.upstream.condition() == Condition::Offline {
            let detail = "this cache is offline, and upstream is never asked".to_owned();
            return Err(ServeError::NotOffered { what: what(), detail });
        }
        let config = self.upstream_config(registry).await.map_err(unavailable)?;
        let Some(api) = &config.api else {
            let detail = "its upstream has no web API to pass searches on to".to_owned();
            return Err(ServeError::NotOffered { what: what(), detail });
        };
        let reply = registry.upstream.fetch(Ask::Search { api, query }).await;
        let found = match reply.map_err(|error| unavailable(error.into()))? {
            Reply::Found(found) => found,
            Reply::Absent | Reply::Unchanged => {
                let detail =
                    "its upstream names a web API that does not answer searches".to_owned();
                return Err(ServeError::NotOffered { what: what(), detail });
            }
        };
        let bytes =
            found.collect(SIZE_BYTES_MAX).await.map_err(|error| unavailable(error.into()))?;
        if serde_json::from_slice::<serde::de::IgnoredAny>(&bytes).is_err() {
            let failure = Failure::own(
                Reason::UpstreamInvalid,
                "upstream's answer to the search is not JSON",
            );
            return Err(unavailable(failure));
        }
        let payload = Payload::Json(bytes);
        let (outcome, reason) = (Outcome::Forwarded, Reason::Own);
        Ok(Answer { outcome, reason, upstream_status: Some(200), age: None, payload })
    }
}
