//! What is sent for index files, `config.json` and searches, and what comes of good answers.

use std::time::{Duration, UNIX_EPOCH};

use crateport_types::Validators;
use crateport_upstream::contract::Act;
use crateport_upstream::{Ask, Reply, Upstream as _};

use crate::support::{
    LINE, always, body, gzip, index_file, index_file_if, patient, serve, upstream,
};

#[tokio::test]
async fn an_index_file_is_asked_for_as_cargo_asks() {
    let server = always(vec![Act::ok("", LINE)]).await;
    let reply = index_file(&upstream(&server, patient())).await;
    assert_eq!(body(reply).await.unwrap(), LINE);
    let seen = server.requests().remove(0);
    assert_eq!(seen.target, "/index/se/rd/serde");
    for (header, expected) in [
        ("accept", Some("text/plain")),
        ("accept-encoding", Some("gzip")),
        ("cargo-protocol", Some("version=1")),
        ("user-agent", Some("crateport-test/1")),
        ("authorization", None),
        ("if-none-match", None),
        ("if-modified-since", None),
    ] {
        assert_eq!(seen.header(header).as_deref(), expected, "{header}");
    }
}

#[tokio::test]
async fn a_found_file_comes_with_its_size_its_validators_and_the_date() {
    let headers = "etag: W/\"a\"\r\nlast-modified: L\r\ndate: Thu, 01 Jan 1970 00:01:00 GMT\r\n";
    let server = always(vec![Act::ok(headers, LINE)]).await;
    let Ok(Reply::Found(found)) = index_file(&upstream(&server, patient())).await else {
        panic!("not found");
    };
    assert_eq!(found.size_bytes, Some(LINE.len() as u64));
    assert_eq!(found.validators.etag.as_deref(), Some("W/\"a\""));
    assert_eq!(found.validators.last_modified.as_deref(), Some("L"));
    assert_eq!(found.date, Some(UNIX_EPOCH + Duration::from_secs(60)));
}

#[tokio::test]
async fn validators_of_an_earlier_answer_make_the_next_request_conditional() {
    let server = serve(|seen| {
        if seen.header("if-none-match").as_deref() == Some("W/\"x\"") {
            vec![Act::status(304, "etag: \"another\"\r\n")]
        } else {
            vec![Act::ok("etag: W/\"x\"\r\n", LINE)]
        }
    })
    .await;
    let upstream = upstream(&server, patient());
    let Ok(Reply::Found(found)) = index_file(&upstream).await else { panic!("not found") };
    let validators = found.validators.clone();
    drop(found);
    let reply = index_file_if(&upstream, &validators).await;
    assert!(matches!(reply, Ok(Reply::Unchanged)), "{reply:?}");
}

#[tokio::test]
async fn a_304_that_nobody_asked_for_is_invalid() {
    let server = always(vec![Act::status(304, "")]).await;
    let empty = Validators { etag: Some("".into()), last_modified: None };
    let error = index_file_if(&upstream(&server, patient()), &empty).await.unwrap_err();
    assert_eq!(error.kind(), "upstream-invalid");
}

#[tokio::test]
async fn a_gzip_body_is_decoded() {
    let server = always(vec![Act::ok("content-encoding: gzip\r\n", &gzip(LINE))]).await;
    let Ok(Reply::Found(found)) = index_file(&upstream(&server, patient())).await else {
        panic!("not found");
    };
    assert_eq!(found.size_bytes, None, "the size on the wire is not that of the file");
    assert_eq!(found.collect(1000).await.unwrap(), LINE);
}

#[tokio::test]
async fn config_json_and_searches_are_asked_for_where_they_are() {
    let server = always(vec![Act::ok("", b"{}")]).await;
    let upstream = upstream(&server, patient());
    body(upstream.fetch(Ask::Config).await).await.unwrap();
    let api = format!("http://{}/web/", server.address());
    let search = Ask::Search { api: &api, query: "q=a%20b&per_page=10" };
    body(upstream.fetch(search).await).await.unwrap();
    let targets: Vec<_> = server.requests().into_iter().map(|seen| seen.target).collect();
    assert_eq!(targets, ["/index/config.json", "/web/api/v1/crates?q=a%20b&per_page=10"]);
}
