//! When upstream is asked for an index file, with what, and what becomes of absence.

use std::time::{Duration, Instant};

use crateport_store::StoreFault;
use crateport_testkit::client::Client;
use crateport_testkit::{Fault, On, ScriptedUpstream, Times, Validators, krate};

use super::harness::{NEVER, in_front_of, outcome, seen, until};

#[tokio::test]
async fn upstream_is_asked_with_its_own_validators_and_its_files_are_compared() {
    for (validators, etags, dates) in [
        (Validators::Strong, true, false),
        (Validators::Weak, true, false),
        (Validators::Flapping, true, false),
        (Validators::LastModifiedOnly, false, true),
        (Validators::None, false, false),
    ] {
        let upstream = ScriptedUpstream::builder().validators(validators).start().await;
        krate("serde", "1.0.0").publish(&upstream);
        let path = upstream.index_path("serde");
        let crateport = in_front_of(&upstream).always_revalidating().start().await;
        let first = crateport.index("serde").await;
        assert_eq!(seen(&first), (200, "fill"), "{validators:?}");
        for _ in 0..3 {
            let again = crateport.index("serde").await;
            assert_eq!(seen(&again), (200, "revalidated"), "{validators:?}");
            assert_eq!(again.body, first.body);
            assert_eq!(again.header("etag"), first.header("etag"), "{validators:?}");
            assert_eq!(again.header("last-modified"), first.header("last-modified"));
            let asked = upstream.last_request(&path);
            assert_eq!(asked.header("if-none-match").is_some(), etags, "{validators:?}");
            assert_eq!(asked.header("if-modified-since").is_some(), dates, "{validators:?}");
        }
        let unchanged = if validators == Validators::None { 0 } else { 3 };
        assert_eq!(upstream.not_modified(&path), unchanged, "{validators:?}");

        krate("serde", "1.0.1").publish(&upstream);
        let newer = crateport.index("serde").await;
        assert_eq!(outcome(&newer), "revalidated");
        assert_eq!(newer.body, upstream.index_bytes("serde"));
        assert_ne!(newer.header("etag"), first.header("etag"));
    }
}

#[tokio::test]
async fn an_upstream_without_validators_does_not_wear_the_disk_out() {
    let upstream = ScriptedUpstream::builder().validators(Validators::None).start().await;
    krate("serde", "1.0.0").publish(&upstream);
    let crateport = in_front_of(&upstream).always_revalidating().start().await;
    for _ in 0..4 {
        crateport.index("serde").await;
    }
    assert_eq!(upstream.index_hits("serde"), 4);
    assert_eq!(crateport.store.puts(), 1);
}

#[tokio::test]
async fn within_the_ttl_upstream_is_asked_once_however_many_clients_there_are() {
    let upstream = ScriptedUpstream::start().await;
    krate("serde", "1.0.0").publish(&upstream);
    let crateport = in_front_of(&upstream).start().await;
    let gate = upstream.hold(On::Index);
    let client = Client::h2();
    let clients = (0..100).map(|_| tokio::spawn(client.get(crateport.index_url("serde")).send()));
    let clients = clients.collect::<Vec<_>>();
    gate.wait_for(1).await;
    until("all clients wait", async || {
        crateport.metric("crateport_http_requests_in_flight").await == 100.0
    })
    .await;
    gate.release();
    let mut outcomes = Vec::new();
    for client in clients {
        let answer = client.await.unwrap();
        assert_eq!(answer.body, upstream.index_bytes("serde"));
        outcomes.push(outcome(&answer).to_owned());
    }
    outcomes.sort();
    outcomes.dedup();
    assert_eq!(outcomes, ["fill", "join"]);
    for _ in 0..20 {
        assert_eq!(seen(&crateport.index("serde").await), (200, "hit"));
    }
    assert_eq!(upstream.index_hits("serde"), 1);
}

#[tokio::test]
async fn clients_that_never_stop_cause_one_revalidation_per_ttl() {
    let upstream = ScriptedUpstream::start().await;
    krate("serde", "1.0.0").publish(&upstream);
    let ttl = Duration::from_millis(100);
    let setup = in_front_of(&upstream).with(|setup| setup.policy.index_ttl = ttl);
    let crateport = setup.start().await;
    let client = Client::h1();
    let began = Instant::now();
    while upstream.index_hits("serde") < 5 {
        let answer = client.get(crateport.index_url("serde")).send().await;
        assert_eq!(answer.status, 200);
    }
    // However slow the machine: each request left at least one TTL after the one before.
    let whole_ttls = began.elapsed().as_millis() / ttl.as_millis();
    assert!(upstream.index_hits("serde") as u128 <= whole_ttls + 1);
}

#[tokio::test]
async fn a_hot_file_is_refreshed_without_a_client_and_an_unused_one_is_not() {
    // The refresh begins one round trip before the file is stale: here that is long enough to be met.
    let round_trip = Duration::from_millis(200);
    let upstream = ScriptedUpstream::builder().latency(round_trip).start().await;
    krate("cold", "1.0.0").publish(&upstream);
    krate("warm", "1.0.0").publish(&upstream);
    let ttl = Duration::from_secs(1);
    let setup = in_front_of(&upstream).with(|setup| setup.policy.index_ttl = ttl);
    let crateport = setup.start().await;
    crateport.index("cold").await;
    until("a file in use is refreshed ahead of need", async || {
        crateport.index("warm").await;
        crateport.metric("crateport_refreshes_ahead_total").await >= 1.0
    })
    .await;
    upstream.wait_for_hits(&upstream.index_path("warm"), 2).await;
    assert_eq!(upstream.index_hits("cold"), 1);
}

#[tokio::test]
async fn absence_is_upstreams_own_word_and_is_remembered_shortly() {
    let upstream = ScriptedUpstream::start().await;
    let setup = in_front_of(&upstream).with(|setup| setup.cache.refresh_ahead_max = 0);
    let crateport = setup.start().await;
    for _ in 0..3 {
        let answer = crateport.index("nothing").await;
        assert_eq!(seen(&answer), (404, "absent"));
        assert_eq!(answer.header("cache-control"), Some("no-store"));
    }
    assert_eq!(upstream.index_hits("nothing"), 1, "remembered");
    for status in [410, 451] {
        let name = format!("gone{status}");
        krate(&name, "1.0.0").publish(&upstream);
        upstream.fault(On::Path(upstream.index_path(&name)), Fault::Status(status), Times::Next(1));
        assert_eq!(seen(&crateport.index(&name).await), (404, "absent"), "{status}");
    }

    let setup = in_front_of(&upstream).with(|setup| setup.policy.absent_ttl = Duration::ZERO);
    let forgetful = setup.start().await;
    assert_eq!(forgetful.index("later").await.status, 404);
    krate("later", "1.0.0").publish(&upstream);
    assert_eq!(seen(&forgetful.index("later").await), (200, "fill"), "forgotten");
}

#[tokio::test]
async fn a_file_that_vanished_upstream_is_absent_and_its_crates_still_download() {
    let upstream = ScriptedUpstream::start().await;
    let gone = krate("vanishing", "1.0.0").publish(&upstream);
    let setup = in_front_of(&upstream).always_revalidating();
    let crateport = setup.with(|setup| setup.policy.absent_ttl = Duration::ZERO).start().await;
    crateport.index("vanishing").await;
    assert_eq!(crateport.krate("vanishing", "1.0.0").await.body, gone.bytes);
    crateport.keeps("vanishing", "1.0.0").await;

    upstream.remove("vanishing");
    for _ in 0..2 {
        assert_eq!(seen(&crateport.index("vanishing").await), (404, "absent"));
    }
    let answer = crateport.krate("vanishing", "1.0.0").await;
    assert_eq!((seen(&answer), &answer.body), ((200, "hit"), &gone.bytes));

    let restarted = in_front_of(&upstream).on_the_files_of(&crateport).start().await;
    assert_eq!(seen(&restarted.index("vanishing").await), (404, "absent"));
    assert_eq!(restarted.krate("vanishing", "1.0.0").await.body, gone.bytes);
    upstream.stop();
    assert_eq!(restarted.krate("vanishing", "1.0.0").await.body, gone.bytes);
    upstream.restart();

    upstream.publish(&gone);
    assert_eq!(crateport.index("vanishing").await.status, 200, "it may come back");
}

#[tokio::test]
async fn a_file_that_came_back_is_seen_when_the_absence_is_forgotten() {
    let upstream = ScriptedUpstream::start().await;
    let published = krate("boomerang", "1.0.0").publish(&upstream);
    let setup = in_front_of(&upstream).with(|setup| {
        (setup.policy.index_ttl, setup.policy.absent_ttl) = (NEVER, Duration::from_millis(1));
    });
    let crateport = setup.start().await;
    crateport.index("boomerang").await;
    upstream.remove("boomerang");
    // A version that is not in our copy makes Crateport look, and so learn that the file is gone.
    assert_eq!(crateport.krate("boomerang", "2.0.0").await.status, 404);
    upstream.publish(&published);
    until("absence is believed for its own time and not for that of a file", async || {
        crateport.index("boomerang").await.status == 200
    })
    .await;
}

#[tokio::test]
async fn a_restart_asks_once_and_conditionally() {
    let upstream = ScriptedUpstream::start().await;
    krate("serde", "1.0.0").publish(&upstream);
    let path = upstream.index_path("serde");
    let mut before = in_front_of(&upstream).start().await;
    let first = before.index("serde").await;
    before.stop().await;
    upstream.forget_requests();

    let after = in_front_of(&upstream).on_the_files_of(&before).start().await;
    let again = after.index("serde").await;
    assert_eq!(seen(&again), (200, "revalidated"));
    assert_eq!((again.body, &again.headers["etag"]), (first.body, &first.headers["etag"]));
    assert_eq!(seen(&after.index("serde").await), (200, "hit"));
    assert_eq!((upstream.hits(&path), upstream.not_modified(&path)), (1, 1));
}

#[tokio::test]
async fn a_store_that_fails_is_gone_round_and_made_up_for_later() {
    for fault in [StoreFault::Writes, StoreFault::Full] {
        let upstream = ScriptedUpstream::start().await;
        let published = krate("serde", "1.0.0").publish(&upstream);
        let setup = in_front_of(&upstream).always_revalidating().with_store(fault);
        let crateport = setup.start().await;
        for expected in ["fill", "revalidated"] {
            let answer = crateport.index("serde").await;
            assert_eq!(seen(&answer), (200, expected), "{fault:?}");
            assert_eq!(answer.body, upstream.index_bytes("serde"));
        }
        let answer = crateport.krate("serde", "1.0.0").await;
        assert_eq!((answer.status, answer.body), (200, published.bytes), "{fault:?}");
        assert!(!crateport.object("index/se/rd/serde").exists());
        assert!(crateport.metric("crateport_cache_store_failures_total").await >= 3.0);

        crateport.store.set(None);
        until("the file is saved at the next refresh", async || {
            crateport.index("serde").await;
            crateport.object("index/se/rd/serde").exists()
        })
        .await;
    }
}

#[tokio::test]
async fn a_store_that_cannot_be_read_sends_clients_to_upstream() {
    let upstream = ScriptedUpstream::start().await;
    let published = krate("serde", "1.0.0").publish(&upstream);
    let crateport = in_front_of(&upstream).with_store(StoreFault::Reads).start().await;
    assert_eq!(seen(&crateport.index("serde").await), (200, "fill"));
    assert_eq!(seen(&crateport.index("serde").await), (200, "hit"), "from memory");
    for _ in 0..2 {
        assert_eq!(crateport.krate("serde", "1.0.0").await.body, published.bytes);
    }
}

#[tokio::test]
async fn a_damaged_file_is_dropped_and_fetched_again() {
    let upstream = ScriptedUpstream::start().await;
    krate("serde", "1.0.0").publish(&upstream);
    let mut before = in_front_of(&upstream).start().await;
    let good = before.index("serde").await.body;
    before.stop().await;
    std::fs::write(before.object("index/se/rd/serde"), &good[..good.len() - 9]).unwrap();
    let after = in_front_of(&upstream).on_the_files_of(&before).start().await;
    let answer = after.index("serde").await;
    assert_eq!((seen(&answer), &answer.body), ((200, "fill"), &good));
    assert_eq!(after.metric("crateport_damaged_objects_total").await, 1.0);
}
