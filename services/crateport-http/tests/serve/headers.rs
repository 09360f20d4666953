//! What every answer says of itself, and what is not answered.

use crateport_testkit::client::{Client, get};
use crateport_testkit::{On, ScriptedUpstream, krate};
use http::Method;

use super::harness::{SOON, in_front_of, seen};

#[tokio::test]
async fn every_answer_names_its_replica_and_its_outcome() {
    let upstream = ScriptedUpstream::start().await;
    krate("serde", "1.0.0").publish(&upstream);
    let crateport = in_front_of(&upstream).start().await;
    for (path, status, outcome) in [
        ("/", 200, "hit"),
        ("/crates-io/index/config.json", 200, "fill"),
        ("/crates-io/index/se/rd/serde", 200, "fill"),
        ("/crates-io/index/no/th/nothing", 404, "absent"),
        ("/crates-io/index/se/rd/Serde", 404, "refused"),
        ("/crates-io/crates/serde/1.0.0/download", 200, "fill"),
        ("/crates-io/api/v1/crates?q=serde", 200, "forwarded"),
        ("/crates-io/api/v1/me", 404, "refused"),
        ("/other/index/config.json", 404, "refused"),
        ("/other/index/se/rd/serde", 404, "refused"),
        ("/other/crates/serde/1.0.0/download", 404, "refused"),
        ("/nowhere", 404, "refused"),
    ] {
        let answer = get(format!("{}{path}", crateport.base)).send().await;
        assert_eq!(seen(&answer), (status, outcome), "{path}");
        assert_eq!(answer.header("x-served-by"), Some("replica-7"), "{path}");
        assert!(answer.header("content-type").is_some(), "{path}");
        assert!(answer.header("cache-control").is_some(), "{path}");
        assert_eq!(answer.header("retry-after"), None, "{path}");
        assert!(!answer.body.is_empty(), "{path}");
    }
}

#[tokio::test]
async fn only_reading_is_answered() {
    let upstream = ScriptedUpstream::start().await;
    let crateport = in_front_of(&upstream).start().await;
    let client = Client::h1();
    for method in [Method::PUT, Method::POST, Method::DELETE, Method::PATCH, Method::OPTIONS] {
        for path in
            ["/", "/crates-io/index/config.json", "/crates-io/api/v1/crates/new", "/nowhere"]
        {
            let url = format!("{}{path}", crateport.base);
            let answer = client.request(method.clone(), url).send().await;
            assert_eq!(seen(&answer), (405, "refused"), "{method} {path}");
            assert_eq!(answer.header("allow"), Some("GET, HEAD"));
        }
    }
    assert_eq!(upstream.total_hits(), 0);
}

#[tokio::test]
async fn what_is_too_much_at_once_is_shed_and_told_when_to_come_back() {
    let upstream = ScriptedUpstream::start().await;
    krate("serde", "1.0.0").publish(&upstream);
    let crateport = in_front_of(&upstream).with(|setup| setup.requests_max = 1).start().await;
    let gate = upstream.hold(On::Index);
    let first = tokio::spawn(get(crateport.index_url("serde")).send());
    gate.wait_for(1).await;
    let answer = crateport.index("serde").await;
    assert_eq!(seen(&answer), (503, "unavailable"));
    assert_eq!(answer.header("retry-after"), Some("1"));
    gate.release();
    assert_eq!(first.await.unwrap().status, 200);
    super::harness::until("the place is free again", async || {
        crateport.index("serde").await.status == 200
    })
    .await;
}

#[tokio::test]
async fn the_time_to_come_back_is_never_more_than_cargo_waits() {
    let upstream = ScriptedUpstream::start().await;
    krate("serde", "1.0.0").publish(&upstream);
    let setup = in_front_of(&upstream);
    let crateport = setup.with(|setup| setup.cache.refresh_patience = SOON).start().await;
    let retry_after = std::time::Duration::from_secs(3600);
    let fault = crateport_testkit::Fault::TooManyRequests { retry_after };
    upstream.fault(On::All, fault, crateport_testkit::Times::Always);
    for answer in [crateport.index("serde").await, crateport.krate("serde", "1.0.0").await] {
        assert_eq!((answer.status, answer.header("retry-after")), (503, Some("10")));
    }
    assert_eq!(upstream.total_hits(), 1, "upstream is left alone when it asks for that");
}
