//! The bytes of one connection, plain or TLS, on their way between socket and hyper.
//!
//! It gives bytes that were read ahead back first, notes reads and writes in the connection's [`Activity`], and fails a
//! write that the peer has not taken a byte of for `body_timeout`.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Buf, Bytes};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;

use super::activity::Activity;
use super::stall::StallTimer;

/// What hyper reads from and writes to.
#[derive(Debug)]
pub(crate) struct Transport {
    socket: Socket,
    read_ahead: Bytes,
    write_stall: StallTimer,
    activity: Arc<Activity>,
}

/// One type for both kinds of socket, so that the HTTP code is compiled once.
#[derive(Debug)]
pub(crate) enum Socket {
    /// Plain TCP.
    Plain(TcpStream),
    /// TLS after its handshake; boxed because it is large and rare beside the plain one.
    Tls(Box<TlsStream<TcpStream>>),
}

/// The source of the error that a stalled write ends with.
#[derive(Debug, thiserror::Error)]
#[error("the peer took no byte for {0:?}")]
pub(crate) struct WriteStalled(Duration);

impl Transport {
    pub(crate) fn new(socket: Socket, body_timeout: Duration, activity: Arc<Activity>) -> Self {
        Self {
            socket,
            read_ahead: Bytes::new(),
            write_stall: StallTimer::new(body_timeout),
            activity,
        }
    }

    /// Gives `bytes` to the next reads, before anything else.
    pub(crate) fn rewind(&mut self, bytes: Bytes) {
        debug_assert!(self.read_ahead.is_empty(), "what was given back before must have been read");
        self.read_ahead = bytes;
    }

    /// Passes the outcome of a write on, unless the write has been pending for too long.
    fn judge_write<T>(
        &mut self,
        context: &mut Context<'_>,
        written: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        match written {
            Poll::Ready(outcome) => {
                self.write_stall.moved();
                Poll::Ready(outcome)
            }
            Poll::Pending if self.write_stall.poll_waiting(context).is_ready() => Poll::Ready(Err(
                io::Error::new(io::ErrorKind::TimedOut, WriteStalled(self.write_stall.timeout())),
            )),
            Poll::Pending => Poll::Pending,
        }
    }
}

impl AsyncRead for Transport {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let transport = self.get_mut();
        if !transport.read_ahead.is_empty() {
            let bytes =
                transport.read_ahead.split_to(transport.read_ahead.len().min(buffer.remaining()));
            buffer.put_slice(bytes.chunk());
            return Poll::Ready(Ok(()));
        }
        let filled_before = buffer.filled().len();
        let outcome = match &mut transport.socket {
            Socket::Plain(stream) => Pin::new(stream).poll_read(context, buffer),
            Socket::Tls(stream) => Pin::new(stream).poll_read(context, buffer),
        };
        if outcome.is_ready() && buffer.filled().len() > filled_before {
            transport.activity.note_read();
        }
        outcome
    }
}

impl AsyncWrite for Transport {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let transport = self.get_mut();
        let written = match &mut transport.socket {
            Socket::Plain(stream) => Pin::new(stream).poll_write(context, bytes),
            Socket::Tls(stream) => Pin::new(stream).poll_write(context, bytes),
        };
        note_written(&transport.activity, &written);
        transport.judge_write(context, written)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let transport = self.get_mut();
        let written = match &mut transport.socket {
            Socket::Plain(stream) => Pin::new(stream).poll_write_vectored(context, slices),
            Socket::Tls(stream) => Pin::new(stream).poll_write_vectored(context, slices),
        };
        note_written(&transport.activity, &written);
        transport.judge_write(context, written)
    }

    fn is_write_vectored(&self) -> bool {
        match &self.socket {
            Socket::Plain(stream) => stream.is_write_vectored(),
            Socket::Tls(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let transport = self.get_mut();
        match &mut transport.socket {
            // TCP has nothing to flush, and must not count as a peer that moved.
            Socket::Plain(_) => Poll::Ready(Ok(())),
            Socket::Tls(stream) => {
                let flushed = Pin::new(stream).poll_flush(context);
                transport.judge_write(context, flushed)
            }
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let transport = self.get_mut();
        let closed = match &mut transport.socket {
            Socket::Plain(stream) => Pin::new(stream).poll_shutdown(context),
            Socket::Tls(stream) => Pin::new(stream).poll_shutdown(context),
        };
        transport.judge_write(context, closed)
    }
}

fn note_written(activity: &Activity, written: &Poll<io::Result<usize>>) {
    if let Poll::Ready(Ok(bytes)) = written {
        activity.note_written(*bytes);
    }
}

/// Whether `error` comes from a write that stalled.
pub(crate) fn is_write_stall(error: &(dyn std::error::Error + 'static)) -> bool {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if error.is::<WriteStalled>() {
            return true;
        }
        // An io::Error shows what it wraps only through get_ref, never as its source.
        if let Some(io) = error.downcast_ref::<io::Error>()
            && let Some(inner) = io.get_ref()
        {
            cause = Some(inner);
        } else {
            cause = error.source();
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIMEOUT: Duration = Duration::from_secs(60);

    #[tokio::test(start_paused = true)]
    async fn a_peer_that_reads_slowly_is_borne_and_one_that_stops_is_not() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let socket =
            Socket::Plain(TcpStream::connect(listener.local_addr().unwrap()).await.unwrap());
        let mut transport = Transport::new(socket, TIMEOUT, Arc::new(Activity::new()));
        let mut waits = async |time| {
            let wait = std::future::poll_fn(|context| {
                transport.judge_write::<usize>(context, Poll::Pending)
            });
            let waited = tokio::time::timeout(time, wait).await;
            if waited.is_err() {
                let _ = transport.judge_write(
                    &mut Context::from_waker(std::task::Waker::noop()),
                    Poll::Ready(Ok(1)),
                );
            }
            waited
        };
        for _piece in 0..5 {
            assert!(waits(TIMEOUT / 2).await.is_err(), "the wait goes on");
        }
        let error = waits(TIMEOUT * 2).await.expect("the wait ends by itself").unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert!(is_write_stall(&io::Error::other(error)));
        assert!(!is_write_stall(&io::Error::from(io::ErrorKind::TimedOut)));
    }
}
