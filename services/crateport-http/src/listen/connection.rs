//! One connection from its first byte to its last: handshake, which HTTP it speaks, its requests, its end.

use std::io;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use hyper::server::conn::{http1, http2};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::AsyncReadExt as _;
use tokio::time::Sleep;
use tokio_rustls::TlsAcceptor;

use super::accept::{Accepted, NewConnection};
use super::activity::{Activity, Phase};
use super::farewell::Farewell;
use super::h2c;
use super::limits::Limits;
use super::service::{AcceptedUpgrade, Adapter, HttpService, UpgradeSlot, Upgrades};
use super::stall::StreamExecutor;
use super::stats::ListenStats;
use super::transport::{Socket, Transport, is_write_stall};
use super::watch::{Heads, Overdue, Verdict, Watch};
use super::{ConnectionInfo, Protocol};

/// Serves connections: hyper's settings, made once.
#[derive(Debug)]
pub(crate) struct ConnectionServer {
    http1: http1::Builder,
    http2: http2::Builder<StreamExecutor>,
    limits: Limits,
    stats: Arc<ListenStats>,
    farewell: Farewell,
}

/// How a connection ended.
#[derive(Debug, thiserror::Error)]
enum End {
    /// As HTTP ends: either side closed it between requests.
    #[error("closed")]
    Closed,
    #[error("nobody used it")]
    Idle,
    #[error("the client took too long ({0:?})")]
    Overdue(Overdue),
    #[error("it outlived the drain timeout")]
    Cut,
    #[error("the TLS handshake failed: {0}")]
    Handshake(io::Error),
    /// HTTP or the socket failed; the text of such errors is in what they wrap.
    #[error("it failed: {0:?}")]
    Failed(Box<dyn std::error::Error + Send + Sync>),
}

/// The HTTP a client speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Spoken {
    Http1,
    Http2,
}

/// What a peer may send us on one stream before we have read it. Requests here are small, and their bodies few.
const STREAM_WINDOW_BYTES: u32 = 256 * 1024;

/// The same for a whole connection.
const CONNECTION_WINDOW_BYTES: u32 = 1024 * 1024;

/// The bytes read to tell HTTP/1 from HTTP/2: most request heads fit.
const SNIFF_BYTES: usize = 1024;

impl ConnectionServer {
    pub(crate) fn new(limits: Limits, stats: Arc<ListenStats>, farewell: Farewell) -> Self {
        let mut http1 = http1::Builder::new();
        http1
            .timer(TokioTimer::new())
            // The connection's own watch does this, without a timer per request.
            .header_read_timeout(None)
            .max_header_size(limits.header_bytes_max as usize);
        // hyper's limits on resets (against "rapid reset") stay as they are.
        let mut http2 =
            http2::Builder::new(StreamExecutor::new(limits.body_timeout, Arc::clone(&stats)));
        http2
            .timer(TokioTimer::new())
            .max_concurrent_streams(limits.streams_max)
            .max_header_list_size(limits.header_bytes_max)
            .max_send_buf_size(limits.send_buffer_bytes_max.min(u32::MAX as usize))
            .initial_stream_window_size(STREAM_WINDOW_BYTES)
            .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
            .keep_alive_interval(limits.ping_interval)
            .keep_alive_timeout(limits.ping_timeout);
        Self { http1, http2, limits, stats, farewell }
    }

    /// Serves the connection to its end.
    pub(crate) async fn serve<S: HttpService>(
        &self,
        accepted: Accepted,
        activity: Arc<Activity>,
        service: S,
    ) {
        let Accepted { connection: NewConnection { stream, peer, local, tls }, place: _place } =
            accepted;
        let info = ConnectionInfo { peer, local, protocol: Protocol::Http1, tls: tls.is_some() };
        // An answer is written whole, so that waiting for more to send with it only delays it. A socket that cannot
        // take the option is closed already, which the first read shows.
        let _ = stream.set_nodelay(true);
        let end = match self.open(stream, tls, &activity).await {
            Ok(Some((transport, spoken))) => {
                self.converse(transport, spoken, info, &activity, service).await
            }
            Ok(None) => End::Closed,
            Err(end) => end,
        };
        self.count(&end);
        if !matches!(end, End::Closed) {
            tracing::debug!(%peer, reason = %end, "connection ended");
        }
    }

    /// Does the TLS handshake, if there is one, and finds out which HTTP the client speaks. `None`: the client left
    /// without a word, or a shutdown came before its first.
    async fn open(
        &self,
        stream: tokio::net::TcpStream,
        tls: Option<super::bind::Tls>,
        activity: &Arc<Activity>,
    ) -> Result<Option<(Transport, Spoken)>, End> {
        let (mut socket, negotiated) = match tls {
            None => (Socket::Plain(stream), None),
            Some(tls) => {
                let handshake = tokio::time::timeout(
                    self.limits.handshake_timeout,
                    TlsAcceptor::from(Arc::clone(&tls.config)).accept(stream),
                );
                let stream = tokio::select! {
                    biased;
                    stream = handshake => stream.map_err(io::Error::from).flatten().map_err(End::Handshake)?,
                    () = self.nobody_asked(activity) => return Ok(None),
                };
                let negotiated = match stream.get_ref().1.alpn_protocol() {
                    Some(b"h2") => Some(Spoken::Http2),
                    Some(_) => Some(Spoken::Http1),
                    None => None,
                };
                (Socket::Tls(Box::new(stream)), negotiated)
            }
        };
        activity.begin_head();
        let sniff = tokio::time::timeout(self.limits.header_timeout, sniff(&mut socket));
        let sniffed = tokio::select! {
            biased;
            sniffed = sniff => sniffed,
            () = self.nobody_asked(activity) => return Ok(None),
        };
        match sniffed {
            Ok(Ok(Some((spoken, bytes)))) => {
                let mut transport =
                    Transport::new(socket, self.limits.body_timeout, Arc::clone(activity));
                transport.rewind(bytes);
                Ok(Some((transport, negotiated.unwrap_or(spoken))))
            }
            Ok(Ok(None)) => Ok(None),
            Ok(Err(error)) => Err(End::Failed(error.into())),
            Err(_elapsed) => Err(End::Overdue(Overdue::Head)),
        }
    }

    /// Waits until the server drains, and then for as long as a request that is on its way may take.
    async fn nobody_asked(&self, activity: &Activity) {
        activity.ordered(Phase::Draining).await;
        tokio::time::sleep(self.limits.last_request_wait).await;
    }

    /// Serves the requests of an open connection.
    async fn converse<S: HttpService>(
        &self,
        transport: Transport,
        spoken: Spoken,
        info: ConnectionInfo,
        activity: &Arc<Activity>,
        service: S,
    ) -> End {
        if spoken == Spoken::Http2 {
            return self.serve_http2(transport, info, activity, service).await;
        }
        let slot = UpgradeSlot::new(Mutex::new(None));
        let upgrades = if info.tls {
            Upgrades::Refused
        } else {
            Upgrades::Offered {
                header_bytes_max: self.limits.header_bytes_max,
                slot: Arc::clone(&slot),
            }
        };
        let adapter = self.adapter(service.clone(), info, activity, upgrades);
        let connection =
            self.http1.serve_connection(TokioIo::new(transport), adapter).with_upgrades();
        let close = http1::UpgradeableConnection::graceful_shutdown;
        let end = self.drive(pin!(connection), close, Heads::Watched, activity).await;
        let upgrade = slot.lock().unwrap_or_else(PoisonError::into_inner).take();
        let (Some(upgrade), End::Closed) = (upgrade, &end) else { return end };
        activity.begin_head();
        let transport = tokio::select! {
            biased;
            transport = tokio::time::timeout(self.limits.header_timeout, switch(upgrade)) => transport,
            () = activity.ordered(Phase::Cut) => return End::Cut,
        };
        match transport {
            Ok(Ok(transport)) => {
                self.stats.upgrades.add_one();
                self.serve_http2(transport, info, activity, service).await
            }
            Ok(Err(error)) => End::Failed(error),
            Err(_elapsed) => End::Overdue(Overdue::Head),
        }
    }

    async fn serve_http2<S: HttpService>(
        &self,
        transport: Transport,
        info: ConnectionInfo,
        activity: &Arc<Activity>,
        service: S,
    ) -> End {
        let info = ConnectionInfo {
            protocol: if info.tls { Protocol::H2 } else { Protocol::H2c },
            ..info
        };
        let adapter = self.adapter(service, info, activity, Upgrades::Refused);
        let connection = self.http2.serve_connection(TokioIo::new(transport), adapter);
        self.drive(
            pin!(connection),
            http2::Connection::graceful_shutdown,
            Heads::Unwatched,
            activity,
        )
        .await
    }

    fn adapter<S>(
        &self,
        service: S,
        info: ConnectionInfo,
        activity: &Arc<Activity>,
        upgrades: Upgrades,
    ) -> Adapter<S> {
        let body_timeout = self.limits.body_timeout;
        let farewell = match info.protocol {
            Protocol::Http1 => Some(self.farewell.clone()),
            Protocol::H2 | Protocol::H2c => None,
        };
        Adapter { service, info, activity: Arc::clone(activity), body_timeout, upgrades, farewell }
    }

    /// Polls a connection to its end while its watch and the server's orders allow; `close` ends it gracefully.
    /// Cutting it is dropping it.
    async fn drive<C>(
        &self,
        mut connection: Pin<&mut C>,
        close: fn(Pin<&mut C>),
        heads: Heads,
        activity: &Activity,
    ) -> End
    where
        C: Future<Output = hyper::Result<()>>,
    {
        let mut watch = Watch::new(heads, &self.limits);
        let now = activity.age();
        let first_look = match watch.judge(now, activity.seen()) {
            Verdict::Wait(until) => until,
            // Overdue already: the loop below asks again and acts on it.
            Verdict::Retire | Verdict::Cut(_) => now,
        };
        let mut alarm = pin!(tokio::time::sleep_until(activity.moment(first_look)));
        let mut closing: Option<End> = None;
        // GOAWAY leaves no request unanswered. Over HTTP/1 the next one may be on its way, and its answer will be the
        // last; only when none comes is the connection closed.
        let last_request_wait = match heads {
            Heads::Unwatched => Duration::ZERO,
            Heads::Watched => self.limits.last_request_wait,
        };
        let mut last_request: Option<Pin<Box<Sleep>>> = None;
        std::future::poll_fn(|context| {
            loop {
                if let Poll::Ready(outcome) = connection.as_mut().poll(context) {
                    return Poll::Ready(match outcome {
                        Ok(()) => closing.take().unwrap_or(End::Closed),
                        Err(error) => End::Failed(error.into()),
                    });
                }
                match activity.poll_phase(context) {
                    Phase::Cut => return Poll::Ready(End::Cut),
                    Phase::Draining if closing.is_none() => {
                        let wait = last_request
                            .get_or_insert_with(|| Box::pin(tokio::time::sleep(last_request_wait)));
                        if wait.as_mut().poll(context).is_ready() {
                            closing = Some(End::Closed);
                            close(connection.as_mut());
                            continue;
                        }
                    }
                    Phase::Draining | Phase::Serving => {}
                }
                if alarm.as_mut().poll(context).is_pending() {
                    return Poll::Pending;
                }
                let now = activity.age();
                match watch.judge(now, activity.seen()) {
                    Verdict::Wait(until) => alarm.as_mut().reset(activity.moment(until)),
                    Verdict::Cut(overdue) => return Poll::Ready(End::Overdue(overdue)),
                    Verdict::Retire => {
                        watch.retire(now, activity.seen());
                        if closing.is_none() {
                            closing = Some(End::Idle);
                            close(connection.as_mut());
                        }
                    }
                }
            }
        })
        .await
    }

    fn count(&self, end: &End) {
        match end {
            End::Closed => {}
            End::Idle => self.stats.idle_closes.add_one(),
            End::Overdue(Overdue::Head) => self.stats.header_timeouts.add_one(),
            End::Overdue(Overdue::Stalled) => self.stats.stalled_connections.add_one(),
            End::Cut => self.stats.drain_cuts.add_one(),
            End::Handshake(_) => self.stats.handshake_failures.add_one(),
            End::Failed(error) if is_write_stall(error.as_ref()) => {
                self.stats.stalled_connections.add_one();
            }
            End::Failed(_) => self.stats.connection_errors.add_one(),
        }
    }
}

/// Reads until the client's bytes are the preface of HTTP/2, or cannot become it. `None` if it sends nothing.
async fn sniff(socket: &mut Socket) -> io::Result<Option<(Spoken, Bytes)>> {
    let mut bytes = BytesMut::with_capacity(SNIFF_BYTES);
    loop {
        let read = match socket {
            Socket::Plain(stream) => stream.read_buf(&mut bytes).await?,
            Socket::Tls(stream) => stream.read_buf(&mut bytes).await?,
        };
        if read == 0 {
            return if bytes.is_empty() {
                Ok(None)
            } else {
                Err(io::ErrorKind::UnexpectedEof.into())
            };
        }
        if bytes.starts_with(h2c::PREFACE) {
            return Ok(Some((Spoken::Http2, bytes.freeze())));
        }
        if !h2c::PREFACE.starts_with(&bytes) {
            return Ok(Some((Spoken::Http1, bytes.freeze())));
        }
    }
}

/// Takes the transport back from hyper's HTTP/1 side and makes it ready for the HTTP/2 side.
async fn switch(
    upgrade: AcceptedUpgrade,
) -> Result<Transport, Box<dyn std::error::Error + Send + Sync>> {
    let upgraded = upgrade.transport.await?;
    let parts = upgraded.downcast::<TokioIo<Transport>>().map_err(|_upgraded| {
        io::Error::other("the upgraded connection is not the one that was served")
    })?;
    let mut transport = parts.io.into_inner();
    let start = h2c::read_preface(&mut transport, parts.read_buf, &upgrade.first_request).await?;
    transport.rewind(start);
    Ok(transport)
}
