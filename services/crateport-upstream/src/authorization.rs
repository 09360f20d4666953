//! The token as a header that is never printed. It can be replaced while requests are sent.

use std::sync::{PoisonError, RwLock};

use crateport_types::{RegistryId, Secret};
use http::HeaderValue;

use crate::client::BuildError;

/// What proves to a registry's hosts that Crateport may ask, if they want it proven.
#[derive(Debug)]
pub(crate) struct Authorization(RwLock<Option<HeaderValue>>);

impl Authorization {
    pub(crate) fn new(registry: &RegistryId, token: Option<&Secret>) -> Result<Self, BuildError> {
        Ok(Self(RwLock::new(header(registry, token)?)))
    }

    /// The next request bears this one; nothing changes if it cannot be sent.
    pub(crate) fn set(
        &self,
        registry: &RegistryId,
        token: Option<&Secret>,
    ) -> Result<(), BuildError> {
        let header = header(registry, token)?;
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = header;
        Ok(())
    }

    pub(crate) fn current(&self) -> Option<HeaderValue> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn header(
    registry: &RegistryId,
    token: Option<&Secret>,
) -> Result<Option<HeaderValue>, BuildError> {
    let Some(token) = token else { return Ok(None) };
    let mut value = HeaderValue::from_str(token.reveal())
        .map_err(|_| BuildError::Token { registry: registry.to_string() })?;
    value.set_sensitive(true);
    Ok(Some(value))
}
