//! The id of a registry, as it stands in URLs, keys, labels and the configuration.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// A registry's id: 1 to 32 of `a-z`, `0-9` and `-`, beginning with a letter, and no word that a route needs.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RegistryId(Arc<str>);

/// The text cannot be a registry's id.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidRegistryId {
    /// Wrong characters or length.
    #[error("`{0}` is no registry id: 1 to 32 of a-z, 0-9 and -, beginning with a letter")]
    Form(String),
    /// A word that routes or the object layout use for something else.
    #[error("`{0}` cannot be a registry id: Crateport uses the word itself")]
    Reserved(String),
}

/// The id of crates.io, which cargo can be told to replace.
pub const CRATES_IO: &str = "crates-io";

const ID_LENGTH_MAX: usize = 32;
const RESERVED: [&str; 6] = ["rustup", "dist", "api", "v1", "metrics", "as-of"];

impl RegistryId {
    /// The id's text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The text, shared with this id.
    #[must_use]
    pub fn shared(&self) -> Arc<str> {
        Arc::clone(&self.0)
    }
}

impl FromStr for RegistryId {
    type Err = InvalidRegistryId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let begins_well = text.bytes().next().is_some_and(|byte| byte.is_ascii_lowercase());
        let legal = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        if !begins_well || text.len() > ID_LENGTH_MAX || !text.bytes().all(legal) {
            return Err(InvalidRegistryId::Form(text.to_owned()));
        }
        if RESERVED.contains(&text) {
            return Err(InvalidRegistryId::Reserved(text.to_owned()));
        }
        Ok(Self(text.into()))
    }
}

impl fmt::Display for RegistryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::borrow::Borrow<str> for RegistryId {
    fn borrow(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_words_that_no_route_needs_are_ids() {
        for text in ["crates-io", "internal", "a", "r2"] {
            assert!(text.parse::<RegistryId>().is_ok(), "{text}");
        }
        for text in ["", "Crates", "-a", "2a", "a_b", "a/b", "..", "rustup", "api", &"a".repeat(33)]
        {
            assert!(text.parse::<RegistryId>().is_err(), "{text}");
        }
    }
}
