//! A server that writes exactly the bytes it is told to, and misbehaves on request.
//!
//! It reads requests without bodies over plain HTTP/1.1, remembers them, and keeps connections open unless told
//! otherwise.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

/// The server; it ends when it is dropped.
#[derive(Debug)]
pub struct RawServer {
    address: SocketAddr,
    seen: Arc<Mutex<Vec<Seen>>>,
    count: watch::Receiver<usize>,
    accepting: JoinHandle<()>,
}

/// A request as it came.
#[derive(Clone, Debug)]
pub struct Seen {
    /// How many came before it.
    pub number: usize,
    /// Its path and query.
    pub target: String,
    /// Its whole head.
    pub head: String,
}

/// One thing that the server does.
#[derive(Clone, Debug)]
pub enum Act {
    /// Writes these bytes.
    Send(Bytes),
    /// Waits until the value is true.
    Until(watch::Receiver<bool>),
    /// Does nothing for ever, with the connection open.
    Hang,
    /// Closes the connection.
    Close,
    /// Resets the connection.
    Reset,
}

type Respond = dyn Fn(&Seen) -> Vec<Act> + Send + Sync;

/// A head longer than this is no request of ours.
const HEAD_BYTES_MAX: usize = 64 * 1024;

impl RawServer {
    /// Listens on a free port of 127.0.0.1 and does for each request what `respond` says.
    ///
    /// # Errors
    ///
    /// When no port can be had.
    pub async fn start(
        respond: impl Fn(&Seen) -> Vec<Act> + Send + Sync + 'static,
    ) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let seen: Arc<Mutex<Vec<Seen>>> = Arc::default();
        let (counted, count) = watch::channel(0);
        let connection =
            Connection { seen: Arc::clone(&seen), counted, respond: Arc::new(respond) };
        let accepting = tokio::spawn(accept(listener, connection));
        Ok(Self { address, seen, count, accepting })
    }

    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// What it was asked so far.
    #[must_use]
    pub fn requests(&self) -> Vec<Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Returns when so many requests have come.
    pub async fn has_seen(&self, requests: usize) {
        let mut count = self.count.clone();
        // An error means that the server has ended; nothing more will come.
        let _ = count.wait_for(|count| *count >= requests).await;
    }

    /// Closes the port and every connection, and returns when that is done.
    pub async fn stop(mut self) {
        self.accepting.abort();
        let _ = (&mut self.accepting).await;
    }
}

impl Drop for RawServer {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

impl Seen {
    /// The value of a header, by its name in lower case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<String> {
        self.head.lines().skip(1).find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then(|| value.trim().to_owned())
        })
    }
}

impl Act {
    /// Writes `text`.
    #[must_use]
    pub fn send(text: &'static str) -> Self {
        Self::Send(Bytes::from_static(text.as_bytes()))
    }

    /// Answers 200 with a whole body. Each of `headers` ends in a line break.
    #[must_use]
    pub fn ok(headers: &str, body: &[u8]) -> Self {
        let size = body.len();
        let head = format!("HTTP/1.1 200 OK\r\n{headers}content-length: {size}\r\n\r\n");
        Self::Send([head.as_bytes(), body].concat().into())
    }

    /// Answers with a status and no body. Each of `headers` ends in a line break.
    #[must_use]
    pub fn status(status: u16, headers: &str) -> Self {
        let length = if matches!(status, 204 | 304) { "" } else { "content-length: 0\r\n" };
        Self::Send(format!("HTTP/1.1 {status} Status\r\n{headers}{length}\r\n").into())
    }
}

#[derive(Clone)]
struct Connection {
    seen: Arc<Mutex<Vec<Seen>>>,
    counted: watch::Sender<usize>,
    respond: Arc<Respond>,
}

async fn accept(listener: TcpListener, connection: Connection) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let connection = connection.clone();
        connections.spawn(async move { connection.serve(stream).await });
        while connections.try_join_next().is_some() {}
    }
}

impl Connection {
    async fn serve(self, mut stream: TcpStream) -> io::Result<()> {
        let mut buffer = BytesMut::new();
        while let Some(head) = read_head(&mut stream, &mut buffer).await? {
            let seen = self.remember(head);
            for act in (self.respond)(&seen) {
                match act {
                    Act::Send(bytes) => {
                        stream.write_all(&bytes).await?;
                        stream.flush().await?;
                    }
                    Act::Until(mut gate) => {
                        let _ = gate.wait_for(|open| *open).await;
                    }
                    Act::Hang => std::future::pending().await,
                    Act::Close => return stream.shutdown().await,
                    Act::Reset => return stream.set_zero_linger(),
                }
            }
        }
        Ok(())
    }

    fn remember(&self, head: String) -> Seen {
        let target = head.split(' ').nth(1).unwrap_or_default().to_owned();
        let mut all = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let seen = Seen { number: all.len(), target, head };
        all.push(seen.clone());
        let _ = self.counted.send(all.len());
        seen
    }
}

async fn read_head(stream: &mut TcpStream, buffer: &mut BytesMut) -> io::Result<Option<String>> {
    loop {
        if let Some(end) = buffer.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
            let head = buffer.split_to(end + 4);
            return Ok(Some(String::from_utf8_lossy(&head).into_owned()));
        }
        if buffer.len() > HEAD_BYTES_MAX || stream.read_buf(buffer).await? == 0 {
            return Ok(None);
        }
    }
}
