//! Index files: the bytes, their tags, what a client that has them is told.

use std::io::Read as _;

use bytes::Bytes;
use crateport_testkit::client::{Client, get, head};
use crateport_testkit::krate::sha256_hex;
use crateport_testkit::{MIB, ScriptedUpstream, krate};
use flate2::read::GzDecoder;

use super::harness::{in_front_of, outcome, seen};

fn gunzip(bytes: &[u8]) -> Vec<u8> {
    let mut decoded = Vec::new();
    GzDecoder::new(bytes).read_to_end(&mut decoded).unwrap();
    decoded
}

/// An index file of `name` with exactly this size, of short lines and one that fills it up.
fn file_of(name: &str, size_bytes: usize) -> Vec<u8> {
    let line = |version: usize, filler: usize| {
        let (sum, filler) = ("0".repeat(64), "x".repeat(filler));
        format!(
            "{{\"name\":\"{name}\",\"vers\":\"1.0.{version}\",\"cksum\":\"{sum}\",\"filler\":\"{filler}\"}}\n"
        )
    };
    let mut file = String::new();
    let mut version = 0;
    while file.len() + 2000 < size_bytes {
        file += &line(version, 900);
        version += 1;
    }
    file += &line(version, size_bytes - file.len() - line(version, 0).len());
    assert_eq!(file.len(), size_bytes);
    file.into_bytes()
}

#[tokio::test]
async fn a_file_is_served_byte_for_byte_whatever_its_spelling() {
    let upstream = ScriptedUpstream::start().await;
    let crateport = in_front_of(&upstream).start().await;
    let one = krate("spelling", "1.0.0").build().index_line;
    let two = krate("spelling", "1.0.1").build().index_line;
    let odd = one.replace("\"vers\":", "\"new field\" : [1, {\"a\":null}],\t\"vers\" :  ");
    for (number, text) in [
        format!("{one}\n{two}\n"),
        format!("{one}\n{two}"),
        format!("{one}\r\n{two}\r\n"),
        format!("{odd}\n\n{two}\n\n"),
        format!("{}\n", one.replace("\"spelling\"", "\"SpellIng\"")),
        format!(
            "{one}\n{{\"name\":\"spelling\",\"vers\":\"9.0.0\",\"v\":99,\"unheard\":\"of\"}}\n"
        ),
    ]
    .into_iter()
    .enumerate()
    {
        let name = format!("spelling{number}");
        let text = text
            .replace("pelling\"", &format!("pelling{number}\""))
            .replace("SpellIng\"", &format!("SpellIng{number}\""));
        upstream.replace_index(&name, text.clone());
        for expected in ["fill", "hit"] {
            let answer = crateport.index(&name).await;
            assert_eq!(seen(&answer), (200, expected), "{text}");
            assert_eq!(answer.body, text);
            assert_eq!(
                answer.header("etag").unwrap(),
                format!("\"{}\"", sha256_hex(text.as_bytes()))
            );
            assert_eq!(answer.header("content-type"), Some("text/plain; charset=utf-8"));
            assert_eq!(answer.header("vary"), Some("accept-encoding"));
            assert_eq!(answer.header("cache-control"), Some("no-cache"));
            assert_eq!(answer.header("content-encoding"), None);
            assert!(answer.header("last-modified").is_some());
            assert!(answer.header("age").unwrap().parse::<u64>().is_ok());
        }
        let stored = crateport.stored(&format!("index/sp/el/{name}")).await;
        assert_eq!(stored, text.as_bytes());
    }
}

#[tokio::test]
async fn a_client_that_has_the_file_is_told_so_in_every_form_of_asking() {
    let upstream = ScriptedUpstream::start().await;
    krate("serde", "1.0.0").publish(&upstream);
    let crateport = in_front_of(&upstream).start().await;
    let first = crateport.index("serde").await;
    let (tag, date) = (first.header("etag").unwrap(), first.header("last-modified").unwrap());
    let gzip = format!("\"{}-gzip\"", tag.replace('"', ""));
    let past = "Mon, 01 Jan 2001 00:00:00 GMT";
    let future = "Fri, 01 Jan 2100 00:00:00 GMT";
    let table = [
        ("if-none-match", tag.to_owned(), 304),
        ("if-none-match", gzip.clone(), 304),
        ("if-none-match", format!("W/{tag}"), 304),
        ("if-none-match", format!("W/{gzip}"), 304),
        ("if-none-match", format!("\"other\", W/\"more\",{tag}"), 304),
        ("if-none-match", "*".to_owned(), 304),
        ("if-none-match", tag.replace('"', ""), 304),
        ("if-none-match", "\"other\"".to_owned(), 200),
        ("if-none-match", String::new(), 200),
        ("if-modified-since", date.to_owned(), 304),
        ("if-modified-since", future.to_owned(), 304),
        ("if-modified-since", past.to_owned(), 200),
        ("if-modified-since", "yesterday".to_owned(), 200),
    ];
    for (header, value, status) in table {
        for encoding in ["identity", "gzip"] {
            let request = get(crateport.index_url("serde"));
            let request = request.header(header, &value).header("accept-encoding", encoding);
            let answer = request.send().await;
            assert_eq!((answer.status, outcome(&answer)), (status, "hit"), "{header}: {value}");
            assert_eq!(answer.body.is_empty(), status == 304);
            let expected = if encoding == "gzip" { &*gzip } else { tag };
            assert_eq!(answer.header("etag"), Some(expected));
            assert_eq!(answer.header("vary"), Some("accept-encoding"));
        }
    }
    let both = get(crateport.index_url("serde"));
    let both = both.header("if-none-match", "\"other\"").header("if-modified-since", future);
    assert_eq!(both.send().await.status, 200, "If-None-Match decides alone");
    let two = get(crateport.index_url("serde"));
    let two = two.header("if-none-match", "\"other\"").header("if-none-match", tag);
    assert_eq!(two.send().await.status, 304, "a list may stand in several headers");
    assert_eq!(upstream.index_hits("serde"), 1);
}

#[tokio::test]
async fn a_head_has_the_head_of_the_get_and_no_body() {
    let upstream = ScriptedUpstream::start().await;
    krate("serde", "1.0.0").publish(&upstream);
    let crateport = in_front_of(&upstream).start().await;
    let (h1, h2) = (Client::h1(), Client::h2());
    for path in [
        "index/se/rd/serde",
        "index/config.json",
        "index/no/ne/none",
        "crates/a/b/download",
        "index/nowhere",
    ] {
        let got = get(crateport.url(path)).send().await;
        for client in [&h1, &h2] {
            let answer = client.head(crateport.url(path)).send().await;
            assert_eq!(answer.status, got.status, "{path}");
            for header in ["etag", "content-type", "content-length", "cache-control", "vary"] {
                assert_eq!(answer.header(header), got.header(header), "{path} {header}");
            }
            assert_eq!(answer.header("content-length").unwrap(), got.body.len().to_string());
            assert!(answer.body.is_empty());
        }
    }
    let page = head(&crateport.base).send().await;
    assert_eq!((page.status, page.body.len()), (200, 0));
}

#[tokio::test]
async fn the_gzip_form_is_made_once_and_holds_the_same_bytes() {
    let upstream = ScriptedUpstream::start().await;
    let small = krate("small", "1.0.0").build().index_line;
    let large = file_of("large", MIB);
    upstream.replace_index("small", small.clone());
    upstream.replace_index("large", large.clone());
    let crateport = in_front_of(&upstream).start().await;
    for (name, bytes) in [("small", small.as_bytes()), ("large", &*large)] {
        let client = Client::h1();
        let ask = || client.get(crateport.index_url(name)).header("accept-encoding", "gzip");
        let (one, other) = tokio::join!(ask().send(), ask().send());
        for answer in [&one, &other, &ask().send().await] {
            assert_eq!(answer.header("content-encoding"), Some("gzip"));
            let tag = format!("\"{}-gzip\"", sha256_hex(bytes));
            assert_eq!(answer.header("etag"), Some(&*tag));
            assert_eq!(answer.header("vary"), Some("accept-encoding"));
            assert_eq!(answer.body, one.body, "made once");
            assert!(gunzip(&answer.body) == bytes);
        }
        let plain = client.get(crateport.index_url(name)).header("accept-encoding", "br, gzip;q=0");
        let plain = plain.send().await;
        assert_eq!(plain.header("content-encoding"), None);
        assert!(plain.body == Bytes::copy_from_slice(bytes));
    }
}

#[tokio::test]
async fn a_file_that_upstream_sends_as_gzip_is_kept_as_it_is() {
    let upstream = ScriptedUpstream::start().await;
    upstream.change(|settings| settings.gzip_index = true);
    krate("serde", "1.0.0").publish(&upstream);
    let crateport = in_front_of(&upstream).start().await;
    let answer = crateport.index("serde").await;
    assert_eq!(answer.body, upstream.index_bytes("serde"));
    assert_eq!(crateport.stored("index/se/rd/serde").await, answer.body);
}

#[tokio::test]
async fn a_file_of_16_mib_passes_and_a_larger_one_is_a_502() {
    let upstream = ScriptedUpstream::start().await;
    let largest = file_of("largest", 16 * MIB);
    upstream.replace_index("largest", largest.clone());
    upstream.replace_index("larger", file_of("larger", 16 * MIB + 1));
    let crateport = in_front_of(&upstream).always_revalidating().start().await;
    for framing in [crateport_testkit::Framing::ContentLength, crateport_testkit::Framing::Chunked]
    {
        upstream.change(|settings| settings.framing = framing);
        let answer = crateport.index("largest").await;
        assert_eq!(answer.status, 200);
        assert!(answer.body == largest);
        let answer = crateport.index("larger").await;
        assert_eq!(seen(&answer), (502, "unavailable"));
        assert_eq!(answer.header("retry-after"), None);
    }
    assert!(!crateport.object("index/la/rg/larger").exists());
}
