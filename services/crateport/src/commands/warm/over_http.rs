//! Warming a Crateport somewhere else, as one more client of its main listener.

use std::time::Duration;

use anyhow::Context as _;
use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use crateport_operate::{Cold, OperateError, Place, Wanted, Warmth};
use crateport_types::{Hasher, Outcome, Resource, Sha256};
use reqwest::header::{ETAG, RETRY_AFTER};
use reqwest::{Client, Response, StatusCode};
use url::Url;

use crate::settings::Settings;

/// A Crateport by the address of its main listener.
#[derive(Debug)]
pub(crate) struct OverHttp {
    base: Url,
    client: Client,
}

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Longer than a Crateport lets anybody wait for a first byte.
const READ_TIMEOUT: Duration = Duration::from_secs(60);
/// What is waited where the answer does not tell.
const RETRY_AFTER_DEFAULT: Duration = Duration::from_secs(2);

impl OverHttp {
    pub(crate) fn new(to: &Url, settings: &Settings) -> anyhow::Result<Self> {
        let mut base = to.clone();
        if !base.path().ends_with('/') {
            base.set_path(&format!("{}/", to.path()));
        }
        let agent = concat!("crateport/", env!("CARGO_PKG_VERSION"), " (warm)");
        let mut builder = Client::builder()
            .user_agent(agent)
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(CONNECT_TIMEOUT)
            .read_timeout(READ_TIMEOUT);
        for path in &settings.upstream_ca_files {
            let pem = std::fs::read(path).with_context(|| path.display().to_string())?;
            let authorities = reqwest::Certificate::from_pem_bundle(&pem)?;
            builder = builder.tls_certs_merge(authorities);
        }
        Ok(Self { base, client: builder.build()? })
    }

    fn url(&self, wanted: &Wanted) -> Result<Url, Cold> {
        let Wanted { origin, resource, .. } = wanted;
        let path = match resource {
            Resource::IndexFile(name) => format!("{origin}/index/{}", name.path()),
            Resource::Krate { name, version } => {
                format!("{origin}/crates/{name}/{version}/download?delivery=stream")
            }
            Resource::Dist(path) => format!("{origin}/{path}?delivery=stream"),
            Resource::Config | Resource::Search { .. } => format!("{origin}/index/config.json"),
        };
        self.base.join(&path).map_err(|error| Cold { why: error.to_string(), retry_after: None })
    }

    /// Reads a body, and tells its length.
    async fn read(&self, mut response: Response, wanted: &Wanted) -> Result<u64, Cold> {
        let (mut size_bytes, mut hasher) = (0, Hasher::default());
        while let Some(piece) = response.chunk().await.map_err(|error| broken(&error))? {
            size_bytes += piece.len() as u64;
            hasher.update(&piece);
        }
        match wanted.checksum {
            Some(checksum) if checksum != hasher.finish() => Err(Cold::other_checksum()),
            _ => Ok(size_bytes),
        }
    }
}

#[async_trait]
impl Place for OverHttp {
    async fn warm(&self, wanted: &Wanted) -> Result<Warmth, Cold> {
        let url = self.url(wanted)?;
        // What is there and large need not be sent; what is not begins to come.
        let is_large = matches!(wanted.resource, Resource::Krate { .. } | Resource::Dist(_));
        if is_large {
            let head =
                self.client.head(url.clone()).send().await.map_err(|error| broken(&error))?;
            if head.status().is_success() && outcome(&head) == Some(Outcome::Hit.as_str()) {
                return match wanted.checksum {
                    Some(checksum) if told_checksum(&head).is_some_and(|told| told != checksum) => {
                        Err(Cold::other_checksum())
                    }
                    _ => Ok(Warmth::Present),
                };
            }
        }
        let response = self.client.get(url).send().await.map_err(|error| broken(&error))?;
        if !response.status().is_success() {
            return Err(refused(response).await);
        }
        let is_new = [Outcome::Fill.as_str(), Outcome::Join.as_str()]
            .iter()
            .any(|fetched| outcome(&response) == Some(fetched));
        let size_bytes = self.read(response, wanted).await?;
        // The head of what is here now began to fetch it.
        Ok(if is_new || is_large { Warmth::Fetched { size_bytes } } else { Warmth::Present })
    }

    async fn read(&self, wanted: &Wanted, size_bytes_max: usize) -> Result<Bytes, Cold> {
        let mut response =
            self.client.get(self.url(wanted)?).send().await.map_err(|error| broken(&error))?;
        if !response.status().is_success() {
            return Err(refused(response).await);
        }
        let mut read = BytesMut::new();
        while let Some(piece) = response.chunk().await.map_err(|error| broken(&error))? {
            read.extend_from_slice(&piece);
            if read.len() > size_bytes_max {
                return Err(Cold { why: "it is too large".to_owned(), retry_after: None });
            }
        }
        Ok(read.freeze())
    }

    /// The Crateport keeps what it serves.
    async fn settle(&self, _wanted: &[Wanted]) -> Result<Vec<(Wanted, Cold)>, OperateError> {
        Ok(Vec::new())
    }
}

fn outcome(response: &Response) -> Option<&str> {
    response.headers().get("x-cache")?.to_str().ok()
}

/// The digest of what is there: a Crateport's tags of crates and dist files are made of it.
fn told_checksum(response: &Response) -> Option<Sha256> {
    let tag = response.headers().get(ETAG)?.to_str().ok()?;
    tag.trim_matches('"').parse().ok()
}

async fn refused(response: Response) -> Cold {
    let status = response.status();
    let wait = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok());
    let wait =
        wait.and_then(|text| text.parse().ok()).map_or(RETRY_AFTER_DEFAULT, Duration::from_secs);
    let may_pass = status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS;
    // One sentence is all that a Crateport answers with.
    let why = response.text().await.unwrap_or_default();
    let why = why.lines().next().unwrap_or_default();
    let why = if why.is_empty() { status.to_string() } else { why.to_owned() };
    Cold { why, retry_after: may_pass.then_some(wait) }
}

fn broken(error: &reqwest::Error) -> Cold {
    let source = std::error::Error::source(error).map(|source| format!(": {source}"));
    let why = format!("{error}{}", source.unwrap_or_default());
    Cold { why, retry_after: Some(RETRY_AFTER_DEFAULT) }
}
