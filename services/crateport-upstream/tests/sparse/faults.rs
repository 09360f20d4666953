//! Every way in which an upstream fails before or in its answer, by what it is called afterwards.

use crateport_upstream::UpstreamLimits;
use crateport_upstream::contract::Act;

use crate::support::{
    LINE, always, body, failure, gzip, index_file, krate, limits, patient, upstream,
};

const SHORT: &str = "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{\"name\"";
const UNENDED: &str = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n7\r\n{\"name\"\r\n";
const ENDLESS: &str = "HTTP/1.1 200 OK\r\n\r\n{\"name\"";

fn faults() -> Vec<(&'static str, Vec<Act>, &'static str)> {
    vec![
        ("hang", vec![Act::Hang], "upstream-timeout"),
        ("hang in the head", vec![Act::send("HTTP/1.1 200 OK\r\n"), Act::Hang], "upstream-timeout"),
        ("hang in the body", vec![Act::send(SHORT), Act::Hang], "upstream-timeout"),
        ("hang in the chunks", vec![Act::send(UNENDED), Act::Hang], "upstream-timeout"),
        ("close", vec![Act::Close], "upstream-cut"),
        ("reset", vec![Act::Reset], "upstream-cut"),
        ("cut in the head", vec![Act::send("HTTP/1.1 200 OK\r\nx"), Act::Close], "upstream-cut"),
        ("truncated", vec![Act::send(SHORT), Act::Close], "upstream-cut"),
        ("truncated chunks", vec![Act::send(UNENDED), Act::Close], "upstream-cut"),
        ("not HTTP", vec![Act::send("220 mail.example ESMTP\r\n"), Act::Hang], "upstream-invalid"),
        ("400", vec![Act::status(400, "")], "upstream-status"),
        ("403", vec![Act::status(403, "")], "upstream-status"),
        ("429", vec![Act::status(429, "")], "upstream-rate-limited"),
        ("500", vec![Act::status(500, "")], "upstream-status"),
        ("503", vec![Act::status(503, "retry-after: 1\r\n")], "upstream-status"),
        ("204", vec![Act::status(204, "")], "upstream-invalid"),
        ("206", vec![Act::status(206, "")], "upstream-invalid"),
    ]
}

/// Short ones only for what must run into them, so that a busy machine changes no answer.
fn bounds(expected: &str) -> UpstreamLimits {
    if expected == "upstream-timeout" { limits() } else { patient() }
}

#[tokio::test]
async fn every_fault_of_an_index_file_has_its_name() {
    for (name, acts, expected) in faults() {
        let server = always(acts).await;
        let reply = index_file(&upstream(&server, bounds(expected))).await;
        assert_eq!(failure(reply).await, expected, "{name}");
        assert_eq!(server.requests().len(), 1, "{name}");
    }
}

#[tokio::test]
async fn every_fault_of_a_crate_has_its_name() {
    for (name, acts, expected) in faults() {
        let server = always(acts).await;
        let dl = format!("http://{}/dl", server.address());
        let reply = krate(&upstream(&server, bounds(expected)), &dl).await;
        assert_eq!(failure(reply).await, expected, "{name}");
        assert_eq!(server.requests().len(), 1, "{name}");
    }
}

#[tokio::test]
async fn an_upstream_that_refuses_is_a_connect_error() {
    let server = always(vec![]).await;
    let upstream = upstream(&server, patient());
    server.stop().await;
    assert_eq!(failure(index_file(&upstream).await).await, "upstream-connect");
}

#[tokio::test]
async fn an_index_file_that_ends_with_its_connection_is_refused() {
    let server = always(vec![Act::send(ENDLESS), Act::Close]).await;
    let reply = index_file(&upstream(&server, patient())).await;
    assert_eq!(failure(reply).await, "upstream-invalid");
}

#[tokio::test]
async fn gzip_that_is_cut_damaged_or_a_bomb_is_an_error() {
    let whole = gzip(LINE);
    let cut = &whole[..whole.len() - 4];
    let bomb = gzip(&vec![b' '; 2 << 20]);
    for (name, sent, expected) in [
        ("cut", cut, "upstream-cut"),
        ("no gzip", LINE, "upstream-invalid"),
        ("nothing", b"".as_slice(), "upstream-cut"),
        ("a bomb", &bomb, "too-large"),
    ] {
        let server = always(vec![Act::ok("content-encoding: gzip\r\n", sent)]).await;
        let reply = index_file(&upstream(&server, patient())).await;
        assert_eq!(failure(reply).await, expected, "{name}");
    }
}

#[tokio::test]
async fn an_index_file_over_the_cap_is_an_error_whether_its_size_is_told_or_not() {
    let large = vec![b' '; (1 << 20) + 1];
    let mut chunked =
        format!("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n{:x}\r\n", large.len())
            .into_bytes();
    chunked.extend_from_slice(&large);
    chunked.extend_from_slice(b"\r\n0\r\n\r\n");
    for act in [Act::ok("", &large), Act::Send(chunked.into())] {
        let server = always(vec![act]).await;
        let reply = index_file(&upstream(&server, patient())).await;
        assert_eq!(failure(reply).await, "too-large");
    }
}

#[tokio::test]
async fn html_and_an_empty_file_are_passed_through_for_the_cache_to_judge() {
    for text in [b"<html>".as_slice(), b""] {
        let server = always(vec![Act::ok("", text)]).await;
        let reply = index_file(&upstream(&server, patient())).await;
        assert_eq!(body(reply).await.unwrap(), text);
    }
}
