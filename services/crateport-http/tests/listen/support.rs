//! A server whose routes do what the tests need, and clients plain enough to misbehave.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Extension, Request, State};
use axum::http::HeaderMap;
use axum::routing::any;
use crateport_http::listen::{
    ConnectionInfo, Drained, Farewell, Limits, ListenSnapshot, ListenStats, Listener,
    ListenerConfig, Server, TlsFiles,
};
use futures_util::stream;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// No test waits longer than this for what must happen; none passes by waiting for it.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// A running server.
pub(crate) struct Running {
    pub(crate) addresses: Vec<SocketAddr>,
    pub(crate) service: TestService,
    pub(crate) stats: Arc<ListenStats>,
    pub(crate) shutdown: CancellationToken,
    pub(crate) farewell: Farewell,
    pub(crate) task: JoinHandle<Drained>,
}

/// What the routes share with the tests.
#[derive(Clone)]
pub(crate) struct TestService {
    /// Requests that wait at `/gate`.
    pub(crate) waiting: watch::Sender<usize>,
    /// Opens `/gate`, for good.
    pub(crate) gate: CancellationToken,
    /// Endless bodies that are alive.
    pub(crate) endless: watch::Sender<usize>,
}

/// Counts up while it lives.
struct Counted(watch::Sender<usize>);

impl Counted {
    fn new(sender: &watch::Sender<usize>) -> Self {
        sender.send_modify(|count| *count += 1);
        Self(sender.clone())
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.send_modify(|count| *count -= 1);
    }
}

impl TestService {
    fn router() -> (Self, Router) {
        let service = Self {
            waiting: watch::Sender::new(0),
            gate: CancellationToken::new(),
            endless: watch::Sender::new(0),
        };
        let router = Router::new()
            .route("/gate", any(gate))
            .route("/endless", any(endless))
            .route("/echo", any(echo))
            .route("/headers", any(headers))
            .fallback(info)
            .with_state(service.clone());
        (service, router)
    }
}

/// Says how the request came: `h2c plain GET /path`.
async fn info(Extension(info): Extension<ConnectionInfo>, request: Request) -> String {
    let tls = if info.tls { "tls" } else { "plain" };
    assert!(
        info.peer.ip().is_loopback() && info.peer.port() != 0 && info.local.port() != 0,
        "{info:?}"
    );
    format!("{} {tls} {} {}", info.protocol.as_str(), request.method(), request.uri().path())
}

async fn gate(State(service): State<TestService>) -> &'static str {
    let _waiting = Counted::new(&service.waiting);
    service.gate.cancelled().await;
    "through"
}

/// A body that never ends and is always ready.
async fn endless(State(service): State<TestService>) -> Body {
    let chunk = Bytes::from(vec![b'x'; 64 * 1024]);
    let alive = Counted::new(&service.endless);
    Body::from_stream(stream::unfold(alive, move |alive| {
        let chunk = chunk.clone();
        async move { Some((Ok::<_, Infallible>(chunk), alive)) }
    }))
}

async fn echo(body: Bytes) -> Bytes {
    body
}

/// The authority and headers of the request, a line each.
async fn headers(request: Request) -> String {
    let authority = request.uri().authority().map_or("none", |authority| authority.as_str());
    let headers: &HeaderMap = request.headers();
    let lines = headers
        .iter()
        .map(|(name, value)| format!("{name}: {}\n", String::from_utf8_lossy(value.as_bytes())));
    format!("authority: {authority}\n{}", lines.collect::<String>())
}

/// Serves one plain listener.
pub(crate) async fn plain(limits: Limits) -> Running {
    serve(limits, vec![None], Duration::from_secs(5)).await
}

/// Serves a listener for each of `tls`.
pub(crate) async fn serve(
    limits: Limits,
    tls: Vec<Option<TlsFiles>>,
    drain_timeout: Duration,
) -> Running {
    let mut listeners = Vec::new();
    for tls in tls {
        let config = ListenerConfig { address: "127.0.0.1:0".parse().unwrap(), tls };
        listeners.push(Listener::bind(config).await.unwrap());
    }
    run(limits, listeners, drain_timeout)
}

/// Serves these listeners.
pub(crate) fn run(limits: Limits, listeners: Vec<Listener>, drain_timeout: Duration) -> Running {
    let addresses = listeners.iter().map(Listener::local_addr).collect();
    let (service, router) = TestService::router();
    let server = Server::new(limits);
    let (stats, farewell) = (server.stats(), server.farewell());
    let shutdown = CancellationToken::new();
    let task = tokio::spawn(server.serve(
        listeners,
        router,
        shutdown.clone().cancelled_owned(),
        drain_timeout,
    ));
    Running { addresses, service, stats, shutdown, farewell, task }
}

impl Running {
    pub(crate) fn address(&self) -> SocketAddr {
        self.addresses[0]
    }

    pub(crate) async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address()).await.unwrap()
    }

    /// Waits until the counters are as wanted.
    pub(crate) async fn until(&self, wanted: impl Fn(ListenSnapshot) -> bool) {
        let seen = async {
            while !wanted(self.stats.snapshot()) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        if tokio::time::timeout(PATIENCE, seen).await.is_err() {
            panic!("the counters never became what was waited for: {:?}", self.stats.snapshot());
        }
    }

    /// Shuts the server down and says how it went.
    pub(crate) async fn stop(self) -> Drained {
        self.shutdown.cancel();
        patiently(self.task).await.unwrap()
    }
}

/// Waits until `count` is what it should be.
pub(crate) async fn reaches(count: &watch::Sender<usize>, wanted: usize) {
    patiently(count.subscribe().wait_for(|count| *count == wanted)).await.unwrap();
}

/// Fails a test that would hang.
pub(crate) async fn patiently<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future).await.expect("this must happen")
}

/// Sends bytes.
pub(crate) async fn send(stream: &mut TcpStream, bytes: impl AsRef<[u8]>) {
    stream.write_all(bytes.as_ref()).await.unwrap();
}

/// Reads a head, up to its empty line.
pub(crate) async fn read_head(stream: &mut (impl AsyncRead + Unpin)) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(patiently(stream.read_u8()).await.expect("a head"));
    }
    String::from_utf8(head).unwrap()
}

/// Reads an HTTP/1.1 response with a Content-Length: its head and its body.
pub(crate) async fn read_response(stream: &mut (impl AsyncRead + Unpin)) -> (String, String) {
    let head = read_head(stream).await.to_ascii_lowercase();
    let length = head.split("content-length: ").nth(1).and_then(|rest| rest.split("\r\n").next());
    let mut body = vec![0; length.map_or(0, |length| length.parse().unwrap())];
    patiently(stream.read_exact(&mut body)).await.unwrap();
    (head, String::from_utf8(body).unwrap())
}

/// A whole HTTP/1.1 exchange on an open connection: the response's body.
pub(crate) async fn exchange(stream: &mut TcpStream, path: &str) -> String {
    send(stream, format!("GET {path} HTTP/1.1\r\nhost: localhost\r\n\r\n")).await;
    let (head, body) = read_response(stream).await;
    assert!(head.starts_with("http/1.1 200"), "{head}");
    body
}

/// Waits until the server has closed the connection, however it did, and gives what came before.
pub(crate) async fn read_to_close(stream: &mut (impl AsyncRead + Unpin)) -> Vec<u8> {
    let mut bytes = Vec::new();
    // A reset is an end, too.
    let _ = patiently(stream.read_to_end(&mut bytes)).await;
    bytes
}
