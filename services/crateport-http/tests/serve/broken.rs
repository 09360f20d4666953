//! Fills that fail half-way: every client sees it, nothing is kept, and the next request tries again.

use crateport_testkit::client::{Client, get};
use crateport_testkit::{Ending, Fault, KIB, MIB, On, ScriptedUpstream, Times, krate};

use super::harness::{in_front_of, seen, until};

#[tokio::test]
async fn a_broken_crate_is_an_aborted_transfer_and_is_never_kept() {
    for (fault, result) in [
        (Fault::Truncated, "upstream-cut"),
        (Fault::TruncatedChunked, "upstream-cut"),
        (Fault::WrongChecksum, "checksum-mismatch"),
        (Fault::Html, "checksum-mismatch"),
    ] {
        for spool_memory_bytes_max in [0, MIB] {
            let upstream = ScriptedUpstream::start().await;
            let published = krate("big", "1.0.0").payload(200 * KIB).publish(&upstream);
            let setup = in_front_of(&upstream);
            let setup =
                setup.with(|setup| setup.cache.spool_memory_bytes_max = spool_memory_bytes_max);
            let crateport = setup.start().await;
            upstream.fault(On::Crates, fault.clone(), Times::Always);
            for count in 1..4_usize {
                let answer = crateport.raw_krate("big", "1.0.0").await;
                let aborted = matches!(answer.ending, Ending::ClosedEarly | Ending::Reset);
                assert!(aborted, "{fault:?}: {:?} {:?}", answer.ending, answer.headers);
                let is_framed = ["content-length", "transfer-encoding"];
                let is_framed = is_framed.iter().any(|name| answer.header(name).is_some());
                assert!(answer.status.is_none() || is_framed, "{fault:?}: {answer:?}");
                // The next request begins anew, however soon it comes.
                assert_eq!(upstream.crate_hits("big", "1.0.0"), count, "{fault:?}");
            }
            let sample = format!("crateport_fills_total{{resource=\"crate\",result=\"{result}\"}}");
            until("the failures are counted", async || crateport.metric(&sample).await == 3.0)
                .await;
            assert!(!crateport.has_krate("big", "1.0.0"), "{fault:?}");

            upstream.heal();
            let answer = crateport.krate("big", "1.0.0").await;
            assert_eq!(seen(&answer), (200, "fill"), "{fault:?}");
            assert!(answer.body == published.bytes);
            crateport.keeps("big", "1.0.0").await;
        }
    }
}

#[tokio::test]
async fn a_crate_that_fails_before_its_first_byte_is_a_503() {
    let upstream = ScriptedUpstream::start().await;
    let published = krate("big", "1.0.0").publish(&upstream);
    let crateport = in_front_of(&upstream).start().await;
    for fault in
        [Fault::Reset, Fault::Empty, Fault::Status(500), Fault::Status(403), Fault::RedirectLoop]
    {
        upstream.fault(On::Crates, fault.clone(), Times::Next(11));
        let answer = crateport.krate("big", "1.0.0").await;
        assert_eq!(seen(&answer), (503, "unavailable"), "{fault:?}");
        assert!(answer.header("retry-after").is_some());
        upstream.heal();
    }
    assert_eq!(crateport.krate("big", "1.0.0").await.body, published.bytes);
}

#[tokio::test]
async fn every_client_of_a_broken_fill_sees_that_it_broke() {
    let upstream = ScriptedUpstream::start().await;
    let published = krate("big", "1.0.0").payload(400 * KIB).publish(&upstream);
    let crateport = in_front_of(&upstream).start().await;
    let gate = upstream.hold_after(On::Crates, 100 * KIB);
    let h2 = Client::h2();
    let url = crateport.crate_url("big", "1.0.0");
    let mut clients = Vec::new();
    for number in 0..20 {
        let request = if number % 2 == 0 { h2.get(&url) } else { get(&url) };
        let mut client = request.open().await;
        client.first_byte().await.unwrap();
        clients.push(client);
    }
    upstream.cut_connections();
    for client in clients {
        assert!(client.rest().await.is_err(), "a cut that was not seen");
    }
    drop(gate);
    assert!(!crateport.has_krate("big", "1.0.0"));
    assert!(crateport.krate("big", "1.0.0").await.body == published.bytes);
    assert_eq!(upstream.crate_hits("big", "1.0.0"), 2);
}

#[tokio::test]
async fn a_stalled_body_is_given_up_after_the_idle_timeout() {
    let upstream = ScriptedUpstream::start().await;
    krate("big", "1.0.0").payload(100 * KIB).publish(&upstream);
    let setup = in_front_of(&upstream);
    let crateport =
        setup.with(|setup| setup.asking.idle_timeout = super::harness::SOON).start().await;
    upstream.fault(On::Crates, Fault::HangBody, Times::Next(1));
    let answer = crateport.raw_krate("big", "1.0.0").await;
    assert!(matches!(answer.ending, Ending::ClosedEarly | Ending::Reset), "{:?}", answer.ending);
    assert_eq!(crateport.krate("big", "1.0.0").await.status, 200);
}
