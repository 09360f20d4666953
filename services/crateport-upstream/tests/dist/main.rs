//! Dist origins on real sockets: the suite of the port, and what only dist files have.

#![expect(clippy::unwrap_used, reason = "a panic is a failed test")]

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use crateport_types::{DistPath, Validators};
use crateport_upstream::contract::{Act, RawServer, Subject, check};
use crateport_upstream::{
    Ask, Condition, DistConfig, DistUpstream, OutboundProxy, Reply, Upstream, UpstreamError,
    UpstreamLimits, UpstreamMetrics,
};

/// Large enough that only what never ends runs into it.
const NEVER: Duration = Duration::from_secs(60);
const ARTIFACT: &str = "dist/2026-04-16/rustc-1.95.0-x.tar.xz";
const SUM: &str = "dist/2026-04-16/rustc-1.95.0-x.tar.xz.sha256";

fn config(server: SocketAddr) -> DistConfig {
    let url = format!("http://{server}/rust").parse().unwrap();
    DistConfig {
        proxy: OutboundProxy::Direct,
        limits: UpstreamLimits {
            answer_timeout: NEVER,
            idle_timeout: NEVER,
            deadline: NEVER,
            retries_max: 0,
            requests_max: 1,
            failures_before_open: u32::MAX,
            ..UpstreamLimits::default()
        },
        ..DistConfig::new("rustup".parse().unwrap(), url, "crateport-test/1")
    }
}

fn build(config: DistConfig) -> DistUpstream {
    let metrics = UpstreamMetrics::register(&prometheus::Registry::new()).unwrap();
    DistUpstream::new(config, metrics).unwrap()
}

async fn always(acts: Vec<Act>) -> RawServer {
    RawServer::start(move |_| acts.clone()).await.unwrap()
}

async fn fetch(upstream: &DistUpstream, path: &str) -> Result<Reply, UpstreamError> {
    let path: DistPath = path.parse().unwrap();
    upstream.fetch(Ask::Dist(&path)).await
}

struct Dist(&'static str);

#[async_trait]
impl Subject for Dist {
    fn upstream(&self, server: SocketAddr) -> Arc<dyn Upstream> {
        Arc::new(build(config(server)))
    }

    async fn fetch(
        &self,
        upstream: &dyn Upstream,
        _server: SocketAddr,
        _validators: &Validators,
    ) -> Result<Reply, UpstreamError> {
        upstream.fetch(Ask::Dist(&self.0.parse().unwrap())).await
    }

    fn is_conditional(&self) -> bool {
        false
    }
}

#[tokio::test]
async fn dist_files_keep_the_contract() {
    check(&Dist(ARTIFACT)).await.unwrap();
}

#[tokio::test]
async fn checksums_keep_the_contract() {
    check(&Dist(SUM)).await.unwrap();
}

#[tokio::test]
async fn a_dist_file_comes_as_it_is_with_its_size() {
    let server = always(vec![Act::ok("", b"archive")]).await;
    let upstream = build(config(server.address()));
    let Ok(Reply::Found(found)) = fetch(&upstream, ARTIFACT).await else { panic!("not found") };
    assert_eq!(found.size_bytes, Some(7));
    assert_eq!(found.collect(100).await.unwrap(), b"archive".as_slice());
    let seen = server.requests().remove(0);
    assert_eq!(seen.target, format!("/rust/{ARTIFACT}"));
    assert_eq!(seen.header("accept-encoding").as_deref(), Some("identity"));
    assert_eq!(seen.header("if-none-match"), None);
    assert_eq!(upstream.condition(), Condition::Healthy);
}

#[tokio::test]
async fn a_dist_file_that_comes_encoded_is_refused() {
    let server = always(vec![Act::ok("content-encoding: gzip\r\n", b"archive")]).await;
    let error = fetch(&build(config(server.address())), ARTIFACT).await.unwrap_err();
    assert_eq!(error.kind(), "upstream-invalid");
}

#[tokio::test]
async fn a_checksum_whose_end_is_not_certain_is_refused_and_a_file_that_it_proves_is_not() {
    let server = always(vec![Act::send("HTTP/1.1 200 OK\r\n\r\nbytes"), Act::Close]).await;
    let upstream = build(config(server.address()));
    assert_eq!(fetch(&upstream, SUM).await.unwrap_err().kind(), "upstream-invalid");
    let Ok(Reply::Found(found)) = fetch(&upstream, ARTIFACT).await else { panic!("not found") };
    assert_eq!(found.collect(100).await.unwrap(), b"bytes".as_slice());
}

#[tokio::test]
async fn a_redirect_into_a_private_network_is_refused_unless_it_is_allowed() {
    let target = always(vec![Act::ok("", b"archive")]).await;
    let to = format!("location: http://{}/x\r\n", target.address());
    let server = always(vec![Act::status(302, &to)]).await;
    let error = fetch(&build(config(server.address())), ARTIFACT).await.unwrap_err();
    assert_eq!(error.kind(), "upstream-forbidden");
    let allow =
        crateport_upstream::AllowList::new(vec![target.address().to_string().parse().unwrap()]);
    let upstream = build(DistConfig { allow, ..config(server.address()) });
    assert!(matches!(fetch(&upstream, ARTIFACT).await, Ok(Reply::Found(_))));
}

#[tokio::test]
async fn the_token_goes_to_the_origin_and_to_nobody_else() {
    let target = always(vec![Act::ok("", b"archive")]).await;
    let to = format!("location: http://{}/x\r\n", target.address());
    let server = always(vec![Act::status(302, &to)]).await;
    let allow =
        crateport_upstream::AllowList::new(vec![target.address().to_string().parse().unwrap()]);
    let token = Some(crateport_types::Secret::new("Bearer t"));
    let upstream = build(DistConfig { allow, token, ..config(server.address()) });
    assert!(matches!(fetch(&upstream, ARTIFACT).await, Ok(Reply::Found(_))));
    assert_eq!(server.requests()[0].header("authorization").as_deref(), Some("Bearer t"));
    assert_eq!(target.requests()[0].header("authorization"), None);
}
