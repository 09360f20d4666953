//! Listeners: everything between a TCP socket and the service that answers requests.
//!
//! A [`Listener`] is a bound address, plain or TLS. A [`Server`] runs any number of them against one
//! `tower::Service` and has one shutdown path. What it promises:
//!
//! - **Protocols.** TLS negotiates `h2` and `http/1.1` by ALPN. A plain listener speaks HTTP/1.1, HTTP/2 by prior
//!   knowledge, and HTTP/2 by `Upgrade: h2c` (RFC 7540 section 3.2) for requests without a body; cargo uses that
//!   upgrade on every `http://` URL, and with it keeps 200 requests in flight instead of one or two.
//! - **Bounds.** Connections, streams, header bytes and every wait for a peer have a named limit in [`Limits`]. Time
//!   the service itself needs is not limited here: a cold fill may take as long as its own deadline allows.
//! - **No request is cut by a shutdown** that finishes within the drain timeout; one that is on its way when the shutdown
//!   begins is still answered.
//!
//! The service sees requests with a [`ConnectionInfo`] in their extensions. An axum `Router` fits as it is.

mod accept;
mod activity;
mod bind;
mod body;
mod certificate;
mod connection;
mod expiry;
mod farewell;
mod h2c;
mod limits;
mod roster;
mod server;
mod service;
mod stall;
mod stats;
mod transport;
mod watch;

use std::net::SocketAddr;

pub use bind::{ListenError, Listener, ListenerConfig, TlsFiles};
pub use body::{RequestBody, RequestBodyError, ResponseBody};
pub use certificate::{CertificateError, CertificateHandle, CertificateState};
pub use farewell::Farewell;
pub use limits::Limits;
pub use server::{Drained, Server};
pub use service::HttpService;
pub use stats::{ListenSnapshot, ListenStats};

/// How the connection of a request came about. Every request carries one in its extensions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConnectionInfo {
    /// The client's address; an IPv4 client of an IPv6 socket is shown as IPv4.
    pub peer: SocketAddr,
    /// The address the client connected to.
    pub local: SocketAddr,
    /// The protocol the request came over.
    pub protocol: Protocol,
    /// Whether the connection is encrypted, which is the scheme of the URL the client used.
    pub tls: bool,
}

/// The protocol of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Protocol {
    /// HTTP/1.0 or HTTP/1.1.
    Http1,
    /// HTTP/2 over TLS.
    H2,
    /// HTTP/2 over plain TCP, by prior knowledge or by upgrade.
    H2c,
}

impl Protocol {
    /// The word for logs and metric labels.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Http1 => "http1",
            Self::H2 => "h2",
            Self::H2c => "h2c",
        }
    }
}
