//! A plain TCP load balancer: each connection goes to the next backend in turn that takes it. It looks into nothing
//! and asks nobody for their health; a backend that refuses is skipped, and when all refuse, so does it, by RST.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use tokio::net::TcpStream;

use crate::own_runtime::OwnRuntime;
use crate::port::Port;

/// The balancer. Dropping it closes everything.
pub struct Balancer {
    port: Port,
    shared: Arc<Shared>,
    runtime: OwnRuntime,
}

/// Whether a backend gets new connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Service {
    /// It does.
    In,
    /// It does not.
    Out,
}

struct Shared {
    backends: Vec<Backend>,
    next: AtomicUsize,
}

struct Backend {
    address: SocketAddr,
    connections: AtomicUsize,
    is_out: AtomicBool,
}

impl Balancer {
    /// Listens on a free port of 127.0.0.1.
    pub async fn over(backends: impl IntoIterator<Item = SocketAddr>) -> Self {
        Self::open(Port::open, backends)
    }

    /// Listens on a port that is chosen by the caller.
    pub async fn at(address: SocketAddr, backends: impl IntoIterator<Item = SocketAddr>) -> Self {
        Self::open(|runtime, serve| Port::open_at(address, runtime, serve), backends)
    }

    #[track_caller]
    fn open(
        open: impl FnOnce(&OwnRuntime, Box<Serve>) -> Port,
        backends: impl IntoIterator<Item = SocketAddr>,
    ) -> Self {
        let backend = |address| Backend {
            address,
            connections: AtomicUsize::new(0),
            is_out: AtomicBool::new(false),
        };
        let backends: Vec<Backend> = backends.into_iter().map(backend).collect();
        assert!(!backends.is_empty(), "a balancer needs something to balance over");
        let shared = Arc::new(Shared { backends, next: AtomicUsize::new(0) });
        let runtime = OwnRuntime::start("balancer");
        let serving = shared.clone();
        let serve = Box::new(move |stream| {
            let shared = serving.clone();
            let served: Served = Box::pin(async move { shared.serve(stream).await });
            served
        });
        let port = open(&runtime, serve);
        Self { port, shared, runtime }
    }

    /// Where clients connect.
    pub fn address(&self) -> SocketAddr {
        self.port.address()
    }

    /// `http://127.0.0.1:PORT`, without a slash at the end.
    pub fn url(&self) -> String {
        format!("http://{}", self.address())
    }

    /// How many connections a backend has been given since the start, by its place in the list.
    pub fn connections_to(&self, backend: usize) -> usize {
        self.shared.backends[backend].connections.load(Ordering::SeqCst)
    }

    /// Says whether a backend gets new connections, as a balancer does that asks for its health. It keeps those it has.
    pub fn put(&self, backend: usize, service: Service) {
        self.shared.backends[backend].is_out.store(service == Service::Out, Ordering::SeqCst);
    }

    /// Closes every connection and refuses new ones; the port stays its own.
    #[track_caller]
    pub fn stop(&self) {
        self.port.close(&self.runtime);
    }

    /// Listens again on the same port.
    #[track_caller]
    pub fn restart(&self) {
        self.port.reopen(&self.runtime);
    }

    /// Closes every live connection and goes on listening.
    #[track_caller]
    pub fn cut_connections(&self) {
        self.port.cut_connections(&self.runtime);
    }
}

type Served = std::pin::Pin<Box<dyn Future<Output = ()> + Send>>;
type Serve = dyn Fn(TcpStream) -> Served + Send + Sync;

impl Shared {
    async fn serve(&self, mut client: TcpStream) {
        let Some(mut backend) = self.connect().await else {
            let _ = client.set_zero_linger();
            return;
        };
        // How a connection ends is the affair of its two ends.
        let _ = tokio::io::copy_bidirectional(&mut client, &mut backend).await;
    }

    /// Each connection begins its search one further than the last one did.
    async fn connect(&self) -> Option<TcpStream> {
        let first = self.next.fetch_add(1, Ordering::SeqCst);
        for step in 0..self.backends.len() {
            let backend = &self.backends[(first + step) % self.backends.len()];
            if backend.is_out.load(Ordering::SeqCst) {
                continue;
            }
            if let Ok(stream) = TcpStream::connect(backend.address).await {
                backend.connections.fetch_add(1, Ordering::SeqCst);
                let _ = stream.set_nodelay(true);
                return Some(stream);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::{Ending, RawRequest};
    use crate::krate::krate;
    use crate::upstream::ScriptedUpstream;

    #[tokio::test]
    async fn connections_go_round_and_skip_those_who_refuse() {
        let backends = [
            ScriptedUpstream::start().await,
            ScriptedUpstream::start().await,
            ScriptedUpstream::start().await,
        ];
        for backend in &backends {
            krate("a", "1.0.0").publish(backend);
        }
        let balancer = Balancer::over(backends.iter().map(ScriptedUpstream::address)).await;
        let url = format!("{}{}", balancer.url(), backends[0].index_path("a"));
        let ask = || RawRequest::get(&url).send();
        for _ in 0..6 {
            assert_eq!(ask().await.status, Some(200));
        }
        let given = || [0, 1, 2].map(|backend| balancer.connections_to(backend));
        assert_eq!(given(), [2, 2, 2]);

        backends[1].stop();
        for _ in 0..6 {
            assert_eq!(ask().await.status, Some(200));
        }
        assert_eq!(given()[1], 2, "it refuses");
        assert_eq!(given().iter().sum::<usize>(), 12);

        for backend in &backends {
            backend.stop();
        }
        assert!(matches!(ask().await.ending, Ending::Reset | Ending::ClosedEarly));
        backends[2].restart();
        assert_eq!(ask().await.status, Some(200));
        balancer.stop();
        assert_eq!(ask().await.ending, Ending::Refused);
        balancer.restart();
        assert_eq!(ask().await.status, Some(200));
    }
}
