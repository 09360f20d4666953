//! HTTP/2 by prior knowledge on a plain listener.

use bytes::Bytes;
use crateport_http::listen::Limits;
use h2::client::SendRequest;
use http::{Request, StatusCode};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::task::JoinHandle;

use crate::support::{patiently, plain, reaches};

/// An HTTP/2 client on an open connection.
pub(crate) async fn client(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
) -> (SendRequest<Bytes>, JoinHandle<Result<(), h2::Error>>) {
    let (client, connection) = patiently(h2::client::handshake(stream)).await.unwrap();
    (patiently(client.ready()).await.unwrap(), tokio::spawn(connection))
}

/// A GET without a body.
pub(crate) fn get(path: &str) -> Request<()> {
    Request::get(format!("http://localhost{path}")).body(()).unwrap()
}

/// The whole body of a response.
pub(crate) async fn body(response: http::Response<h2::RecvStream>) -> String {
    assert_eq!(response.status(), StatusCode::OK);
    let mut stream = response.into_body();
    let mut body = Vec::new();
    while let Some(chunk) = patiently(stream.data()).await {
        let chunk = chunk.unwrap();
        stream.flow_control().release_capacity(chunk.len()).unwrap();
        body.extend_from_slice(&chunk);
    }
    String::from_utf8(body).unwrap()
}

#[tokio::test]
async fn http2_by_prior_knowledge_is_served() {
    let server = plain(Limits::default()).await;
    let (mut client, _connection) = client(server.connect().await).await;
    for path in ["/a", "/b"] {
        let (response, _) = client.send_request(get(path), true).unwrap();
        assert_eq!(body(patiently(response).await.unwrap()).await, format!("h2c plain GET {path}"));
    }
}

#[tokio::test]
async fn two_hundred_streams_are_in_flight_at_once_on_one_connection() {
    let server = plain(Limits::default()).await;
    let (client, _connection) = client(server.connect().await).await;
    let mut answers = Vec::new();
    for _request in 0..200 {
        let mut client = patiently(client.clone().ready()).await.unwrap();
        answers.push(client.send_request(get("/gate"), true).unwrap().0);
    }
    reaches(&server.service.waiting, 200).await;
    server.service.gate.cancel();
    for answer in answers {
        assert_eq!(body(patiently(answer).await.unwrap()).await, "through");
    }
    assert_eq!(server.stats.snapshot().accepted, 1);
}

#[tokio::test]
async fn a_stream_the_client_resets_stops_its_service() {
    let server = plain(Limits::default()).await;
    let (mut client, _connection) = client(server.connect().await).await;
    let (response, mut stream) = client.send_request(get("/gate"), true).unwrap();
    reaches(&server.service.waiting, 1).await;
    stream.send_reset(h2::Reason::CANCEL);
    reaches(&server.service.waiting, 0).await;
    drop(response);
}

#[tokio::test]
async fn a_header_list_that_is_too_long_is_refused_with_431() {
    let server = plain(Limits { header_bytes_max: 1000, ..Limits::default() }).await;
    let (mut client, _connection) = client(server.connect().await).await;
    let mut request = get("/");
    request.headers_mut().insert("x", "x".repeat(1000).parse().unwrap());
    let (response, _) = client.send_request(request, true).unwrap();
    assert_eq!(
        patiently(response).await.unwrap().status(),
        StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE
    );
}

#[tokio::test]
async fn a_peer_that_answers_no_ping_is_dropped() {
    use std::time::Duration;
    let limits = Limits {
        ping_interval: Duration::from_millis(100),
        ping_timeout: Duration::from_millis(100),
        ..Limits::default()
    };
    let server = plain(limits).await;
    let mut stream = server.connect().await;
    // A preface, empty settings, and then silence.
    crate::support::send(&mut stream, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0")
        .await;
    crate::support::read_to_close(&mut stream).await;
    server.until(|stats| stats.connections_open == 0).await;
}
