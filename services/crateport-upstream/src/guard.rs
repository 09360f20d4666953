//! Where a registry may lead us, and where its token may go.
//!
//! A registry is somebody else's: its `dl`, its `api` and its redirects must not make this process fetch from the
//! network it stands in. What a URL alone can tell is judged here before anything is sent; what only the name look-up
//! can tell is judged by [`GuardedResolver`](crate::resolve::GuardedResolver), with the same rules.

use std::net::IpAddr;

use crateport_types::RedactedUrl;
use url::{Host, Url};

use crate::address::special_use;
use crate::config::OriginConfig;
use crate::host_rule::{canonical, host_of, literal};
use crate::{AllowList, HostName, UpstreamError};

/// The rules of one registry.
#[derive(Debug)]
pub(crate) struct Guard {
    root: Url,
    token_hosts: Vec<HostName>,
    allow: AllowList,
    proxies: Vec<String>,
}

impl Guard {
    /// The rules that `config` makes. `proxies` are the names of outbound proxies, which must be resolved though
    /// their addresses are private, and must not be reached in any other way because of that.
    pub(crate) fn new(config: &OriginConfig, proxies: Vec<String>) -> Self {
        Self {
            root: config.root.clone(),
            token_hosts: config.token_hosts.clone(),
            allow: config.allow.clone(),
            proxies,
        }
    }

    /// Whether `url` may be asked, when `from` led to it.
    ///
    /// # Errors
    ///
    /// [`UpstreamError::Forbidden`] with the reason.
    pub(crate) fn check(&self, url: &Url, from: Option<&Url>) -> Result<(), UpstreamError> {
        match self.objection(url, from) {
            None => Ok(()),
            Some(detail) => Err(UpstreamError::Forbidden {
                url: RedactedUrl(url).to_string(),
                detail: detail.to_owned(),
            }),
        }
    }

    /// Whether the registry's token may be sent along to `url`.
    pub(crate) fn gets_token(&self, url: &Url) -> bool {
        if url.origin() == self.root.origin() {
            return true;
        }
        let as_safe = url.scheme() == "https" || self.root.scheme() == url.scheme();
        as_safe && self.token_hosts.iter().any(|host| host.matches(url))
    }

    /// Whether the host called `name` may have any address.
    pub(crate) fn exempts(&self, name: &str) -> bool {
        let name = canonical(name);
        self.root.host_str().is_some_and(|own| canonical(own) == name)
            || self.token_hosts.iter().any(|host| host.is_called(&name))
            || self.allow.names_host(&name)
            || self.proxies.contains(&name)
    }

    /// Why a host that is not exempt may not have `address`.
    pub(crate) fn objection_to(&self, address: IpAddr) -> Option<&'static str> {
        if self.allow.covers(address) { None } else { special_use(address) }
    }

    fn objection(&self, url: &Url, from: Option<&Url>) -> Option<&'static str> {
        if !matches!(url.scheme(), "http" | "https") {
            return Some("it is neither http nor https");
        }
        let allowed = self.allow.names(url);
        if from.is_some_and(|from| from.scheme() == "https") && url.scheme() == "http" && !allowed {
            return Some("it leads from https to http");
        }
        let Some(host) = host_of(url) else { return Some("it has no host") };
        let same_host = host_of(&self.root).as_ref() == Some(&host);
        let same_port = self.root.port_or_known_default() == url.port_or_known_default();
        if allowed || (same_host && same_port) || self.token_hosts.iter().any(|it| it.matches(url))
        {
            return None;
        }
        if is_loopback(&host) {
            return Some("it is a loopback address that the configuration does not name");
        }
        if same_host {
            return None;
        }
        if let Some(address) = literal(&host) {
            return self.objection_to(address);
        }
        // From here on the resolver judges, and it does not see ports: a name that is exempt on one port only must
        // not be reached on another one.
        match &host {
            Host::Domain(name) if self.exempts(name) => {
                Some("the configuration names the host on another port only")
            }
            _ => None,
        }
    }
}

fn is_loopback(host: &Host<String>) -> bool {
    match host {
        Host::Domain(name) => name == "localhost" || name.ends_with(".localhost"),
        Host::Ipv4(_) | Host::Ipv6(_) => {
            literal(host).and_then(special_use) == Some("a loopback address")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guard(index: &str, token_hosts: &[&str], allow: &[&str]) -> Guard {
        Guard {
            root: index.parse().unwrap(),
            token_hosts: token_hosts.iter().map(|host| host.parse().unwrap()).collect(),
            allow: allow.iter().map(|entry| entry.parse().unwrap()).collect(),
            proxies: vec!["proxy.corp".to_owned()],
        }
    }

    #[test]
    fn only_public_own_and_named_hosts_are_asked() {
        const PUBLIC: &str = "https://a.example/index/";
        const LOCAL: &str = "http://127.0.0.1:8080/index/";
        const PRIVATE: &str = "http://10.0.0.5/index/";
        const CORPORATE: &str = "https://registry.corp/index/";
        for (index, token_host, allow, url, expected) in [
            (PUBLIC, "", "", "https://a.example/x", true),
            (PUBLIC, "", "", "https://a.example:8443/x", true),
            (PUBLIC, "", "", "https://b.example/x", true),
            (PUBLIC, "", "", "https://1.1.1.1/x", true),
            (PUBLIC, "", "", "http://127.0.0.1/x", false),
            (PUBLIC, "", "", "http://2130706433/x", false),
            (PUBLIC, "", "", "http://localhost/x", false),
            (PUBLIC, "", "", "http://LOCALHOST./x", false),
            (PUBLIC, "", "", "http://x.localhost/x", false),
            (PUBLIC, "", "", "http://169.254.169.254/latest/", false),
            (PUBLIC, "", "", "http://[::ffff:10.0.0.1]/x", false),
            (PUBLIC, "", "", "http://[fd00::1]/x", false),
            (PUBLIC, "", "", "ftp://b.example/x", false),
            (PUBLIC, "", "", "file:///etc/passwd", false),
            (PUBLIC, "", "", "http://proxy.corp:3128/x", false),
            (PUBLIC, "", "10.0.0.0/8", "http://10.1.1.1/x", true),
            (PUBLIC, "", "10.0.0.0/8", "http://192.168.1.1/x", false),
            (PUBLIC, "", "10.1.1.1:80", "http://10.1.1.1/x", true),
            (PUBLIC, "", "10.1.1.1:80", "http://10.1.1.1:81/x", false),
            (PUBLIC, "", "127.0.0.0/8", "http://127.0.0.1:81/x", true),
            (PUBLIC, "", "files.corp:8443", "https://files.corp:8443/x", true),
            (PUBLIC, "", "files.corp:8443", "https://files.corp/x", false),
            (PUBLIC, "192.168.1.1", "", "https://192.168.1.1/x", true),
            (LOCAL, "", "", "http://127.0.0.1:8080/x", true),
            (LOCAL, "", "", "http://127.0.0.1:8081/x", false),
            (LOCAL, "", "127.0.0.1", "http://127.0.0.1:8081/x", true),
            (LOCAL, "", "127.0.0.1:8081", "http://127.0.0.1:8081/x", true),
            (LOCAL, "", "127.0.0.1:8081", "http://127.0.0.1:8082/x", false),
            (LOCAL, "", "", "http://10.0.0.1/x", false),
            (PRIVATE, "", "", "http://10.0.0.5:8080/x", true),
            (PRIVATE, "", "", "http://10.0.0.6/x", false),
            (CORPORATE, "", "", "https://registry.corp:8443/x", true),
        ] {
            let words = |text: &'static str| if text.is_empty() { vec![] } else { vec![text] };
            let guard = guard(index, &words(token_host), &words(allow));
            let answer = guard.check(&url.parse().unwrap(), None);
            assert_eq!(answer.is_ok(), expected, "{index} {token_host} {allow} {url}: {answer:?}");
        }
    }

    #[test]
    fn https_leads_to_http_only_where_the_configuration_says_so() {
        let https = "https://a.example/x".parse().unwrap();
        for (allow, url, expected) in [
            (vec![], "http://b.example/x", false),
            (vec![], "http://a.example/x", false),
            (vec![], "https://b.example/x", true),
            (vec!["b.example"], "http://b.example/x", true),
        ] {
            let guard = guard("https://a.example/", &[], &allow);
            assert_eq!(guard.check(&url.parse().unwrap(), Some(&https)).is_ok(), expected, "{url}");
        }
    }

    #[test]
    fn an_objection_tells_where_but_not_with_what() {
        let guard = guard("https://a.example/", &[], &[]);
        let url = "http://10.0.0.1/x?sig=secret".parse().unwrap();
        let error = guard.check(&url, None).unwrap_err().to_string();
        assert_eq!(error, "http://10.0.0.1/x?*** is not allowed: a private address");
    }

    #[test]
    fn the_token_goes_to_the_registrys_own_hosts_only() {
        let https = guard("https://a.example/", &["b.example", "c.example:8443"], &["d.example"]);
        let http = guard("http://a.example:81/", &["b.example"], &[]);
        for (guard, url, expected) in [
            (&https, "https://a.example/x", true),
            (&https, "https://a.example:443/x", true),
            (&https, "https://a.example:444/x", false),
            (&https, "http://a.example/x", false),
            (&https, "https://x.a.example/x", false),
            (&https, "https://b.example/x", true),
            (&https, "http://b.example/x", false),
            (&https, "https://c.example:8443/x", true),
            (&https, "https://c.example/x", false),
            (&https, "https://d.example/x", false),
            (&http, "http://a.example:81/x", true),
            (&http, "http://a.example/x", false),
            (&http, "http://b.example/x", true),
        ] {
            assert_eq!(guard.gets_token(&url.parse().unwrap()), expected, "{url}");
        }
    }
}
