//! A TCP proxy that can misbehave: it sits between two real programs and knows nothing of what they say.
//!
//! The mode can change at any moment and acts on live connections too.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::sync::watch;

use crate::own_runtime::OwnRuntime;
use crate::port::Port;

/// What is read at once.
const BUFFER_BYTES: usize = 16 * 1024;
/// A throttled direction moves this often.
const THROTTLE_TICKS_PER_SECOND: u64 = 20;

/// What the proxy does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Forwards everything.
    Pass,
    /// Refuses new connections and closes live ones.
    Refuse,
    /// Accepts and resets (RST), live connections too.
    Reset,
    /// Accepts and forwards nothing; what is held goes on when the mode changes.
    Stall,
    /// Forwards so many bytes from the server on each connection, then closes it. Bytes from before the mode count.
    CutAfter(u64),
    /// Bytes per second in each direction of each connection.
    Throttle(u64),
    /// Each piece waits so long, in each direction.
    Delay(Duration),
}

/// The proxy. Dropping it closes everything.
pub struct ChaosProxy {
    port: Port,
    shared: Arc<Shared>,
    runtime: OwnRuntime,
}

struct Shared {
    target: SocketAddr,
    mode: watch::Sender<Mode>,
    connections: AtomicUsize,
    live: AtomicUsize,
}

impl ChaosProxy {
    /// A proxy on a free port in front of an address; it begins in [`Mode::Pass`].
    pub async fn in_front_of(target: SocketAddr) -> Self {
        let runtime = OwnRuntime::start("chaos-proxy");
        let mode = watch::Sender::new(Mode::Pass);
        let shared = Arc::new(Shared {
            target,
            mode,
            connections: AtomicUsize::new(0),
            live: AtomicUsize::new(0),
        });
        let serving = shared.clone();
        let port = Port::open(&runtime, move |stream| serve(stream, serving.clone()));
        Self { port, shared, runtime }
    }

    /// Where clients connect.
    pub fn address(&self) -> SocketAddr {
        self.port.address()
    }

    /// `http://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address())
    }

    /// Changes the mode, for live connections too.
    #[track_caller]
    pub fn set(&self, mode: Mode) {
        self.shared.mode.send_replace(mode);
        match mode {
            Mode::Refuse => self.port.close(&self.runtime),
            _ => self.port.reopen(&self.runtime),
        }
    }

    /// Closes every live connection; new ones meet the mode as it is.
    #[track_caller]
    pub fn cut_all(&self) {
        self.port.cut_connections(&self.runtime);
    }

    /// Connections accepted since the start.
    pub fn connections(&self) -> usize {
        self.shared.connections.load(Ordering::SeqCst)
    }

    /// Connections that are open now.
    pub fn live_connections(&self) -> usize {
        self.shared.live.load(Ordering::SeqCst)
    }
}

/// Counts a connection for as long as it lives.
struct Live<'a>(&'a AtomicUsize);

impl Drop for Live<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

async fn serve(mut client: TcpStream, shared: Arc<Shared>) {
    shared.connections.fetch_add(1, Ordering::SeqCst);
    shared.live.fetch_add(1, Ordering::SeqCst);
    let _live = Live(&shared.live);
    let mut mode = shared.mode.subscribe();
    let must_reset = tokio::select! {
        biased;
        changed = mode.wait_for(|&mode| mode == Mode::Reset) => changed.is_ok(),
        _ = forward(&mut client, &shared) => false,
    };
    if must_reset {
        // Dropping the socket now sends RST instead of FIN.
        let _ = client.set_zero_linger();
    }
}

/// Ends when both directions have ended, or with an error as soon as one is cut.
async fn forward(client: &mut TcpStream, shared: &Shared) -> io::Result<()> {
    let mut server = TcpStream::connect(shared.target).await?;
    server.set_nodelay(true)?;
    let (from_client, to_client) = client.split();
    let (from_server, to_server) = server.split();
    let pump = |direction| Pump { mode: shared.mode.subscribe(), direction, forwarded_bytes: 0 };
    let up = pump(Direction::ToServer).run(from_client, to_server);
    let down = pump(Direction::FromServer).run(from_server, to_client);
    tokio::try_join!(up, down).map(|_| ())
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Direction {
    ToServer,
    FromServer,
}

/// One direction of one connection.
struct Pump {
    mode: watch::Receiver<Mode>,
    direction: Direction,
    forwarded_bytes: u64,
}

/// What may be done with a piece now.
enum Step {
    /// Forward so many bytes of it, then rest.
    Forward(usize, Duration),
    /// Only a change of mode helps.
    AwaitChange,
}

impl Pump {
    async fn run(mut self, mut from: ReadHalf<'_>, mut to: WriteHalf<'_>) -> io::Result<()> {
        let mut buffer = vec![0; BUFFER_BYTES];
        loop {
            let length = tokio::select! {
                read = from.read(&mut buffer) => read?,
                _ = self.mode.changed() => {
                    self.check_cut()?;
                    continue;
                }
            };
            if length == 0 {
                // A mode that forwards nothing does not forward the end either.
                let moving =
                    |mode: &Mode| !matches!(mode, Mode::Stall | Mode::Refuse | Mode::Reset);
                let _ = self.mode.wait_for(moving).await;
                return to.shutdown().await;
            }
            self.pass_on(&buffer[..length], &mut to).await?;
        }
    }

    async fn pass_on(&mut self, mut piece: &[u8], to: &mut WriteHalf<'_>) -> io::Result<()> {
        let delayed_until = match *self.mode.borrow() {
            Mode::Delay(time) => Some(Instant::now() + time),
            _ => None,
        };
        while !piece.is_empty() {
            self.check_cut()?;
            match self.step(piece.len(), delayed_until) {
                Step::AwaitChange => {
                    let _ = self.mode.changed().await;
                }
                Step::Forward(length, rest) => {
                    let (now, later) = piece.split_at(length);
                    to.write_all(now).await?;
                    self.forwarded_bytes += now.len() as u64;
                    piece = later;
                    self.check_cut()?;
                    self.rest(rest).await;
                }
            }
        }
        Ok(())
    }

    fn step(&mut self, length: usize, delayed_until: Option<Instant>) -> Step {
        match *self.mode.borrow_and_update() {
            Mode::Pass => Step::Forward(length, Duration::ZERO),
            Mode::Stall | Mode::Refuse | Mode::Reset => Step::AwaitChange,
            Mode::CutAfter(limit) if self.direction == Direction::FromServer => {
                let left = usize::try_from(limit.saturating_sub(self.forwarded_bytes))
                    .unwrap_or(usize::MAX);
                Step::Forward(length.min(left), Duration::ZERO)
            }
            Mode::CutAfter(_) => Step::Forward(length, Duration::ZERO),
            Mode::Throttle(bytes_per_second) => {
                let rate = bytes_per_second.max(1);
                let tick = usize::try_from((rate / THROTTLE_TICKS_PER_SECOND).max(1))
                    .unwrap_or(usize::MAX);
                let length = length.min(tick);
                Step::Forward(length, Duration::from_secs_f64(length as f64 / rate as f64))
            }
            Mode::Delay(_) => {
                let left =
                    delayed_until.map(|moment| moment.saturating_duration_since(Instant::now()));
                match left.filter(|left| !left.is_zero()) {
                    Some(left) => Step::Forward(0, left),
                    None => Step::Forward(length, Duration::ZERO),
                }
            }
        }
    }

    /// A change of mode ends the rest.
    async fn rest(&mut self, time: Duration) {
        if !time.is_zero() {
            let _ = tokio::time::timeout(time, self.mode.changed()).await;
        }
    }

    fn check_cut(&self) -> io::Result<()> {
        match *self.mode.borrow() {
            Mode::CutAfter(limit)
                if self.direction == Direction::FromServer && self.forwarded_bytes >= limit =>
            {
                Err(io::ErrorKind::ConnectionAborted.into())
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests;
