//! The base under which clients reach this Crateport.

use std::fmt;
use std::str::FromStr;

use url::Url;

/// A scheme, an authority and perhaps a path, without a slash at its end: `https://crates.example.com/rust`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct BaseUrl(Box<str>);

/// Why a text is no base URL.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidBaseUrl {
    /// Not a URL at all.
    #[error("not a URL")]
    NotAUrl(#[source] url::ParseError),
    /// A scheme clients cannot use.
    #[error("must begin with http:// or https://")]
    Scheme,
    /// A query or a fragment would end up in the middle of every URL.
    #[error("must have no query, fragment, user name or password")]
    Extra,
}

impl BaseUrl {
    /// A base from parts that were checked already: a scheme, an authority, and a path without a slash at its end.
    #[must_use]
    pub fn from_parts(scheme: &str, authority: &str, path: &str) -> Self {
        Self(format!("{scheme}://{authority}{path}").into())
    }

    /// The text, without a slash at its end.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What cargo's `registries.<name>.index` must say for `registry`.
    #[must_use]
    pub fn index_url(&self, registry: &crate::RegistryId) -> String {
        format!("sparse+{}/{registry}/index/", self.0)
    }
}

impl FromStr for BaseUrl {
    type Err = InvalidBaseUrl;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let url = Url::parse(text).map_err(InvalidBaseUrl::NotAUrl)?;
        if !matches!(url.scheme(), "http" | "https") || url.host().is_none() {
            return Err(InvalidBaseUrl::Scheme);
        }
        let extra = url.query().is_some() || url.fragment().is_some();
        if extra || !url.username().is_empty() || url.password().is_some() {
            return Err(InvalidBaseUrl::Extra);
        }
        Ok(Self(url.as_str().trim_end_matches('/').into()))
    }
}

impl fmt::Display for BaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slash_at_the_end_is_dropped_and_the_rest_kept() {
        for (text, expected) in [
            ("http://localhost:8080", "http://localhost:8080"),
            ("https://crates.example.com/rust//", "https://crates.example.com/rust"),
            ("http://[::1]:8080/", "http://[::1]:8080"),
        ] {
            assert_eq!(text.parse::<BaseUrl>().unwrap().as_str(), expected);
        }
    }

    #[test]
    fn what_clients_could_not_use_is_refused() {
        for text in [
            "localhost:8080",
            "ftp://a/",
            "http://a/?b",
            "http://a/#b",
            "http://u:p@a/",
            "/rust",
            "",
        ] {
            assert!(text.parse::<BaseUrl>().is_err(), "{text}");
        }
    }
}
