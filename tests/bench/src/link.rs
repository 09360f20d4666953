//! A link: a TCP proxy with the round trip time and the bandwidth of a network. Bytes are delayed by half a round trip
//! each way; the first ones of a connection by a whole one more, which is what connecting would have taken. It counts
//! the bytes that cross it.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

use crate::child::{Cores, Part};
use crate::stand::Stand;

const BACKLOG: u32 = 4096;
/// Bytes that are read at once.
const CHUNK_BYTES: usize = 64 * 1024;
/// Chunks that are on their way at once, one connection, one way: 64 MiB, more than a window.
const CHUNKS_MAX: usize = 1024;

/// How a link is started.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Where it leads.
    #[arg(long)]
    to: SocketAddr,
}

#[derive(Default)]
struct Line {
    to: Option<SocketAddr>,
    round_trip_us: AtomicU64,
    /// 0 for no limit.
    bytes_per_second: AtomicU64,
    up_bytes: AtomicU64,
    down_bytes: AtomicU64,
    connections: AtomicU64,
    /// When the line is free again, in microseconds since `start`; all connections share it.
    busy_until_us: AtomicU64,
}

/// Runs the part `link`. It understands `round-trip MICROSECONDS`, `bandwidth BYTES`, `reset` and `counts`.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let line = Arc::new(Line { to: Some(arguments.to), ..Line::default() });
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let (listener, address) = runtime.block_on(async {
        let socket = TcpSocket::new_v4()?;
        socket.bind(SocketAddr::from(([127, 0, 0, 1], 0)))?;
        let listener = socket.listen(BACKLOG)?;
        let address = listener.local_addr()?;
        Ok::<_, anyhow::Error>((listener, address))
    })?;
    runtime.spawn(accept(listener, line.clone()));
    crate::part::converse(&json!({ "address": address.to_string() }), |text| {
        let (word, number) = text.split_once(' ').unwrap_or((text, "0"));
        let number = number.parse()?;
        match word {
            "round-trip" => line.round_trip_us.store(number, Ordering::Relaxed),
            "bandwidth" => line.bytes_per_second.store(number, Ordering::Relaxed),
            "reset" => {
                for count in [&line.up_bytes, &line.down_bytes, &line.connections] {
                    count.store(0, Ordering::Relaxed);
                }
            }
            "counts" => {}
            _ => anyhow::bail!("unknown: {text}"),
        }
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        Ok(json!({
            "up_bytes": read(&line.up_bytes),
            "down_bytes": read(&line.down_bytes),
            "connections": read(&line.connections),
        }))
    })
}

async fn accept(listener: TcpListener, line: Arc<Line>) {
    let start = Instant::now();
    loop {
        let Ok((client, _)) = listener.accept().await else { continue };
        let line = line.clone();
        tokio::spawn(async move {
            let Some(to) = line.to else { return };
            let Ok(server) = TcpStream::connect(to).await else { return };
            line.connections.fetch_add(1, Ordering::Relaxed);
            let _ = client.set_nodelay(true);
            let _ = server.set_nodelay(true);
            let connecting = Duration::from_micros(line.round_trip_us.load(Ordering::Relaxed));
            let ((from_client, to_client), (from_server, to_server)) =
                (client.into_split(), server.into_split());
            let up = Way { line: line.clone(), start, is_up: true };
            let down = Way { line, start, is_up: false };
            up.carry(from_client, to_server, connecting);
            down.carry(from_server, to_client, Duration::ZERO);
        });
    }
}

/// One direction of a connection.
#[derive(Clone)]
struct Way {
    line: Arc<Line>,
    start: Instant,
    is_up: bool,
}

impl Way {
    fn carry(self, from: OwnedReadHalf, to: OwnedWriteHalf, first_delay: Duration) {
        let (sender, receiver) = mpsc::channel(CHUNKS_MAX);
        tokio::spawn(deliver(receiver, to));
        tokio::spawn(self.read(from, sender, first_delay));
    }

    async fn read(
        self,
        mut from: OwnedReadHalf,
        sender: mpsc::Sender<(Instant, Vec<u8>)>,
        first_delay: Duration,
    ) {
        let not_before = Instant::now() + first_delay;
        loop {
            let mut chunk = vec![0; CHUNK_BYTES];
            let Ok(read @ 1..) = from.read(&mut chunk).await else { return };
            chunk.truncate(read);
            let count = if self.is_up { &self.line.up_bytes } else { &self.line.down_bytes };
            let bytes = u64::try_from(read).unwrap_or(0);
            count.fetch_add(bytes, Ordering::Relaxed);
            let half = Duration::from_micros(self.line.round_trip_us.load(Ordering::Relaxed) / 2);
            let sent = self.transmit(bytes).max(not_before);
            // A slow line is felt by the sender, as a full window would be.
            if sent > Instant::now() {
                sleep_until(sent).await;
            }
            if sender.send((sent + half, chunk)).await.is_err() {
                return;
            }
        }
    }

    /// When the line has taken these bytes; only the way down is narrow.
    fn transmit(&self, bytes: u64) -> Instant {
        let now = Instant::now();
        let per_second = self.line.bytes_per_second.load(Ordering::Relaxed);
        if per_second == 0 || self.is_up {
            return now;
        }
        let takes = bytes * 1_000_000 / per_second;
        let now_us = u64::try_from(now.duration_since(self.start).as_micros()).unwrap_or(u64::MAX);
        let busy = &self.line.busy_until_us;
        let before = busy.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |until| {
            Some(until.max(now_us) + takes)
        });
        let until = before.unwrap_or(0).max(now_us) + takes;
        self.start + Duration::from_micros(until)
    }
}

async fn deliver(mut receiver: mpsc::Receiver<(Instant, Vec<u8>)>, mut to: OwnedWriteHalf) {
    let mut batch = VecDeque::new();
    loop {
        let Some((at, chunk)) = receiver.recv().await else { break };
        batch.push_back(chunk);
        // The timer's grain is a millisecond, which a link without delay must not add.
        if at > Instant::now() {
            sleep_until(at).await;
        }
        while let Some(chunk) = batch.pop_front() {
            if to.write_all(&chunk).await.is_err() {
                return;
            }
        }
    }
    let _ = to.shutdown().await;
}

/// A running link.
pub(crate) struct Link {
    part: Part,
    /// Its own end.
    pub(crate) address: SocketAddr,
}

/// What has crossed a link.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Crossed {
    /// From the server.
    pub(crate) down_bytes: u64,
    /// To the server.
    pub(crate) up_bytes: u64,
}

impl Link {
    /// Starts one that leads there, without delay.
    pub(crate) fn start(stand: &Stand, to: SocketAddr, cores: Cores) -> Result<Self> {
        let arguments = ["--to".to_owned(), to.to_string()];
        let part = Part::start("link", &arguments, cores, &stand.log("link"))?;
        let address = part.said("address")?.parse()?;
        Ok(Self { part, address })
    }

    /// Sets its round trip time.
    pub(crate) fn set_round_trip(&mut self, time: Duration) -> Result<()> {
        self.part.ask(&format!("round-trip {}", time.as_micros())).map(|_| ())
    }

    /// Sets how much comes down it in a second; 0 for no limit.
    pub(crate) fn set_bytes_per_second(&mut self, bytes: u64) -> Result<()> {
        self.part.ask(&format!("bandwidth {bytes}")).map(|_| ())
    }

    /// Sets its counts to nothing.
    pub(crate) fn reset(&mut self) -> Result<()> {
        self.part.ask("reset").map(|_| ())
    }

    /// What has crossed it since.
    pub(crate) fn crossed(&mut self) -> Result<Crossed> {
        let counts: Value = self.part.ask("counts")?;
        let number = |key: &str| counts.get(key).and_then(Value::as_u64).context("a count");
        Ok(Crossed { down_bytes: number("down_bytes")?, up_bytes: number("up_bytes")? })
    }
}
