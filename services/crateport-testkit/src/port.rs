//! A port on 127.0.0.1 that can stop listening and resume with the same number. While closed, it stays bound but does
//! not listen: connections are refused by the kernel and no other test can take the number.

use std::future::Future;
use std::io::{self, ErrorKind};
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{mpsc, oneshot};
use tokio::task::{JoinHandle, JoinSet};

use crate::own_runtime::OwnRuntime;

/// Connections that wait in the kernel for `accept`.
const BACKLOG: u32 = 1024;
/// Between two tries to bind a port that is still held.
const BIND_POLL: Duration = Duration::from_millis(1);
/// Orders are rare and each is waited for.
const ORDERS_MAX: usize = 8;

type Serve = Arc<dyn Fn(TcpStream) -> Pin<Box<dyn Future<Output = ()> + Send>> + Send + Sync>;

pub(crate) struct Port {
    address: SocketAddr,
    serve: Serve,
    state: Mutex<Option<State>>,
}

enum State {
    Open { orders: mpsc::Sender<Order>, accepting: JoinHandle<()> },
    Closed { reserved: TcpSocket },
}

enum Order {
    CutConnections(oneshot::Sender<()>),
    Close,
}

impl Port {
    /// Opens a free port; each connection gets a task that runs `serve`.
    #[track_caller]
    pub(crate) fn open<F, Fut>(runtime: &OwnRuntime, serve: F) -> Self
    where
        F: Fn(TcpStream) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        Self::open_at(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), runtime, serve)
    }

    /// Opens this port.
    #[track_caller]
    pub(crate) fn open_at<F, Fut>(address: SocketAddr, runtime: &OwnRuntime, serve: F) -> Self
    where
        F: Fn(TcpStream) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        let serve: Serve = Arc::new(move |stream| Box::pin(serve(stream)));
        let _inside = runtime.handle().enter();
        let socket = bind(address).unwrap_or_else(|error| panic!("{address}: {error}"));
        let listener = socket.listen(BACKLOG).expect("a bound socket listens");
        let address = listener.local_addr().expect("a bound socket has an address");
        let state = Mutex::new(Some(listen(runtime, listener, serve.clone())));
        Self { address, serve, state }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Stops listening and closes every connection; returns when that is done. Closing twice is closing once.
    #[track_caller]
    pub(crate) fn close(&self, runtime: &OwnRuntime) {
        let mut state = self.state.lock().expect("no holder of this lock panics");
        *state = Some(match state.take().expect("the state is always put back") {
            State::Open { orders, accepting } => {
                let address = self.address;
                let reserved = runtime.block(async move {
                    let _ = orders.send(Order::Close).await;
                    let _ = accepting.await;
                    bind_again(address).await
                });
                State::Closed { reserved }
            }
            closed @ State::Closed { .. } => closed,
        });
    }

    /// Listens again on the same port. Reopening an open port does nothing.
    #[track_caller]
    pub(crate) fn reopen(&self, runtime: &OwnRuntime) {
        let mut state = self.state.lock().expect("no holder of this lock panics");
        *state = Some(match state.take().expect("the state is always put back") {
            State::Closed { reserved } => {
                let _inside = runtime.handle().enter();
                let listener = reserved.listen(BACKLOG).expect("a reserved port listens again");
                listen(runtime, listener, self.serve.clone())
            }
            open @ State::Open { .. } => open,
        });
    }

    /// Closes every live connection and goes on listening.
    #[track_caller]
    pub(crate) fn cut_connections(&self, runtime: &OwnRuntime) {
        let orders = match self.state.lock().expect("no holder of this lock panics").as_ref() {
            Some(State::Open { orders, .. }) => orders.clone(),
            _ => return,
        };
        runtime.block(async move {
            let (done, ack) = oneshot::channel();
            if orders.send(Order::CutConnections(done)).await.is_ok() {
                let _ = ack.await;
            }
        });
    }
}

/// `SO_REUSEADDR` lets the number be taken again while old connections linger in `TIME_WAIT`.
fn bind(address: SocketAddr) -> io::Result<TcpSocket> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    Ok(socket)
}

/// Binds the number of a listener that was just dropped. A child process that another test is starting holds a copy of
/// that listener until its `exec`, so it may go on listening for a moment; once the number is bound again, it does not.
async fn bind_again(address: SocketAddr) -> TcpSocket {
    loop {
        match bind(address) {
            Ok(socket) => return socket,
            Err(error) if error.kind() == ErrorKind::AddrInUse => {
                tokio::time::sleep(BIND_POLL).await;
            }
            Err(error) => panic!("binding {address} again: {error}"),
        }
    }
}

fn listen(runtime: &OwnRuntime, listener: TcpListener, serve: Serve) -> State {
    let (orders, inbox) = mpsc::channel(ORDERS_MAX);
    let accepting = runtime.handle().spawn(accept(listener, serve, inbox));
    State::Open { orders, accepting }
}

async fn accept(listener: TcpListener, serve: Serve, mut inbox: mpsc::Receiver<Order>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            order = inbox.recv() => match order {
                Some(Order::CutConnections(done)) => {
                    connections.shutdown().await;
                    let _ = done.send(());
                }
                Some(Order::Close) | None => break,
            },
            accepted = listener.accept() => if let Ok((stream, _)) = accepted {
                // Small writes must be seen when they happen, not when Nagle likes.
                let _ = stream.set_nodelay(true);
                connections.spawn(serve(stream));
            },
            Some(_) = connections.join_next(), if !connections.is_empty() => {}
        }
    }
    drop(listener);
    connections.shutdown().await;
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    async fn greet(mut stream: TcpStream) {
        let _ = stream.write_all(b"hi").await;
        let _ = stream.read(&mut [0; 1]).await;
    }

    #[tokio::test]
    async fn a_closed_port_refuses_and_reopens_with_its_number() {
        let runtime = OwnRuntime::start("port");
        let port = Port::open(&runtime, greet);
        let mut live = TcpStream::connect(port.address()).await.unwrap();
        assert_eq!(live.read(&mut [0; 8]).await.unwrap(), 2);

        port.close(&runtime);
        port.close(&runtime);
        assert_eq!(live.read(&mut [0; 8]).await.unwrap(), 0, "the live connection was closed");
        let refused = TcpStream::connect(port.address()).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);

        port.reopen(&runtime);
        port.reopen(&runtime);
        let mut again = TcpStream::connect(port.address()).await.unwrap();
        assert_eq!(again.read(&mut [0; 8]).await.unwrap(), 2);

        port.cut_connections(&runtime);
        assert_eq!(again.read(&mut [0; 8]).await.unwrap(), 0);
        assert!(TcpStream::connect(port.address()).await.is_ok());
    }
}
