//! Searches: passed on, or a clear word why not.

use crateport_testkit::{Fault, On, ScriptedUpstream, Times, krate};

use super::harness::{in_front_of, json, seen};

#[tokio::test]
async fn a_search_is_passed_on_as_it_came() {
    let upstream = ScriptedUpstream::start().await;
    krate("serde", "1.0.0").publish(&upstream);
    let crateport = in_front_of(&upstream).start().await;
    let answer = crateport.search("q=serde&per_page=10").await;
    assert_eq!(seen(&answer), (200, "forwarded"));
    assert_eq!(answer.header("content-type"), Some("application/json"));
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    assert_eq!(json(&answer)["crates"][0]["name"], "serde");
    let asked = upstream.last_request("/api/v1/crates");
    assert_eq!(asked.query.as_deref(), Some("q=serde&per_page=10"));
    crateport.search("q=serde").await;
    assert_eq!(upstream.hits("/api/v1/crates"), 2, "nothing of it is kept");
}

#[tokio::test]
async fn what_cannot_be_searched_says_so_in_the_form_that_cargo_prints() {
    let upstream = ScriptedUpstream::start().await;
    let crateport = in_front_of(&upstream).start().await;
    crateport.search("q=a").await;
    for fault in [Fault::Html, Fault::Empty, Fault::Status(500), Fault::Reset, Fault::Truncated] {
        upstream.fault(On::Search, fault.clone(), Times::Next(1));
        let answer = crateport.search("q=a").await;
        assert_eq!(seen(&answer), (503, "unavailable"), "{fault:?}");
        assert!(answer.header("retry-after").is_some());
        let detail = json(&answer)["errors"][0]["detail"].as_str().unwrap().to_owned();
        assert!(detail.contains("search in crates-io cannot be had now"), "{detail}");
    }
    upstream.fault(On::Search, Fault::Status(404), Times::Always);
    assert_eq!(seen(&crateport.search("q=a").await), (404, "refused"));

    let silent = ScriptedUpstream::builder().api(None).start().await;
    let crateport = in_front_of(&silent).start().await;
    let answer = crateport.search("q=a").await;
    assert_eq!(seen(&answer), (404, "refused"));
    let detail = json(&answer)["errors"][0]["detail"].as_str().unwrap().to_owned();
    assert!(detail.contains("no web API"), "{detail}");
    let other = crateport_testkit::client::get(crateport.url("api/v1/me")).send().await;
    assert!(json(&other).contains_key("errors"));
}
