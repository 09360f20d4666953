//! Hosts and networks, as `allow`, `hosts` and `trusted-proxies` name them.

use std::net::IpAddr;

use crateport_upstream::{AllowEntry, HostName};
use ipnet::IpNet;

use super::Word;

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
