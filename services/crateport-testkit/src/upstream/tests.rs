//! The scripted upstream seen by bare sockets and by a plain client.

use std::time::{Duration, Instant};

use http::Version;

use super::*;
use crate::client::{Client, Ending, RawRequest, get};
use crate::krate::{KIB, krate, sha256_hex};

/// Long enough for what does come over the loopback, short enough to wait for what does not.
const SHORT: Duration = Duration::from_millis(300);

async fn raw(upstream: &ScriptedUpstream, path: &str) -> crate::client::RawAnswer {
    RawRequest::get(format!("{}{path}", upstream.url())).send().await
}

#[tokio::test]
async fn an_honest_upstream_serves_a_registry_and_counts() {
    let upstream = ScriptedUpstream::start().await;
    let published = krate("Serde_x", "1.0.0+b.1").publish(&upstream);
    let config = raw(&upstream, "/index/config.json").await;
    let url = upstream.url();
    assert_eq!(config.body, format!("{{\"api\":\"{url}\",\"dl\":\"{url}/dl\"}}"));

    assert_eq!(upstream.index_path("Serde_x"), "/index/se/rd/serde_x");
    let index = raw(&upstream, "/index/se/rd/serde_x").await;
    assert_eq!((index.status, index.ending), (Some(200), Ending::Whole));
    assert_eq!(index.body, format!("{}\n", published.index_line));

    for path in ["/dl/Serde_x/1.0.0+b.1/download", "/dl/Serde_x/1.0.0%2Bb.1/download"] {
        assert_eq!(sha256_hex(&raw(&upstream, path).await.body), published.cksum);
    }
    assert_eq!(raw(&upstream, "/index/no/ne/none").await.status, Some(404));
    assert_eq!(raw(&upstream, "/dl/Serde_x/9.9.9/download").await.status, Some(404));

    assert_eq!(
        (upstream.index_hits("Serde_x"), upstream.crate_hits("Serde_x", "1.0.0+b.1")),
        (1, 2)
    );
    assert_eq!(
        (upstream.hits("/index/config.json"), upstream.total_hits(), upstream.connections()),
        (1, 6, 6)
    );
    upstream.forget_requests();
    assert_eq!(upstream.total_hits(), 0);
}

#[tokio::test]
async fn the_journal_keeps_headers_and_gaps() {
    let upstream = ScriptedUpstream::start().await;
    krate("a", "1.0.0").publish(&upstream);
    let client = Client::h1();
    let url = format!("{}/index/1/a", upstream.url());
    let first = client.get(&url).header("user-agent", "someone/1").send().await;
    let etag = first.header("etag").unwrap().to_owned();
    tokio::time::sleep(Duration::from_millis(20)).await;
    let second =
        client.get(&url).header("if-none-match", &etag).header("authorization", "tok").send().await;
    assert_eq!((first.status, second.status, second.body.len()), (200, 304, 0));
    assert_eq!((upstream.not_modified("/index/1/a"), upstream.hits("/index/1/a")), (1, 2));

    let seen = upstream.requests_for("/index/1/a");
    assert_eq!(seen[0].header("user-agent"), Some("someone/1"));
    assert_eq!(seen[1].header("if-none-match"), Some(etag.as_str()));
    assert_eq!(upstream.last_request("/index/1/a").header("authorization"), Some("tok"));
    assert_eq!((seen[0].connection, seen[1].connection), (1, 1), "one connection was kept alive");
    assert!(upstream.gaps("/index/1/a")[0] >= Duration::from_millis(20));
}

#[tokio::test]
async fn validators_can_change_while_it_runs() {
    let upstream = ScriptedUpstream::builder().validators(Validators::None).start().await;
    krate("a", "1.0.0").publish(&upstream);
    let url = format!("{}/index/1/a", upstream.url());
    let bare = get(&url).send().await;
    assert_eq!((bare.header("etag"), bare.header("last-modified")), (None, None));
    upstream.change(|settings| settings.validators = Validators::LastModifiedOnly);
    let dated = get(&url).send().await;
    assert_eq!(dated.header("etag"), None);
    let date = dated.header("last-modified").unwrap().to_owned();
    assert_eq!(get(&url).header("if-modified-since", &date).send().await.status, 304);
    krate("a", "1.0.1").publish(&upstream);
    assert_eq!(get(&url).header("if-modified-since", &date).send().await.status, 200);
    upstream.change(|settings| settings.validators = Validators::Flapping);
    let mut weak = 0;
    for _ in 0..4 {
        weak += usize::from(get(&url).send().await.header("etag").unwrap().starts_with("W/"));
    }
    assert_eq!(weak, 2);
}

#[tokio::test]
async fn the_registry_changes_under_its_clients() {
    let upstream = ScriptedUpstream::start().await;
    krate("a", "1.0.0").publish(&upstream);
    let second = krate("a", "1.1.0").publish(&upstream);
    upstream.yank("a", "1.0.0");
    let text = raw(&upstream, "/index/1/a").await.body;
    assert_eq!(text, upstream.index_bytes("a"));
    assert_eq!(std::str::from_utf8(&text).unwrap().matches("\"yanked\":true").count(), 1);

    upstream.corrupt_crate("a", "1.1.0");
    let body = raw(&upstream, "/dl/a/1.1.0/download").await.body;
    assert_eq!(body.len(), second.bytes.len());
    assert_ne!(sha256_hex(&body), second.cksum);

    upstream.replace_index("a", "not json");
    assert_eq!(raw(&upstream, "/index/1/a").await.body, "not json");
    upstream.remove_crate("a", "1.0.0");
    assert_eq!(raw(&upstream, "/dl/a/1.0.0/download").await.status, Some(404));
    upstream.remove("a");
    assert_eq!(raw(&upstream, "/index/1/a").await.status, Some(404));
    assert_eq!(raw(&upstream, "/dl/a/1.1.0/download").await.status, Some(404));
}

#[tokio::test]
async fn each_fault_looks_on_the_wire_as_it_is_named() {
    let upstream = ScriptedUpstream::start().await;
    let published = krate("a", "1.0.0").payload(100 * KIB).publish(&upstream);
    let (path, whole) = (upstream.crate_path("a", "1.0.0"), published.bytes.len());
    let page = 512;
    let table = [
        (Fault::Slow(Duration::from_secs(60)), None, 0..=0, Ending::Silent),
        (Fault::SlowBody { bytes_per_second: 1000 }, Some(200), 1..=5 * KIB, Ending::Silent),
        (Fault::Hang, None, 0..=0, Ending::Silent),
        (Fault::HangBody, Some(200), 1..=KIB, Ending::Silent),
        (Fault::Reset, None, 0..=0, Ending::Reset),
        (Fault::Truncated, Some(200), whole / 2..=whole / 2, Ending::ClosedEarly),
        (Fault::TruncatedChunked, Some(200), whole / 2..=whole / 2, Ending::ClosedEarly),
        (Fault::CutAtLine, Some(200), 0..=whole - 1, Ending::Whole),
        (Fault::WrongChecksum, Some(200), whole..=whole, Ending::Whole),
        (Fault::Html, Some(200), 1..=page, Ending::Whole),
        (Fault::Empty, Some(200), 0..=0, Ending::Whole),
        (Fault::Status(503), Some(503), 1..=page, Ending::Whole),
        (
            Fault::TooManyRequests { retry_after: Duration::from_secs(7) },
            Some(429),
            1..=page,
            Ending::Whole,
        ),
        (Fault::Redirect("http://elsewhere/".to_owned()), Some(302), 1..=page, Ending::Whole),
        (Fault::RedirectLoop, Some(302), 1..=page, Ending::Whole),
    ];
    for (fault, status, body, ending) in table {
        upstream.fault(On::Crates, fault.clone(), Times::Next(1));
        let patience = if ending == Ending::Silent { SHORT } else { Duration::from_secs(20) };
        let answer =
            RawRequest::get(format!("{}{path}", upstream.url())).patience(patience).send().await;
        assert_eq!((answer.status, answer.ending), (status, ending), "{fault:?}");
        assert!(body.contains(&answer.body.len()), "{fault:?}: {} bytes", answer.body.len());
        let header = |name| answer.header(name).unwrap_or_default().to_owned();
        match &fault {
            Fault::Truncated | Fault::HangBody => {
                assert_eq!(header("content-length"), whole.to_string());
            }
            Fault::TruncatedChunked => assert_eq!(header("transfer-encoding"), "chunked"),
            Fault::CutAtLine => assert_eq!(header("content-length"), answer.body.len().to_string()),
            Fault::WrongChecksum => assert_ne!(sha256_hex(&answer.body), published.cksum),
            Fault::Html => assert!(header("content-type").starts_with("text/html")),
            Fault::TooManyRequests { .. } => assert_eq!(header("retry-after"), "7"),
            Fault::Redirect(location) => assert_eq!(&header("location"), location),
            Fault::RedirectLoop => assert_eq!(header("location"), path),
            _ => {}
        }
        let honest = raw(&upstream, &path).await;
        assert_eq!(sha256_hex(&honest.body), published.cksum, "after {fault:?}");
    }
}

#[tokio::test]
async fn over_h2_a_cut_is_a_stream_error_and_the_connection_lives() {
    let upstream = ScriptedUpstream::start().await;
    let published = krate("a", "1.0.0").payload(100 * KIB).publish(&upstream);
    let client = Client::h2();
    let url = format!("{}{}", upstream.url(), upstream.crate_path("a", "1.0.0"));
    let honest = client.get(&url).send().await;
    assert_eq!((honest.version, honest.body.clone()), (Version::HTTP_2, published.bytes.clone()));
    for fault in [Fault::Reset, Fault::Truncated, Fault::TruncatedChunked] {
        upstream.fault(On::Crates, fault.clone(), Times::Next(1));
        assert!(client.get(&url).try_send().await.is_err(), "{fault:?}");
    }
    upstream.fault(On::Crates, Fault::Status(500), Times::Next(1));
    assert_eq!(client.get(&url).send().await.status, 500);
    assert_eq!(client.get(&url).send().await.body, published.bytes);
    assert_eq!(
        client.head(&url).send().await.header("content-length"),
        Some(published.bytes.len().to_string().as_str())
    );
    assert_eq!(upstream.connections(), 1);
}

#[tokio::test]
async fn a_fault_of_the_body_is_not_hidden_by_a_304() {
    let upstream = ScriptedUpstream::start().await;
    krate("a", "1.0.0").publish(&upstream);
    krate("a", "1.0.1").publish(&upstream);
    let url = format!("{}/index/1/a", upstream.url());
    upstream.fault(On::Index, Fault::CutAtLine, Times::Always);
    let cut = RawRequest::get(&url).header("If-None-Match", "*").send().await;
    assert_eq!((cut.status, cut.ending), (Some(200), Ending::Whole));
    let good = upstream.index_bytes("a");
    let lines = cut.body.iter().filter(|&&byte| byte == b'\n').count();
    assert!(good.starts_with(&cut.body) && lines == 1 && !cut.body.ends_with(b"\n"));
    upstream.fault(On::All, Fault::Status(500), Times::Always);
    assert_eq!(raw(&upstream, "/index/config.json").await.status, Some(500));
    upstream.heal();
    assert_eq!(RawRequest::get(&url).header("If-None-Match", "*").send().await.status, Some(304));
}

#[tokio::test]
async fn a_stopped_upstream_refuses_until_it_restarts() {
    let upstream = ScriptedUpstream::start().await;
    let client = Client::h1();
    let url = format!("{}/index/config.json", upstream.url());
    assert_eq!(client.get(&url).send().await.status, 200);
    upstream.stop();
    assert_eq!(RawRequest::get(&url).send().await.ending, Ending::Refused);
    upstream.restart();
    assert_eq!(client.get(&url).send().await.status, 200);
    upstream.fault(On::All, Fault::Refuse, Times::Always);
    assert_eq!(RawRequest::get(&url).send().await.ending, Ending::Refused);
    upstream.heal();
    assert_eq!(client.get(&url).send().await.status, 200);
    assert_eq!(upstream.total_hits(), 3);
}

#[tokio::test]
async fn a_gate_holds_answers_until_the_test_says_go() {
    let upstream = ScriptedUpstream::start().await;
    let published = krate("a", "1.0.0").publish(&upstream);
    let path = upstream.crate_path("a", "1.0.0");
    let url = format!("{}{path}", upstream.url());
    let gate = upstream.hold(On::Crates);
    let clients = (0..5).map(|_| tokio::spawn(get(&url).send())).collect::<Vec<_>>();
    gate.wait_for(5).await;
    upstream.wait_for_hits(&path, 5).await;
    assert_eq!((gate.waiting(), upstream.peak_in_flight()), (5, 5));
    assert!(clients.iter().all(|client| !client.is_finished()));
    assert_eq!(raw(&upstream, "/index/config.json").await.status, Some(200), "others pass");

    // A client that leaves is counted off.
    clients[0].abort();
    let deadline = Instant::now() + WAIT_DEADLINE;
    while gate.waiting() == 5 {
        assert!(Instant::now() < deadline, "the client that left is still counted");
        tokio::task::yield_now().await;
    }
    gate.release();
    for client in clients.into_iter().skip(1) {
        assert_eq!(client.await.unwrap().body, published.bytes);
    }
    assert_eq!(get(&url).send().await.status, 200, "a released gate is gone");
}

#[tokio::test]
async fn a_gate_in_the_body_shows_its_first_bytes() {
    let upstream = ScriptedUpstream::start().await;
    let published = krate("a", "1.0.0").payload(10 * KIB).publish(&upstream);
    let url = format!("{}{}", upstream.url(), upstream.crate_path("a", "1.0.0"));
    for client in [Client::h1(), Client::h2()] {
        let gate = upstream.hold_after(On::Crates, 1000);
        let mut answer = client.get(&url).open().await;
        assert_eq!(answer.first_byte().await.unwrap(), published.bytes[0]);
        gate.wait_for(1).await;
        gate.release();
        assert_eq!(answer.rest().await.unwrap(), published.bytes);
    }
    let gate = upstream.hold_after(On::Crates, 1000);
    let cut = RawRequest::get(&url).patience(SHORT).send().await;
    assert_eq!((cut.body.len(), cut.ending), (1000, Ending::Silent));
    gate.release();
}

#[tokio::test]
async fn latency_and_bandwidth_take_their_time() {
    let upstream = ScriptedUpstream::builder()
        .latency(Duration::from_millis(50))
        .bandwidth(40_000)
        .start()
        .await;
    let published = krate("a", "1.0.0").payload(8 * KIB).publish(&upstream);
    let start = Instant::now();
    let body = raw(&upstream, &upstream.crate_path("a", "1.0.0")).await.body;
    assert_eq!(body, published.bytes);
    // 8 KiB at 40,000 bytes/s is five pieces with a pause of 50 ms behind each but the last that counts.
    assert!(start.elapsed() >= Duration::from_millis(50 + 4 * 50), "{:?}", start.elapsed());
}

#[tokio::test]
async fn bodies_can_be_chunked_and_gzipped() {
    let upstream = ScriptedUpstream::builder()
        .chunked()
        .with(|settings| settings.gzip_index = true)
        .start()
        .await;
    krate("a", "1.0.0").publish(&upstream);
    let url = format!("{}/index/1/a", upstream.url());
    let plain = RawRequest::get(&url).send().await;
    assert_eq!(
        (plain.header("content-length"), plain.header("transfer-encoding")),
        (None, Some("chunked"))
    );
    assert_eq!(plain.body, upstream.index_bytes("a"));
    let packed = RawRequest::get(&url).header("Accept-Encoding", "deflate, gzip").send().await;
    assert_eq!(packed.header("content-encoding"), Some("gzip"));
    assert!(packed.header("etag").unwrap().starts_with("W/"));
    let mut text = String::new();
    std::io::Read::read_to_string(&mut flate2::read::GzDecoder::new(&packed.body[..]), &mut text)
        .unwrap();
    assert_eq!(text.as_bytes(), upstream.index_bytes("a"));
}

#[tokio::test]
async fn a_token_is_asked_for_everywhere() {
    let upstream = ScriptedUpstream::builder().token("secret").start().await;
    krate("a", "1.0.0").publish(&upstream);
    for path in ["/index/config.json", "/index/1/a", "/dl/a/1.0.0/download"] {
        let url = format!("{}{path}", upstream.url());
        assert_eq!(get(&url).send().await.status, 401);
        assert_eq!(get(&url).header("authorization", "wrong").send().await.status, 401);
        let answer = get(&url).header("authorization", "secret").send().await;
        assert_eq!(answer.status, 200);
        assert!(!path.ends_with("json") || answer.text().contains("\"auth-required\":true"));
    }
}

#[tokio::test]
async fn search_answers_matches() {
    let upstream = ScriptedUpstream::start().await;
    for (name, version) in
        [("serde", "1.0.0"), ("serde", "1.0.1"), ("serde_json", "1.0.0"), ("tokio", "1.0.0")]
    {
        krate(name, version).publish(&upstream);
    }
    let answer = get(format!("{}/api/v1/crates?q=ser&per_page=1", upstream.url())).send().await;
    let crates = r#"[{"description":"made for a test","max_version":"1.0.1","name":"serde"}]"#;
    assert_eq!(answer.text(), format!("{{\"crates\":{crates},\"meta\":{{\"total\":2}}}}"));
}

#[tokio::test]
async fn tls_has_an_authority_of_its_own_and_offers_h2() {
    let upstream = ScriptedUpstream::builder().tls().start().await;
    let url = format!("{}/index/config.json", upstream.url());
    let client = Client::trusting(upstream.ca().unwrap());
    let answer = client.get(&url).send().await;
    assert_eq!((answer.status, answer.version), (200, Version::HTTP_2));
    assert!(url.starts_with("https://") && answer.text().contains(&upstream.url()));
    assert!(Client::h1().get(&url).try_send().await.is_err(), "nobody else trusts it");
    upstream.fault(On::All, Fault::Reset, Times::Next(1));
    assert!(client.get(&url).try_send().await.is_err());
}

#[test]
fn it_needs_no_runtime_of_the_caller() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let upstream = runtime.block_on(ScriptedUpstream::start());
    drop(runtime);
    upstream.stop();
    upstream.restart();
    assert!(std::net::TcpStream::connect(upstream.address()).is_ok());
}
