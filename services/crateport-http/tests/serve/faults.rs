//! Index files while upstream fails: the last good one is served, or a 503 that cargo understands.

use std::time::Duration;

use crateport_testkit::client::Client;
use crateport_testkit::{Fault, On, ScriptedUpstream, Times, krate};

use super::harness::{NEVER, SOON, in_front_of, outcome, seen, until};

/// Every way to fail, hanging and refusing apart.
fn faults() -> Vec<Fault> {
    vec![
        Fault::Reset,
        Fault::Truncated,
        Fault::TruncatedChunked,
        Fault::CutAtLine,
        Fault::Html,
        Fault::Empty,
        Fault::Status(500),
        Fault::Status(403),
        Fault::Status(204),
        Fault::RedirectLoop,
        Fault::Redirect("ftp://127.0.0.1/".to_owned()),
        Fault::TooManyRequests { retry_after: Duration::from_secs(1) },
    ]
}

#[tokio::test]
async fn a_known_file_is_served_stale_through_every_fault_and_an_unknown_one_is_a_503() {
    for fault in faults() {
        let upstream = ScriptedUpstream::start().await;
        krate("known", "1.0.0").publish(&upstream);
        krate("unknown", "1.0.0").publish(&upstream);
        let crateport = in_front_of(&upstream).always_revalidating().start().await;
        let good = crateport.index("known").await;

        upstream.fault(On::Index, fault.clone(), Times::Always);
        for _ in 0..3 {
            let answer = crateport.index("known").await;
            assert_eq!(seen(&answer), (200, "stale"), "{fault:?}");
            assert_eq!(
                (answer.body, &answer.headers["etag"]),
                (good.body.clone(), &good.headers["etag"])
            );
        }
        let answer = crateport.index("unknown").await;
        let expected = if matches!(fault, Fault::Redirect(_)) { 502 } else { 503 };
        assert_eq!(seen(&answer), (expected, "unavailable"), "{fault:?}");
        let retry_after = answer.header("retry-after").map(|text| text.parse::<u64>().unwrap());
        assert_eq!(retry_after.is_some(), expected == 503);
        assert!(retry_after.is_none_or(|seconds| (1..=10).contains(&seconds)));
        assert!(!answer.text().contains("127.0.0.1"), "no address in a body: {}", answer.text());
        assert_eq!(crateport.stored("index/kn/ow/known").await, good.body);

        upstream.heal();
        until("upstream is believed again", async || {
            let known = crateport.index("known").await;
            outcome(&known) == "revalidated" && crateport.index("unknown").await.status == 200
        })
        .await;
    }
}

#[tokio::test]
async fn a_server_that_refuses_or_answers_garbage_in_any_line_keeps_the_old_file() {
    let upstream = ScriptedUpstream::start().await;
    let (one, two) = (krate("lines", "1.0.0").build(), krate("lines", "1.0.1").build());
    upstream.replace_index("lines", format!("{}\n", one.index_line));
    let crateport = in_front_of(&upstream).always_revalidating().start().await;
    let good = crateport.index("lines").await.body;
    let other = krate("other", "1.0.0").build().index_line;
    for bad in ["garbage", "{}", "null", &two.index_line[..40], &other, "\u{0}"] {
        for text in [
            format!("{bad}\n{}\n{}\n", one.index_line, two.index_line),
            format!("{}\n{bad}\n{}\n", one.index_line, two.index_line),
            format!("{}\n{}\n{bad}", one.index_line, two.index_line),
        ] {
            upstream.replace_index("lines", text.clone());
            let answer = crateport.index("lines").await;
            assert_eq!((seen(&answer), &answer.body), ((200, "stale"), &good), "{text}");
        }
    }
    upstream.stop();
    assert_eq!(seen(&crateport.index("lines").await), (200, "stale"));
    let answer = crateport.index("unknown").await;
    assert_eq!(seen(&answer), (503, "unavailable"));
}

#[tokio::test]
async fn a_hanging_upstream_costs_one_wait_and_not_one_per_client() {
    let upstream = ScriptedUpstream::start().await;
    for name in ["one", "two", "three"] {
        krate(name, "1.0.0").publish(&upstream);
    }
    let crateport = in_front_of(&upstream).always_revalidating().impatient().start().await;
    for name in ["one", "two", "three"] {
        crateport.index(name).await;
    }
    upstream.fault(On::All, Fault::Hang, Times::Always);
    assert_eq!(seen(&crateport.index("one").await), (200, "stale"));
    crateport.finds_upstream("slow").await;

    // From here on nobody waits: were it not so, these would take an hour.
    let patient = in_front_of(&upstream).always_revalidating().on_the_files_of(&crateport);
    let hour = Duration::from_secs(3600);
    let patient = patient.with(|setup| {
        (setup.cache.refresh_patience, setup.asking.slow_after) = (hour, SOON);
    });
    let patient = patient.start().await;
    let first = tokio::spawn(Client::h1().get(patient.index_url("one")).send());
    patient.finds_upstream("slow").await;
    for name in ["one", "two", "three"] {
        assert_eq!(seen(&patient.index(name).await), (200, "stale"), "{name}");
    }
    assert!(!first.is_finished(), "who came first waits as long as it was told to");
    upstream.cut_connections();
    assert_eq!(first.await.unwrap().status, 200);
}

#[tokio::test]
async fn clients_of_one_refresh_share_one_patience() {
    let upstream = ScriptedUpstream::start().await;
    krate("one", "1.0.0").publish(&upstream);
    let setup = in_front_of(&upstream).always_revalidating();
    let setup = setup.with(|setup| setup.cache.refresh_patience = SOON);
    let crateport = setup.start().await;
    crateport.index("one").await;
    let gate = upstream.hold(On::Index);
    // Upstream never counts as slow here: only the age of the refresh ends the waiting.
    for _ in 0..10 {
        let answer = crateport.index("one").await;
        assert_eq!(seen(&answer), (200, "stale"));
    }
    assert_eq!(gate.waiting(), 1, "one refresh for all");
    gate.release();
    until("the late answer is taken", async || {
        outcome(&crateport.index("one").await) == "revalidated"
    })
    .await;
}

#[tokio::test]
async fn a_dead_upstream_is_left_alone_after_some_failures() {
    let upstream = ScriptedUpstream::start().await;
    krate("one", "1.0.0").publish(&upstream);
    let setup = in_front_of(&upstream).always_revalidating().with(|setup| {
        setup.asking.failures_before_open = 2;
        (setup.asking.open_for_min, setup.asking.open_for_max) = (NEVER, NEVER);
    });
    let crateport = setup.start().await;
    crateport.index("one").await;
    upstream.fault(On::All, Fault::Reset, Times::Always);
    for _ in 0..10 {
        assert_eq!(seen(&crateport.index("one").await), (200, "stale"));
    }
    crateport.finds_upstream("down").await;
    assert_eq!(upstream.index_hits("one"), 1 + 2);
    assert_eq!(crateport.ops("/readyz").await.status, 200);
}

#[tokio::test]
async fn after_a_failure_upstream_is_not_asked_for_a_while() {
    let upstream = ScriptedUpstream::start().await;
    krate("one", "1.0.0").publish(&upstream);
    let setup = in_front_of(&upstream).with(|setup| setup.cache.failed_ttl = NEVER);
    let crateport = setup.start().await;
    upstream.fault(On::Index, Fault::Html, Times::Always);
    for _ in 0..5 {
        assert_eq!(crateport.index("one").await.status, 503);
        assert_eq!(crateport.krate("one", "1.0.0").await.status, 503);
    }
    assert_eq!(upstream.index_hits("one"), 1);
}

#[tokio::test]
async fn a_client_that_waits_for_what_is_not_here_gets_a_503_in_the_end() {
    let upstream = ScriptedUpstream::start().await;
    krate("one", "1.0.0").publish(&upstream);
    let crateport = in_front_of(&upstream).with(|setup| setup.cache.wait_max = SOON).start().await;
    upstream.fault(On::Index, Fault::Hang, Times::Always);
    for answer in [crateport.index("one").await, crateport.krate("one", "1.0.0").await] {
        assert_eq!(seen(&answer), (503, "unavailable"));
        assert!(answer.text().contains("upstream-timeout"), "{}", answer.text());
    }
}
