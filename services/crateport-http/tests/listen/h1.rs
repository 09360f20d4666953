//! HTTP/1.1 on a plain listener.

use crateport_http::listen::{Limits, ListenError, Listener, ListenerConfig};

use crate::support::{exchange, plain, read_response, read_to_close, send};

#[tokio::test]
async fn requests_follow_each_other_on_one_connection() {
    let server = plain(Limits::default()).await;
    let mut stream = server.connect().await;
    for path in ["/a", "/b", "/c"] {
        assert_eq!(exchange(&mut stream, path).await, format!("http1 plain GET {path}"));
    }
    assert_eq!(server.stats.snapshot().accepted, 1);
}

#[tokio::test]
async fn pipelined_requests_and_a_head_in_single_bytes_are_answered() {
    let server = plain(Limits::default()).await;
    let mut stream = server.connect().await;
    let request = "GET /a HTTP/1.1\r\nhost: localhost\r\n\r\n";
    send(&mut stream, request.repeat(3)).await;
    for _answer in 0..3 {
        assert_eq!(read_response(&mut stream).await.1, "http1 plain GET /a");
    }
    let mut stream = server.connect().await;
    stream.set_nodelay(true).unwrap();
    for byte in request.as_bytes() {
        send(&mut stream, [*byte]).await;
        tokio::task::yield_now().await;
    }
    assert_eq!(read_response(&mut stream).await.1, "http1 plain GET /a");
}

#[tokio::test]
async fn http_1_0_is_answered_and_closed() {
    let server = plain(Limits::default()).await;
    let mut stream = server.connect().await;
    send(&mut stream, "GET /a HTTP/1.0\r\n\r\n").await;
    let answer = String::from_utf8(read_to_close(&mut stream).await).unwrap();
    assert!(answer.ends_with("http1 plain GET /a"), "{answer}");
}

#[tokio::test]
async fn a_head_that_is_too_long_is_refused_with_431() {
    let server = plain(Limits { header_bytes_max: 1000, ..Limits::default() }).await;
    let mut stream = server.connect().await;
    send(
        &mut stream,
        format!("GET / HTTP/1.1\r\nhost: localhost\r\nx: {}\r\n\r\n", "x".repeat(1000)),
    )
    .await;
    let answer = String::from_utf8(read_to_close(&mut stream).await).unwrap();
    assert!(answer.starts_with("HTTP/1.1 431"), "{answer}");
}

#[tokio::test]
async fn a_port_in_use_is_one_clear_sentence() {
    let server = plain(Limits::default()).await;
    let error =
        Listener::bind(ListenerConfig { address: server.address(), tls: None }).await.unwrap_err();
    assert!(matches!(error, ListenError::AddressInUse(_)));
    let expected = format!("cannot listen on {}: the port is already in use", server.address());
    assert_eq!(error.to_string(), expected);
}

#[tokio::test]
async fn several_listeners_are_served_in_turn() {
    let server =
        crate::support::serve(Limits::default(), vec![None, None, None], Default::default()).await;
    for address in server.addresses.repeat(3) {
        let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
        assert_eq!(exchange(&mut stream, "/").await, "http1 plain GET /");
    }
}
