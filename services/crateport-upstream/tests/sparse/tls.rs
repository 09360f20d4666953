//! TLS: extra authorities, h2, one connection for many requests.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use crateport_upstream::contract::Act;
use crateport_upstream::{
    BuildError, SparseConfig, SparseUpstream, UpstreamLimits, UpstreamMetrics,
};
use http::{Response, Version};
use http_body_util::Full;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rcgen::{CertificateParams, KeyPair};
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use crate::support::{LINE, always, body, build, config, failure, index_file, patient};

struct TlsServer {
    address: SocketAddr,
    certificate_pem: String,
    connections: Arc<AtomicUsize>,
}

/// A server with a certificate of its own making that speaks h2.
async fn tls_server() -> TlsServer {
    let key = KeyPair::generate().unwrap();
    let certificate =
        CertificateParams::new(["localhost".to_owned()]).unwrap().self_signed(&key).unwrap();
    let certificate_pem = certificate.pem();
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let mut tls = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key)
        .unwrap();
    tls.alpn_protocols = vec![b"h2".to_vec()];
    let acceptor = TlsAcceptor::from(Arc::new(tls));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let connections = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&connections);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (acceptor, counter) = (acceptor.clone(), Arc::clone(&counter));
            tokio::spawn(async move {
                let Ok(stream) = acceptor.accept(stream).await else { return };
                counter.fetch_add(1, Ordering::Relaxed);
                let service = service_fn(|request: http::Request<_>| async move {
                    let _: &hyper::body::Incoming = request.body();
                    assert_eq!(request.version(), Version::HTTP_2);
                    Ok::<_, Infallible>(Response::new(Full::new(Bytes::from_static(LINE))))
                });
                let _ = hyper::server::conn::http2::Builder::new(TokioExecutor::new())
                    .serve_connection(TokioIo::new(stream), service)
                    .await;
            });
        }
    });
    TlsServer { address, certificate_pem, connections }
}

fn over_tls(server: &TlsServer) -> SparseConfig {
    let index = format!("sparse+https://localhost:{}/index/", server.address.port());
    SparseConfig { index: index.parse().unwrap(), ..config(server.address, patient()) }
}

#[tokio::test]
async fn an_extra_authority_is_trusted_and_one_h2_connection_serves_many_requests() {
    let server = tls_server().await;
    let folder = tempfile::tempdir().unwrap();
    let ca_file = folder.path().join("ca.pem");
    std::fs::write(&ca_file, &server.certificate_pem).unwrap();
    let upstream = build(SparseConfig { ca_files: vec![ca_file], ..over_tls(&server) });
    body(index_file(&upstream).await).await.unwrap();
    let many = (0..50).map(|_| async { body(index_file(&upstream).await).await });
    for line in futures_util::future::join_all(many).await {
        assert_eq!(line.unwrap(), LINE);
    }
    assert_eq!(server.connections.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn an_unknown_authority_is_a_connect_error() {
    let server = tls_server().await;
    let reply = index_file(&build(over_tls(&server))).await;
    assert_eq!(failure(reply).await, "upstream-connect");
}

#[tokio::test]
async fn a_handshake_that_never_ends_is_a_connect_error() {
    let server = always(vec![Act::Hang]).await;
    let limits = UpstreamLimits { connect_timeout: Duration::from_millis(100), ..patient() };
    let index = format!("sparse+https://{}/", server.address()).parse().unwrap();
    let upstream = build(SparseConfig { index, ..config(server.address(), limits) });
    assert_eq!(failure(index_file(&upstream).await).await, "upstream-connect");
}

#[tokio::test]
async fn a_ca_file_that_is_missing_or_empty_is_named() {
    let server = tls_server().await;
    let folder = tempfile::tempdir().unwrap();
    let empty = folder.path().join("empty.pem");
    std::fs::write(&empty, "no certificate").unwrap();
    for (path, is_expected) in [
        (
            folder.path().join("missing.pem"),
            (|it| matches!(it, BuildError::CaFile { .. })) as fn(&_) -> _,
        ),
        (empty, |it| matches!(it, BuildError::CaText { .. })),
    ] {
        let config = SparseConfig { ca_files: vec![path.clone()], ..over_tls(&server) };
        let metrics = UpstreamMetrics::register(&prometheus::Registry::new()).unwrap();
        let error = SparseUpstream::new(config, metrics).unwrap_err();
        assert!(is_expected(&error), "{error:?}");
        assert!(error.to_string().contains(path.to_str().unwrap()), "{error}");
    }
}
