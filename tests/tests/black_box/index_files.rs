//! Index files as clients see them: byte for byte, with a tag of our own, conditions, and gzip.

use crateport_testkit::client::{Client, get, head};
use crateport_testkit::{Cargo, Crateport, MIB, ScriptedUpstream, krate};

use crate::audit::store_is_right;
use crate::house::{CRATES_IO, crateport, index_file_url, options, outcome};

#[tokio::test]
async fn every_byte_of_an_index_file_survives() {
    let upstream = ScriptedUpstream::start().await;
    let line = krate("a", "1.0.0").publish(&upstream).index_line;
    let spaced = line.replace(':', " : ").replacen('{', "{ \"zzz\":[1,{\"unknown\":null}],", 1);
    let future = line.replace("1.0.0", "2.0.0").replacen('{', "{\"v\":9,\"new\":true,", 1);
    let crateport = Crateport::start(options(&upstream).flag("--index-ttl", "0s")).await;
    let url = index_file_url(&crateport, &upstream, "a");
    for text in [
        format!("{line}\n"),
        line.clone(),
        format!("{line}\r\n"),
        format!("{line}\n\n"),
        format!("{line}\n{future}\n"),
        spaced,
    ] {
        upstream.replace_index("a", text.clone());
        let answer = get(&url).send().await;
        assert_eq!((answer.status, answer.text()), (200, text.as_str()));
        store_is_right(&crateport, &upstream).await;
    }
}

#[tokio::test]
async fn every_form_of_condition_gets_its_304() {
    let upstream = ScriptedUpstream::start().await;
    krate("a", "1.0.0").publish(&upstream);
    let crateport = crateport(&upstream).await;
    let url = index_file_url(&crateport, &upstream, "a");
    let first = get(&url).send().await;
    let etag = first.header("etag").unwrap();
    let date = first.header("last-modified").unwrap();
    assert!(etag.starts_with('"') && etag.ends_with('"'), "{etag}");
    let weak = format!("W/{etag}");
    let list = format!("\"x\", W/\"y\" ,{etag}");
    for (name, value, status) in [
        ("if-none-match", etag, 304),
        ("if-none-match", &weak, 304),
        ("if-none-match", &list, 304),
        ("if-none-match", "*", 304),
        ("if-none-match", "\"other\"", 200),
        ("if-none-match", "", 200),
        ("if-modified-since", date, 304),
        ("if-modified-since", "Thu, 01 Jan 1970 00:00:00 GMT", 200),
        ("if-modified-since", "yesterday", 200),
    ] {
        let answer = get(&url).header(name, value).send().await;
        assert_eq!(answer.status, status, "{name}: {value}");
        assert_eq!(answer.header("etag"), Some(etag), "{name}: {value}");
        assert_eq!(answer.body.is_empty(), status == 304, "{name}: {value}");
    }
    let both = get(&url).header("if-none-match", "\"x\"").header("if-modified-since", date);
    assert_eq!(both.send().await.status, 200, "the tag decides alone");
    let only_head = head(&url).send().await;
    assert_eq!((only_head.status, only_head.body.len()), (200, 0));
    let length = first.body.len().to_string();
    assert_eq!(only_head.header("content-length"), Some(length.as_str()));
    assert!(first.header("x-served-by").is_some() && first.header("age").is_some());
    assert_eq!(upstream.index_hits("a"), 1);
}

#[tokio::test]
async fn gzip_goes_to_those_who_accept_it_and_nothing_else_to_anyone() {
    let upstream = ScriptedUpstream::builder().with(|settings| settings.gzip_index = true);
    let upstream = upstream.start().await;
    for number in 0..100 {
        krate("a", &format!("1.0.{number}")).publish(&upstream);
    }
    let crateport = crateport(&upstream).await;
    let url = index_file_url(&crateport, &upstream, "a");
    let plain = get(&url).send().await;
    assert_eq!(plain.body, upstream.index_bytes("a"));
    for (accepted, encoding) in [
        ("deflate, gzip", Some("gzip")),
        ("gzip", Some("gzip")),
        ("br, zstd", None),
        ("gzip;q=0", None),
        ("identity", None),
    ] {
        let answer = get(&url).header("accept-encoding", accepted).send().await;
        assert_eq!(answer.header("content-encoding"), encoding, "{accepted}");
        assert_eq!(answer.header("vary"), Some("accept-encoding"), "{accepted}");
        assert_eq!(answer.body.starts_with(&[0x1f, 0x8b]), encoding.is_some(), "{accepted}");
        // Whichever form a client got, its tag goes on being good.
        let etag = answer.header("etag").unwrap().to_owned();
        let again = get(&url).header("accept-encoding", accepted).header("if-none-match", &etag);
        assert_eq!(again.send().await.status, 304, "{accepted}");
    }
    let cargo = Cargo::new()
        .replaces_crates_io_with(&crateport.index_url(CRATES_IO))
        .project(|project| project.dep("a", "1"));
    cargo.run(&["generate-lockfile"]).await.succeeds();
    assert!(cargo.read_lock().contains("1.0.99"));
}

#[tokio::test]
async fn cargo_revalidates_with_our_tag_and_gets_304() {
    let upstream = ScriptedUpstream::start().await;
    krate("a", "1.0.0").publish(&upstream);
    let mut crateport = crateport(&upstream).await;
    let cargo = Cargo::new()
        .replaces_crates_io_with(&crateport.index_url(CRATES_IO))
        .project(|project| project.dep("a", "1"));
    cargo.run(&["generate-lockfile"]).await.succeeds();
    // The tag comes from the content: no restart changes it.
    crateport.restart().await;
    cargo.run(&["update"]).await.succeeds();
    assert!(crateport.log().contains("status=304"), "{}", crateport.log());
}

#[tokio::test]
async fn an_index_file_of_nearly_16_mib_is_served() {
    let upstream = ScriptedUpstream::start().await;
    let line = krate("a", "1.0.0").build().index_line;
    let mut text = String::new();
    let mut number = 0;
    while text.len() < 15 * MIB {
        let padded = line.replacen('{', &format!("{{\"pad\":\"{}\",", "x".repeat(60_000)), 1);
        text += &padded.replace("1.0.0", &format!("1.0.{number}"));
        text += "\n";
        number += 1;
    }
    upstream.replace_index("a", text.clone());
    let crateport = crateport(&upstream).await;
    let url = index_file_url(&crateport, &upstream, "a");
    let answer = get(&url).send().await;
    assert_eq!((answer.status, answer.body.len()), (200, text.len()));
    assert_eq!(Client::h2().get(&url).send().await.body, text.as_bytes());
    let again = get(&url).send().await;
    assert_eq!(outcome(&again), "hit");
}

#[tokio::test]
async fn a_gzip_bomb_from_upstream_is_not_kept() {
    let upstream = ScriptedUpstream::builder().with(|settings| settings.gzip_index = true);
    let upstream = upstream.start().await;
    upstream.replace_index("a", vec![b' '; 64 * MIB]);
    let crateport = crateport(&upstream).await;
    let before = crateport.rss_bytes();
    let answer = get(index_file_url(&crateport, &upstream, "a")).send().await;
    assert!(matches!(answer.status, 502 | 503), "{}", answer.status);
    let growth = crateport.peak_rss_bytes().saturating_sub(before);
    assert!(growth < 64 * MIB as u64, "{} MiB", growth / MIB as u64);
}
