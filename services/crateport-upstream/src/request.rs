//! What is sent for an [`Ask`]: a URL and headers. No I/O.

use http::header::{ACCEPT, ACCEPT_ENCODING, IF_MODIFIED_SINCE, IF_NONE_MATCH};
use http::{HeaderMap, HeaderName, HeaderValue};
use url::Url;

use crate::host::name_of;
use crate::{Ask, DistConfig, SparseConfig, UpstreamError, UpstreamLimits};
use crateport_types::{DistClass, DistPath, ResourceKind, Validators};

/// One request, before it is known where redirects lead. The token is not in it, because it depends on the host.
#[derive(Debug)]
pub(crate) struct Request {
    /// What it is for.
    pub(crate) kind: ResourceKind,
    /// Where to.
    pub(crate) url: Url,
    /// With what.
    pub(crate) headers: HeaderMap,
    /// Whether 304 is an answer to it.
    pub(crate) conditional: bool,
    /// The largest answer, decoded. None for crates and dist files, which flow through and are bounded by who keeps
    /// them.
    pub(crate) size_bytes_max: Option<u64>,
    /// Whether a checksum tells a cut body from a whole one. Where none does, the framing must.
    pub(crate) is_provable: bool,
}

impl Request {
    /// The request for `ask`.
    ///
    /// # Errors
    ///
    /// When `dl` or `api` make no URL.
    pub(crate) fn new(config: &SparseConfig, ask: &Ask<'_>) -> Result<Self, UpstreamError> {
        let mut headers = HeaderMap::new();
        let mut conditional = false;
        let url = match ask {
            Ask::Config => in_index(config, "config.json"),
            Ask::IndexFile { name, validators } => {
                conditional = condition(validators, &mut headers);
                in_index(config, &name.path())
            }
            Ask::Krate { dl, name, version, checksum } => {
                let rendered = dl.render(name, version, checksum);
                Url::parse(&rendered).map_err(|error| unusable(config, "dl", error))
            }
            Ask::Search { api, query } => search(api, query, config),
            Ask::Dist(path) => {
                let detail = format!("a registry has no dist files, so no {path}");
                Err(UpstreamError::Invalid { host: name_of(config.index.url()), detail })
            }
        }?;
        let kind = ask.kind();
        describe(kind, &mut headers);
        let size_bytes_max = size_max(kind, &config.limits);
        let is_provable = kind == ResourceKind::Krate;
        Ok(Self { kind, url, headers, conditional, size_bytes_max, is_provable })
    }

    /// The request for a file of a dist origin.
    ///
    /// # Errors
    ///
    /// When `ask` is for anything else.
    pub(crate) fn to_dist(config: &DistConfig, ask: &Ask<'_>) -> Result<Self, UpstreamError> {
        let root = config.url.url();
        let invalid = |detail: String| UpstreamError::Invalid { host: name_of(root), detail };
        let Ask::Dist(path) = ask else {
            return Err(invalid(format!("a dist origin has no {}", ask.kind().as_str())));
        };
        let url = format!("{root}{path}");
        let url = Url::parse(&url).map_err(|error| invalid(format!("{path}: {error}")))?;
        let (kind, mut headers) = (ask.kind(), HeaderMap::new());
        describe(kind, &mut headers);
        let (conditional, size_bytes_max) = (false, size_max(kind, &config.limits));
        let is_provable = is_provable(path);
        Ok(Self { kind, url, headers, conditional, size_bytes_max, is_provable })
    }
}

/// A checksum file and a record are proof of themselves at best.
fn is_provable(path: &DistPath) -> bool {
    path.sum_of().is_none() && !matches!(path.class(), DistClass::Record(_))
}

/// The headers that cargo sends too.
fn describe(kind: ResourceKind, headers: &mut HeaderMap) {
    let (accept, encoding) = match kind {
        ResourceKind::Config | ResourceKind::Index | ResourceKind::Page => {
            let version = HeaderValue::from_static("version=1");
            headers.insert(HeaderName::from_static("cargo-protocol"), version);
            ("text/plain", "gzip")
        }
        ResourceKind::Search => ("application/json", "gzip"),
        // Checksums are those of the bytes as they lie there.
        ResourceKind::Krate | ResourceKind::Dist => ("*/*", "identity"),
    };
    headers.insert(ACCEPT, HeaderValue::from_static(accept));
    headers.insert(ACCEPT_ENCODING, HeaderValue::from_static(encoding));
}

const fn size_max(kind: ResourceKind, limits: &UpstreamLimits) -> Option<u64> {
    match kind {
        ResourceKind::Config => Some(limits.config_size_bytes_max),
        ResourceKind::Index | ResourceKind::Page => Some(limits.index_size_bytes_max),
        ResourceKind::Search => Some(limits.search_size_bytes_max),
        ResourceKind::Krate | ResourceKind::Dist => None,
    }
}

/// Makes the request conditional where it can be: by the tag, else by the date, as cargo does. An empty tag counts as
/// none.
fn condition(validators: &Validators, headers: &mut HeaderMap) -> bool {
    let value = |text: &Option<Box<str>>| {
        let text = text.as_deref().filter(|text| !text.trim().is_empty())?;
        HeaderValue::from_str(text).ok()
    };
    if let Some(etag) = value(&validators.etag) {
        headers.insert(IF_NONE_MATCH, etag);
        return true;
    }
    if let Some(date) = value(&validators.last_modified) {
        headers.insert(IF_MODIFIED_SINCE, date);
        return true;
    }
    false
}

/// A path below the index, appended as cargo appends it.
fn in_index(config: &SparseConfig, path: &str) -> Result<Url, UpstreamError> {
    let url = format!("{}{path}", config.index.url());
    Url::parse(&url).map_err(|error| unusable(config, "index", error))
}

fn search(api: &str, query: &str, config: &SparseConfig) -> Result<Url, UpstreamError> {
    let url = format!("{}/api/v1/crates", api.trim_end_matches('/'));
    let mut url = Url::parse(&url).map_err(|error| unusable(config, "api", error))?;
    url.set_query((!query.is_empty()).then_some(query));
    Ok(url)
}

fn unusable(config: &SparseConfig, what: &str, error: url::ParseError) -> UpstreamError {
    UpstreamError::Invalid {
        host: name_of(config.index.url()),
        detail: format!("its `{what}` is no URL: {error}"),
    }
}

#[cfg(test)]
mod tests {
    use crateport_types::{DlTemplate, Sha256};

    use super::*;

    fn config() -> SparseConfig {
        let index = "sparse+https://a.example/index/".parse().unwrap();
        SparseConfig::new("internal".parse().unwrap(), index, "test")
    }

    fn text<'a>(request: &'a Request, name: &str) -> Option<&'a str> {
        request.headers.get(name).map(|value| value.to_str().unwrap())
    }

    #[test]
    fn validators_are_sent_verbatim_and_one_at_a_time() {
        let name = "serde".parse::<crateport_types::CrateName>().unwrap().index_name();
        for (etag, date, if_none_match, if_modified_since) in [
            (None, None, None, None),
            (Some("\"x\""), None, Some("\"x\""), None),
            (Some("W/\"x:y\""), Some("D"), Some("W/\"x:y\""), None),
            (Some("unquoted"), None, Some("unquoted"), None),
            (
                None,
                Some("Sat, 21 Nov 2026 00:00:00 GMT"),
                None,
                Some("Sat, 21 Nov 2026 00:00:00 GMT"),
            ),
            (Some(""), Some("D"), None, Some("D")),
            (Some(" "), None, None, None),
            (Some("a\nb"), None, None, None),
        ] {
            let validators =
                Validators { etag: etag.map(Into::into), last_modified: date.map(Into::into) };
            let ask = Ask::IndexFile { name: &name, validators: &validators };
            let request = Request::new(&config(), &ask).unwrap();
            assert_eq!(request.url.as_str(), "https://a.example/index/se/rd/serde");
            assert_eq!(text(&request, "if-none-match"), if_none_match);
            assert_eq!(text(&request, "if-modified-since"), if_modified_since);
            assert_eq!(request.conditional, if_none_match.or(if_modified_since).is_some());
            assert_eq!(text(&request, "cargo-protocol"), Some("version=1"));
            assert_eq!(text(&request, "accept"), Some("text/plain"));
            assert_eq!(text(&request, "accept-encoding"), Some("gzip"));
        }
    }

    #[test]
    fn a_crate_is_asked_for_as_it_is() {
        let dl: DlTemplate = "https://b.example/{crate}/{version}?q=1".parse().unwrap();
        let (name, version) = ("Abc".parse().unwrap(), "1.0.0+b".parse().unwrap());
        let checksum = Sha256::of(b"");
        let ask = Ask::Krate { dl: &dl, name: &name, version: &version, checksum: &checksum };
        let request = Request::new(&config(), &ask).unwrap();
        assert_eq!(request.url.as_str(), "https://b.example/Abc/1.0.0+b?q=1");
        assert_eq!(text(&request, "accept-encoding"), Some("identity"));
        assert_eq!(text(&request, "cargo-protocol"), None);
        assert!(!request.conditional);
    }

    #[test]
    fn a_dist_file_is_asked_for_below_the_root_and_as_it_is() {
        let (dist, url) = ("rustup".parse().unwrap(), "https://a.example/rust".parse().unwrap());
        let config = DistConfig::new(dist, url, "test");
        for (path, is_provable) in [
            ("dist/channel-rust-stable.toml", true),
            ("dist/channel-rust-stable.toml.sha256", false),
            ("dist/2026-04-16/rustc-1.95.0-x.tar.xz", true),
            ("rustup/release-stable.toml", false),
        ] {
            let parsed = path.parse().unwrap();
            let request = Request::to_dist(&config, &Ask::Dist(&parsed)).unwrap();
            assert_eq!(request.url.as_str(), format!("https://a.example/rust/{path}"));
            assert_eq!(text(&request, "accept-encoding"), Some("identity"));
            assert_eq!((request.is_provable, request.conditional), (is_provable, false), "{path}");
        }
        assert!(Request::to_dist(&config, &Ask::Config).is_err());
        let path = "dist/x".parse().unwrap();
        assert!(Request::new(&self::config(), &Ask::Dist(&path)).is_err());
    }

    #[test]
    fn a_search_goes_to_the_api_with_the_clients_query() {
        for (api, query, expected) in [
            (
                "https://b.example",
                "q=a%20b&per_page=10",
                "https://b.example/api/v1/crates?q=a%20b&per_page=10",
            ),
            ("https://b.example/x/", "", "https://b.example/x/api/v1/crates"),
            ("https://b.example", "q=#f", "https://b.example/api/v1/crates?q=%23f"),
        ] {
            let request = Request::new(&config(), &Ask::Search { api, query }).unwrap();
            assert_eq!(request.url.as_str(), expected);
        }
        let error = Request::new(&config(), &Ask::Search { api: "nowhere", query: "" });
        assert!(matches!(error, Err(UpstreamError::Invalid { .. })));
    }
}
