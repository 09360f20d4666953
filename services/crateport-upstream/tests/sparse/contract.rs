//! The suite of the port, for index files, `config.json` and crates.

use std::net::SocketAddr;
use std::sync::Arc;

use async_trait::async_trait;
use crateport_types::{ResourceKind, Validators};
use crateport_upstream::contract::{Subject, check};
use crateport_upstream::{Ask, Reply, Upstream, UpstreamError, UpstreamLimits};

use crate::support::{build, config, patient, serde};

struct Sparse(ResourceKind);

#[async_trait]
impl Subject for Sparse {
    fn upstream(&self, server: SocketAddr) -> Arc<dyn Upstream> {
        Arc::new(build(config(server, UpstreamLimits { requests_max: 1, ..patient() })))
    }

    async fn fetch(
        &self,
        upstream: &dyn Upstream,
        server: SocketAddr,
        validators: &Validators,
    ) -> Result<Reply, UpstreamError> {
        match self.0 {
            ResourceKind::Index => {
                upstream.fetch(Ask::IndexFile { name: &serde(), validators }).await
            }
            ResourceKind::Krate => {
                let dl = format!("http://{server}/dl").parse().unwrap();
                let (name, version) = ("a".parse().unwrap(), "1.0.0".parse().unwrap());
                let checksum = crateport_types::Sha256::of(b"");
                let ask =
                    Ask::Krate { dl: &dl, name: &name, version: &version, checksum: &checksum };
                upstream.fetch(ask).await
            }
            _ => upstream.fetch(Ask::Config).await,
        }
    }

    fn is_conditional(&self) -> bool {
        self.0 == ResourceKind::Index
    }
}

#[tokio::test]
async fn index_files_keep_the_contract() {
    check(&Sparse(ResourceKind::Index)).await.unwrap();
}

#[tokio::test]
async fn crates_keep_the_contract() {
    check(&Sparse(ResourceKind::Krate)).await.unwrap();
}

#[tokio::test]
async fn config_json_keeps_the_contract() {
    check(&Sparse(ResourceKind::Config)).await.unwrap();
}
