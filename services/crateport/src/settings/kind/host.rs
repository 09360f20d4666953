//! Hosts and networks, as `allow`, `hosts` and `trusted-proxies` name them.

use std::net::{IpAddr, SocketAddr};

use crateport_upstream::{AllowEntry, HostName};
use ipnet::IpNet;

use super::Word;

/// A host and perhaps a port, as other replicas write them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct AdvertiseAddress {
    /// A name or an IP address, in brackets where it needs them.
    host: String,
    port: Option<u16>,
}

impl AdvertiseAddress {
    /// Whether only this machine can reach it.
    pub(crate) fn is_loopback(&self) -> bool {
        let ip = self.host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
        self.host == "localhost" || ip.is_ok_and(|ip| ip.is_loopback())
    }

    /// `HOST:PORT`, with the port that a listener has unless another one is set.
    pub(crate) fn with_port_of(&self, listener: SocketAddr) -> String {
        format!("{}:{}", self.host, self.port.unwrap_or(listener.port()))
    }
}

impl Word for AdvertiseAddress {
    type Value = Self;
    const VALUE_NAME: &'static str = "HOST[:PORT]";
    const ALLOWED: &'static str = "a host name or an IP address, perhaps with a port, such as 10.0.0.7 or replica-1:8081, \
         or auto for this machine's host name";

    fn parse_word(text: &str) -> Result<Self, String> {
        if text == "auto" {
            let name = rustix::system::uname();
            let name = name.nodename().to_str().map_err(|_| "the host name is not UTF-8 text")?;
            return named(name, None)
                .ok_or_else(|| format!("the host name {name:?} cannot be used"));
        }
        let bracketed = |ip: IpAddr| match ip {
            IpAddr::V4(ip) => ip.to_string(),
            IpAddr::V6(ip) => format!("[{ip}]"),
        };
        let (ip, port) = match (text.parse::<IpAddr>(), text.parse::<SocketAddr>()) {
            (Ok(ip), _) => (Some(ip), None),
            (_, Ok(address)) => (Some(address.ip()), Some(address.port())),
            _ => (None, None),
        };
        if let Some(ip) = ip {
            if ip.is_unspecified() {
                return Err("it is the address of no single machine".to_owned());
            }
            return Ok(Self { host: bracketed(ip), port });
        }
        let (host, port) = match text.split_once(':') {
            Some((host, port)) => (host, Some(port.parse().map_err(|_| "its port is no number")?)),
            None => (text, None),
        };
        named(host, port).ok_or_else(|| "it names no host".to_owned())
    }
}

fn named(host: &str, port: Option<u16>) -> Option<AdvertiseAddress> {
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
    let is_name = !host.is_empty() && host.bytes().all(legal);
    is_name.then(|| AdvertiseAddress { host: host.to_owned(), port })
}

impl Word for HostName {
    type Value = Self;
    const VALUE_NAME: &'static str = "HOST";
    const ALLOWED: &'static str = "a host or host:port such as crates.example.com";

    fn parse_word(text: &str) -> Result<Self, String> {
        text.parse().map_err(|_| "it names no host".to_owned())
    }
}

impl Word for AllowEntry {
    type Value = Self;
    const VALUE_NAME: &'static str = "HOST|NETWORK";
    const ALLOWED: &'static str =
        "a host, host:port or network such as mirror.corp, mirror.corp:8443 or 10.0.0.0/8";

    fn parse_word(text: &str) -> Result<Self, String> {
        text.parse().map_err(|_| "it names neither".to_owned())
    }
}

impl Word for IpNet {
    type Value = Self;
    const VALUE_NAME: &'static str = "NETWORK";
    const ALLOWED: &'static str = "an address or a network such as 10.0.0.7 or 10.0.0.0/8";

    fn parse_word(text: &str) -> Result<Self, String> {
        if let Ok(address) = text.parse::<IpAddr>() {
            return Ok(address.into());
        }
        text.parse::<Self>().map(|network| network.trunc()).map_err(|_| "it is neither".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_for_others_is_a_host_with_the_port_of_the_listener_or_another() {
        let listener = "0.0.0.0:8081".parse().unwrap();
        for (text, expected) in [
            ("10.0.0.7", Some("10.0.0.7:8081")),
            ("10.0.0.7:9", Some("10.0.0.7:9")),
            ("fd00::7", Some("[fd00::7]:8081")),
            ("[fd00::7]:9", Some("[fd00::7]:9")),
            ("replica-1", Some("replica-1:8081")),
            ("replica-1.crateport:9", Some("replica-1.crateport:9")),
            ("0.0.0.0", None),
            ("[::]:8081", None),
            ("http://replica-1", None),
            ("replica-1:", None),
            (":8081", None),
            ("a b", None),
        ] {
            let parsed = AdvertiseAddress::parse_word(text);
            let address = parsed.ok().map(|parsed| parsed.with_port_of(listener));
            assert_eq!(address.as_deref(), expected, "{text}");
        }
    }
}
