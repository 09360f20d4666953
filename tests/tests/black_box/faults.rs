//! The fault table, generated: {slow, hang, refuse, reset, truncated, wrong checksum, HTML with 200, empty, 429, 5xx}
//! × {index, crate} × {known, unknown}. Each row has an upstream and a Crateport of its own, and states what a
//! client sees while the fault lasts and after it has passed.

use std::time::Duration;

use crateport_testkit::client::{Ending, RawAnswer, RawRequest, get};
use crateport_testkit::{
    Crateport, CrateportOptions, Fault, KIB, On, Published, ScriptedUpstream, Times, krate,
};

use crate::at_once;
use crate::audit::store_is_right;
use crate::house::{crate_url, get_until, hasty, index_file_url, outcome, patient};

/// Longer than the patience of these Crateports, shorter than their timeouts.
const LATE: Duration = Duration::from_millis(300);

/// What is at fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Resource {
    Index,
    Crate,
}

/// Whether it was served before the fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Knowledge {
    Known,
    Unknown,
}

/// What a client sees of something unknown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Seen {
    /// The whole, if late.
    Whole,
    /// 503 with `Retry-After`.
    Unavailable,
    /// 503, or a transfer that breaks off where the client can see it.
    Broken,
}

/// Each fault by its name.
pub(crate) fn faults() -> Vec<(&'static str, Fault)> {
    vec![
        ("slow", Fault::Slow(LATE)),
        ("slow body", Fault::SlowBody { bytes_per_second: 500 }),
        ("hang", Fault::Hang),
        ("hang in the body", Fault::HangBody),
        ("refuse", Fault::Refuse),
        ("reset", Fault::Reset),
        ("truncated", Fault::Truncated),
        ("truncated chunks", Fault::TruncatedChunked),
        ("cut in a line", Fault::CutAtLine),
        ("wrong checksum", Fault::WrongChecksum),
        ("HTML with 200", Fault::Html),
        ("empty", Fault::Empty),
        ("429", Fault::TooManyRequests { retry_after: Duration::from_secs(1) }),
        ("500", Fault::Status(500)),
        ("502", Fault::Status(502)),
        ("503", Fault::Status(503)),
        ("504", Fault::Status(504)),
        // Not a failure of the server, and no word that something is absent either.
        ("403", Fault::Status(403)),
        ("endless redirects", Fault::RedirectLoop),
    ]
}

/// A flipped bit in an index file can only be found where it breaks the JSON.
pub(crate) fn applies(fault: &Fault, resource: Resource) -> bool {
    !(resource == Resource::Index && *fault == Fault::WrongChecksum)
}

fn seen_when_unknown(fault: &Fault, resource: Resource) -> Seen {
    match fault {
        _ if !is_failure(fault) => Seen::Whole,
        Fault::HangBody
        | Fault::Truncated
        | Fault::TruncatedChunked
        | Fault::CutAtLine
        | Fault::WrongChecksum
        | Fault::Html
        | Fault::Empty
            if resource == Resource::Crate =>
        {
            Seen::Broken
        }
        _ => Seen::Unavailable,
    }
}

impl Resource {
    /// The requests that meet `fault`. A server that refuses connections refuses them all.
    pub(crate) fn on(self, fault: &Fault) -> On {
        match (self, fault) {
            (_, Fault::Refuse) => On::All,
            (Self::Index, _) => On::Index,
            (Self::Crate, _) => On::Crates,
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_fault_shows_clients_what_the_table_says() {
    let mut rows = Vec::new();
    for (name, fault) in faults() {
        for resource in [Resource::Index, Resource::Crate] {
            for knowledge in [Knowledge::Known, Knowledge::Unknown] {
                if applies(&fault, resource) {
                    let row = format!("{name} × {resource:?} × {knowledge:?}");
                    let fault = fault.clone();
                    rows.push((row, move || run(fault, resource, knowledge)));
                }
            }
        }
    }
    assert!(rows.len() > 70, "{}", rows.len());
    at_once::all(rows).await;
}

async fn run(fault: Fault, resource: Resource, knowledge: Knowledge) {
    let upstream = ScriptedUpstream::start().await;
    let a = krate("a", "1.0.0").payload(KIB).publish(&upstream);
    let crateport = Crateport::start(waiting_as_fits(&fault, &upstream)).await;
    let (index, krate_url) =
        (index_file_url(&crateport, &upstream, "a"), crate_url(&crateport, "a", "1.0.0"));

    // What a client knew before.
    if knowledge == Knowledge::Known {
        get_until(&krate_url, |answer| answer.status == 200).await;
    }
    if knowledge == Knowledge::Known || resource == Resource::Crate {
        get_until(&index, |answer| answer.status == 200).await;
    }
    store_is_right(&crateport, &upstream).await;
    let before = upstream.crate_hits("a", "1.0.0");

    upstream.fault(resource.on(&fault), fault.clone(), Times::Always);
    match (resource, knowledge) {
        (Resource::Index, Knowledge::Known) => {
            stale_is_served(&crateport, &upstream, &index).await;
            crate_is_served(&krate_url, &a, "hit").await;
        }
        (Resource::Crate, Knowledge::Known) => {
            crate_is_served(&krate_url, &a, "hit").await;
            assert_eq!(upstream.crate_hits("a", "1.0.0"), before, "upstream was not asked");
        }
        (_, Knowledge::Unknown) => {
            let (url, whole) = match resource {
                Resource::Index => (&index, upstream.index_bytes("a")),
                Resource::Crate => (&krate_url, a.bytes.clone()),
            };
            let seen = seen_when_unknown(&fault, resource);
            // Twice: what a failure leaves behind must not change what is seen.
            for _ in 0..2 {
                check(&RawRequest::get(url).send().await, seen, &whole);
            }
        }
    }

    // It passes, and all is as it should be.
    let newer = krate("a", "1.0.1").publish(&upstream);
    upstream.heal();
    let current = upstream.index_bytes("a");
    get_until(&index, |answer| answer.status == 200 && answer.body == current).await;
    get_until(&krate_url, |answer| answer.status == 200 && answer.body == a.bytes).await;
    let newer_url = crate_url(&crateport, "a", "1.0.1");
    get_until(&newer_url, |answer| answer.status == 200 && answer.body == newer.bytes).await;
    store_is_right(&crateport, &upstream).await;
    crate_is_served(&krate_url, &a, "hit").await;
    assert!(crateport.is_running());
}

/// Slow is not dead, and must not be taken for it on a busy machine.
pub(crate) fn waiting_as_fits(fault: &Fault, upstream: &ScriptedUpstream) -> CrateportOptions {
    if is_failure(fault) { hasty(upstream) } else { patient(upstream) }
}

/// Slow answers are whole in the end.
pub(crate) fn is_failure(fault: &Fault) -> bool {
    !matches!(fault, Fault::Slow(_) | Fault::SlowBody { .. })
}

async fn stale_is_served(crateport: &Crateport, upstream: &ScriptedUpstream, index: &str) {
    let known = upstream.index_bytes("a");
    for _ in 0..3 {
        let answer = get(index).send().await;
        assert_eq!((answer.status, outcome(&answer)), (200, "stale"), "{}", crateport.log());
        assert_eq!(answer.body, known);
        let etag = answer.header("etag").expect("an etag").to_owned();
        let again = get(index).header("if-none-match", &etag).send().await;
        assert_eq!(again.status, 304);
    }
}

async fn crate_is_served(url: &str, krate: &Published, wanted: &str) {
    // A slow disk may still be taking it in.
    let answer = get_until(url, |answer| outcome(answer) != "join").await;
    assert_eq!((answer.status, outcome(&answer)), (200, wanted));
    assert_eq!(answer.body, krate.bytes);
    assert_eq!(answer.header("content-length"), Some(krate.bytes.len().to_string().as_str()));
}

fn check(answer: &RawAnswer, seen: Seen, whole: &[u8]) {
    let RawAnswer { status, ending, body, .. } = answer;
    let told =
        format!("{} {:?}, {} bytes, {ending:?}", answer.status_line, answer.headers, body.len());
    match (status, seen) {
        (Some(200), Seen::Whole) => {
            assert_eq!(*ending, Ending::Whole, "{told}");
            assert_eq!(body, whole, "{told}");
        }
        (Some(503), Seen::Unavailable | Seen::Broken) => {
            let seconds = answer.header("retry-after").and_then(|text| text.parse::<u64>().ok());
            assert!(matches!(seconds, Some(1..=10)), "{told}");
            assert_eq!(*ending, Ending::Whole, "{told}");
            assert_eq!(answer.header("x-cache"), Some("unavailable"), "{told}");
        }
        // Broken off before the head was out.
        (None, Seen::Broken) => {
            assert!(matches!(ending, Ending::ClosedEarly | Ending::Reset), "{told}");
        }
        (Some(200), Seen::Broken) => {
            let visible = matches!(ending, Ending::ClosedEarly | Ending::Reset);
            assert!(visible, "a client would take this for whole: {told}");
        }
        _ => panic!("{seen:?} was to be seen, and it was {told}"),
    }
}
