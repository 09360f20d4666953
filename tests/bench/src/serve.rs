//! A minimal hyper server for the benchmark's own parts: one plain port that speaks HTTP/1.1 and HTTP/2 by prior
//! knowledge, one port with TLS and ALPN.

use std::convert::Infallible;
use std::future::Future;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, Result};
use http::{Request, Response};
use hyper::body::{Body, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

/// The preface of HTTP/2 begins so, and no HTTP/1.1 request that the benchmark sends does.
const H2_MARK: &[u8] = b"PRI ";
/// Connections that wait for `accept`: a stampede comes at once.
const BACKLOG: u32 = 4096;

/// A certificate and its key, PEM.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct CertificateFiles {
    /// The chain.
    #[arg(long)]
    pub(crate) certificate: PathBuf,
    /// Its key.
    #[arg(long)]
    pub(crate) key: PathBuf,
}

/// What a part answers.
pub(crate) trait Answer: Clone + Send + Sync + 'static {
    /// The body of its answers.
    type Body: Body<Data = bytes::Bytes, Error = Infallible> + Send + Unpin + 'static;

    /// One answer.
    fn answer(
        &self,
        request: Request<Incoming>,
    ) -> impl Future<Output = Response<Self::Body>> + Send;
}

/// How many threads a part works with.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Threads {
    /// One for each processor it may use.
    OneEach,
    /// This many.
    Fixed(usize),
}

/// Serves on two free ports of 127.0.0.1 for as long as the process lives; says which.
pub(crate) fn start<A: Answer>(
    answer: A,
    files: &CertificateFiles,
    threads: Threads,
) -> Result<Value> {
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    runtime.enable_all();
    if let Threads::Fixed(count) = threads {
        runtime.worker_threads(count);
    }
    // It serves until the process ends.
    let runtime = Box::leak(Box::new(runtime.build()?));
    let tls = TlsAcceptor::from(server_config(&files.certificate, &files.key)?);
    runtime.block_on(async move {
        let (plain, plain_address) = listen()?;
        let (encrypted, encrypted_address) = listen()?;
        tokio::spawn(accept(plain, answer.clone(), None));
        tokio::spawn(accept(encrypted, answer, Some(tls)));
        Ok(json!({ "plain": plain_address.to_string(), "tls": encrypted_address.to_string() }))
    })
}

fn listen() -> Result<(TcpListener, SocketAddr)> {
    let socket = tokio::net::TcpSocket::new_v4()?;
    socket.bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))?;
    let listener = socket.listen(BACKLOG)?;
    let address = listener.local_addr()?;
    Ok((listener, address))
}

async fn accept<A: Answer>(listener: TcpListener, answer: A, tls: Option<TlsAcceptor>) {
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        let _ = stream.set_nodelay(true);
        let (answer, tls) = (answer.clone(), tls.clone());
        tokio::spawn(async move {
            match tls {
                None => plain(stream, answer).await,
                Some(tls) => encrypted(stream, answer, tls).await,
            }
        });
    }
}

async fn plain<A: Answer>(stream: TcpStream, answer: A) {
    let mut start = [0; 4];
    match stream.peek(&mut start).await {
        Ok(read) if start.get(..read) == Some(H2_MARK) => h2(stream, answer).await,
        Ok(_) => h1(stream, answer).await,
        Err(_) => {}
    }
}

async fn encrypted<A: Answer>(stream: TcpStream, answer: A, tls: TlsAcceptor) {
    let Ok(stream) = tls.accept(stream).await else { return };
    match stream.get_ref().1.alpn_protocol() {
        Some(b"h2") => h2(stream, answer).await,
        _ => h1(stream, answer).await,
    }
}

async fn h1<A: Answer>(io: impl AsyncRead + AsyncWrite + Unpin + Send + 'static, answer: A) {
    let service = service_fn(move |request| {
        let answer = answer.clone();
        async move { Ok::<_, Infallible>(answer.answer(request).await) }
    });
    // How a connection ends is the client's affair.
    let _ = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .serve_connection(TokioIo::new(io), service)
        .await;
}

async fn h2<A: Answer>(io: impl AsyncRead + AsyncWrite + Unpin + Send + 'static, answer: A) {
    let service = service_fn(move |request| {
        let answer = answer.clone();
        async move { Ok::<_, Infallible>(answer.answer(request).await) }
    });
    let _ = hyper::server::conn::http2::Builder::new(TokioExecutor::new())
        .timer(TokioTimer::new())
        .serve_connection(TokioIo::new(io), service)
        .await;
}

fn server_config(certificate: &Path, key: &Path) -> Result<Arc<ServerConfig>> {
    let chain = CertificateDer::pem_file_iter(certificate)?.collect::<Result<Vec<_>, _>>()?;
    let key = PrivateKeyDer::from_pem_file(key).context("the key")?;
    let mut config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain, key)?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}
