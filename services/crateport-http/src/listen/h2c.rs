//! HTTP/2 by `Upgrade: h2c` (RFC 7540 section 3.2), as libcurl, and so cargo, asks for it on `http://` URLs.
//!
//! hyper and the `h2` crate do not offer it. So the request that asks is answered 101, and then HTTP/2 is served on the
//! same connection with the request put in front as stream 1: the client's preface and first SETTINGS frame, then the
//! request as a HEADERS frame that [`head`] writes, then whatever else the client sends. [`preface`] finds where the
//! first two end. The client's own next streams are 3, 5, and so on.

mod head;
mod preface;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use http::header::{
    CONNECTION, CONTENT_LENGTH, EXPECT, HOST, HeaderName, PROXY_AUTHENTICATE, TE, TRAILER,
    TRANSFER_ENCODING, UPGRADE,
};
use http::uri::Authority;
use http::{HeaderMap, HeaderValue, Method, Request, Version};

pub(crate) use preface::{PREFACE, read as read_preface};

/// The HEADERS frame, with its CONTINUATION frames, that brings the upgraded request to the HTTP/2 side.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FirstRequest(pub(crate) Bytes);

const HTTP2_SETTINGS: HeaderName = HeaderName::from_static("http2-settings");
const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
const PROXY_CONNECTION: HeaderName = HeaderName::from_static("proxy-connection");

/// One setting of a SETTINGS frame: two bytes of name, four of value.
const SETTING_BYTES: usize = 6;

/// The request as stream 1, if it may and does ask for h2c; `None` means: answer it over HTTP/1.1, which is always
/// allowed. Whether its body is empty the caller has seen; here its headers must say so, too.
pub(crate) fn first_request<B>(
    request: &Request<B>,
    header_bytes_max: u32,
) -> Option<FirstRequest> {
    let headers = request.headers();
    let asks = request.version() == Version::HTTP_11
        && request.method() != Method::CONNECT
        && has_token(headers, &UPGRADE, "h2c")
        && has_token(headers, &CONNECTION, "upgrade")
        && has_token(headers, &CONNECTION, "http2-settings");
    if !asks || !has_settings(headers) || !has_no_body(headers) {
        return None;
    }
    let authority = authority(request)?;
    let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
    let mut block = head::HeaderBlock::default();
    block.push(b":method", request.method().as_str().as_bytes());
    block.push(b":scheme", b"http");
    block.push(b":authority", authority.as_str().as_bytes());
    block.push(b":path", path.as_bytes());
    for (name, value) in headers {
        if !is_hop_by_hop(name) && !has_token(headers, &CONNECTION, name.as_str()) {
            block.push(name.as_str().as_bytes(), value.as_bytes());
        }
    }
    // HTTP/2 counts a list of headers higher than its bytes; what fits over HTTP/1.1 must not fail for the upgrade.
    (block.list_bytes() <= u64::from(header_bytes_max)).then(|| FirstRequest(block.into_frames()))
}

/// Exactly one HTTP2-Settings header, which is the base64url payload of a SETTINGS frame.
fn has_settings(headers: &HeaderMap) -> bool {
    let mut values = headers.get_all(HTTP2_SETTINGS).iter();
    let (Some(value), None) = (values.next(), values.next()) else { return false };
    URL_SAFE_NO_PAD
        .decode(value.as_bytes())
        .is_ok_and(|payload| !payload.is_empty() && payload.len().is_multiple_of(SETTING_BYTES))
}

fn has_no_body(headers: &HeaderMap) -> bool {
    !headers.contains_key(TRANSFER_ENCODING)
        && headers.get_all(CONTENT_LENGTH).iter().all(|length| length.as_bytes() == b"0")
}

/// The host the client named, in the form HTTP/2 takes it.
fn authority<B>(request: &Request<B>) -> Option<Authority> {
    if let Some(authority) = request.uri().authority() {
        return Some(authority.clone()).filter(is_host);
    }
    let mut hosts = request.headers().get_all(HOST).iter();
    let (Some(host), None) = (hosts.next(), hosts.next()) else { return None };
    Authority::try_from(host.as_bytes()).ok().filter(is_host)
}

fn is_host(authority: &Authority) -> bool {
    !authority.host().is_empty() && !authority.as_str().contains('@')
}

fn is_hop_by_hop(name: &HeaderName) -> bool {
    [
        CONNECTION,
        UPGRADE,
        HTTP2_SETTINGS,
        HOST,
        TRANSFER_ENCODING,
        TE,
        TRAILER,
        EXPECT,
        KEEP_ALIVE,
        PROXY_CONNECTION,
        PROXY_AUTHENTICATE,
    ]
    .contains(name)
}

/// Whether a comma-separated list header names `token`.
fn has_token(headers: &HeaderMap, name: &HeaderName, token: &str) -> bool {
    let names = |value: &HeaderValue| {
        value
            .as_bytes()
            .split(|byte| *byte == b',')
            .any(|item| item.trim_ascii().eq_ignore_ascii_case(token.as_bytes()))
    };
    headers.get_all(name).iter().any(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER_BYTES_MAX: u32 = 16 * 1024;

    /// cargo's request, with changes: a header without value is left out, one with a value is put in.
    fn ask(changes: &[(&'static str, &'static str)]) -> Request<()> {
        let mut request = Request::get("/crates-io/index/se/rd/serde?x=1").body(()).unwrap();
        let cargo = [
            ("host", "127.0.0.1:8080"),
            ("user-agent", "cargo/1.95.0"),
            ("connection", "Upgrade, HTTP2-Settings"),
            ("upgrade", "h2c"),
            ("http2-settings", "AAMAAABkAAQAAQAAAAIAAAAA"),
        ];
        for (name, value) in cargo.iter().chain(changes) {
            if value.is_empty() {
                request.headers_mut().remove(*name);
            } else if let Some(value) = value.strip_prefix("and ") {
                request.headers_mut().append(*name, HeaderValue::from_static(value));
            } else {
                request.headers_mut().insert(*name, HeaderValue::from_static(value));
            }
        }
        request
    }

    #[test]
    fn an_upgrade_is_taken_only_from_a_proper_request_without_a_body() {
        type Row = (&'static str, &'static [(&'static str, &'static str)], bool);
        let table: &[Row] = &[
            ("as cargo asks", &[], true),
            (
                "case and spaces",
                &[("connection", "upgrade ,http2-settings"), ("upgrade", "H2C")],
                true,
            ),
            ("one of several protocols", &[("upgrade", "websocket, h2c")], true),
            (
                "connection in two lines",
                &[("connection", "Upgrade"), ("connection", "and HTTP2-Settings")],
                true,
            ),
            ("empty body", &[("content-length", "0")], true),
            ("another protocol", &[("upgrade", "websocket")], false),
            ("h2 is for TLS", &[("upgrade", "h2")], false),
            ("settings not connection-bound", &[("connection", "Upgrade")], false),
            ("upgrade not connection-bound", &[("connection", "HTTP2-Settings")], false),
            ("no settings", &[("http2-settings", "")], false),
            ("two settings", &[("http2-settings", "and AAMAAABk")], false),
            ("settings cut", &[("http2-settings", "AAMAAABkAAQ")], false),
            ("settings not base64url", &[("http2-settings", "AAMAAAB+")], false),
            ("a body", &[("content-length", "5")], false),
            ("a chunked body", &[("transfer-encoding", "chunked")], false),
            ("no host", &[("host", "")], false),
            ("two hosts", &[("host", "and other")], false),
            ("a host that is none", &[("host", "a b")], false),
            ("a host with a user", &[("host", "user@host")], false),
        ];
        for (name, changes, expected) in table {
            assert_eq!(
                first_request(&ask(changes), HEADER_BYTES_MAX).is_some(),
                *expected,
                "{name}"
            );
        }
    }

    #[test]
    fn old_versions_and_tunnels_and_heads_that_are_too_long_are_not_upgraded() {
        let mut old = ask(&[]);
        *old.version_mut() = Version::HTTP_10;
        assert_eq!(first_request(&old, HEADER_BYTES_MAX), None);
        let mut tunnel = ask(&[]);
        *tunnel.method_mut() = Method::CONNECT;
        assert_eq!(first_request(&tunnel, HEADER_BYTES_MAX), None);
        assert_eq!(first_request(&ask(&[]), 64), None);
    }

    #[test]
    fn the_stream_carries_the_request_without_what_was_for_the_connection() {
        let request = ask(&[
            ("te", "trailers"),
            ("keep-alive", "timeout=5"),
            ("x-private", "1"),
            ("accept", "text/plain"),
            ("connection", "and X-Private"),
        ]);
        let frames = first_request(&request, HEADER_BYTES_MAX).unwrap();
        let text = String::from_utf8_lossy(&frames.0);
        for kept in [
            ":method\u{3}GET",
            ":authority\u{e}127.0.0.1:8080",
            "/serde?x=1",
            "cargo/1.95.0",
            "text/plain",
        ] {
            assert!(text.contains(kept), "{kept}");
        }
        for dropped in [
            "connection",
            "upgrade",
            "http2-settings",
            "host",
            "te\u{8}",
            "keep-alive",
            "x-private",
        ] {
            assert!(!text.contains(dropped), "{dropped}");
        }
    }
}
