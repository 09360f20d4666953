//! Connections: plain, or TLS with the benchmark's own authority.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// Longest that connecting may take; a stampede waits in the backlog.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(30);

/// Where a server is.
#[derive(Clone)]
pub(crate) struct Address {
    socket: SocketAddr,
    tls: Option<Arc<ClientConfig>>,
}

/// Either sort of connection.
pub(super) trait Io: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Io for T {}

impl Address {
    /// Without TLS.
    pub(crate) fn plain(socket: SocketAddr) -> Self {
        Self { socket, tls: None }
    }

    /// With TLS, trusting this authority, offering this protocol.
    pub(crate) fn tls(socket: SocketAddr, authority: &Path, alpn: &str) -> Result<Self> {
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_file_iter(authority)? {
            roots.add(certificate?)?;
        }
        let mut config =
            ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
                .with_safe_default_protocol_versions()?
                .with_root_certificates(roots)
                .with_no_client_auth();
        config.alpn_protocols = vec![alpn.as_bytes().to_vec()];
        Ok(Self { socket, tls: Some(Arc::new(config)) })
    }

    /// What stands in `Host` or `:authority`.
    pub(crate) fn authority(&self) -> String {
        self.socket.to_string()
    }

    /// Whether it is TLS.
    pub(crate) fn is_encrypted(&self) -> bool {
        self.tls.is_some()
    }

    /// Connects.
    pub(super) async fn connect(&self) -> Result<Box<dyn Io>> {
        let connect = async {
            let stream = TcpStream::connect(self.socket).await?;
            stream.set_nodelay(true)?;
            Ok::<Box<dyn Io>, anyhow::Error>(match &self.tls {
                None => Box::new(stream),
                Some(config) => {
                    let name = ServerName::from(self.socket.ip());
                    Box::new(TlsConnector::from(config.clone()).connect(name, stream).await?)
                }
            })
        };
        tokio::time::timeout(CONNECT_TIMEOUT, connect)
            .await
            .context("connecting takes too long")?
            .with_context(|| format!("connecting to {}", self.socket))
    }
}
