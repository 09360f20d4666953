//! The testkit's S3 server as a process of its own, so that its CPU time is nobody else's.

use std::net::SocketAddr;

use anyhow::{Context as _, Result};
use crateport_testkit::S3Server;
use serde_json::{Value, json};

use crate::child::{Cores, Part};
use crate::crateport::Setup;
use crate::stand::Stand;

/// Runs the part `s3`.
pub(crate) fn run() -> Result<()> {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let server = runtime.block_on(S3Server::start());
    crate::part::converse(&json!({ "endpoint": server.endpoint() }), |_| Ok(Value::Null))
}

/// A running S3 server.
pub(crate) struct S3 {
    part: Part,
}

impl S3 {
    /// Starts it, with an empty bucket.
    pub(crate) fn start(stand: &Stand) -> Result<Self> {
        Ok(Self { part: Part::start("s3", &[], Cores::Client, &stand.log("s3"))? })
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> Result<SocketAddr> {
        let endpoint = self.part.said("endpoint")?;
        let address = endpoint.trim_start_matches("http://").trim_end_matches('/');
        address.parse().with_context(|| endpoint.to_owned())
    }

    /// Makes a setup keep its objects there.
    pub(crate) fn keeps(&self, setup: Setup, prefix: &str) -> Result<Setup> {
        let setup = setup
            .flag("--store", format!("s3://{}/{prefix}", S3Server::BUCKET))
            .flag("--s3-endpoint", self.part.said("endpoint")?)
            .flag("--s3-region", "us-east-1")
            .variable("AWS_ACCESS_KEY_ID", S3Server::ACCESS_KEY)
            .variable("AWS_SECRET_ACCESS_KEY", S3Server::SECRET_KEY)
            .variable("AWS_EC2_METADATA_DISABLED", "true");
        Ok(setup)
    }
}
