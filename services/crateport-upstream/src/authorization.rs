//! The token as a header that is never printed. It can be replaced while requests are sent.

use std::sync::{PoisonError, RwLock};

use crateport_types::Secret;
use http::HeaderValue;

use crate::client::BuildError;

/// What proves to an origin's hosts that Crateport may ask, if they want it proven.
#[derive(Debug)]
pub(crate) struct Authorization(RwLock<Option<HeaderValue>>);

impl Authorization {
    pub(crate) fn new(name: &str, token: Option<&Secret>) -> Result<Self, BuildError> {
        Ok(Self(RwLock::new(header(name, token)?)))
    }

    /// The next request bears this one; nothing changes if it cannot be sent.
    pub(crate) fn set(&self, name: &str, token: Option<&Secret>) -> Result<(), BuildError> {
        let header = header(name, token)?;
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = header;
        Ok(())
    }

    pub(crate) fn current(&self) -> Option<HeaderValue> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn header(name: &str, token: Option<&Secret>) -> Result<Option<HeaderValue>, BuildError> {
    let Some(token) = token else { return Ok(None) };
    let mut value = HeaderValue::from_str(token.reveal())
        .map_err(|_| BuildError::Token { registry: name.to_owned() })?;
    value.set_sensitive(true);
    Ok(Some(value))
}
