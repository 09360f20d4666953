//! Binds an address, plain or TLS, and says in one sentence why it cannot.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use tokio::net::{TcpListener, TcpSocket};

use super::certificate::{CertificateError, CertificateHandle, LiveCertificate};

/// What to listen on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListenerConfig {
    /// Address and port; port 0 takes a free one, see [`Listener::local_addr`].
    pub address: SocketAddr,
    /// The certificate to speak TLS with; plain TCP without.
    pub tls: Option<TlsFiles>,
}

/// The files of a TLS listener. They are looked at again every
/// [`Limits::certificate_interval`](super::Limits::certificate_interval).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    /// The certificate chain in PEM, the server's own certificate first.
    pub certificate: PathBuf,
    /// Its private key in PEM.
    pub key: PathBuf,
}

/// A bound address. Clients can connect as soon as it exists; a [`Server`](super::Server) answers them.
#[derive(Debug)]
pub struct Listener {
    pub(crate) socket: TcpListener,
    pub(crate) local_address: SocketAddr,
    pub(crate) tls: Option<Tls>,
}

/// The TLS side of a listener.
#[derive(Debug, Clone)]
pub(crate) struct Tls {
    pub(crate) config: Arc<ServerConfig>,
    pub(crate) certificate: Arc<LiveCertificate>,
}

/// Why a listener cannot start. The text is one sentence that a person can act on.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// Another socket has the port.
    #[error("cannot listen on {0}: the port is already in use")]
    AddressInUse(SocketAddr),
    /// No network interface has the address.
    #[error("cannot listen on {0}: this machine has no such address")]
    AddressNotAvailable(SocketAddr),
    /// The port is reserved for the system.
    #[error(
        "cannot listen on {0}: permission denied, as for ports below 1024 without the right to them"
    )]
    PermissionDenied(SocketAddr),
    /// The system refuses for another reason.
    #[error("cannot listen on {address}: {reason}")]
    Refused {
        /// The address.
        address: SocketAddr,
        /// What the system says.
        reason: io::Error,
    },
    /// The certificate cannot be used.
    #[error("cannot listen on {address} with TLS: {reason}")]
    Certificate {
        /// The address.
        address: SocketAddr,
        /// What is wrong with it.
        reason: CertificateError,
    },
    /// TLS cannot be set up.
    #[error("cannot listen on {address} with TLS: {reason}")]
    Tls {
        /// The address.
        address: SocketAddr,
        /// What rustls says.
        reason: rustls::Error,
    },
    /// The task that loads the certificate was stopped with its runtime.
    #[error("cannot listen on {0} with TLS: the program is shutting down")]
    ShuttingDown(SocketAddr),
}

/// Connections the kernel keeps for us before they are accepted (it caps this at `net.core.somaxconn`).
const BACKLOG: u32 = 1024;

impl Listener {
    /// Binds the address, after the certificate is seen to be good.
    pub async fn bind(config: ListenerConfig) -> Result<Self, ListenError> {
        let address = config.address;
        let tls = match config.tls {
            Some(files) => Some(load_tls(address, files).await?),
            None => None,
        };
        let (socket, local_address) = bind(address).map_err(|error| refusal(address, error))?;
        Ok(Self { socket, local_address, tls })
    }

    /// The address it listens on, with the port that port 0 became.
    pub fn local_addr(&self) -> SocketAddr {
        self.local_address
    }

    /// The certificate, if this is a TLS listener.
    pub fn certificate(&self) -> Option<CertificateHandle> {
        self.tls.as_ref().map(|tls| CertificateHandle(Arc::clone(&tls.certificate)))
    }
}

fn bind(address: SocketAddr) -> io::Result<(TcpListener, SocketAddr)> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    // A restart must not wait for old connections of the same port to be forgotten. On Windows the option would let
    // two processes share the port.
    #[cfg(not(windows))]
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    let socket = socket.listen(BACKLOG)?;
    let local_address = socket.local_addr()?;
    Ok((socket, local_address))
}

fn refusal(address: SocketAddr, reason: io::Error) -> ListenError {
    match reason.kind() {
        io::ErrorKind::AddrInUse => ListenError::AddressInUse(address),
        io::ErrorKind::AddrNotAvailable => ListenError::AddressNotAvailable(address),
        io::ErrorKind::PermissionDenied => ListenError::PermissionDenied(address),
        _ => ListenError::Refused { address, reason },
    }
}

async fn load_tls(address: SocketAddr, files: TlsFiles) -> Result<Tls, ListenError> {
    let certificate = tokio::task::spawn_blocking(|| LiveCertificate::load(files))
        .await
        .map_err(|_stopped| ListenError::ShuttingDown(address))?
        .map_err(|reason| ListenError::Certificate { address, reason })?;
    let certificate = Arc::new(certificate);
    // The provider is named: which one is the process's default must not matter.
    let mut config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|reason| ListenError::Tls { address, reason })?
        .with_no_client_auth()
        .with_cert_resolver(Arc::clone(&certificate) as _);
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Tls { config: Arc::new(config), certificate })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_one_sentence_that_names_the_address() {
        let address = "127.0.0.1:8080".parse().unwrap();
        let table = [
            (
                io::ErrorKind::AddrInUse,
                "cannot listen on 127.0.0.1:8080: the port is already in use",
            ),
            (
                io::ErrorKind::AddrNotAvailable,
                "cannot listen on 127.0.0.1:8080: this machine has no such address",
            ),
            (
                io::ErrorKind::PermissionDenied,
                "cannot listen on 127.0.0.1:8080: permission denied, as for ports below 1024 without the right to them",
            ),
            (io::ErrorKind::OutOfMemory, "cannot listen on 127.0.0.1:8080: out of memory"),
        ];
        for (kind, expected) in table {
            assert_eq!(refusal(address, kind.into()).to_string(), expected);
        }
    }
}
