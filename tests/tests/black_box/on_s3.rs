//! The store on S3: the same promises, redirects to the store, and a bucket that is a registry by itself.

use crateport_testkit::cargo::Project;
use crateport_testkit::client::get;
use crateport_testkit::{
    Cargo, Crateport, CrateportOptions, KIB, S3Operation, S3Server, ScriptedUpstream, krate,
};

use crate::house::{self, crate_url, get_until, index_file_url, on_bucket, outcome, until_none};

async fn on(s3: &S3Server, upstream: &ScriptedUpstream) -> Crateport {
    Crateport::start(options(s3, upstream)).await
}

fn options(s3: &S3Server, upstream: &ScriptedUpstream) -> CrateportOptions {
    // Purges are looked for once, so that every other operation has its reason.
    on_bucket(house::options(upstream), s3)
        .flag("--redirect-size-min", "64KiB")
        .flag("--purge-poll", "1h")
}

#[tokio::test]
async fn a_build_through_s3_goes_on_when_upstream_is_gone() {
    let (s3, upstream) = (S3Server::start().await, ScriptedUpstream::start().await);
    krate("b", "1.0.0").lib("pub fn two() -> u8 { 2 }").publish(&upstream);
    krate("a", "1.0.0")
        .dep("b", "1")
        .payload(200 * KIB)
        .lib("pub fn four() -> u8 { b::two() * 2 }")
        .publish(&upstream);
    let first = on(&s3, &upstream).await;
    let project =
        |project: Project| project.dep("a", "1").main("fn main() { assert_eq!(a::four(), 4) }");
    let cargo =
        Cargo::new().replaces_crates_io_with(&first.index_url("crates-io")).project(project);
    cargo.run(&["run"]).await.succeeds();

    // Another replica on the same bucket has everything.
    upstream.stop();
    let second = on(&s3, &upstream).await;
    let cargo =
        Cargo::new().replaces_crates_io_with(&second.index_url("crates-io")).project(project);
    cargo.run(&["run"]).await.succeeds();
}

#[tokio::test]
async fn a_large_crate_is_redirected_and_a_small_one_is_not() {
    let (s3, upstream) = (S3Server::start().await, ScriptedUpstream::start().await);
    let large = krate("large", "1.0.0").payload(200 * KIB).publish(&upstream);
    let small = krate("small", "1.0.0").publish(&upstream);
    let crateport = on(&s3, &upstream).await;
    for krate in [&large, &small] {
        let url = crate_url(&crateport, &krate.name, &krate.version);
        // Streamed while it is filled, then from the store.
        let answer = get(format!("{url}?delivery=stream")).send().await;
        assert_eq!(answer.body, krate.bytes);
        get_until(&format!("{url}?delivery=stream"), |answer| outcome(answer) == "hit").await;
        s3.forget_counts();
        let answer = get(&url).send().await;
        assert_eq!(answer.status, if krate.name == "large" { 302 } else { 200 });
        if let Some(location) = answer.header("location") {
            let location = location.to_owned();
            assert_eq!(answer.header("cache-control"), Some("no-store"));
            assert_eq!(get(&location).send().await.body, large.bytes);
            assert!(!crateport.log().contains("X-Amz-Signature"), "a signature was logged");
        }
        assert_eq!(s3.count(S3Operation::HeadObject), 0, "it was seen a moment ago");
    }
}

#[tokio::test]
async fn a_small_crate_is_read_from_the_store_once_and_a_large_one_every_time() {
    let (s3, upstream) = (S3Server::start().await, ScriptedUpstream::start().await);
    let small = krate("small", "1.0.0").payload(200 * KIB).publish(&upstream);
    let large = krate("large", "1.0.0").payload(1100 * KIB).publish(&upstream);
    let crateport = on(&s3, &upstream).await;
    for (krate, stays) in [(&small, true), (&large, false)] {
        let url = crate_url(&crateport, &krate.name, &krate.version) + "?delivery=stream";
        get(&url).send().await;
        let is_stored =
            || s3.keys().iter().any(|key| key.ends_with(&format!("{}-1.0.0.crate", krate.name)));
        until_none(async || (!is_stored()).then_some("not stored yet")).await;
        s3.forget_counts();
        for _ in 0..5 {
            let answer = get(&url).send().await;
            assert_eq!((answer.status, outcome(&answer)), (200, "hit"));
            assert_eq!(answer.body, krate.bytes);
        }
        let part = get(&url).header("range", "bytes=1000-1999").send().await;
        assert_eq!((part.status, &part.body[..]), (206, &krate.bytes[1000..2000]));
        let tag = part.header("etag").unwrap().to_owned();
        assert_eq!(get(&url).header("if-none-match", &tag).send().await.status, 304);
        let reads = s3.count(S3Operation::GetObject);
        assert!(if stays { reads == 1 } else { reads >= 5 }, "{}: {reads}", krate.name);
    }
    assert!(crateport.metric("crateport_object_memory_bytes", &[]).await >= 200.0 * 1024.0);
    assert_eq!(crateport.metric("crateport_object_memory_objects", &[]).await, 1.0);
}

#[tokio::test]
async fn a_warm_index_file_touches_neither_s3_nor_upstream() {
    let (s3, upstream) = (S3Server::start().await, ScriptedUpstream::start().await);
    krate("a", "1.0.0").publish(&upstream);
    let crateport = on(&s3, &upstream).await;
    let url = index_file_url(&crateport, &upstream, "a");
    get_until(&url, |answer| outcome(answer) == "hit").await;
    s3.wait_for(S3Operation::PutObject, 1).await;
    s3.forget_counts();
    let hits = upstream.total_hits();
    for _ in 0..20 {
        assert_eq!(outcome(&get(&url).send().await), "hit");
    }
    assert_eq!((s3.total_count(), upstream.total_hits()), (0, hits));
}
