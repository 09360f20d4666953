//! The other replicas of the fleet, where they are asked for what they have of a fill under way.
//!
//! A replica that leads a fill says in its lease where it can be asked; those who follow read along from it while
//! the bytes come, instead of waiting until the store has them. What a peer sends is trusted no more than what upstream
//! sends: it is checked by its digest. Neither redirects nor outbound proxies are followed.

use std::time::Duration;

use crateport_types::{ETag, Sha256, StoreKey, Validators};
use futures_util::{StreamExt as _, stream};
use http::StatusCode;
use http::header::ETAG;
use reqwest::Client;
use reqwest::redirect::Policy;
use tokio::time::timeout;
use url::Url;

use crate::{BuildError, Found, UpstreamError, failure};

/// Where a replica answers for its fills, on its ops listener.
pub const FILL_PATH: &str = "/fill";
/// The part of the query that names the object.
pub const FILL_KEY: &str = "key";
/// The part of the query that tells its digest.
pub const FILL_CHECKSUM: &str = "checksum";

/// How long an unused connection is kept.
const POOL_IDLE_TIMEOUT: Duration = Duration::from_secs(30);

/// How long a replica that leads is waited for.
#[derive(Clone, Copy, Debug)]
pub struct PeerLimits {
    /// Until it is connected.
    pub connect_timeout: Duration,
    /// Until its next bytes.
    pub idle_timeout: Duration,
}

/// Asks the other replicas. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Peers {
    client: Client,
    limits: PeerLimits,
    /// Where this replica itself is asked.
    advertised: Option<Box<str>>,
}

impl Peers {
    /// A client of the replicas other than the one at `advertised`, which is this one.
    ///
    /// # Errors
    ///
    /// When the HTTP client cannot be set up.
    pub fn new(advertised: Option<&str>, limits: PeerLimits) -> Result<Self, BuildError> {
        let client = Client::builder()
            .redirect(Policy::none())
            .referer(false)
            .no_proxy()
            // Nothing here is encrypted, so there is no need to read the machine's certificates.
            .tls_certs_only([])
            .connect_timeout(limits.connect_timeout)
            .pool_idle_timeout(POOL_IDLE_TIMEOUT)
            .build()
            .map_err(BuildError::Client)?;
        Ok(Self { client, limits, advertised: advertised.map(Into::into) })
    }

    /// The bytes of a fill under way at the replica `leader` (`HOST:PORT`), from the first one on. `None` if it has no
    /// such fill. How long to wait for the first one is for the caller to know.
    ///
    /// # Errors
    ///
    /// When it does not answer, or with something else.
    pub async fn fill(
        &self,
        leader: &str,
        key: &StoreKey,
        checksum: &Sha256,
    ) -> Result<Option<Found>, UpstreamError> {
        if self.advertised.as_deref() == Some(leader) {
            // A lease from before this process was started: nobody leads.
            return Ok(None);
        }
        let host = leader.to_owned();
        let url = url_of(leader, key, checksum).ok_or_else(|| UpstreamError::Invalid {
            host: host.clone(),
            detail: "it is no HOST:PORT".to_owned(),
        })?;
        let answer = self.client.get(url.clone()).send().await;
        let answer = answer.map_err(|error| failure::before_headers(&url, &host, &error))?;
        match answer.status() {
            StatusCode::OK => {}
            StatusCode::NOT_FOUND => return Ok(None),
            status => {
                let (status, retry_after) = (status.as_u16(), None);
                return Err(UpstreamError::Status { host, status, retry_after });
            }
        }
        // Something else may have come to listen at the address of a replica that is gone.
        let tag = answer.headers().get(ETAG).and_then(|tag| tag.to_str().ok());
        if tag != Some(ETag::of(checksum).as_str()) {
            let detail = "it does not say that it is this object".to_owned();
            return Err(UpstreamError::Invalid { host, detail });
        }
        let size_bytes = answer.content_length();
        let idle_timeout = self.limits.idle_timeout;
        let chunks = Box::pin(answer.bytes_stream());
        let body = stream::unfold((chunks, host), move |(mut chunks, host)| async move {
            let chunk = match timeout(idle_timeout, chunks.next()).await {
                Ok(chunk) => chunk?.map_err(|error| failure::in_body(&host, &error)),
                Err(_) => Err(UpstreamError::Timeout { host: host.clone(), waited: idle_timeout }),
            };
            Some((chunk, (chunks, host)))
        });
        let (validators, date) = (Validators::default(), None);
        Ok(Some(Found { size_bytes, validators, date, body: Box::pin(body) }))
    }
}

/// Nothing but a host and a port, so that a lease can lead nowhere else on that host.
fn url_of(leader: &str, key: &StoreKey, checksum: &Sha256) -> Option<Url> {
    if leader.is_empty() || leader.contains(['/', '?', '#', '@', '\\']) {
        return None;
    }
    let mut url = Url::parse(&format!("http://{leader}{FILL_PATH}")).ok()?;
    url.query_pairs_mut()
        .append_pair(FILL_KEY, key.as_str())
        .append_pair(FILL_CHECKSUM, &checksum.to_string());
    Some(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lease_leads_to_fills_of_a_host_and_nowhere_else() {
        let key = StoreKey::listed("v1/a/crates/b/b-1.0.0+c.crate").unwrap();
        let digest = Sha256::of(b"");
        for (leader, begins) in [
            (
                "10.0.0.7:8081",
                Some(
                    "http://10.0.0.7:8081/fill?key=v1%2Fa%2Fcrates%2Fb%2Fb-1.0.0%2Bc.crate&checksum=e3b0",
                ),
            ),
            ("[fd00::7]:8081", Some("http://[fd00::7]:8081/fill?")),
            ("replica-1:8081", Some("http://replica-1:8081/fill?")),
            ("replica-1:8081/purge?a=", None),
            ("user@replica-1:8081", None),
            ("replica-1:port", None),
            ("", None),
        ] {
            let url = url_of(leader, &key, &digest);
            match begins {
                Some(begins) => assert!(url.unwrap().as_str().starts_with(begins), "{leader}"),
                None => assert_eq!(url, None, "{leader}"),
            }
        }
    }
}
