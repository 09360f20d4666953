//! Promise 3: upstream may die.

use crateport_testkit::client::get;
use crateport_testkit::{Crateport, Fault, On, ScriptedUpstream, Times, krate};

use crate::house::{crate_url, get_until, hasty, index_file_url, outcome};

#[tokio::test]
async fn upstream_may_die_and_everything_ever_served_is_still_served_after_a_restart() {
    let upstream = ScriptedUpstream::start().await;
    let a = krate("a", "1.0.0").publish(&upstream);
    let mut crateport = Crateport::start(hasty(&upstream)).await;
    let (index, krate_url) =
        (index_file_url(&crateport, &upstream, "a"), crate_url(&crateport, "a", "1.0.0"));
    get_until(&krate_url, |answer| answer.status == 200).await;
    let known = get_until(&index, |answer| answer.status == 200).await;
    upstream.stop();
    for _ in 0..2 {
        let answer = get(&index).send().await;
        assert_eq!((answer.status, outcome(&answer), &answer.body), (200, "stale", &known.body));
        assert_eq!(answer.header("etag"), known.header("etag"), "cargo keeps its tag for ever");
        let answer = get(&krate_url).send().await;
        assert_eq!((answer.status, outcome(&answer), &answer.body), (200, "hit", &a.bytes));
        let config = get(format!("{}config.json", crateport.index_url("crates-io"))).send().await;
        assert_eq!(config.status, 200);
        crateport.restart().await;
    }
}

#[tokio::test]
async fn upstream_may_die_and_what_was_never_seen_is_503_and_never_404() {
    let upstream = ScriptedUpstream::start().await;
    krate("a", "1.0.0").publish(&upstream);
    let crateport = Crateport::start(hasty(&upstream)).await;
    get_until(&index_file_url(&crateport, &upstream, "a"), |answer| answer.status == 200).await;
    upstream.stop();
    for url in [
        index_file_url(&crateport, &upstream, "never-seen"),
        crate_url(&crateport, "a", "1.0.0"),
        // Not in our copy of the index: it may have been published since.
        crate_url(&crateport, "a", "1.0.1"),
        crate_url(&crateport, "never-seen", "1.0.0"),
    ] {
        let answer = get(&url).send().await;
        assert_eq!(answer.status, 503, "{url}: {}", answer.text());
        let seconds = answer.header("retry-after").unwrap().parse::<u64>().unwrap();
        assert!((1..=10).contains(&seconds), "{seconds}");
    }
}

#[tokio::test]
async fn a_dead_upstream_costs_one_short_wait_and_not_one_per_request() {
    let upstream = ScriptedUpstream::start().await;
    for number in 0..30 {
        krate(&format!("dead-{number}"), "1.0.0").publish(&upstream);
    }
    let crateport = Crateport::start(hasty(&upstream)).await;
    upstream.fault(On::All, Fault::Hang, Times::Always);
    for number in 0..30 {
        let url = index_file_url(&crateport, &upstream, &format!("dead-{number}"));
        assert_eq!(get(url).send().await.status, 503);
    }
    // The first question and its retries, then one probe now and then.
    assert!(upstream.total_hits() < 30, "{} requests", upstream.total_hits());
    upstream.heal();
    let url = index_file_url(&crateport, &upstream, "dead-0");
    get_until(&url, |answer| answer.status == 200).await;
}

#[tokio::test]
async fn only_upstreams_own_word_makes_something_absent() {
    for status in [404, 410, 451] {
        let upstream = ScriptedUpstream::start().await;
        krate("a", "1.0.0").publish(&upstream);
        let crateport = Crateport::start(hasty(&upstream)).await;
        upstream.fault(On::Index, Fault::Status(status), Times::Always);
        let url = index_file_url(&crateport, &upstream, "a");
        let answer = get(&url).send().await;
        // Newer cargos take 410 and 451 for errors.
        assert_eq!((answer.status, outcome(&answer)), (404, "absent"), "{status}");
        upstream.heal();
        get_until(&url, |answer| answer.status == 200).await;
    }
}

#[tokio::test]
async fn a_crate_that_upstream_withdrew_is_still_downloaded() {
    let upstream = ScriptedUpstream::start().await;
    let a = krate("a", "1.0.0").publish(&upstream);
    let mut crateport = Crateport::start(hasty(&upstream)).await;
    let (index, krate_url) =
        (index_file_url(&crateport, &upstream, "a"), crate_url(&crateport, "a", "1.0.0"));
    get_until(&krate_url, |answer| answer.status == 200).await;
    upstream.remove("a");
    get_until(&index, |answer| answer.status == 404).await;
    for _ in 0..2 {
        let answer = get(&krate_url).send().await;
        assert_eq!((answer.status, &answer.body), (200, &a.bytes));
        crateport.restart().await;
    }
}
