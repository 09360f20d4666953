//! A process that runs out of file descriptors. It is a test of its own because the limit is the whole process's.

use std::future::pending;
use std::time::Duration;

use crateport_http::listen::{Limits, Listener, ListenerConfig, Server};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpSocket;

#[tokio::test]
async fn a_server_without_file_descriptors_goes_on_when_it_has_some_again() {
    let listener =
        Listener::bind(ListenerConfig { address: "127.0.0.1:0".parse().unwrap(), tls: None })
            .await
            .unwrap();
    let address = listener.local_addr();
    let server = Server::new(Limits::default());
    let stats = server.stats();
    let router = axum::Router::new().fallback(|| async { "here" });
    tokio::spawn(server.serve(vec![listener], router, pending(), Duration::ZERO));

    // The client's socket takes the last descriptor the process may have.
    let client = TcpSocket::new_v4().unwrap();
    let next_descriptor = std::os::fd::AsRawFd::as_raw_fd(&client) + 1;
    let before = getrlimit(Resource::Nofile);
    let tight = Rlimit { current: Some(u64::try_from(next_descriptor).unwrap()), ..before };
    setrlimit(Resource::Nofile, tight).unwrap();
    let mut client = client.connect(address).await.unwrap();
    client.write_all(b"GET / HTTP/1.0\r\n\r\n").await.unwrap();
    while stats.snapshot().accept_errors < 2 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(stats.snapshot().accepted, 0);

    setrlimit(Resource::Nofile, before).unwrap();
    let mut answer = String::new();
    client.read_to_string(&mut answer).await.unwrap();
    assert!(answer.ends_with("here"), "{answer}");
}
