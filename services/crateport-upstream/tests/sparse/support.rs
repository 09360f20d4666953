//! An upstream, a server that plays the registry, and short words for what is asked of them.

use std::io::Write as _;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use crateport_types::{CrateName, DlTemplate, IndexName, Sha256, Validators};
use crateport_upstream::contract::{Act, RawServer, Seen};
use crateport_upstream::{
    Ask, OutboundProxy, Reply, SparseConfig, SparseUpstream, Upstream as _, UpstreamError,
    UpstreamLimits, UpstreamMetrics,
};
use flate2::Compression;
use flate2::write::GzEncoder;

/// What the index file of every test says.
pub(crate) const LINE: &[u8] = b"{\"name\":\"serde\",\"vers\":\"1.0.0\"}\n";

/// Large enough that only what never ends runs into it.
pub(crate) const NEVER: Duration = Duration::from_secs(60);

/// Bounds that make faults short, with no retries and no circuit in the way.
pub(crate) fn limits() -> UpstreamLimits {
    UpstreamLimits {
        answer_timeout: Duration::from_millis(200),
        idle_timeout: Duration::from_millis(200),
        deadline: Duration::from_millis(800),
        retries_max: 0,
        retry_delay_base: Duration::from_millis(1),
        failures_before_open: u32::MAX,
        slow_after: Duration::from_millis(50),
        index_size_bytes_max: 1 << 20,
        ..UpstreamLimits::default()
    }
}

/// Bounds that a well-behaved server never meets, however busy the machine.
pub(crate) fn patient() -> UpstreamLimits {
    UpstreamLimits { answer_timeout: NEVER, idle_timeout: NEVER, deadline: NEVER, ..limits() }
}

pub(crate) fn config(server: SocketAddr, limits: UpstreamLimits) -> SparseConfig {
    let index = format!("sparse+http://{server}/index/").parse().unwrap();
    SparseConfig {
        limits,
        proxy: OutboundProxy::Direct,
        ..SparseConfig::new("internal".parse().unwrap(), index, "crateport-test/1")
    }
}

pub(crate) fn build(config: SparseConfig) -> SparseUpstream {
    let metrics = UpstreamMetrics::register(&prometheus::Registry::new()).unwrap();
    SparseUpstream::new(config, metrics).unwrap()
}

pub(crate) fn upstream(server: &RawServer, limits: UpstreamLimits) -> SparseUpstream {
    build(config(server.address(), limits))
}

pub(crate) async fn serve(
    respond: impl Fn(&Seen) -> Vec<Act> + Send + Sync + 'static,
) -> RawServer {
    RawServer::start(respond).await.unwrap()
}

/// A server that always does the same.
pub(crate) async fn always(acts: Vec<Act>) -> RawServer {
    serve(move |_| acts.clone()).await
}

pub(crate) fn redirect(to: impl std::fmt::Display) -> Act {
    Act::status(302, &format!("location: {to}\r\n"))
}

pub(crate) fn serde() -> IndexName {
    "serde".parse::<CrateName>().unwrap().index_name()
}

pub(crate) async fn index_file(upstream: &SparseUpstream) -> Result<Reply, UpstreamError> {
    index_file_if(upstream, &Validators::default()).await
}

pub(crate) async fn index_file_if(
    upstream: &SparseUpstream,
    validators: &Validators,
) -> Result<Reply, UpstreamError> {
    upstream.fetch(Ask::IndexFile { name: &serde(), validators }).await
}

pub(crate) async fn krate(upstream: &SparseUpstream, dl: &str) -> Result<Reply, UpstreamError> {
    let dl: DlTemplate = dl.parse().unwrap();
    let (name, version) = ("serde".parse().unwrap(), "1.0.0".parse().unwrap());
    let checksum = Sha256::of(b"");
    upstream
        .fetch(Ask::Krate { dl: &dl, name: &name, version: &version, checksum: &checksum })
        .await
}

/// The whole body of an answer, or where it failed.
pub(crate) async fn body(reply: Result<Reply, UpstreamError>) -> Result<Bytes, UpstreamError> {
    match reply? {
        Reply::Found(found) => found.collect(usize::MAX).await,
        reply => panic!("no body: {reply:?}"),
    }
}

/// The word for how an answer failed, before or in its body.
pub(crate) async fn failure(reply: Result<Reply, UpstreamError>) -> &'static str {
    body(reply).await.expect_err("an error").kind()
}

pub(crate) fn gzip(text: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}
