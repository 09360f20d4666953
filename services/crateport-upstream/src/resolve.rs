//! Name look-up that keeps out of private networks.
//!
//! Every connection is made to addresses that came through here, in the same step in which they are judged, so a
//! name that changes its address between a check and the connection (DNS rebinding) gains nothing.

use std::net::SocketAddr;
use std::sync::Arc;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use crate::guard::Guard;

/// The system's resolver, with the addresses that [`Guard`] objects to taken out.
#[derive(Debug)]
pub(crate) struct GuardedResolver(pub(crate) Arc<Guard>);

/// A name has addresses, and none of them is allowed.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the name has {objection}")]
pub(crate) struct AddressesRefused {
    /// What is wrong with the first of them.
    pub(crate) objection: &'static str,
}

impl Resolve for GuardedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let guard = Arc::clone(&self.0);
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            let allowed = allowed(&guard, name.as_str(), found)?;
            Ok(Box::new(allowed.into_iter()) as Addrs)
        })
    }
}

fn allowed(
    guard: &Guard,
    name: &str,
    mut found: Vec<SocketAddr>,
) -> Result<Vec<SocketAddr>, AddressesRefused> {
    if guard.exempts(name) {
        return Ok(found);
    }
    let objection = found.iter().find_map(|address| guard.objection_to(address.ip()));
    found.retain(|address| guard.objection_to(address.ip()).is_none());
    match objection {
        Some(objection) if found.is_empty() => Err(AddressesRefused { objection }),
        _ => Ok(found),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{SparseConfig, UpstreamError, failure};

    fn config(index: &str) -> SparseConfig {
        SparseConfig::new("internal".parse().unwrap(), index.parse().unwrap(), "test")
    }

    #[tokio::test]
    async fn a_name_with_nothing_but_private_addresses_is_forbidden_and_not_unreachable() {
        let guard = Arc::new(Guard::new(&config("sparse+https://own.corp/").origin(), Vec::new()));
        let client = reqwest::Client::builder().no_proxy().dns_resolver(GuardedResolver(guard));
        let url: url::Url = "http://localhost:1/x?signature".parse().unwrap();
        let error = client.build().unwrap().get(url.clone()).send().await.unwrap_err();
        let error = failure::before_headers(&url, "localhost:1", &error);
        assert!(matches!(error, UpstreamError::Forbidden { .. }), "{error}");
        assert_eq!(
            error.to_string(),
            "http://localhost:1/x?*** is not allowed: the name has a loopback address"
        );
    }

    #[test]
    fn private_addresses_of_foreign_names_are_taken_out() {
        let mut config = config("sparse+https://own.corp/");
        config.allow =
            ["named.corp", "10.9.0.0/16"].map(|it| it.parse().unwrap()).into_iter().collect();
        let guard = Guard::new(&config.origin(), vec!["proxy.corp".into()]);
        for (name, found, expected) in [
            ("own.corp", vec!["10.0.0.1"], Some(vec!["10.0.0.1"])),
            ("OWN.corp.", vec!["127.0.0.1"], Some(vec!["127.0.0.1"])),
            ("named.corp", vec!["10.0.0.1"], Some(vec!["10.0.0.1"])),
            ("proxy.corp", vec!["10.0.0.1"], Some(vec!["10.0.0.1"])),
            ("foreign.example", vec!["1.1.1.1"], Some(vec!["1.1.1.1"])),
            ("foreign.example", vec!["10.0.0.1", "1.1.1.1", "::1"], Some(vec!["1.1.1.1"])),
            ("foreign.example", vec!["10.9.0.1", "10.8.0.1"], Some(vec!["10.9.0.1"])),
            ("foreign.example", vec!["10.0.0.1", "169.254.169.254"], None),
            ("foreign.example", vec!["::ffff:127.0.0.1"], None),
        ] {
            let sockets = |texts: Vec<&str>| -> Vec<SocketAddr> {
                texts.iter().map(|text| SocketAddr::new(text.parse().unwrap(), 0)).collect()
            };
            let answer = allowed(&guard, name, sockets(found)).ok();
            assert_eq!(answer, expected.map(sockets), "{name}");
        }
    }
}
