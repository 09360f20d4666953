//! What must be known of a sparse registry or a dist origin to ask it.

use std::path::PathBuf;

use crateport_types::{DistId, RegistryId, Secret};
use http::HeaderMap;
use url::Url;

use crate::{AllowList, DistUrl, HostName, IndexUrl, UpstreamLimits};

/// One sparse registry and how it is asked.
#[derive(Clone, Debug)]
pub struct SparseConfig {
    /// What it is called here.
    pub registry: RegistryId,
    /// The root of its index.
    pub index: IndexUrl,
    /// Sent verbatim as `Authorization`, to the index URL's own origin and to `token_hosts`, to nobody else.
    pub token: Option<Secret>,
    /// The registry's other hosts: they get the token too, over https only unless the index itself is on http, and
    /// may have private addresses.
    pub token_hosts: Vec<HostName>,
    /// Where a redirect, a `dl` or an `api` may lead although the address is private.
    pub allow: AllowList,
    /// The `User-Agent`; registries want it to name the program and its version.
    pub user_agent: String,
    /// PEM files whose certificates are trusted beside the system's.
    pub ca_files: Vec<PathBuf>,
    /// Whether an outbound proxy is used.
    pub proxy: OutboundProxy,
    /// The bounds.
    pub limits: UpstreamLimits,
    /// Adds to a request's headers what ties it to the work that it is part of, if anything does.
    pub pass_context: Option<PassContext>,
}

/// Adds the current trace to the headers of a request.
pub type PassContext = fn(&mut HeaderMap);

/// One dist origin and how it is asked.
#[derive(Clone, Debug)]
pub struct DistConfig {
    /// What it is called here.
    pub dist: DistId,
    /// The root of its files.
    pub url: DistUrl,
    /// Sent verbatim as `Authorization`, to the URL's own origin and to `token_hosts`, to nobody else.
    pub token: Option<Secret>,
    /// The origin's other hosts, as for a registry.
    pub token_hosts: Vec<HostName>,
    /// Where a redirect may lead although the address is private.
    pub allow: AllowList,
    /// The `User-Agent`.
    pub user_agent: String,
    /// PEM files whose certificates are trusted beside the system's.
    pub ca_files: Vec<PathBuf>,
    /// Whether an outbound proxy is used.
    pub proxy: OutboundProxy,
    /// The bounds.
    pub limits: UpstreamLimits,
    /// Adds to a request's headers what ties it to the work that it is part of, if anything does.
    pub pass_context: Option<PassContext>,
}

/// What is the same for every kind of upstream.
#[derive(Clone, Debug)]
pub(crate) struct OriginConfig {
    /// What it is called in logs and metrics.
    pub(crate) name: Box<str>,
    /// Its own origin.
    pub(crate) root: Url,
    pub(crate) token: Option<Secret>,
    pub(crate) token_hosts: Vec<HostName>,
    pub(crate) allow: AllowList,
    pub(crate) user_agent: String,
    pub(crate) ca_files: Vec<PathBuf>,
    pub(crate) proxy: OutboundProxy,
    pub(crate) limits: UpstreamLimits,
    pub(crate) pass_context: Option<PassContext>,
}

/// Whether requests leave through a proxy.
///
/// With a proxy, it is the proxy that resolves names, so of the address guard only what can be told from the URL
/// is left: literal addresses and the name `localhost`. The proxy's own rules must keep names out of private
/// networks. A proxy that is configured elsewhere than in the environment (macOS, Windows) and has a private address
/// must be named in `allow`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OutboundProxy {
    /// As `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY` and `NO_PROXY` say, in capitals or not.
    #[default]
    Environment,
    /// Never.
    Direct,
}

impl SparseConfig {
    /// A registry without a token, with nothing allowed beyond its own host, and the default limits.
    #[must_use]
    pub fn new(registry: RegistryId, index: IndexUrl, user_agent: impl Into<String>) -> Self {
        Self {
            registry,
            index,
            token: None,
            token_hosts: Vec::new(),
            allow: AllowList::default(),
            user_agent: user_agent.into(),
            ca_files: Vec::new(),
            proxy: OutboundProxy::default(),
            limits: UpstreamLimits::default(),
            pass_context: None,
        }
    }

    pub(crate) fn origin(&self) -> OriginConfig {
        OriginConfig {
            name: self.registry.as_str().into(),
            root: self.index.url().clone(),
            token: self.token.clone(),
            token_hosts: self.token_hosts.clone(),
            allow: self.allow.clone(),
            user_agent: self.user_agent.clone(),
            ca_files: self.ca_files.clone(),
            proxy: self.proxy,
            limits: self.limits.clone(),
            pass_context: self.pass_context,
        }
    }
}

impl DistConfig {
    /// An origin without a token, with nothing allowed beyond its own host, and the default limits.
    #[must_use]
    pub fn new(dist: DistId, url: DistUrl, user_agent: impl Into<String>) -> Self {
        Self {
            dist,
            url,
            token: None,
            token_hosts: Vec::new(),
            allow: AllowList::default(),
            user_agent: user_agent.into(),
            ca_files: Vec::new(),
            proxy: OutboundProxy::default(),
            limits: UpstreamLimits::default(),
            pass_context: None,
        }
    }

    pub(crate) fn origin(&self) -> OriginConfig {
        OriginConfig {
            name: self.dist.as_str().into(),
            root: self.url.url().clone(),
            token: self.token.clone(),
            token_hosts: self.token_hosts.clone(),
            allow: self.allow.clone(),
            user_agent: self.user_agent.clone(),
            ca_files: self.ca_files.clone(),
            proxy: self.proxy,
            limits: self.limits.clone(),
            pass_context: self.pass_context,
        }
    }
}
