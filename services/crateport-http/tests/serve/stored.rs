//! Crates that are here: ranges, conditions, and objects that were damaged meanwhile.

use crateport_testkit::client::{get, head};
use crateport_testkit::{KIB, ScriptedUpstream, krate};

use super::harness::{in_front_of, outcome, seen};

#[tokio::test]
async fn a_part_of_a_crate_is_served_in_every_form_of_a_range() {
    let upstream = ScriptedUpstream::start().await;
    let whole = krate("one", "1.0.0").payload(300 * KIB).publish(&upstream).bytes;
    let crateport = in_front_of(&upstream).start().await;
    crateport.krate("one", "1.0.0").await;
    crateport.keeps("one", "1.0.0").await;
    let length = whole.len();
    let (url, half) = (crateport.crate_url("one", "1.0.0"), length / 2);
    for (range, expected) in [
        ("bytes=0-0".to_owned(), Some(0..1)),
        (format!("bytes={half}-"), Some(half..length)),
        (format!("bytes=7-{half}"), Some(7..half + 1)),
        ("bytes=-10".to_owned(), Some(length - 10..length)),
        (format!("bytes=3-{}", length * 2), Some(3..length)),
        ("bytes=0-1,5-6".to_owned(), None),
        ("lines=0-1".to_owned(), None),
        ("bytes=9-3".to_owned(), None),
    ] {
        let answer = get(&url).header("range", &range).send().await;
        assert_eq!(answer.header("accept-ranges"), Some("bytes"));
        match expected {
            Some(part) => {
                assert_eq!(answer.status, 206, "{range}");
                let content_range = format!("bytes {}-{}/{length}", part.start, part.end - 1);
                assert_eq!(answer.header("content-range"), Some(&*content_range));
                assert_eq!(answer.header("content-length").unwrap(), part.len().to_string());
                assert!(answer.body == whole[part]);
            }
            None => {
                assert_eq!(answer.status, 200, "{range}");
                assert!(answer.body == whole);
            }
        }
    }
    let answer = get(&url).header("range", &format!("bytes={length}-")).send().await;
    assert_eq!(seen(&answer), (416, "hit"));
    assert_eq!(answer.header("content-range"), Some(&*format!("bytes */{length}")));
    assert!(answer.body.is_empty());
}

#[tokio::test]
async fn conditions_decide_whether_a_crate_or_its_part_is_sent() {
    let upstream = ScriptedUpstream::start().await;
    let published = krate("one", "1.0.0").publish(&upstream);
    let crateport = in_front_of(&upstream).start().await;
    crateport.krate("one", "1.0.0").await;
    crateport.keeps("one", "1.0.0").await;
    let url = crateport.crate_url("one", "1.0.0");
    let first = get(&url).send().await;
    let (tag, date) = (first.header("etag").unwrap(), first.header("last-modified").unwrap());
    assert_eq!(tag, format!("\"{}\"", published.cksum));
    for (if_range, status) in [(tag, 206), (date, 206), ("\"other\"", 200), ("W/\"x\"", 200)] {
        let answer = get(&url).header("range", "bytes=0-3").header("if-range", if_range);
        assert_eq!(answer.send().await.status, status, "{if_range}");
    }
    for (header, value) in
        [("if-none-match", tag), ("if-none-match", "*"), ("if-modified-since", date)]
    {
        let answer = get(&url).header(header, value).header("range", "bytes=0-3").send().await;
        assert_eq!((answer.status, answer.body.len()), (304, 0), "{header}");
        assert_eq!(answer.header("etag"), Some(tag));
    }
    let answer = head(&url).header("range", "bytes=0-3").send().await;
    assert_eq!(seen(&answer), (200, "hit"));
    assert_eq!(answer.header("content-length").unwrap(), published.bytes.len().to_string());
    assert_eq!(answer.header("content-type"), Some("application/gzip"));
    assert_eq!(answer.header("content-encoding"), None);
    assert_eq!(answer.header("cache-control"), Some("public, max-age=31536000, immutable"));
}

#[tokio::test]
async fn a_damaged_object_is_dropped_and_filled_again() {
    let upstream = ScriptedUpstream::start().await;
    let published = krate("one", "1.0.0").payload(10 * KIB).publish(&upstream);
    let crateport = in_front_of(&upstream).start().await;
    crateport.krate("one", "1.0.0").await;
    crateport.keeps("one", "1.0.0").await;
    let path = crateport.object("crates/one/one-1.0.0.crate");
    let mut flipped = published.bytes.to_vec();
    flipped[5000] ^= 1;
    for (times, damaged) in [&flipped[..], &published.bytes[..100], b""].into_iter().enumerate() {
        std::fs::write(&path, damaged).unwrap();
        let answer = crateport.krate("one", "1.0.0").await;
        assert_eq!(outcome(&answer), "fill");
        assert_eq!(answer.body, published.bytes);
        crateport.keeps("one", "1.0.0").await;
        assert_eq!(upstream.crate_hits("one", "1.0.0"), times + 2);
    }
    assert_eq!(crateport.metric("crateport_damaged_objects_total").await, 3.0);
    assert_eq!(std::fs::read(&path).unwrap(), published.bytes);
}

#[tokio::test]
async fn an_object_of_an_earlier_run_is_verified_before_its_first_use() {
    let upstream = ScriptedUpstream::start().await;
    // Larger than what stays in memory.
    let published = krate("one", "1.0.0").payload(1100 * KIB).publish(&upstream);
    let mut before = in_front_of(&upstream).start().await;
    before.krate("one", "1.0.0").await;
    before.stop().await;
    upstream.stop();
    let after = in_front_of(&upstream).on_the_files_of(&before).start().await;
    for _ in 0..2 {
        let answer = after.krate("one", "1.0.0").await;
        assert_eq!(seen(&answer), (200, "hit"));
        assert!(answer.body == published.bytes);
    }
    let path = after.object("crates/one/one-1.0.0.crate");
    std::fs::write(&path, b"damaged").unwrap();
    let answer = after.krate("one", "1.0.0").await;
    assert_eq!(seen(&answer), (503, "unavailable"), "never a wrong byte");
}
