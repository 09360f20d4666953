//! The address of a dist origin.

use std::fmt;
use std::str::FromStr;

use crateport_types::RedactedUrl;
use url::Url;

/// The root of a dist origin: an http or https URL that ends in `/`.
#[derive(Clone, PartialEq, Eq)]
pub struct DistUrl(Url);

/// Why a text is not the address of a dist origin.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidDistUrl {
    /// Not a URL.
    #[error("it is not a URL")]
    NotAUrl(#[source] url::ParseError),
    /// Neither http nor https.
    #[error("it must begin with https:// or http://, not {0}://")]
    Scheme(String),
    /// Credentials in the URL would end up in logs.
    #[error("it must have no user name and no password: use the token setting")]
    Credentials,
    /// Paths are appended to it.
    #[error("it must have no query and no fragment")]
    Extra,
}

impl DistUrl {
    /// The URL, with a slash at its end.
    #[must_use]
    pub const fn url(&self) -> &Url {
        &self.0
    }
}

/// Reads `https://host/path`, with or without a slash at its end.
impl FromStr for DistUrl {
    type Err = InvalidDistUrl;

    fn from_str(text: &str) -> Result<Self, InvalidDistUrl> {
        let mut url = Url::parse(text.trim()).map_err(InvalidDistUrl::NotAUrl)?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(InvalidDistUrl::Scheme(url.scheme().to_owned()));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(InvalidDistUrl::Credentials);
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(InvalidDistUrl::Extra);
        }
        if !url.path().ends_with('/') {
            url.set_path(&format!("{}/", url.path()));
        }
        Ok(Self(url))
    }
}

impl fmt::Display for DistUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        RedactedUrl(&self.0).fmt(f)
    }
}

impl fmt::Debug for DistUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_read_with_or_without_its_last_slash() {
        for (text, expected) in [
            ("https://a.example", "https://a.example/"),
            ("https://a.example/rust", "https://a.example/rust/"),
            ("http://127.0.0.1:8080/x/", "http://127.0.0.1:8080/x/"),
        ] {
            assert_eq!(text.parse::<DistUrl>().unwrap().to_string(), expected);
        }
    }

    #[test]
    fn what_is_no_origin_is_refused_with_the_reason() {
        use InvalidDistUrl as Invalid;
        for (text, expected) in [
            ("a.example", Invalid::NotAUrl(url::ParseError::RelativeUrlWithoutBase)),
            ("ftp://a.example/", Invalid::Scheme("ftp".into())),
            ("sparse+https://a.example/", Invalid::Scheme("sparse+https".into())),
            ("https://u:p@a.example/", Invalid::Credentials),
            ("https://a.example/?x", Invalid::Extra),
            ("https://a.example/#x", Invalid::Extra),
        ] {
            assert_eq!(text.parse::<DistUrl>(), Err(expected), "{text}");
        }
    }
}
