//! The one way to shut down: the ports close, requests in flight finish, what is stuck is cut.

use std::time::Duration;

use crateport_http::listen::{Drained, Limits};
use tokio::net::TcpStream;

use crate::h2::{body, client, get};
use crate::support::{
    exchange, patiently, plain, reaches, read_response, read_to_close, send, serve,
};

const GATE: &str = "GET /gate HTTP/1.1\r\nhost: localhost\r\n\r\n";

/// Asks on an open connection, and gives the head of the answer.
async fn ask(stream: &mut TcpStream) -> String {
    send(stream, "GET / HTTP/1.1\r\nhost: localhost\r\n\r\n").await;
    read_response(stream).await.0
}

#[tokio::test]
async fn requests_in_flight_finish_and_new_connections_are_refused() {
    let server = serve(Limits::default(), vec![None], Duration::from_secs(60)).await;
    let mut idle = server.connect().await;
    exchange(&mut idle, "/").await;
    let mut unused = server.connect().await;
    let mut busy = server.connect().await;
    send(&mut busy, GATE).await;
    let (mut busy_h2, connection) = client(server.connect().await).await;
    let (answer, _) = busy_h2.send_request(get("/gate"), true).unwrap();
    reaches(&server.service.waiting, 2).await;

    server.shutdown.cancel();
    // Connections without a request are closed soon; after that the port is closed for certain.
    assert_eq!(read_to_close(&mut idle).await, b"");
    assert_eq!(read_to_close(&mut unused).await, b"");
    assert!(TcpStream::connect(server.address()).await.is_err());
    assert!(!server.task.is_finished());

    server.service.gate.cancel();
    let (head, through) = read_response(&mut busy).await;
    assert!(head.contains("connection: close"), "{head}");
    assert_eq!(through, "through");
    assert_eq!(read_to_close(&mut busy).await, b"");
    assert_eq!(body(patiently(answer).await.unwrap()).await, "through");
    patiently(connection).await.unwrap().unwrap();
    assert_eq!(server.stop().await, Drained { cut: 0 });
}

#[tokio::test]
async fn a_request_on_its_way_when_the_shutdown_begins_is_answered() {
    let limits = Limits { last_request_wait: Duration::from_secs(60), ..Limits::default() };
    let server = serve(limits, vec![None], Duration::from_secs(60)).await;
    let mut kept = server.connect().await;
    exchange(&mut kept, "/").await;
    let mut unused = server.connect().await;
    server.until(|stats| stats.connections_open == 2).await;
    server.shutdown.cancel();
    // From here on nobody can connect, so the shutdown has begun.
    while TcpStream::connect(server.address()).await.is_ok() {}
    for stream in [&mut kept, &mut unused] {
        let head = ask(stream).await;
        assert!(head.starts_with("http/1.1 200") && head.contains("connection: close"), "{head}");
        assert_eq!(read_to_close(stream).await, b"");
    }
    assert_eq!(server.stop().await, Drained { cut: 0 });
}

#[tokio::test]
async fn in_a_farewell_answers_over_http1_are_the_last_on_their_connections() {
    let server = plain(Limits::default()).await;
    let mut kept = server.connect().await;
    let head = ask(&mut kept).await;
    assert!(!head.contains("connection: close"), "{head}");
    server.farewell.begin();
    let head = ask(&mut kept).await;
    assert!(head.contains("connection: close"), "{head}");
    assert_eq!(read_to_close(&mut kept).await, b"");
    // Who comes is still served, and over HTTP/2 without a word.
    let mut late = server.connect().await;
    let head = ask(&mut late).await;
    assert!(head.contains("connection: close"), "{head}");
    let (mut h2, _connection) = client(server.connect().await).await;
    for _ in 0..2 {
        let (answer, _) = h2.send_request(get("/"), true).unwrap();
        assert!(patiently(answer).await.unwrap().headers().get("connection").is_none());
    }
}

#[tokio::test]
async fn what_is_stuck_is_cut_at_the_drain_timeout() {
    let server = serve(Limits::default(), vec![None], Duration::from_millis(200)).await;
    let mut stuck = server.connect().await;
    send(&mut stuck, GATE).await;
    let (mut stuck_h2, _connection) = client(server.connect().await).await;
    let (answer, _) = stuck_h2.send_request(get("/gate"), true).unwrap();
    reaches(&server.service.waiting, 2).await;
    let (service, stats) = (server.service.clone(), server.stats.clone());
    assert_eq!(server.stop().await, Drained { cut: 2 });
    assert_eq!(read_to_close(&mut stuck).await, b"");
    assert!(patiently(answer).await.is_err());
    reaches(&service.waiting, 0).await;
    let stats = stats.snapshot();
    assert_eq!((stats.drain_cuts, stats.connections_open), (2, 0));
}

#[tokio::test]
async fn a_server_without_connections_stops_at_once() {
    let server = serve(Limits::default(), vec![None, None], Duration::from_secs(60)).await;
    assert_eq!(server.stop().await, Drained { cut: 0 });
}

#[tokio::test]
async fn a_server_that_is_dropped_leaves_no_connection_behind() {
    let server = plain(Limits::default()).await;
    let mut stream = server.connect().await;
    send(&mut stream, GATE).await;
    reaches(&server.service.waiting, 1).await;
    server.task.abort();
    assert_eq!(read_to_close(&mut stream).await, b"");
    server.until(|stats| stats.connections_open == 0).await;
    assert!(TcpStream::connect(server.address()).await.is_err());
}
