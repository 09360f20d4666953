//! The address of a sparse index, as it stands in cargo's configuration and in ours.

use std::fmt;
use std::str::FromStr;

use crateport_types::RedactedUrl;
use url::Url;

/// The root of a sparse index: an http or https URL that ends in `/`, the `sparse+` removed.
#[derive(Clone, PartialEq, Eq)]
pub struct IndexUrl(Url);

/// Why a text is not the address of a sparse index.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidIndexUrl {
    /// A sparse index begins with `sparse+`; without it, cargo means a git index.
    #[error("an index URL must begin with `sparse+https://`")]
    NotSparse,
    /// A git index.
    #[error("this is a git index, and only sparse ones can be cached: use `sparse+https://…/`")]
    Git,
    /// Not a URL.
    #[error("what follows `sparse+` is not a URL")]
    NotAUrl(#[source] url::ParseError),
    /// Neither http nor https.
    #[error("what follows `sparse+` must begin with https:// or http://, not {0}://")]
    Scheme(String),
    /// Credentials in the URL would end up in logs.
    #[error("an index URL must have no user name and no password: use the token setting")]
    Credentials,
    /// Paths are appended to it.
    #[error("an index URL must have no query and no fragment")]
    Extra,
}

impl IndexUrl {
    /// The URL, without `sparse+`, with a slash at its end.
    #[must_use]
    pub const fn url(&self) -> &Url {
        &self.0
    }
}

/// Reads `sparse+https://host/path/`. cargo refuses one without the slash at its end; here it is added.
impl FromStr for IndexUrl {
    type Err = InvalidIndexUrl;

    fn from_str(text: &str) -> Result<Self, InvalidIndexUrl> {
        let text = text.trim();
        let looks_like_git = text.starts_with("git")
            || text.starts_with("ssh:")
            || text.starts_with("registry+")
            || text.trim_end_matches('/').ends_with(".git");
        let Some(url) = text.strip_prefix("sparse+") else {
            return Err(if looks_like_git {
                InvalidIndexUrl::Git
            } else {
                InvalidIndexUrl::NotSparse
            });
        };
        let mut url = Url::parse(url).map_err(InvalidIndexUrl::NotAUrl)?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(InvalidIndexUrl::Scheme(url.scheme().to_owned()));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(InvalidIndexUrl::Credentials);
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(InvalidIndexUrl::Extra);
        }
        if !url.path().ends_with('/') {
            url.set_path(&format!("{}/", url.path()));
        }
        Ok(Self(url))
    }
}

impl fmt::Display for IndexUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sparse+{}", RedactedUrl(&self.0))
    }
}

impl fmt::Debug for IndexUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sparse_url_is_read_with_or_without_its_last_slash() {
        for (text, expected) in [
            ("sparse+https://a.example/index/", "sparse+https://a.example/index/"),
            ("sparse+https://a.example/index", "sparse+https://a.example/index/"),
            ("sparse+https://a.example", "sparse+https://a.example/"),
            ("sparse+http://127.0.0.1:8080/x", "sparse+http://127.0.0.1:8080/x/"),
            (" sparse+https://A.example/ ", "sparse+https://a.example/"),
        ] {
            assert_eq!(text.parse::<IndexUrl>().unwrap().to_string(), expected);
        }
    }

    #[test]
    fn what_is_no_sparse_index_is_refused_with_the_reason() {
        use InvalidIndexUrl as Invalid;
        for (text, expected) in [
            ("https://a.example/index/", Invalid::NotSparse),
            ("", Invalid::NotSparse),
            ("https://a.example/index.git", Invalid::Git),
            ("git+https://a.example/index/", Invalid::Git),
            ("git@a.example:index", Invalid::Git),
            ("ssh://git@a.example/index", Invalid::Git),
            ("registry+https://a.example/index", Invalid::Git),
            ("sparse+/index/", Invalid::NotAUrl(url::ParseError::RelativeUrlWithoutBase)),
            ("sparse+https://", Invalid::NotAUrl(url::ParseError::EmptyHost)),
            ("sparse+ftp://a.example/", Invalid::Scheme("ftp".into())),
            ("sparse+https://u:p@a.example/", Invalid::Credentials),
            ("sparse+https://a.example/?x", Invalid::Extra),
            ("sparse+https://a.example/#x", Invalid::Extra),
        ] {
            assert_eq!(text.parse::<IndexUrl>(), Err(expected), "{text}");
        }
    }
}
