//! The `dl` template of a registry: where its crates are downloaded from.

use std::fmt;
use std::str::FromStr;

use url::Url;

use crate::{CrateName, CrateVersion, Sha256};

/// A `dl` with its markers (the cargo book, "Registry Index"). Rendering is plain replacement, as cargo does it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DlTemplate(Box<str>);

/// Why a `dl` cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidDl {
    /// Not an absolute URL, even with its markers filled in.
    #[error("`{0}` is not an absolute URL")]
    NotAUrl(String),
    /// Not a scheme that can be fetched.
    #[error("`{0}` is neither http nor https")]
    Scheme(String),
}

const MARKERS: [&str; 5] =
    ["{crate}", "{version}", "{prefix}", "{lowerprefix}", "{sha256-checksum}"];

impl DlTemplate {
    /// The URL of one crate. `+` in a version stays as it is: what cargo sends, every registry understands.
    #[must_use]
    pub fn render(&self, name: &CrateName, version: &CrateVersion, checksum: &Sha256) -> String {
        if !MARKERS.iter().any(|marker| self.0.contains(marker)) {
            return format!("{}/{name}/{version}/download", self.0);
        }
        self.0
            .replace("{crate}", name.as_str())
            .replace("{version}", version.as_str())
            .replace("{prefix}", &prefix(name.as_str()))
            .replace("{lowerprefix}", &prefix(name.index_name().as_str()))
            .replace("{sha256-checksum}", &checksum.to_string())
    }
}

/// The directory part of an index path, of the name as it is spelled.
pub(crate) fn prefix(name: &str) -> String {
    let part = |range: std::ops::Range<usize>| name.get(range).unwrap_or_default();
    match name.len() {
        0..=2 => name.len().to_string(),
        3 => ["3/", part(0..1)].concat(),
        _ => [part(0..2), "/", part(2..4)].concat(),
    }
}

impl FromStr for DlTemplate {
    type Err = InvalidDl;

    fn from_str(text: &str) -> Result<Self, InvalidDl> {
        let filled = MARKERS.iter().fold(text.to_owned(), |url, marker| url.replace(marker, "x"));
        let url = Url::parse(&filled).map_err(|_| InvalidDl::NotAUrl(text.to_owned()))?;
        match url.scheme() {
            "http" | "https" if url.has_host() => Ok(Self(text.into())),
            _ => Err(InvalidDl::Scheme(text.to_owned())),
        }
    }
}

impl fmt::Display for DlTemplate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rendered(template: &str, name: &str, version: &str) -> String {
        let template: DlTemplate = template.parse().unwrap();
        template.render(&name.parse().unwrap(), &version.parse().unwrap(), &Sha256::of(b""))
    }

    #[test]
    fn every_marker_is_replaced_as_cargo_does() {
        let empty = Sha256::of(b"").to_string();
        for (template, name, version, expected) in [
            (
                "https://a/api/v1/crates",
                "serde",
                "1.0.0",
                "https://a/api/v1/crates/serde/1.0.0/download".to_owned(),
            ),
            (
                "https://a/crates/",
                "serde",
                "1.0.0",
                "https://a/crates//serde/1.0.0/download".to_owned(),
            ),
            (
                "https://a/{crate}/{version}",
                "Inflector",
                "0.1.0",
                "https://a/Inflector/0.1.0".to_owned(),
            ),
            ("https://a/{crate}-{version}", "a", "1.0.0+b.1", "https://a/a-1.0.0+b.1".to_owned()),
            (
                "https://a/{prefix}/{crate}",
                "MyCrate",
                "1.0.0",
                "https://a/My/Cr/MyCrate".to_owned(),
            ),
            (
                "https://a/{lowerprefix}/{crate}",
                "MyCrate",
                "1.0.0",
                "https://a/my/cr/MyCrate".to_owned(),
            ),
            ("https://a/{lowerprefix}", "Abc", "1.0.0", "https://a/3/a".to_owned()),
            ("https://a/{prefix}", "Ab", "1.0.0", "https://a/2".to_owned()),
            ("https://a/?c={crate}&v={version}", "a", "1.0.0", "https://a/?c=a&v=1.0.0".to_owned()),
            ("http://a:81/{sha256-checksum}", "a", "1.0.0", format!("http://a:81/{empty}")),
            ("https://a/?q=1", "a", "1.0.0", "https://a/?q=1/a/1.0.0/download".to_owned()),
        ] {
            assert_eq!(rendered(template, name, version), expected);
        }
    }

    #[test]
    fn relative_and_foreign_templates_are_refused() {
        for text in ["", "/crates", "crates/{crate}", "file:///crates", "mailto:a@b"] {
            assert!(text.parse::<DlTemplate>().is_err(), "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_template_panics(text in ".{0,80}") {
            if let Ok(template) = text.parse::<DlTemplate>() {
                let _ = template.render(&"a".parse().unwrap(), &"1.0.0".parse().unwrap(), &Sha256::of(b""));
            }
        }
    }
}
