//! Accepts connections from several listeners in one loop, and never stops because an accept fails.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, TryAcquireError};
use tokio::time::Instant;

use super::bind::{Listener, Tls};
use super::stats::ListenStats;

/// Takes the connections of all listeners in turn, at most as many as may be open.
#[derive(Debug)]
pub(crate) struct Acceptor {
    listeners: Vec<Listener>,
    next: usize,
    places: Arc<Semaphore>,
    stats: Arc<ListenStats>,
    last_warning: Option<Instant>,
}

/// A connection that was accepted.
#[derive(Debug)]
pub(crate) struct Accepted {
    pub(crate) connection: NewConnection,
    /// Its place among those that may be open.
    pub(crate) place: OwnedSemaphorePermit,
}

/// A connection before its first byte.
#[derive(Debug)]
pub(crate) struct NewConnection {
    pub(crate) stream: TcpStream,
    pub(crate) peer: SocketAddr,
    pub(crate) local: SocketAddr,
    pub(crate) tls: Option<Tls>,
}

/// How long to wait after an accept failed for want of something, such as file descriptors: until some are free again
/// there is no use in trying.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// How often such failures are logged while they go on.
const ACCEPT_WARNING_INTERVAL: Duration = Duration::from_secs(10);

impl Acceptor {
    pub(crate) fn new(
        listeners: Vec<Listener>,
        connections_max: usize,
        stats: Arc<ListenStats>,
    ) -> Self {
        let places = Arc::new(Semaphore::new(connections_max.min(Semaphore::MAX_PERMITS)));
        Self { listeners, next: 0, places, stats, last_warning: None }
    }

    /// The next connection. Nothing is lost if the future is dropped.
    pub(crate) async fn accept(&mut self) -> Accepted {
        let place = self.place().await;
        loop {
            match std::future::poll_fn(|context| self.poll_accept(context)).await {
                Ok(connection) => {
                    self.stats.accepted.add_one();
                    return Accepted { connection, place };
                }
                Err(error) => {
                    self.stats.accept_errors.add_one();
                    if !is_of_one_connection(&error) {
                        self.warn(&error);
                        tokio::time::sleep(ACCEPT_PAUSE).await;
                    }
                }
            }
        }
    }

    async fn place(&self) -> OwnedSemaphorePermit {
        match Arc::clone(&self.places).try_acquire_owned() {
            Ok(place) => return place,
            Err(TryAcquireError::NoPermits) => self.stats.accept_pauses.add_one(),
            Err(TryAcquireError::Closed) => {}
        }
        match Arc::clone(&self.places).acquire_owned().await {
            Ok(place) => place,
            // Nobody closes the semaphore.
            Err(_closed) => std::future::pending().await,
        }
    }

    /// Asks each listener once, beginning behind the one that was served last.
    fn poll_accept(&mut self, context: &mut Context<'_>) -> Poll<io::Result<NewConnection>> {
        let count = self.listeners.len();
        for index in (self.next..count).chain(0..self.next) {
            if let Some(listener) = self.listeners.get(index)
                && let Poll::Ready(outcome) = listener.socket.poll_accept(context)
            {
                self.next = index + 1;
                return Poll::Ready(
                    outcome.map(|(stream, peer)| NewConnection::new(stream, peer, listener)),
                );
            }
        }
        Poll::Pending
    }

    fn warn(&mut self, error: &io::Error) {
        if self.last_warning.is_none_or(|at| at.elapsed() >= ACCEPT_WARNING_INTERVAL) {
            self.last_warning = Some(Instant::now());
            tracing::warn!(%error, "new connections wait: accepting them fails");
        }
    }
}

impl NewConnection {
    fn new(stream: TcpStream, peer: SocketAddr, listener: &Listener) -> Self {
        let local = stream.local_addr().unwrap_or(listener.local_address);
        let canonical =
            |address: SocketAddr| SocketAddr::new(address.ip().to_canonical(), address.port());
        Self { stream, peer: canonical(peer), local: canonical(local), tls: listener.tls.clone() }
    }
}

/// Whether a failed accept concerns only the connection that was to be accepted, so that the next may be fine.
fn is_of_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted)
}
