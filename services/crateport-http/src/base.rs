//! The base under which a client reached this Crateport: several host names and ports may lead to one fleet, and
//! each client is told of the one that it used.

use std::net::IpAddr;

use crateport_types::BaseUrl;
use http::header::{FORWARDED, HOST};
use http::uri::Authority;
use http::{HeaderMap, HeaderName, Uri};
use ipnet::IpNet;

use crate::listen::ConnectionInfo;

/// How the base is found.
#[derive(Clone, Debug, Default)]
pub struct BasePolicy {
    /// The one base of all clients, if there is one.
    pub public_url: Option<BaseUrl>,
    /// The proxies whose `Forwarded` and `X-Forwarded-*` headers are believed.
    pub trusted_proxies: Vec<IpNet>,
}

/// What a trusted proxy said of the request it took.
#[derive(Debug, Default, PartialEq, Eq)]
struct Said<'a> {
    proto: Option<&'a str>,
    host: Option<&'a str>,
    port: Option<&'a str>,
    prefix: Option<&'a str>,
}

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const X_FORWARDED_PORT: HeaderName = HeaderName::from_static("x-forwarded-port");
const X_FORWARDED_PREFIX: HeaderName = HeaderName::from_static("x-forwarded-prefix");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

impl BasePolicy {
    /// The base of a request: the configured one, else what a trusted proxy says, else the request's own authority,
    /// else the address that was connected to.
    #[must_use]
    pub fn base(&self, uri: &Uri, headers: &HeaderMap, connection: &ConnectionInfo) -> BaseUrl {
        if let Some(public_url) = &self.public_url {
            return public_url.clone();
        }
        let said =
            if self.trusts(connection.peer.ip()) { Said::by(headers) } else { Said::default() };
        let own_scheme = if connection.tls { "https" } else { "http" };
        let scheme =
            said.proto.filter(|proto| matches!(*proto, "http" | "https")).unwrap_or(own_scheme);
        let own_host = || uri.authority().map(Authority::as_str).or_else(|| text(headers, &HOST));
        let host =
            said.host.or_else(own_host).and_then(authority).map(|host| with_port(&host, said.port));
        let host = host.unwrap_or_else(|| connection.local.to_string());
        let prefix = said.prefix.map_or("", |prefix| prefix.trim_end_matches('/'));
        BaseUrl::from_parts(scheme, &host, prefix)
    }

    /// The address of the client itself, as far as trusted proxies tell.
    #[must_use]
    pub fn client(&self, headers: &HeaderMap, connection: &ConnectionInfo) -> IpAddr {
        let peer = connection.peer.ip();
        if !self.trusts(peer) {
            return peer;
        }
        let hops =
            headers.get_all(X_FORWARDED_FOR).into_iter().filter_map(|value| value.to_str().ok());
        let mut hops = hops
            .flat_map(|value| value.split(','))
            .map(|hop| hop.trim().parse())
            .collect::<Vec<_>>();
        // Each proxy adds the one it heard from at the end; the first that is not ours is the client.
        while let Some(Ok(hop)) = hops.pop() {
            if !self.trusts(hop) || hops.is_empty() {
                return hop;
            }
        }
        peer
    }

    fn trusts(&self, peer: IpAddr) -> bool {
        self.trusted_proxies.iter().any(|net| net.contains(&peer))
    }
}

impl<'a> Said<'a> {
    /// `Forwarded` (RFC 7239) where there is one, else the `X-Forwarded-*` that preceded it. Of several values the
    /// first is the one nearest to the client.
    fn by(headers: &'a HeaderMap) -> Self {
        if let Some(forwarded) = text(headers, &FORWARDED) {
            let mut said = Self::default();
            for pair in forwarded.split(',').next().unwrap_or_default().split(';') {
                let Some((name, value)) = pair.trim().split_once('=') else { continue };
                let value = Some(value.trim().trim_matches('"'));
                match name.to_ascii_lowercase().as_str() {
                    "proto" => said.proto = value,
                    "host" => said.host = value,
                    _ => {}
                }
            }
            return said;
        }
        let first =
            |name| text(headers, &name).and_then(|value| value.split(',').next()).map(str::trim);
        Self {
            proto: first(X_FORWARDED_PROTO),
            host: first(X_FORWARDED_HOST),
            port: first(X_FORWARDED_PORT),
            prefix: first(X_FORWARDED_PREFIX).filter(|prefix| is_path(prefix)),
        }
    }
}

fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

/// A host and perhaps a port, and nothing else.
fn authority(text: &str) -> Option<Authority> {
    text.parse::<Authority>().ok().filter(|authority| !authority.as_str().contains('@'))
}

fn with_port(host: &Authority, port: Option<&str>) -> String {
    match port.and_then(|port| port.parse::<u16>().ok()) {
        Some(port) if host.port().is_none() && !matches!(port, 80 | 443) => {
            format!("{host}:{port}")
        }
        _ => host.to_string(),
    }
}

fn is_path(text: &str) -> bool {
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte);
    text.starts_with('/') && !text.starts_with("//") && text.bytes().all(legal)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::listen::Protocol;

    fn base(policy: &BasePolicy, tls: bool, headers: &[(&str, &str)]) -> String {
        let connection = ConnectionInfo {
            peer: "10.0.0.7:999".parse().unwrap(),
            local: "10.0.0.1:8080".parse().unwrap(),
            protocol: Protocol::Http1,
            tls,
        };
        let name = |name: &str| name.parse::<HeaderName>().unwrap();
        let headers =
            headers.iter().map(|(header, value)| (name(header), value.parse().unwrap())).collect();
        policy
            .base(&"/crates-io/index/config.json".parse().unwrap(), &headers, &connection)
            .to_string()
    }

    #[test]
    fn each_client_is_told_of_the_host_it_used() {
        let open = BasePolicy::default();
        for (tls, headers, expected) in [
            (false, vec![("host", "crates.example.com")], "http://crates.example.com"),
            (false, vec![("host", "localhost:8080")], "http://localhost:8080"),
            (true, vec![("host", "crates.example.com")], "https://crates.example.com"),
            (false, vec![("host", "[::1]:8080")], "http://[::1]:8080"),
            (false, vec![], "http://10.0.0.1:8080"),
            (false, vec![("host", "user@evil")], "http://10.0.0.1:8080"),
            (false, vec![("host", "a/b")], "http://10.0.0.1:8080"),
            (
                false,
                vec![("host", "a"), ("x-forwarded-host", "evil"), ("forwarded", "host=evil")],
                "http://a",
            ),
        ] {
            assert_eq!(base(&open, tls, &headers), expected, "{headers:?}");
        }
    }

    #[test]
    fn only_trusted_proxies_are_believed() {
        let policy =
            BasePolicy { public_url: None, trusted_proxies: vec!["10.0.0.0/8".parse().unwrap()] };
        for (headers, expected) in [
            (
                vec![("host", "a"), ("x-forwarded-proto", "https"), ("x-forwarded-host", "b")],
                "https://b",
            ),
            (vec![("host", "a"), ("x-forwarded-proto", "https")], "https://a"),
            (vec![("host", "a"), ("x-forwarded-port", "8443")], "http://a:8443"),
            (vec![("host", "a"), ("x-forwarded-prefix", "/rust/")], "http://a/rust"),
            (vec![("host", "a"), ("x-forwarded-prefix", "//evil")], "http://a"),
            (
                vec![
                    ("host", "a"),
                    ("forwarded", "for=1.2.3.4;proto=https;host=\"b:1\", proto=http"),
                ],
                "https://b:1",
            ),
            (vec![("host", "a"), ("x-forwarded-proto", "javascript")], "http://a"),
        ] {
            assert_eq!(base(&policy, false, &headers), expected, "{headers:?}");
        }
    }

    #[test]
    fn the_configured_base_is_everybodys() {
        let public_url = Some("https://crates.example.com/rust".parse().unwrap());
        let policy = BasePolicy { public_url, trusted_proxies: vec![] };
        assert_eq!(base(&policy, false, &[("host", "a")]), "https://crates.example.com/rust");
    }
}
