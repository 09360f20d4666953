//! One process, one logger: so one test, over a real socket.

use std::io;
use std::sync::{Arc, Mutex};

use http::{HeaderMap, HeaderValue};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;
use crate::accept_context;

#[derive(Clone, Default)]
struct Buffer(Arc<Mutex<Vec<u8>>>);

impl io::Write for Buffer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Answers every request with 200 and keeps what the first one said.
async fn first_request(listener: TcpListener) -> Vec<u8> {
    let (mut stream, _) = listener.accept().await.unwrap();
    let mut request = Vec::new();
    loop {
        let mut chunk = [0; 4096];
        let count = stream.read(&mut chunk).await.unwrap();
        request.extend_from_slice(&chunk[..count]);
        let Some(head_end) = request.windows(4).position(|four| four == b"\r\n\r\n") else {
            continue;
        };
        let head = String::from_utf8_lossy(&request[..head_end]).to_lowercase();
        let length = head.split("content-length: ").nth(1).unwrap();
        let length: usize = length.lines().next().unwrap().trim().parse().unwrap();
        if request.len() >= head_end + 4 + length {
            break;
        }
    }
    stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await.unwrap();
    request
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_joins_its_callers_trace_in_the_log_and_at_the_collector() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
    let collector = tokio::spawn(first_request(listener));

    let written = Buffer::default();
    let config = LogConfig {
        format: LogFormat::Json,
        filter: "warn,h2=trace".parse().unwrap(),
        otlp: OtlpConfig::choose(Some(endpoint), "replica-7", "1.2.3", |_| None),
    };
    let writer = written.clone();
    let guard = subscribe(&config, move || writer.clone(), false).unwrap();
    assert!(matches!(subscribe(&config, io::sink, false), Err(InitError::Twice(_))));

    let mut headers = HeaderMap::new();
    let parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    headers.insert("traceparent", HeaderValue::from_static(parent));
    let request = tracing::info_span!("request");
    accept_context(&headers, &request);
    request.in_scope(|| {
        tracing::warn!(status = 502, "answered");
        tracing::trace!(target: "h2", authorization = "hunter2", "header");
    });
    drop(request);
    tracing::warn!("outside");
    let chatter = || tracing::debug!(target: "crateport_cache::fill", "chatter");
    chatter();
    guard.switch().set(&"warn,crateport_cache=debug,h2=trace".parse().unwrap());
    chatter();
    tracing::trace!(target: "h2", authorization = "hunter2", "header");
    guard.switch().set(&"error".parse().unwrap());
    chatter();
    tracing::warn!("unheard");
    guard.shutdown(Duration::from_secs(10)).await.unwrap();

    let text = String::from_utf8(written.0.lock().unwrap().clone()).unwrap();
    let answered = text.lines().find(|line| line.contains("answered")).unwrap();
    let start = r#"{"trace_id":"4bf92f3577b34da6a3ce929d0e0e4736","span_id":""#;
    assert!(answered.starts_with(start) && answered.ends_with('}'), "{text}");
    assert!(answered.contains(r#""status":502"#), "{text}");
    assert!(!text.contains("hunter2"), "{text}");
    assert_eq!(text.matches("chatter").count(), 1, "{text}");
    assert!(!text.contains("unheard"), "{text}");
    assert!(!text.lines().any(|line| line.contains("outside") && line.contains("trace_id")));

    let request = collector.await.unwrap();
    let holds = |bytes: &[u8]| request.windows(bytes.len()).any(|window| window == bytes);
    assert!(request.starts_with(b"POST /v1/traces HTTP/1.1\r\n"));
    assert!(holds(b"service.name") && holds(b"crateport") && holds(b"1.2.3"));
    assert!(holds(b"service.instance.id") && holds(b"replica-7"));
    assert!(holds(&0x4bf9_2f35_77b3_4da6_a3ce_929d_0e0e_4736_u128.to_be_bytes()));
    assert!(holds(&0x00f0_67aa_0ba9_02b7_u64.to_be_bytes()));
}

#[tokio::test]
async fn without_a_collector_there_is_nothing_to_wait_for() {
    let switch = LogSwitch::new(&"info".parse().unwrap());
    let guard = Guard { spans: None, switch, lines: None };
    assert!(guard.shutdown(Duration::ZERO).await.is_ok());
}
