//! Crates: names and versions exactly as cargo uses them, ranges and conditions, and what the index says of them.

use crateport_testkit::client::{get, head};
use crateport_testkit::{Cargo, Crateport, KIB, On, ScriptedUpstream, krate};

use crate::house::{
    CRATES_IO, crate_url, crateport, get_until, index_file_url, metric_is, options, outcome,
};

#[tokio::test]
async fn a_plus_works_raw_and_escaped_and_is_one_crate() {
    let upstream = ScriptedUpstream::start().await;
    let a = krate("a", "1.0.0+b.1").publish(&upstream);
    let crateport = crateport(&upstream).await;
    for version in ["1.0.0+b.1", "1.0.0%2Bb.1", "1.0.0%2bb.1"] {
        let answer = get(crate_url(&crateport, "a", version)).send().await;
        assert_eq!((answer.status, answer.body), (200, a.bytes.clone()), "{version}");
    }
    assert_eq!(upstream.crate_hits("a", "1.0.0+b.1"), 1);
    let cargo = Cargo::new()
        .replaces_crates_io_with(&crateport.index_url(CRATES_IO))
        .project(|project| project.dep("a", "=1.0.0"));
    cargo.run(&["fetch"]).await.succeeds();
    assert!(cargo.read_lock().contains("1.0.0+b.1"));
}

#[tokio::test]
async fn yanked_versions_still_download_for_those_who_locked_them() {
    let upstream = ScriptedUpstream::start().await;
    krate("a", "1.0.0").publish(&upstream);
    let crateport = Crateport::start(options(&upstream).flag("--index-ttl", "0s")).await;
    let cargo = Cargo::new()
        .replaces_crates_io_with(&crateport.index_url(CRATES_IO))
        .project(|project| project.dep("a", "1"));
    cargo.run(&["generate-lockfile"]).await.succeeds();
    upstream.yank("a", "1.0.0");
    let cargo = cargo.fresh_home();
    cargo.run(&["fetch", "--locked"]).await.succeeds();
    std::fs::remove_file(cargo.work().join("Cargo.lock")).unwrap();
    cargo.fresh_home().run(&["fetch"]).await.fails().says("yanked");
}

#[tokio::test]
async fn names_are_exact_in_case_dash_and_underscore() {
    let upstream = ScriptedUpstream::start().await;
    krate("Some-Name", "1.0.0").publish(&upstream);
    let crateport = crateport(&upstream).await;
    assert_eq!(get(crate_url(&crateport, "Some-Name", "1.0.0")).send().await.status, 200);
    for other in ["some-name", "SOME-NAME", "Some_Name", "some_name"] {
        assert_eq!(get(crate_url(&crateport, other, "1.0.0")).send().await.status, 404, "{other}");
    }
    // The index has one file for all cases, and another for the underscore.
    let url = index_file_url(&crateport, &upstream, "Some-Name");
    assert!(url.ends_with("/so/me/some-name"), "{url}");
    assert_eq!(get(&url).send().await.status, 200);
    assert_eq!(get(url.replace("some-name", "some_name")).send().await.status, 404);
}

#[tokio::test]
async fn paths_that_mean_nothing_never_reach_upstream() {
    let upstream = ScriptedUpstream::start().await;
    let crateport = crateport(&upstream).await;
    for path in [
        "/crates-io/index/se/rd/other",
        "/crates-io/index/se/rd/..%2f..%2fetc",
        "/crates-io/index/1/%00",
        "/crates-io/crates/..%2fx/1.0.0/download",
        "/crates-io/crates/a/not-a-version/download",
        "/crates-io/crates/a/1.0.0",
        "/crates-io/api/v1/crates/a/1.0.0/download",
        "/crates-io/",
        "/nothing",
    ] {
        let answer = get(format!("{}{path}", crateport.url())).send().await;
        assert_eq!(answer.status, 404, "{path}");
    }
    assert_eq!(upstream.total_hits(), 0);
}

#[tokio::test]
async fn stored_crates_have_ranges_heads_and_conditions() {
    let upstream = ScriptedUpstream::start().await;
    let a = krate("a", "1.0.0").payload(10 * KIB).publish(&upstream);
    let crateport = crateport(&upstream).await;
    let url = crate_url(&crateport, "a", "1.0.0");
    get(&url).send().await;
    let whole = get_until(&url, |answer| outcome(answer) == "hit").await;
    assert_eq!(whole.body, a.bytes);
    assert_eq!(whole.header("content-type"), Some("application/gzip"));
    assert_eq!(whole.header("content-encoding"), None, "it is a gzip, it is not encoded");
    assert_eq!(whole.header("accept-ranges"), Some("bytes"));
    let size = a.bytes.len();
    let etag = whole.header("etag").unwrap();
    assert_eq!(etag, format!("\"{}\"", etag.trim_matches('"')), "strong");

    let only_head = head(&url).send().await;
    assert_eq!((only_head.status, only_head.body.len()), (200, 0));
    assert_eq!(only_head.header("content-length"), Some(size.to_string().as_str()));
    assert_eq!(only_head.header("etag"), Some(etag));

    for (range, from, to) in [
        ("bytes=0-0", 0, 1),
        ("bytes=100-199", 100, 200),
        ("bytes=5000-", 5000, size),
        ("bytes=-7", size - 7, size),
        ("bytes=5000-99999999", 5000, size),
    ] {
        let part = get(&url).header("range", range).send().await;
        assert_eq!((part.status, &part.body[..]), (206, &a.bytes[from..to]), "{range}");
        let told = format!("bytes {from}-{}/{size}", to - 1);
        assert_eq!(part.header("content-range"), Some(told.as_str()), "{range}");
    }
    let beyond = get(&url).header("range", "bytes=99999999-").send().await;
    assert_eq!(beyond.status, 416);
    assert_eq!(beyond.header("content-range"), Some(format!("bytes */{size}").as_str()));
    let outdated = get(&url).header("range", "bytes=1-2").header("if-range", "\"other\"");
    assert_eq!(outdated.send().await.status, 200);
    for matching in [etag.to_owned(), format!("W/{etag}"), format!("\"x\", {etag}"), "*".to_owned()]
    {
        let answer = get(&url).header("if-none-match", &matching).send().await;
        assert_eq!((answer.status, answer.body.len()), (304, 0), "{matching}");
    }
    assert_eq!(get(&url).header("if-none-match", "\"other\"").send().await.status, 200);
    assert_eq!(upstream.crate_hits("a", "1.0.0"), 1);
}

#[tokio::test]
async fn a_cold_head_or_range_of_a_crate_is_answered_and_fills() {
    for range in [false, true] {
        let upstream = ScriptedUpstream::start().await;
        let a = krate("a", "1.0.0").payload(10 * KIB).publish(&upstream);
        let crateport = crateport(&upstream).await;
        let url = crate_url(&crateport, "a", "1.0.0");
        if range {
            let answer = get(&url).header("range", "bytes=10-19").send().await;
            // The whole is a legal answer to any range; a part must be the right one.
            let right = match answer.status {
                200 => answer.body == a.bytes,
                206 => answer.body[..] == a.bytes[10..20],
                _ => false,
            };
            assert!(right, "{answer:?}");
        } else {
            assert_eq!(head(&url).send().await.status, 200);
        }
        let answer = get_until(&url, |answer| outcome(answer) == "hit").await;
        assert_eq!(answer.body, a.bytes);
        assert_eq!(upstream.crate_hits("a", "1.0.0"), 1);
    }
}

#[tokio::test]
async fn a_version_that_was_published_after_our_copy_of_the_index_costs_one_revalidation() {
    let upstream = ScriptedUpstream::start().await;
    krate("a", "1.0.0").publish(&upstream);
    let crateport = crateport(&upstream).await;
    assert_eq!(get(index_file_url(&crateport, &upstream, "a")).send().await.status, 200);
    let newer = krate("a", "1.1.0").publish(&upstream);
    let answer = get(crate_url(&crateport, "a", "1.1.0")).send().await;
    assert_eq!((answer.status, answer.body), (200, newer.bytes));
    assert_eq!(upstream.index_hits("a"), 2);
    let index = get(index_file_url(&crateport, &upstream, "a")).send().await;
    assert_eq!((index.body, upstream.index_hits("a")), (upstream.index_bytes("a"), 2));
}

#[tokio::test]
async fn a_version_that_was_published_while_the_index_file_was_under_way_is_not_called_absent() {
    let upstream = ScriptedUpstream::start().await;
    krate("a", "1.0.0").publish(&upstream);
    let crateport = crateport(&upstream).await;
    // Upstream has fixed its answer, and it is still on its way.
    let gate = upstream.hold(On::Index);
    let index = tokio::spawn(get(index_file_url(&crateport, &upstream, "a")).send());
    gate.wait_for(1).await;
    let newer = krate("a", "1.1.0").publish(&upstream);
    let krate = tokio::spawn(get(crate_url(&crateport, "a", "1.1.0")).send());
    metric_is(&crateport, "crateport_http_requests_in_flight", &[], 2.0).await;
    gate.release();
    assert_eq!(index.await.unwrap().status, 200);
    let answer = krate.await.unwrap();
    assert_eq!((answer.status, &answer.body), (200, &newer.bytes), "a question from before");
}

#[tokio::test]
async fn a_version_that_does_not_exist_is_404_and_remembered() {
    let upstream = ScriptedUpstream::start().await;
    krate("a", "1.0.0").publish(&upstream);
    let crateport = crateport(&upstream).await;
    assert_eq!(get(index_file_url(&crateport, &upstream, "a")).send().await.status, 200);
    for _ in 0..5 {
        let answer = get(crate_url(&crateport, "a", "9.9.9")).send().await;
        assert_eq!((answer.status, outcome(&answer)), (404, "absent"));
    }
    assert_eq!(upstream.index_hits("a"), 2, "one revalidation before it is called absent");
    assert_eq!(upstream.crate_hits("a", "9.9.9"), 0);
}

#[tokio::test]
async fn a_crate_that_upstream_lost_is_404_and_remembered() {
    let upstream = ScriptedUpstream::start().await;
    krate("a", "1.0.0").publish(&upstream);
    upstream.remove_crate("a", "1.0.0");
    let crateport = crateport(&upstream).await;
    for _ in 0..5 {
        assert_eq!(get(crate_url(&crateport, "a", "1.0.0")).send().await.status, 404);
    }
    assert_eq!(upstream.crate_hits("a", "1.0.0"), 1);
}
