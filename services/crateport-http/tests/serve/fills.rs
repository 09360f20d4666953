//! Crates that are not here yet: one fill for all, early first bytes, and a fill that goes on by itself.

use std::time::Duration;

use crateport_store::StoreFault;
use crateport_testkit::client::{Client, get, head};
use crateport_testkit::{Ending, Fault, KIB, MIB, On, RawRequest, ScriptedUpstream, Times, krate};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::harness::{Crateport, SOON, in_front_of, outcome, seen, until};

/// Waits until so many requests are being answered.
async fn in_flight(crateport: &Crateport, count: usize) {
    let expected = f64::from(u32::try_from(count).unwrap());
    until("requests are in flight", async || {
        crateport.metric("crateport_http_requests_in_flight").await == expected
    })
    .await;
}

#[tokio::test]
async fn two_hundred_clients_cause_one_fetch() {
    let upstream = ScriptedUpstream::start().await;
    let published = krate("big", "1.0.0").payload(700 * KIB).publish(&upstream);
    let crateport = in_front_of(&upstream).start().await;
    let gate = upstream.hold_after(On::Crates, 300 * KIB);
    let client = Client::h2();
    let clients =
        (0..200).map(|_| tokio::spawn(client.get(crateport.crate_url("big", "1.0.0")).send()));
    let clients = clients.collect::<Vec<_>>();
    gate.wait_for(1).await;
    in_flight(&crateport, 200).await;
    gate.release();
    let mut fills = 0;
    for client in clients {
        let answer = client.await.unwrap();
        assert_eq!(answer.status, 200);
        assert!(answer.body == published.bytes);
        fills += usize::from(outcome(&answer) == "fill");
    }
    assert_eq!(upstream.crate_hits("big", "1.0.0"), 1);
    assert_eq!(fills, 1);
    assert_eq!(upstream.index_hits("big"), 1);
    crateport.keeps("big", "1.0.0").await;
    let sample = "crateport_fills_total{resource=\"crate\",result=\"stored\"}";
    assert_eq!(crateport.metric(sample).await, 1.0);
    assert_eq!(seen(&crateport.krate("big", "1.0.0").await), (200, "hit"));
}

#[tokio::test]
async fn the_first_byte_comes_before_upstreams_last() {
    // In memory and on disk, with a length and without.
    for (spool_memory_bytes_max, is_chunked) in [(MIB, false), (0, false), (MIB, true), (0, true)] {
        let upstream = match is_chunked {
            true => ScriptedUpstream::builder().chunked().start().await,
            false => ScriptedUpstream::start().await,
        };
        let published = krate("big", "1.0.0").payload(300 * KIB).publish(&upstream);
        let setup = in_front_of(&upstream);
        let setup = setup.with(|setup| setup.cache.spool_memory_bytes_max = spool_memory_bytes_max);
        let crateport = setup.start().await;
        let gate = upstream.hold_after(On::Crates, 100 * KIB);
        let mut first = get(crateport.crate_url("big", "1.0.0")).open().await;
        assert_eq!(first.first_byte().await.unwrap(), published.bytes[0]);
        let mut second = get(crateport.crate_url("big", "1.0.0")).open().await;
        assert_eq!(second.first_byte().await.unwrap(), published.bytes[0]);
        assert!(!crateport.has_krate("big", "1.0.0"), "nothing is visible before it is whole");
        assert_eq!(
            (first.header("x-cache"), second.header("x-cache")),
            (Some("fill"), Some("join"))
        );
        let length = published.bytes.len().to_string();
        let expected = (!is_chunked).then_some(&*length);
        assert_eq!(first.header("content-length"), expected);
        gate.release();
        assert!(first.rest().await.unwrap() == published.bytes);
        assert!(second.rest().await.unwrap() == published.bytes);
        crateport.keeps("big", "1.0.0").await;
        assert_eq!(upstream.crate_hits("big", "1.0.0"), 1);
    }
}

#[tokio::test]
async fn clients_that_leave_stop_nothing() {
    let upstream = ScriptedUpstream::start().await;
    let published = krate("big", "1.0.0").payload(500 * KIB).publish(&upstream);
    let crateport = in_front_of(&upstream).start().await;

    // The one that began it leaves, and one that joined stays.
    let gate = upstream.hold_after(On::Crates, 100 * KIB);
    let mut leader = get(crateport.crate_url("big", "1.0.0")).open().await;
    leader.first_byte().await.unwrap();
    let follower = get(crateport.crate_url("big", "1.0.0")).open().await;
    drop(leader);
    in_flight(&crateport, 1).await;
    // Then all leave.
    drop(follower);
    in_flight(&crateport, 0).await;
    assert_eq!(crateport.metric("crateport_fills_in_flight").await, 1.0);
    gate.release();
    crateport.keeps("big", "1.0.0").await;
    let answer = crateport.krate("big", "1.0.0").await;
    assert_eq!(outcome(&answer), "hit");
    assert!(answer.body == published.bytes);
    assert_eq!(upstream.crate_hits("big", "1.0.0"), 1);
}

#[tokio::test]
async fn clients_that_leave_before_the_first_byte_are_recorded_and_stop_nothing() {
    let upstream = ScriptedUpstream::start().await;
    krate("big", "1.0.0").publish(&upstream);
    let crateport = in_front_of(&upstream).start().await;
    let gate = upstream.hold(On::Crates);
    let client = tokio::spawn(get(crateport.crate_url("big", "1.0.0")).send());
    gate.wait_for(1).await;
    client.abort();
    in_flight(&crateport, 0).await;
    let sample = "crateport_http_requests_total{outcome=\"unavailable\",registry=\"\",resource=\"crate\",status=\"499\"}";
    assert_eq!(crateport.metric(sample).await, 1.0);
    gate.release();
    crateport.keeps("big", "1.0.0").await;
}

#[tokio::test]
async fn a_slow_client_slows_only_itself() {
    let upstream = ScriptedUpstream::start().await;
    let published = krate("big", "1.0.0").payload(8 * MIB).publish(&upstream);
    let crateport = in_front_of(&upstream).start().await;
    // One that asks and does not read: the sockets between hold less than the crate.
    let address = crateport.base.strip_prefix("http://").unwrap();
    let mut slow = tokio::net::TcpStream::connect(address).await.unwrap();
    let path = crateport.crate_url("big", "1.0.0");
    let path = path.strip_prefix(&crateport.base).unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n");
    slow.write_all(request.as_bytes()).await.unwrap();
    in_flight(&crateport, 1).await;
    assert!(crateport.krate("big", "1.0.0").await.body == published.bytes);
    crateport.keeps("big", "1.0.0").await;
    in_flight(&crateport, 1).await;
    let mut wire = Vec::new();
    slow.read_to_end(&mut wire).await.unwrap();
    assert!(wire.ends_with(&published.bytes));
    assert_eq!(upstream.crate_hits("big", "1.0.0"), 1);
}

#[tokio::test]
async fn a_crate_of_unknown_length_has_a_framing_that_every_client_can_check() {
    let upstream = ScriptedUpstream::builder().chunked().start().await;
    let published = krate("big", "1.0.0").payload(300 * KIB).publish(&upstream);
    let crateport = in_front_of(&upstream).start().await;
    let answer = crateport.raw_krate("big", "1.0.0").await;
    assert_eq!(answer.header("transfer-encoding"), Some("chunked"));
    assert_eq!(answer.ending, Ending::Whole);
    assert!(answer.body == published.bytes);

    let fresh = in_front_of(&upstream).start().await;
    let wire = http_1_0(&fresh, &fresh.crate_url("big", "1.0.0")).await;
    let head = String::from_utf8_lossy(&wire[..400.min(wire.len())]).to_lowercase();
    assert!(head.contains(&format!("content-length: {}\r\n", published.bytes.len())), "{head}");
    assert!(!head.contains("transfer-encoding"), "{head}");
    assert!(wire.ends_with(&published.bytes));

    let broken = in_front_of(&upstream).start().await;
    upstream.fault(On::Crates, Fault::TruncatedChunked, Times::Always);
    let wire = http_1_0(&broken, &broken.crate_url("big", "1.0.0")).await;
    let head = String::from_utf8_lossy(&wire[..40]).into_owned();
    assert!(head.contains(" 503 "), "a cut that HTTP/1.0 could not see: {head}");
}

/// Everything that comes for a request in HTTP/1.0.
async fn http_1_0(crateport: &Crateport, url: &str) -> Vec<u8> {
    let address = crateport.base.strip_prefix("http://").unwrap();
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    let path = url.strip_prefix(&crateport.base).unwrap();
    stream.write_all(format!("GET {path} HTTP/1.0\r\n\r\n").as_bytes()).await.unwrap();
    let mut wire = Vec::new();
    stream.read_to_end(&mut wire).await.unwrap();
    wire
}

#[tokio::test]
async fn what_outgrows_memory_goes_to_disk_and_leaves_nothing_there() {
    let upstream = ScriptedUpstream::start().await;
    let published = krate("big", "1.0.0").payload(3 * MIB).publish(&upstream);
    let setup = in_front_of(&upstream);
    let crateport = setup.with(|setup| setup.cache.spool_memory_bytes_max = 64 * KIB).start().await;
    let client = Client::h2();
    let gate = upstream.hold_after(On::Crates, MIB);
    let clients =
        (0..20).map(|_| tokio::spawn(client.get(crateport.crate_url("big", "1.0.0")).send()));
    let clients = clients.collect::<Vec<_>>();
    in_flight(&crateport, 20).await;
    gate.release();
    for client in clients {
        assert!(client.await.unwrap().body == published.bytes);
    }
    crateport.keeps("big", "1.0.0").await;
    let stored = std::fs::read(crateport.object("crates/big/big-1.0.0.crate")).unwrap();
    assert!(stored == published.bytes);
    let scratch = crateport.directory.path().join("scratch");
    let owner = std::fs::read_dir(scratch).unwrap().next().unwrap().unwrap();
    let left = std::fs::read_dir(owner.path()).unwrap().count();
    assert_eq!(left, 1, "only the lock of the process");
}

#[tokio::test]
async fn fills_wait_for_their_turn_and_are_shed_when_it_does_not_come() {
    let upstream = ScriptedUpstream::start().await;
    let published = ["one", "two"].map(|name| krate(name, "1.0.0").publish(&upstream));
    let setup = in_front_of(&upstream).with(|setup| setup.cache.fills_max = 1);
    let crateport = setup.start().await;
    crateport.index("one").await;
    crateport.index("two").await;
    let gate = upstream.hold(On::Crates);
    let first = tokio::spawn(get(crateport.crate_url("one", "1.0.0")).send());
    gate.wait_for(1).await;
    let second = tokio::spawn(get(crateport.crate_url("two", "1.0.0")).send());
    in_flight(&crateport, 2).await;
    assert_eq!(upstream.crate_hits("two", "1.0.0"), 0, "one at a time");
    gate.release();
    for (client, krate) in [first, second].into_iter().zip(published) {
        assert_eq!(client.await.unwrap().body, krate.bytes);
    }

    let setup = in_front_of(&upstream).with(|setup| {
        (setup.cache.fills_max, setup.cache.wait_max) = (1, Duration::from_secs(2));
    });
    let busy = setup.start().await;
    let gate = upstream.hold_after(On::Crates, 1);
    let mut first = get(busy.crate_url("one", "1.0.0")).open().await;
    let answer = busy.krate("two", "1.0.0").await;
    assert_eq!(seen(&answer), (503, "unavailable"));
    assert!(answer.text().contains("overloaded"), "{}", answer.text());
    assert!(answer.header("retry-after").is_some());
    gate.release();
    while first.next().await.unwrap().is_some() {}
}

#[tokio::test]
async fn a_crate_that_upstream_does_not_begin_is_a_503_after_the_longest_wait() {
    let upstream = ScriptedUpstream::start().await;
    krate("one", "1.0.0").publish(&upstream);
    let setup = in_front_of(&upstream).with(|setup| setup.cache.wait_max = SOON);
    let crateport = setup.start().await;
    until("the index is known", async || crateport.index("one").await.status == 200).await;
    let gate = upstream.hold(On::Crates);
    let answer = crateport.krate("one", "1.0.0").await;
    assert_eq!(seen(&answer), (503, "unavailable"));
    gate.release();
    crateport.keeps("one", "1.0.0").await;
    assert_eq!(seen(&crateport.krate("one", "1.0.0").await), (200, "hit"));
}

#[tokio::test]
async fn a_crate_larger_than_the_limit_is_a_502_and_is_not_kept() {
    let upstream = ScriptedUpstream::start().await;
    krate("big", "1.0.0").payload(64 * KIB).publish(&upstream);
    let setup = in_front_of(&upstream);
    let setup = setup.with(|setup| setup.cache.krate_size_bytes_max = 32 * KIB as u64);
    let crateport = setup.start().await;
    let answer = crateport.krate("big", "1.0.0").await;
    assert_eq!(seen(&answer), (502, "unavailable"));
    upstream.change(|settings| settings.framing = crateport_testkit::Framing::Chunked);
    let answer = crateport.raw_krate("big", "1.0.0").await;
    assert_ne!((answer.status, answer.ending), (Some(200), Ending::Whole));
    assert!(!crateport.has_krate("big", "1.0.0"));
}

#[tokio::test]
async fn a_store_that_cannot_keep_a_crate_costs_the_client_nothing() {
    let upstream = ScriptedUpstream::start().await;
    let published = krate("one", "1.0.0").payload(MIB).publish(&upstream);
    let crateport = in_front_of(&upstream).with_store(StoreFault::Full).start().await;
    for expected in [1.0, 2.0] {
        let answer = crateport.raw_krate("one", "1.0.0").await;
        assert_eq!(answer.ending, Ending::Whole);
        assert!(answer.body == published.bytes);
        let sample = "crateport_fills_total{resource=\"crate\",result=\"store-failed\"}";
        until("the loss is counted", async || crateport.metric(sample).await == expected).await;
        until("the fill is over", async || {
            crateport.metric("crateport_fills_in_flight").await == 0.0
        })
        .await;
    }
    crateport.store.set(None);
    crateport.krate("one", "1.0.0").await;
    crateport.keeps("one", "1.0.0").await;
}

#[tokio::test]
async fn checksums_and_versions_are_taken_as_the_index_spells_them() {
    let upstream = ScriptedUpstream::start().await;
    let published = krate("one", "1.0.0+Build.5").publish(&upstream);
    let line = published.index_line.replace(&published.cksum, &published.cksum.to_uppercase());
    upstream.replace_index("one", format!("{line}\n"));
    let crateport = in_front_of(&upstream).start().await;
    for (version, expected) in
        [("1.0.0+Build.5", "fill"), ("1.0.0%2BBuild.5", "hit"), ("1.0.0%2bBuild.5", "hit")]
    {
        let answer = crateport.raw_krate("one", version).await;
        assert_eq!(
            (answer.status, answer.header("x-cache")),
            (Some(200), Some(expected)),
            "{version}"
        );
        assert!(answer.body == published.bytes);
        crateport.keeps("one", "1.0.0+Build.5").await;
    }
}

#[tokio::test]
async fn a_version_that_is_not_in_our_copy_causes_one_revalidation() {
    let upstream = ScriptedUpstream::start().await;
    krate("one", "1.0.0").publish(&upstream);
    let crateport = in_front_of(&upstream).start().await;
    crateport.index("one").await;
    for _ in 0..3 {
        let answer = crateport.krate("one", "1.0.1").await;
        assert_eq!(seen(&answer), (404, "absent"));
    }
    assert_eq!(upstream.index_hits("one"), 2, "looked once more, and remembered");

    let newer = krate("one", "1.0.2").publish(&upstream);
    let answer = crateport.krate("one", "1.0.2").await;
    assert_eq!((seen(&answer), &answer.body), ((200, "fill"), &newer.bytes));
    assert_eq!(upstream.index_hits("one"), 3);
    assert_eq!(crateport.krate("none", "1.0.0").await.status, 404, "no such crate at all");
}

#[tokio::test]
async fn a_version_that_the_index_has_by_now_is_not_held_back_by_an_old_no() {
    let upstream = ScriptedUpstream::start().await;
    krate("one", "1.0.0").publish(&upstream);
    let crateport = in_front_of(&upstream).always_revalidating().start().await;
    assert_eq!(crateport.krate("one", "1.0.1").await.status, 404);
    let newer = krate("one", "1.0.1").publish(&upstream);
    assert_eq!(crateport.index("one").await.body, upstream.index_bytes("one"));
    let answer = crateport.krate("one", "1.0.1").await;
    assert_eq!((seen(&answer), &answer.body), ((200, "fill"), &newer.bytes));
}

#[tokio::test]
async fn a_crate_that_only_upstreams_index_knows_is_absent() {
    let upstream = ScriptedUpstream::start().await;
    krate("one", "1.0.0").publish(&upstream);
    upstream.remove_crate("one", "1.0.0");
    let crateport = in_front_of(&upstream).start().await;
    for _ in 0..2 {
        assert_eq!(seen(&crateport.krate("one", "1.0.0").await), (404, "absent"));
    }
    assert_eq!(upstream.hits("/dl/one/1.0.0/download"), 1, "remembered");
}

#[tokio::test]
async fn names_are_exact() {
    let upstream = ScriptedUpstream::start().await;
    let published = krate("Some-Name", "1.0.0").publish(&upstream);
    let crateport = in_front_of(&upstream).start().await;
    assert_eq!(crateport.krate("Some-Name", "1.0.0").await.body, published.bytes);
    for name in ["some-name", "SOME-NAME", "Some_Name"] {
        assert_eq!(crateport.krate(name, "1.0.0").await.status, 404, "{name}");
    }
    assert_eq!(crateport.index("some-name").await.status, 200);
    assert_eq!(crateport.index("some_name").await.status, 404);
}

#[tokio::test]
async fn a_yanked_version_still_downloads() {
    let upstream = ScriptedUpstream::start().await;
    let published = krate("one", "1.0.0").yanked().publish(&upstream);
    let crateport = in_front_of(&upstream).start().await;
    assert_eq!(crateport.krate("one", "1.0.0").await.body, published.bytes);
}

#[tokio::test]
async fn a_head_of_a_crate_that_is_not_here_fills_it() {
    let upstream = ScriptedUpstream::start().await;
    let published = krate("one", "1.0.0").publish(&upstream);
    let crateport = in_front_of(&upstream).start().await;
    let answer = head(crateport.crate_url("one", "1.0.0")).send().await;
    assert_eq!(seen(&answer), (200, "fill"));
    assert_eq!(answer.header("content-length").unwrap(), published.bytes.len().to_string());
    crateport.keeps("one", "1.0.0").await;
}

#[tokio::test]
async fn a_shutdown_brings_fills_to_their_end() {
    let upstream = ScriptedUpstream::start().await;
    let published = krate("one", "1.0.0").payload(100 * KIB).publish(&upstream);
    let mut crateport = in_front_of(&upstream).start().await;
    let gate = upstream.hold_after(On::Crates, 10 * KIB);
    let url = crateport.crate_url("one", "1.0.0");
    let staying = tokio::spawn(RawRequest::get(&url).send());
    gate.wait_for(1).await;
    in_flight(&crateport, 1).await;
    let stopping = tokio::spawn(async move {
        crateport.stop().await;
        crateport
    });
    gate.release();
    assert_eq!(staying.await.unwrap().body, published.bytes);
    let crateport = stopping.await.unwrap();
    assert!(crateport.has_krate("one", "1.0.0"));
}
