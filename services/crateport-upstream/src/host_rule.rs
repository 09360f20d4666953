//! How the configuration names hosts: by name, by name and port, by address, by network.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use ipnet::IpNet;
use url::{Host, Url};

/// A host, perhaps on one port only: `a.example`, `a.example:8443`, `10.0.0.5`, `[fd00::1]:8443`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct HostName {
    host: Host<String>,
    port: Option<u16>,
}

/// One thing that is allowed although its address is private.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AllowEntry {
    /// A host by its name or its literal address.
    Host(HostName),
    /// Every address of a network, however it was come by: `10.0.0.0/8`.
    Network(IpNet),
}

/// What a registry may lead to although its address is private.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AllowList(Vec<AllowEntry>);

/// The text names no host and no network.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no host, no host:port and no network such as 10.0.0.0/8")]
pub struct InvalidHost(String);

/// The host of a URL in the form in which rules are compared: lower case, without the dot of the root.
pub(crate) fn host_of(url: &Url) -> Option<Host<String>> {
    Some(match url.host()? {
        Host::Domain(name) => Host::Domain(canonical(name)),
        Host::Ipv4(address) => Host::Ipv4(address),
        Host::Ipv6(address) => Host::Ipv6(address),
    })
}

/// The address that a host is, when it is written as one.
pub(crate) fn literal(host: &Host<String>) -> Option<IpAddr> {
    match host {
        Host::Domain(_) => None,
        Host::Ipv4(address) => Some((*address).into()),
        Host::Ipv6(address) => Some((*address).into()),
    }
}

/// A name in the form in which rules are compared.
pub(crate) fn canonical(name: &str) -> String {
    name.trim_end_matches('.').to_ascii_lowercase()
}

impl HostName {
    /// Whether `url` leads to this host, on this port where one is named.
    #[must_use]
    pub fn matches(&self, url: &Url) -> bool {
        host_of(url).as_ref() == Some(&self.host)
            && self.port.is_none_or(|port| url.port_or_known_default() == Some(port))
    }

    /// Whether this is the host called `name`, on whatever port.
    pub(crate) fn is_called(&self, name: &str) -> bool {
        matches!(&self.host, Host::Domain(own) if *own == canonical(name))
    }

    fn address(&self) -> Option<IpAddr> {
        literal(&self.host)
    }
}

impl AllowList {
    /// A list of what `entries` name.
    #[must_use]
    pub fn new(entries: Vec<AllowEntry>) -> Self {
        Self(entries)
    }

    /// Whether the list names where `url` leads.
    pub(crate) fn names(&self, url: &Url) -> bool {
        let address = host_of(url).as_ref().and_then(literal);
        self.0.iter().any(|entry| match entry {
            AllowEntry::Host(host) => host.matches(url),
            AllowEntry::Network(network) => address.is_some_and(|it| network.contains(&it)),
        })
    }

    /// Whether the list names the host called `name`, on whatever port.
    pub(crate) fn names_host(&self, name: &str) -> bool {
        self.0.iter().any(|entry| matches!(entry, AllowEntry::Host(host) if host.is_called(name)))
    }

    /// Whether every port of `address` is allowed, by a network or by the address itself.
    pub(crate) fn covers(&self, address: IpAddr) -> bool {
        self.0.iter().any(|entry| match entry {
            AllowEntry::Host(host) => host.port.is_none() && host.address() == Some(address),
            AllowEntry::Network(network) => network.contains(&address),
        })
    }
}

impl FromStr for HostName {
    type Err = InvalidHost;

    fn from_str(text: &str) -> Result<Self, InvalidHost> {
        let invalid = || InvalidHost(text.to_owned());
        if let Ok(address) = text.parse::<IpAddr>() {
            let host = match address {
                IpAddr::V4(address) => Host::Ipv4(address),
                IpAddr::V6(address) => Host::Ipv6(address),
            };
            return Ok(Self { host, port: None });
        }
        let (host, port) = match text.rsplit_once(':') {
            Some((host, port)) if !port.contains(']') => {
                (host, Some(port.parse().map_err(|_| invalid())?))
            }
            _ => (text, None),
        };
        let host = match Host::parse(host).map_err(|_| invalid())? {
            Host::Domain(name) => Host::Domain(canonical(&name)),
            address => address,
        };
        Ok(Self { host, port })
    }
}

impl FromStr for AllowEntry {
    type Err = InvalidHost;

    fn from_str(text: &str) -> Result<Self, InvalidHost> {
        if text.contains('/') {
            return text.parse().map(Self::Network).map_err(|_| InvalidHost(text.to_owned()));
        }
        text.parse().map(Self::Host)
    }
}

impl FromIterator<AllowEntry> for AllowList {
    fn from_iter<I: IntoIterator<Item = AllowEntry>>(entries: I) -> Self {
        Self(entries.into_iter().collect())
    }
}

impl fmt::Display for HostName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.host)?;
        match self.port {
            Some(port) => write!(f, ":{port}"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for AllowEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Host(host) => host.fmt(f),
            Self::Network(network) => network.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_names_hosts_ports_and_networks() {
        for (entry, url, expected) in [
            ("a.example", "https://a.example/x", true),
            ("a.example", "https://a.example:8443/x", true),
            ("A.Example.", "https://a.example./x", true),
            ("a.example", "https://b.a.example/x", false),
            ("a.example:443", "https://a.example/x", true),
            ("a.example:8443", "https://a.example/x", false),
            ("127.0.0.1", "http://127.0.0.1:9/x", true),
            ("127.0.0.1:9", "http://127.0.0.1:9/x", true),
            ("127.0.0.1:9", "http://127.0.0.1:8/x", false),
            ("127.0.0.1", "http://0x7f.1/x", true),
            ("10.0.0.0/8", "http://10.1.2.3/x", true),
            ("10.0.0.0/8", "http://11.1.2.3/x", false),
            ("fd00::1", "http://[fd00::1]:9/x", true),
            ("[fd00::1]:9", "http://[fd00::1]:9/x", true),
            ("[fd00::1]", "http://[fd00::2]/x", false),
            ("fd00::/8", "http://[fd12::2]/x", true),
        ] {
            let list = AllowList::new(vec![entry.parse().unwrap()]);
            assert_eq!(list.names(&url.parse().unwrap()), expected, "{entry} {url}");
        }
    }

    #[test]
    fn what_names_nothing_is_refused() {
        for text in ["", "a b", "a:b", "a.example:70000", "10.0.0.0/33", "a/8", "https://a/", ":80"]
        {
            assert!(text.parse::<AllowEntry>().is_err(), "{text}");
        }
    }
}
