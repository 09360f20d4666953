//! The backend that fetches dist files from one static origin over HTTP.

use async_trait::async_trait;
use crateport_types::Secret;

use crate::client::BuildError;
use crate::origin::Origin;
use crate::request::Request;
use crate::{Ask, Condition, DistConfig, Reply, Upstream, UpstreamError, UpstreamMetrics};

/// One static origin of dist files, such as Rust's own distribution server.
#[derive(Debug)]
pub struct DistUpstream {
    config: DistConfig,
    origin: Origin,
}

impl DistUpstream {
    /// Gets ready to ask the origin that `config` describes; nothing is asked yet.
    ///
    /// # Errors
    ///
    /// When a CA file cannot be read, or the token or the user agent cannot be sent.
    pub fn new(config: DistConfig, metrics: UpstreamMetrics) -> Result<Self, BuildError> {
        let origin = Origin::new(config.origin(), metrics)?;
        Ok(Self { config, origin })
    }

    /// Whether a token could be sent.
    ///
    /// # Errors
    ///
    /// When it could not.
    pub fn can_send(&self, token: Option<&Secret>) -> Result<(), BuildError> {
        self.origin.can_send(token)
    }

    /// Sends another token from the next request on.
    ///
    /// # Errors
    ///
    /// When it cannot be sent; the one before stays.
    pub fn set_token(&self, token: Option<&Secret>) -> Result<(), BuildError> {
        self.origin.set_token(token)
    }
}

#[async_trait]
impl Upstream for DistUpstream {
    async fn fetch(&self, ask: Ask<'_>) -> Result<Reply, UpstreamError> {
        self.origin.fetch(&Request::to_dist(&self.config, &ask)?).await
    }

    fn condition(&self) -> Condition {
        self.origin.condition()
    }
}
