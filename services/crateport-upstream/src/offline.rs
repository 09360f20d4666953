//! An upstream that is never asked: what is here is all there is.

use async_trait::async_trait;

use crate::{Ask, Condition, Reply, Upstream, UpstreamError};

/// In the place of every upstream of a cache that must not reach the network.
#[derive(Clone, Copy, Debug, Default)]
pub struct OfflineUpstream;

#[async_trait]
impl Upstream for OfflineUpstream {
    async fn fetch(&self, _ask: Ask<'_>) -> Result<Reply, UpstreamError> {
        Err(UpstreamError::Offline)
    }

    fn condition(&self) -> Condition {
        Condition::Offline
    }
}
