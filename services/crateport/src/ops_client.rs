//! Asks an ops listener, as a health check or a watchdog does: one short request to this machine, with a deadline.
//!
//! HTTP/1.0, whose answers end where the connection does, so that a check every few seconds needs no HTTP client.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// What an ops listener said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct OpsAnswer {
    pub(crate) status: u16,
    pub(crate) body: String,
}

/// Why it said nothing.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OpsError {
    /// Nobody listens there, or the connection broke.
    #[error("{address} cannot be asked: {reason}")]
    Connection {
        /// Who was asked.
        address: SocketAddr,
        /// What the system says.
        reason: io::Error,
    },
    /// It took too long.
    #[error("{address} did not answer within {} s", timeout.as_secs_f32())]
    Late {
        /// Who was asked.
        address: SocketAddr,
        /// The deadline that passed.
        timeout: Duration,
    },
    /// Somebody else listens there.
    #[error("{address} does not speak HTTP")]
    NotHttp {
        /// Who was asked.
        address: SocketAddr,
    },
}

/// More than a report ever takes, and health much less.
const ANSWER_BYTES_MAX: u64 = 1024 * 1024;

/// Asks the ops listener that was told to listen on `listen` for `path`.
pub(crate) async fn ask(
    listen: SocketAddr,
    path: &str,
    timeout: Duration,
) -> Result<OpsAnswer, OpsError> {
    let address = reachable(listen);
    let answer = tokio::time::timeout(timeout, exchange(address, path)).await;
    let answer = answer.map_err(|_| OpsError::Late { address, timeout })?;
    let bytes = answer.map_err(|reason| OpsError::Connection { address, reason })?;
    parse(&bytes).ok_or(OpsError::NotHttp { address })
}

/// Where a listener on `listen` is reached from the same machine: one on every address, by the loopback.
fn reachable(listen: SocketAddr) -> SocketAddr {
    let ip = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, listen.port())
}

async fn exchange(address: SocketAddr, path: &str) -> io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(format!("GET {path} HTTP/1.0\r\nhost: {address}\r\n\r\n").as_bytes()).await?;
    let mut answer = Vec::new();
    stream.take(ANSWER_BYTES_MAX).read_to_end(&mut answer).await?;
    Ok(answer)
}

fn parse(bytes: &[u8]) -> Option<OpsAnswer> {
    let text = std::str::from_utf8(bytes).ok()?;
    let (head, body) = text.split_once("\r\n\r\n")?;
    let status = head.strip_prefix("HTTP/1.")?.split(' ').nth(1)?.parse().ok()?;
    Some(OpsAnswer { status, body: body.trim().to_owned() })
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    #[test]
    fn a_listener_on_every_address_is_asked_over_the_loopback() {
        for (listen, expected) in [
            ("127.0.0.1:8081", "127.0.0.1:8081"),
            ("0.0.0.0:8081", "127.0.0.1:8081"),
            ("[::]:8081", "[::1]:8081"),
            ("10.0.0.7:8081", "10.0.0.7:8081"),
        ] {
            assert_eq!(reachable(listen.parse().unwrap()), expected.parse().unwrap());
        }
    }

    #[test]
    fn the_status_and_the_body_are_what_counts() {
        let answer = |status, body: &str| Some(OpsAnswer { status, body: body.to_owned() });
        for (bytes, expected) in [
            (&b"HTTP/1.1 200 OK\r\na: b\r\n\r\nok\n"[..], answer(200, "ok")),
            (b"HTTP/1.0 503 Service Unavailable\r\n\r\n", answer(503, "")),
            (b"220 mail.example ESMTP\r\n\r\n", None),
            (b"HTTP/1.1 200 OK\r\n", None),
            (b"HTTP/1.1 \xff\r\n\r\n", None),
            (b"", None),
        ] {
            assert_eq!(parse(bytes), expected);
        }
    }

    #[tokio::test]
    async fn one_that_hangs_or_is_not_there_is_an_error_in_time() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let late = ask(address, "/livez", Duration::from_millis(50)).await.unwrap_err();
        assert!(matches!(late, OpsError::Late { .. }), "{late}");
        drop(listener);
        let gone = ask(address, "/livez", Duration::from_secs(5)).await.unwrap_err();
        assert!(matches!(gone, OpsError::Connection { .. }), "{gone}");
    }
}
