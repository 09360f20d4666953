//! Values that must not be read in a log: they print as `***`.

use std::fmt;

use url::Url;

/// A token or a password.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Box<str>);

/// A URL whose password and query print as `***`: signatures and tokens travel there.
#[derive(Clone, Copy)]
pub struct RedactedUrl<'a>(pub &'a Url);

impl Secret {
    /// Hides `text`.
    #[must_use]
    pub fn new(text: &str) -> Self {
        Self(text.into())
    }

    /// The text itself, for the one place that sends it.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl fmt::Display for RedactedUrl<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let url = self.0;
        write!(f, "{}://", url.scheme())?;
        if !url.username().is_empty() || url.password().is_some() {
            f.write_str("***@")?;
        }
        f.write_str(url.host_str().unwrap_or_default())?;
        if let Some(port) = url.port() {
            write!(f, ":{port}")?;
        }
        f.write_str(url.path())?;
        if url.query().is_some() {
            f.write_str("?***")?;
        }
        Ok(())
    }
}

impl fmt::Debug for RedactedUrl<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_printed_url_tells_where_but_not_with_what() {
        for (url, expected) in [
            ("https://u:p@a.example:8443/k?sig=s", "https://***@a.example:8443/k?***"),
            ("https://a.example/k", "https://a.example/k"),
        ] {
            assert_eq!(RedactedUrl(&Url::parse(url).unwrap()).to_string(), expected);
        }
        assert_eq!(format!("{} {:?}", Secret::new("s"), Secret::new("s")), "*** ***");
    }
}
