//! The HTTP client of one upstream: its own connections, trust and name look-up.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use http::HeaderValue;
use reqwest::redirect::Policy;
use reqwest::{Certificate, Client};
use url::Url;

use crate::OutboundProxy;
use crate::config::OriginConfig;
use crate::guard::Guard;
use crate::host_rule::canonical;
use crate::resolve::GuardedResolver;

/// How often an h2 connection with requests under way is asked for a sign of life, so that one whose other end is
/// gone without a word is not used for ever.
const PING_INTERVAL: Duration = Duration::from_secs(10);
/// How long that sign may take.
const PING_TIMEOUT: Duration = Duration::from_secs(5);
/// How long an unused connection is kept.
const POOL_IDLE_TIMEOUT: Duration = Duration::from_secs(60);

/// Why an upstream cannot be made from its configuration.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// A CA file that cannot be read.
    #[error("cannot read the CA file {}", path.display())]
    CaFile {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A CA file in which there is no certificate.
    #[error("the CA file {} holds no PEM certificate", path.display())]
    CaText {
        /// Which.
        path: PathBuf,
    },
    /// A token that cannot stand in a header.
    #[error("the token of `{registry}` has characters that a header cannot carry")]
    Token {
        /// Whose.
        registry: String,
    },
    /// A User-Agent that cannot stand in a header.
    #[error("the user agent has characters that a header cannot carry")]
    UserAgent,
    /// TLS could not be set up.
    #[error("cannot set up the HTTP client")]
    Client(#[source] reqwest::Error),
}

/// The client that `config` asks for. It follows no redirects and knows no total timeout: both are ours to do.
pub(crate) fn build(config: &OriginConfig, guard: &Arc<Guard>) -> Result<Client, BuildError> {
    let limits = &config.limits;
    let agent = HeaderValue::from_str(&config.user_agent).map_err(|_| BuildError::UserAgent)?;
    let mut builder = Client::builder()
        .user_agent(agent)
        .redirect(Policy::none())
        .referer(false)
        .connect_timeout(limits.connect_timeout)
        .pool_idle_timeout(POOL_IDLE_TIMEOUT)
        .pool_max_idle_per_host(limits.requests_max)
        .http2_keep_alive_interval(PING_INTERVAL)
        .http2_keep_alive_timeout(PING_TIMEOUT)
        .dns_resolver(GuardedResolver(Arc::clone(guard)))
        .tls_certs_merge(certificates(config)?);
    if config.proxy == OutboundProxy::Direct {
        builder = builder.no_proxy();
    }
    builder.build().map_err(BuildError::Client)
}

/// The names of the outbound proxies in the environment, as the client reads them.
pub(crate) fn proxy_names(proxy: OutboundProxy) -> Vec<String> {
    if proxy == OutboundProxy::Direct {
        return Vec::new();
    }
    ["ALL_PROXY", "HTTP_PROXY", "HTTPS_PROXY"]
        .iter()
        .flat_map(|name| [std::env::var(name), std::env::var(name.to_ascii_lowercase())])
        .filter_map(|value| proxy_name(&value.ok()?))
        .collect()
}

/// The host of a proxy as it is written in the environment, where the scheme may be missing.
fn proxy_name(text: &str) -> Option<String> {
    let text = text.trim();
    let url = if text.contains("://") { text.to_owned() } else { format!("http://{text}") };
    Url::parse(&url).ok()?.host_str().map(canonical)
}

fn certificates(config: &OriginConfig) -> Result<Vec<Certificate>, BuildError> {
    let mut all = Vec::new();
    for path in &config.ca_files {
        let pem = std::fs::read(path)
            .map_err(|source| BuildError::CaFile { path: path.clone(), source })?;
        let found = Certificate::from_pem_bundle(&pem).unwrap_or_default();
        if found.is_empty() {
            return Err(BuildError::CaText { path: path.clone() });
        }
        all.extend(found);
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proxy_is_named_with_or_without_its_scheme() {
        for (text, expected) in [
            ("http://Proxy.corp:3128", Some("proxy.corp")),
            ("proxy.corp:3128", Some("proxy.corp")),
            ("http://user:secret@proxy.corp", Some("proxy.corp")),
            ("10.0.0.1:3128", Some("10.0.0.1")),
            ("", None),
        ] {
            assert_eq!(proxy_name(text).as_deref(), expected, "{text}");
        }
    }
}
