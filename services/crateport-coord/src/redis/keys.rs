//! The names in Redis. They are drawn here, and nobody else builds one.
//!
//! ```text
//! crateport:{v1/crates-io/index/se/rd/serde}:note     what is known, as text
//! crateport:{v1/crates-io/index/se/rd/serde}:lease    the token of the one who works on it
//! crateport:{probe-7}                                 written to see whether it can be
//! crateport:ended                                     the channel: "TOKEN KEY", a lease has ended
//! ```
//!
//! The braces are a hash tag: in a cluster, note and lease of a key lie on one node, so that a script may touch both.

use std::sync::Arc;

use crateport_types::StoreKey;

/// Probes in a cluster fall on all of its nodes in turn; with one node gone, most still succeed.
const PROBES: u32 = 64;

/// Builds every name from the configured prefix.
#[derive(Clone, Debug)]
pub(super) struct Keys {
    prefix: Arc<str>,
}

/// Says whose lease it is: random, and never used twice. The address at which the holder can be asked may stand behind
/// an `@`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Token(Box<str>);

impl Keys {
    pub(super) fn new(prefix: &str) -> Self {
        Self { prefix: prefix.into() }
    }

    pub(super) fn note(&self, key: &StoreKey) -> String {
        format!("{}{{{key}}}:note", self.prefix)
    }

    pub(super) fn lease(&self, key: &StoreKey) -> String {
        format!("{}{{{key}}}:lease", self.prefix)
    }

    pub(super) fn probe(&self) -> String {
        format!("{}{{probe-{}}}", self.prefix, fastrand::u32(..PROBES))
    }

    pub(super) fn channel(&self) -> String {
        format!("{}ended", self.prefix)
    }
}

impl Token {
    pub(super) fn random(address: Option<&str>) -> Self {
        let random = fastrand::u128(..);
        Self(match address {
            Some(address) => format!("{random:032x}@{address}").into(),
            None => format!("{random:032x}").into(),
        })
    }

    /// Where the holder can be asked, if it said so.
    pub(super) fn address(&self) -> Option<&str> {
        self.0.split_once('@').map(|(_, address)| address)
    }

    pub(super) fn of(text: &str) -> Self {
        Self(text.into())
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

/// The announcement that a lease has ended.
pub(super) fn announcement(key: &StoreKey, token: &Token) -> String {
    format!("{} {key}", token.as_str())
}

/// The key and the token of an announcement.
pub(super) fn announced(text: &str) -> Option<(&str, Token)> {
    let (token, key) = text.split_once(' ')?;
    Some((key, Token::of(token)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_names_are_the_ones_drawn_above() {
        let keys = Keys::new("crateport:");
        let key = StoreKey::config(&"crates-io".parse().unwrap());
        assert_eq!(keys.note(&key), "crateport:{v1/crates-io/index/config.json}:note");
        assert_eq!(keys.lease(&key), "crateport:{v1/crates-io/index/config.json}:lease");
        assert_eq!(keys.channel(), "crateport:ended");
        for address in [None, Some("replica-1:8081"), Some("[::1]:8081")] {
            let token = Token::random(address);
            assert_eq!(token.address(), address);
            let text = announcement(&key, &token);
            assert_eq!(announced(&text), Some((key.as_str(), token)));
        }
        assert_eq!(announced("x"), None);
    }
}
