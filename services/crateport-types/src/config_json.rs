//! A registry's `config.json` (the cargo book, "Registry Index", "Index configuration").

use serde::{Deserialize, Serialize};

use crate::{BaseUrl, DlTemplate, InvalidDl};

/// What a registry says of itself at the root of its index.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RegistryConfig {
    /// Where crates are downloaded from; markers and all.
    pub dl: String,
    /// The base of the web API, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub api: Option<String>,
    /// Whether every request needs a token.
    #[serde(default, rename = "auth-required", skip_serializing_if = "std::ops::Not::not")]
    pub auth_required: bool,
}

/// Why a `config.json` cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum InvalidConfigJson {
    /// Not the JSON object that cargo expects.
    #[error("config.json is not a registry's configuration")]
    Json(#[source] serde_json::Error),
    /// Its `dl` leads nowhere.
    #[error("the `dl` of config.json cannot be used")]
    Dl(#[source] InvalidDl),
}

impl RegistryConfig {
    /// Reads an upstream's `config.json` and checks that its `dl` can be used.
    ///
    /// # Errors
    ///
    /// When the text is no JSON object with a usable `dl`; unknown fields are ignored, as cargo does.
    pub fn parse(text: &[u8]) -> Result<Self, InvalidConfigJson> {
        let config: Self = serde_json::from_slice(text).map_err(InvalidConfigJson::Json)?;
        config.dl_template().map_err(InvalidConfigJson::Dl)?;
        Ok(config)
    }

    /// What this Crateport says of `registry` to clients that reach it at `base`.
    ///
    /// `dl` has no marker, so cargo appends `/{crate}/{version}/download`: every `dl` we ever gave keeps working.
    /// `api` is offered only where the upstream has one to forward to. `auth-required` stays false: the token of an
    /// upstream is this Crateport's own, and clients need none.
    #[must_use]
    pub fn ours(base: &BaseUrl, registry: &str, upstream: &Self) -> Self {
        Self {
            dl: format!("{base}/{registry}/crates"),
            api: upstream.api.as_ref().map(|_| format!("{base}/{registry}")),
            auth_required: false,
        }
    }

    /// The `dl` as a template.
    ///
    /// # Errors
    ///
    /// When it is no absolute http or https URL.
    pub fn dl_template(&self) -> Result<DlTemplate, InvalidDl> {
        self.dl.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_fields_are_ignored_and_missing_ones_default() {
        let config =
            RegistryConfig::parse(br#"{"dl":"https://a/crates","dl-withheld":"x"}"#).unwrap();
        assert_eq!(
            config,
            RegistryConfig { dl: "https://a/crates".into(), api: None, auth_required: false }
        );
    }

    #[test]
    fn what_is_no_configuration_is_refused() {
        for text in
            ["", "<html>", "{}", "[]", r#"{"dl":1}"#, r#"{"dl":"/crates"}"#, r#"{"dl":"ftp://a"}"#]
        {
            assert!(RegistryConfig::parse(text.as_bytes()).is_err(), "{text}");
        }
    }

    #[test]
    fn ours_names_this_crateport_and_nothing_of_upstream() {
        let base = "https://crates.example.com".parse().unwrap();
        let upstream = RegistryConfig {
            dl: "https://up/dl".into(),
            api: Some("https://up".into()),
            auth_required: true,
        };
        let ours =
            serde_json::to_string(&RegistryConfig::ours(&base, "crates-io", &upstream)).unwrap();
        assert_eq!(
            ours,
            r#"{"dl":"https://crates.example.com/crates-io/crates","api":"https://crates.example.com/crates-io"}"#
        );
    }
}
