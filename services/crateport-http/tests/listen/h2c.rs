//! HTTP/2 by `Upgrade: h2c`: raw sockets, the real curl, the real cargo.

use std::path::Path;
use std::process::Output;

use crateport_http::listen::{ConnectionInfo, Limits, Listener, ListenerConfig, Protocol, Server};
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;
use tokio::process::Command;

use crate::support::{Running, patiently, plain, read_head, read_response, send};

/// What cargo sends, with more headers if wanted.
fn upgrade(method: &str, path: &str, more: &str) -> String {
    format!(
        "{method} {path} HTTP/1.1\r\nHost: localhost:1\r\nUser-Agent: cargo/1.95.0\r\nConnection: Upgrade, HTTP2-Settings\r\n\
         Upgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAQAAAAIAAAAA\r\n{more}\r\n"
    )
}

/// The preface and the settings of HTTP2-Settings above.
const START: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\x12\x04\0\0\0\0\0\
    \0\x03\0\0\0\x64\0\x04\0\x01\0\0\0\x02\0\0\0\0";

/// A GET as an HTTP/2 HEADERS frame: `:method` and `:scheme` from the static table, the rest literal.
fn headers_frame(stream: u8, path: &str) -> Vec<u8> {
    let mut block = vec![0x82, 0x86, 0x01, 9];
    block.extend_from_slice(b"localhost\x04");
    block.push(u8::try_from(path.len()).unwrap());
    block.extend_from_slice(path.as_bytes());
    let mut frame = vec![0, 0, u8::try_from(block.len()).unwrap(), 0x1, 0x5, 0, 0, 0, stream];
    frame.append(&mut block);
    frame
}

/// Reads frames until these streams have ended, each with status 200: their bodies.
async fn read_streams<const COUNT: usize>(
    socket: &mut TcpStream,
    wanted: [u32; COUNT],
) -> [String; COUNT] {
    let mut bodies = [const { Vec::new() }; COUNT];
    let mut ended = 0;
    while ended < COUNT {
        let mut head = [0; 9];
        patiently(socket.read_exact(&mut head)).await.unwrap();
        let mut payload = vec![0; u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize];
        patiently(socket.read_exact(&mut payload)).await.unwrap();
        let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
        let index = wanted.iter().position(|wanted| *wanted == stream);
        match (head[3], index) {
            (0x0, Some(index)) => bodies[index].extend_from_slice(&payload),
            // 0x88 is `:status: 200` of HPACK's static table.
            (0x1, Some(_)) => assert_eq!(payload[0], 0x88),
            (0x4 | 0x6 | 0x8, None) if stream == 0 => continue,
            (kind, _) => panic!("a frame of kind {kind} on stream {stream}: {payload:?}"),
        }
        ended += usize::from(head[4] & 0x1);
    }
    bodies.map(|body| String::from_utf8(body).unwrap())
}

async fn read_stream(socket: &mut TcpStream, wanted: u32) -> String {
    let [body] = read_streams(socket, [wanted]).await;
    body
}

async fn switched(socket: &mut TcpStream) {
    let head = read_head(socket).await.to_ascii_lowercase();
    assert!(head.starts_with("http/1.1 101"), "{head}");
    assert!(
        head.contains("\r\nupgrade: h2c\r\n") && head.contains("\r\nconnection: upgrade\r\n"),
        "{head}"
    );
}

#[tokio::test]
async fn the_upgraded_request_is_answered_on_stream_one_and_the_next_on_three() {
    let server = plain(Limits::default()).await;
    let mut socket = server.connect().await;
    send(&mut socket, upgrade("GET", "/first?x=1", "")).await;
    switched(&mut socket).await;
    send(&mut socket, START).await;
    assert_eq!(read_stream(&mut socket, 1).await, "h2c plain GET /first");
    for stream in [3, 5, 7] {
        send(&mut socket, headers_frame(stream, "/next")).await;
        assert_eq!(read_stream(&mut socket, stream.into()).await, "h2c plain GET /next");
    }
    let stats = server.stats.snapshot();
    assert_eq!((stats.accepted, stats.upgrades, stats.connection_errors), (1, 1, 0));
}

#[tokio::test]
async fn an_upgrade_works_however_its_bytes_are_split() {
    let server = plain(Limits::default()).await;
    let request = upgrade("GET", "/first", "");
    let all = [request.as_bytes(), START, &headers_frame(3, "/next")].concat();
    // A client may not send more before it has seen the 101, but where the bytes are cut must never matter.
    for cut in 1..all.len() {
        let mut socket = server.connect().await;
        socket.set_nodelay(true).unwrap();
        send(&mut socket, &all[..cut]).await;
        // A cut is one read of the server only if the server has read before the rest is sent.
        if cut >= request.len() {
            switched(&mut socket).await;
        } else {
            tokio::time::sleep(std::time::Duration::from_millis(1)).await;
        }
        send(&mut socket, &all[cut..]).await;
        if cut < request.len() {
            switched(&mut socket).await;
        }
        let answers = read_streams(&mut socket, [1, 3]).await;
        assert_eq!(answers, ["h2c plain GET /first", "h2c plain GET /next"], "{cut}");
    }
}

#[tokio::test]
async fn an_upgrade_works_one_byte_at_a_time() {
    let server = plain(Limits::default()).await;
    let mut socket = server.connect().await;
    socket.set_nodelay(true).unwrap();
    for byte in upgrade("GET", "/first", "").into_bytes() {
        send(&mut socket, [byte]).await;
    }
    switched(&mut socket).await;
    for byte in [START, &headers_frame(3, "/next")].concat() {
        send(&mut socket, [byte]).await;
        tokio::time::sleep(std::time::Duration::from_millis(1)).await;
    }
    assert_eq!(
        read_streams(&mut socket, [1, 3]).await,
        ["h2c plain GET /first", "h2c plain GET /next"]
    );
}

#[tokio::test]
async fn the_upgraded_request_keeps_its_headers_and_its_host() {
    let server = plain(Limits::default()).await;
    let mut socket = server.connect().await;
    let long = "x".repeat(17_000);
    let more = format!(
        "Cargo-Protocol: version=1\r\nx-twice: 1\r\nx-twice: 2\r\nte: trailers\r\nx-long: {long}\r\n"
    );
    send(&mut socket, upgrade("GET", "/headers", &more)).await;
    switched(&mut socket).await;
    send(&mut socket, START).await;
    let expected = format!(
        "authority: localhost:1\nuser-agent: cargo/1.95.0\ncargo-protocol: version=1\nx-twice: 1\nx-twice: 2\n\
         x-long: {long}\n"
    );
    assert_eq!(read_stream(&mut socket, 1).await, expected);
}

#[tokio::test]
async fn a_head_request_is_upgraded_and_has_no_body() {
    let server = plain(Limits::default()).await;
    let mut socket = server.connect().await;
    send(&mut socket, upgrade("HEAD", "/first", "")).await;
    switched(&mut socket).await;
    send(&mut socket, START).await;
    assert_eq!(read_stream(&mut socket, 1).await, String::new());
}

#[tokio::test]
async fn an_upgrade_with_a_body_is_ignored_and_answered_over_http_1_1() {
    let server = plain(Limits::default()).await;
    let mut socket = server.connect().await;
    send(&mut socket, upgrade("PUT", "/echo", "Content-Length: 5\r\n") + "hello").await;
    let (head, body) = read_response(&mut socket).await;
    assert!(head.starts_with("http/1.1 200"), "{head}");
    assert_eq!(body, "hello");
    // The connection stays, and the next request, which has no body, is upgraded.
    send(
        &mut socket,
        upgrade("PUT", "/echo", "Transfer-Encoding: chunked\r\n") + "5\r\nworld\r\n0\r\n\r\n",
    )
    .await;
    assert_eq!(read_response(&mut socket).await.1, "world");
    send(&mut socket, upgrade("GET", "/first", "")).await;
    switched(&mut socket).await;
    send(&mut socket, START).await;
    assert_eq!(read_stream(&mut socket, 1).await, "h2c plain GET /first");
}

#[tokio::test]
async fn an_upgrade_without_good_settings_is_ignored() {
    let server = plain(Limits::default()).await;
    let mut socket = server.connect().await;
    let request = upgrade("GET", "/first", "").replace("AAMAAABkAAQAAQAAAAIAAAAA", "AAMAAABkAAQ");
    send(&mut socket, request).await;
    assert_eq!(read_response(&mut socket).await.1, "http1 plain GET /first");
}

#[tokio::test]
async fn a_client_that_speaks_something_else_after_its_upgrade_is_closed() {
    let server = plain(Limits::default()).await;
    let mut socket = server.connect().await;
    send(&mut socket, upgrade("GET", "/first", "")).await;
    switched(&mut socket).await;
    send(&mut socket, "GET / HTTP/1.1\r\nhost: localhost\r\n\r\n").await;
    assert_eq!(crate::support::read_to_close(&mut socket).await, b"");
    assert_eq!(server.stats.snapshot().upgrades, 0);
}

async fn curl(server: &Running, arguments: &[&str], paths: &[&str]) -> String {
    let urls = paths.iter().map(|path| format!("http://{}{path}", server.address()));
    let output = Command::new("curl")
        .args(["-q", "-sS", "--noproxy", "*", "--max-time", "20", "-w", " over %{http_version}\n"])
        .args(arguments)
        .args(urls)
        .output();
    succeeded(patiently(output).await.expect("these tests need curl"))
}

fn succeeded(output: Output) -> String {
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    String::from_utf8(output.stdout).unwrap()
}

#[tokio::test]
async fn curl_upgrades_and_multiplexes() {
    let server = plain(Limits::default()).await;
    let paths: Vec<_> = (0..50).map(|number| format!("/{number}")).collect();
    let paths: Vec<_> = paths.iter().map(String::as_str).collect();
    let answers = curl(&server, &["--http2"], &paths).await;
    for (line, path) in answers.lines().zip(&paths) {
        assert_eq!(line, format!("h2c plain GET {path} over 2"));
    }
    let stats = server.stats.snapshot();
    assert_eq!((stats.accepted, stats.upgrades), (1, 1));
    assert_eq!(
        curl(&server, &["--http2-prior-knowledge"], &["/a"]).await,
        "h2c plain GET /a over 2\n"
    );
    assert_eq!(curl(&server, &["--http1.1"], &["/a"]).await, "http1 plain GET /a over 1.1\n");
}

#[tokio::test]
async fn a_body_that_curl_offers_to_upgrade_is_answered_over_http_1_1() {
    let server = plain(Limits::default()).await;
    let arguments = ["--http2", "-X", "PUT", "--data-binary", "hello"];
    assert_eq!(curl(&server, &arguments, &["/echo"]).await, "hello over 1.1\n");
    assert_eq!(server.stats.snapshot().upgrades, 0);
}

/// A registry of a few crates without dependencies, in the paths of cargo's sparse index, that notes how it is asked.
fn sparse_registry(asked: tokio::sync::mpsc::UnboundedSender<ConnectionInfo>) -> axum::Router {
    use axum::extract::{Extension, Path};
    let file = move |Path(path): Path<String>, Extension(info): Extension<ConnectionInfo>| async move {
        asked.send(info).unwrap();
        match path.rsplit('/').next() {
            Some("config.json") => r#"{"dl":"http://127.0.0.1:1/"}"#.to_owned(),
            Some(name) => format!(
                r#"{{"name":"{name}","vers":"1.0.0","deps":[],"features":{{}},"yanked":false,"cksum":"{:064}"}}"#,
                0
            ),
            None => String::new(),
        }
    };
    axum::Router::new().route("/index/{*path}", axum::routing::get(file))
}

#[tokio::test]
async fn the_real_cargo_upgrades_and_resolves() {
    let (asked, mut requests) = tokio::sync::mpsc::unbounded_channel();
    let listener =
        Listener::bind(ListenerConfig { address: "127.0.0.1:0".parse().unwrap(), tls: None })
            .await
            .unwrap();
    let index = format!("sparse+http://{}/index/", listener.local_addr());
    let server = Server::new(Limits::default());
    let stats = server.stats();
    let serving = server.serve(
        vec![listener],
        sparse_registry(asked),
        std::future::pending(),
        Default::default(),
    );
    let serving = tokio::spawn(serving);

    let directory = tempfile::tempdir().unwrap();
    let write = |path: &str, text: &str| {
        let path = directory.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    };
    let dependencies = (0..60)
        .map(|number| format!("krate-{number} = {{ version = \"1\", registry = \"local\" }}\n"));
    write("project/src/lib.rs", "");
    write(
        "project/Cargo.toml",
        &format!(
            "[package]\nname = \"project\"\nedition = \"2024\"\n[workspace]\n[dependencies]\n{}",
            dependencies.collect::<String>()
        ),
    );
    write("home/config.toml", &format!("[registries.local]\nindex = \"{index}\"\n"));
    let output = Command::new(std::env::var_os("CARGO").expect("cargo runs the tests"))
        .arg("generate-lockfile")
        .current_dir(directory.path().join("project"))
        .env_clear()
        .env("CARGO_HOME", directory.path().join("home"))
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .output();
    succeeded(patiently(output).await.unwrap());

    let lock =
        std::fs::read_to_string(Path::new(directory.path()).join("project/Cargo.lock")).unwrap();
    assert_eq!(lock.matches("name = \"krate-").count(), 60);
    serving.abort();
    let mut protocols = Vec::new();
    while let Ok(request) = requests.try_recv() {
        protocols.push(request.protocol);
    }
    assert!(
        protocols.len() > 60 && protocols.iter().all(|protocol| *protocol == Protocol::H2c),
        "{protocols:?}"
    );
    let stats = stats.snapshot();
    assert!(stats.upgrades == stats.accepted && stats.accepted <= 2, "{stats:?}");
}
