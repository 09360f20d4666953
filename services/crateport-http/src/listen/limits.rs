//! Every number that bounds a connection, in one place.

use std::time::Duration;

/// The bounds of a [`Server`](super::Server). All of its listeners share them.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Connections open at once, all listeners together. At the limit accepting pauses, and new clients wait in the
    /// kernel's backlog.
    pub connections_max: usize,
    /// Requests in flight at once on one HTTP/2 connection. cargo opens 100 on each of two connections.
    pub streams_max: u32,
    /// Bytes of a request's head: request line and headers on HTTP/1, the header list on HTTP/2. More is answered 431.
    pub header_bytes_max: u32,
    /// Bytes of one response that wait inside an HTTP/2 connection for the client's flow-control window. With
    /// `streams_max` it bounds the memory of a connection whose client does not read. One download over loopback is no
    /// faster with 400 KiB, hyper's default.
    pub send_buffer_bytes_max: usize,
    /// Longest TLS handshake, from the accepted connection to the first byte of HTTP.
    pub handshake_timeout: Duration,
    /// Longest time for a whole HTTP/1 request head: from the start of the connection for its first request, from the
    /// head's first byte for later ones. It also bounds the preface of HTTP/2.
    pub header_timeout: Duration,
    /// A connection without a request in flight is closed, gracefully, after this time.
    pub idle_timeout: Duration,
    /// Longest time a peer may go without taking a byte of a response, or without sending a byte of a request's body
    /// that the service waits for.
    pub body_timeout: Duration,
    /// How long an HTTP/2 connection may be silent before it is asked for a sign of life (a PING).
    pub ping_interval: Duration,
    /// How long the answer to such a PING may take before the peer counts as gone.
    pub ping_timeout: Duration,
    /// How long a connection without a request in flight may still bring one when a shutdown begins: longer than a
    /// request takes to get here.
    pub last_request_wait: Duration,
    /// How often the certificate and key files are looked at.
    pub certificate_interval: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections_max: 8192,
            streams_max: 250,
            header_bytes_max: 32 * 1024,
            send_buffer_bytes_max: 64 * 1024,
            handshake_timeout: Duration::from_secs(10),
            header_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(60),
            body_timeout: Duration::from_secs(60),
            ping_interval: Duration::from_secs(20),
            ping_timeout: Duration::from_secs(20),
            last_request_wait: Duration::from_millis(250),
            certificate_interval: Duration::from_secs(5),
        }
    }
}
