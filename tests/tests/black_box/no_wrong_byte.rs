//! Promise 1: no wrong byte, whatever upstream sends.

use std::time::Duration;

use crateport_testkit::client::{Ending, RawAnswer, RawRequest, get};
use crateport_testkit::{Crateport, Fault, KIB, On, ScriptedUpstream, Times, krate};

use crate::audit;
use crate::house::{crate_url, crateport, get_until, hasty, index_file_url, metric_is};

#[tokio::test]
async fn no_wrong_byte_of_a_crate_completes_a_download_or_is_kept() {
    let upstream = ScriptedUpstream::start().await;
    let a = krate("a", "1.0.0").payload(300 * KIB).publish(&upstream);
    let crateport = Crateport::start(hasty(&upstream)).await;
    let url = crate_url(&crateport, "a", "1.0.0");
    upstream.fault(On::Crates, Fault::WrongChecksum, Times::Next(2));
    for round in 1..=2 {
        let answer = once_upstream_is_asked_again(&url).await;
        assert_eq!(answer.status, Some(200));
        assert!(answer.body.len() < a.bytes.len(), "not even all the bytes were sent");
        assert!(matches!(answer.ending, Ending::ClosedEarly | Ending::Reset), "{answer:?}");
        let labels = [("resource", "crate"), ("result", "checksum-mismatch")];
        metric_is(&crateport, "crateport_fills_total", &labels, f64::from(round)).await;
        assert!(audit::stored_crates(&crateport.store()).is_empty());
    }
    // The next request tries again.
    let answer = get_until(&url, |answer| answer.status != 503).await;
    assert_eq!((answer.status, answer.body), (200, a.bytes));
    assert_eq!(upstream.crate_hits("a", "1.0.0"), 3);
    audit::store_is_right(&crateport, &upstream).await;
}

/// The fleet leaves upstream alone for a moment after a failure, and says so.
async fn once_upstream_is_asked_again(url: &str) -> RawAnswer {
    loop {
        let answer = RawRequest::get(url).send().await;
        if answer.status != Some(503) {
            return answer;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn no_wrong_byte_is_served_to_many_clients_of_one_bad_fill() {
    let upstream = ScriptedUpstream::start().await;
    krate("a", "1.0.0").payload(300 * KIB).publish(&upstream);
    let crateport = crateport(&upstream).await;
    let url = crate_url(&crateport, "a", "1.0.0");
    upstream.fault(On::Crates, Fault::WrongChecksum, Times::Always);
    let gate = upstream.hold_after(On::Crates, 10 * KIB);
    let clients = (0..20).map(|_| tokio::spawn(RawRequest::get(&url).send())).collect::<Vec<_>>();
    gate.wait_for(1).await;
    metric_is(&crateport, "crateport_http_requests_in_flight", &[], 20.0).await;
    gate.release();
    for client in clients {
        let answer = client.await.unwrap();
        assert!(
            matches!(answer.ending, Ending::ClosedEarly | Ending::Reset),
            "{:?}",
            answer.ending
        );
    }
    assert!(audit::stored_crates(&crateport.store()).is_empty());
}

#[tokio::test]
async fn no_wrong_byte_of_an_index_file_that_is_cut_or_not_one_is_kept() {
    let upstream = ScriptedUpstream::start().await;
    let line = krate("a", "1.0.0").publish(&upstream).index_line;
    let other = krate("other", "1.0.0").build().index_line;
    let crateport = Crateport::start(hasty(&upstream)).await;
    let url = index_file_url(&crateport, &upstream, "a");
    for bad in [
        format!("{line}\n{}", &line[..line.len() / 2]),
        format!("{line}\n<!DOCTYPE html>\n"),
        format!("{line}\nnull\n"),
        format!("{line}\n{other}\n"),
        line.replace("cksum", "chksum"),
        "\n\n".to_owned(),
        String::new(),
    ] {
        upstream.replace_index("a", bad.clone());
        let answer = get(&url).send().await;
        assert_eq!(answer.status, 503, "{bad:?} was served");
    }
    upstream.replace_index("a", format!("{line}\n"));
    get_until(&url, |answer| answer.status == 200).await;
    audit::store_is_right(&crateport, &upstream).await;
}
