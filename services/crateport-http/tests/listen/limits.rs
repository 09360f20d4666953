//! Clients that are slow, silent or too many.

use std::time::Duration;

use bytes::Bytes;
use crateport_http::listen::Limits;
use tokio::net::TcpStream;

use crate::h2::{body, client, get};
use crate::support::{
    exchange, patiently, plain, reaches, read_head, read_response, read_to_close, send,
};

const SHORT: Duration = Duration::from_millis(300);

#[tokio::test]
async fn a_head_that_comes_too_slowly_is_cut() {
    let server = plain(Limits { header_timeout: SHORT, ..Limits::default() }).await;
    // From the first byte on: the start of HTTP/1, the start of the HTTP/2 preface, nothing at all.
    for start in ["GET / HT", "PRI * HTTP/2", ""] {
        let mut stream = server.connect().await;
        send(&mut stream, start).await;
        assert_eq!(read_to_close(&mut stream).await, b"", "{start}");
    }
    server.until(|stats| stats.header_timeouts == 3).await;
    // One byte now and then does not help.
    let mut stream = server.connect().await;
    let trickle = async {
        for byte in
            "GET / HTTP/1.1\r\nhost: localhost\r\nx: ".bytes().chain(std::iter::repeat(b'x'))
        {
            if tokio::io::AsyncWriteExt::write_all(&mut stream, &[byte]).await.is_err() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    patiently(trickle).await;
    server.until(|stats| stats.header_timeouts == 4).await;
}

#[tokio::test]
async fn a_later_head_that_comes_too_slowly_is_cut_but_silence_between_requests_is_not() {
    let limits = Limits { header_timeout: SHORT, ..Limits::default() };
    let server = plain(limits).await;
    let mut idle = server.connect().await;
    exchange(&mut idle, "/").await;
    for cut in 1..=2 {
        let mut stream = server.connect().await;
        exchange(&mut stream, "/").await;
        send(&mut stream, "GET / HT").await;
        assert_eq!(read_to_close(&mut stream).await, b"");
        server.until(|stats| stats.header_timeouts == cut).await;
    }
    // Twice the header timeout has passed on the idle connection.
    assert_eq!(exchange(&mut idle, "/").await, "http1 plain GET /");
}

#[tokio::test]
async fn a_preface_that_does_not_follow_an_upgrade_is_not_waited_for() {
    let server = plain(Limits { header_timeout: SHORT, ..Limits::default() }).await;
    for start in [b"".as_slice(), b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\x12\x04\0"] {
        let mut stream = server.connect().await;
        let request = "GET / HTTP/1.1\r\nhost: a\r\nconnection: upgrade, http2-settings\r\nupgrade: h2c\r\n\
                       http2-settings: AAMAAABk\r\n\r\n";
        send(&mut stream, request).await;
        assert!(read_head(&mut stream).await.starts_with("HTTP/1.1 101"));
        send(&mut stream, start).await;
        assert_eq!(read_to_close(&mut stream).await, b"");
    }
    server.until(|stats| stats.header_timeouts == 2).await;
}

#[tokio::test]
async fn an_idle_connection_is_closed_and_one_with_a_request_in_flight_is_not() {
    let server = plain(Limits { idle_timeout: SHORT, ..Limits::default() }).await;
    let mut busy = server.connect().await;
    send(&mut busy, "GET /gate HTTP/1.1\r\nhost: localhost\r\n\r\n").await;
    let (mut busy_h2, _connection) = client(server.connect().await).await;
    let (answer, _) = busy_h2.send_request(get("/gate"), true).unwrap();
    reaches(&server.service.waiting, 2).await;
    for idle in 1..=3 {
        let mut stream = server.connect().await;
        exchange(&mut stream, "/").await;
        assert_eq!(read_to_close(&mut stream).await, b"");
        server.until(|stats| stats.idle_closes == idle).await;
    }
    server.service.gate.cancel();
    assert_eq!(read_response(&mut busy).await.1, "through");
    assert_eq!(body(patiently(answer).await.unwrap()).await, "through");
}

#[tokio::test]
async fn an_idle_http2_connection_is_told_to_go_away() {
    let server = plain(Limits { idle_timeout: SHORT, ..Limits::default() }).await;
    let (mut client, connection) = client(server.connect().await).await;
    let (answer, _) = client.send_request(get("/"), true).unwrap();
    body(patiently(answer).await.unwrap()).await;
    // A graceful end is no error for the client.
    patiently(connection).await.unwrap().unwrap();
    server.until(|stats| stats.idle_closes == 1 && stats.connections_open == 0).await;
}

#[tokio::test]
async fn a_client_that_does_not_read_its_response_is_cut() {
    let server = plain(Limits { body_timeout: SHORT, ..Limits::default() }).await;
    let mut stream = server.connect().await;
    send(&mut stream, "GET /endless HTTP/1.1\r\nhost: localhost\r\n\r\n").await;
    read_head(&mut stream).await;
    server.until(|stats| stats.stalled_connections == 1 && stats.connections_open == 0).await;
    reaches(&server.service.endless, 0).await;
}

#[tokio::test]
async fn a_stalled_stream_is_reset_and_its_connection_goes_on() {
    let limits = Limits { body_timeout: SHORT, ..Limits::default() };
    let server = plain(limits).await;
    // The connection's window is wider than a stream's, so that one stream cannot use it up.
    let mut builder = h2::client::Builder::new();
    builder.initial_connection_window_size(1024 * 1024);
    let (client, connection) =
        patiently(builder.handshake::<_, Bytes>(server.connect().await)).await.unwrap();
    let _connection = tokio::spawn(connection);
    let mut client = patiently(client.ready()).await.unwrap();
    let (slow_service, _) = client.send_request(get("/gate"), true).unwrap();
    let (stalled, _) = client.send_request(get("/endless"), true).unwrap();
    let mut stalled = patiently(stalled).await.unwrap().into_body();
    // The window is never opened again, so that the stream ends with an error once what was sent is read.
    let error = loop {
        if let Err(error) = patiently(stalled.data()).await.unwrap() {
            break error;
        }
    };
    assert!(error.is_reset(), "{error}");
    server.until(|stats| stats.stalled_streams == 1).await;
    reaches(&server.service.endless, 0).await;
    server.service.gate.cancel();
    assert_eq!(body(patiently(slow_service).await.unwrap()).await, "through");
}

#[tokio::test]
async fn a_request_body_that_stops_is_not_waited_for() {
    let server = plain(Limits { body_timeout: SHORT, ..Limits::default() }).await;
    let mut stream = server.connect().await;
    send(&mut stream, "POST /echo HTTP/1.1\r\nhost: localhost\r\ncontent-length: 10\r\n\r\nabc")
        .await;
    let answer = String::from_utf8(read_to_close(&mut stream).await).unwrap();
    assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
    server.until(|stats| stats.connections_open == 0).await;
}

#[tokio::test]
async fn at_the_connection_limit_new_clients_wait_for_a_place() {
    let limits = Limits { connections_max: 2, ..Limits::default() };
    let server = crate::support::serve(limits, vec![None, None], Default::default()).await;
    let connect =
        async |listener: usize| TcpStream::connect(server.addresses[listener]).await.unwrap();
    let (mut first, mut second) = (connect(0).await, connect(1).await);
    exchange(&mut first, "/").await;
    exchange(&mut second, "/").await;
    server.until(|stats| stats.accept_pauses == 1).await;
    let mut third = connect(1).await;
    send(&mut third, "GET /third HTTP/1.1\r\nhost: localhost\r\n\r\n").await;
    // The others are still served, and the third is not even accepted.
    exchange(&mut first, "/").await;
    exchange(&mut second, "/").await;
    assert_eq!(server.stats.snapshot().accepted, 2);
    drop(first);
    assert_eq!(read_response(&mut third).await.1, "http1 plain GET /third");
}
