//! What fails for one replica has failed for all, for a short time: upstream is asked once, and not once per replica.

use crateport_testkit::client::{Answer, get};
use crateport_testkit::{CrateportOptions, Fault, KIB, On, Times, krate};
use tokio::task::JoinSet;

use super::{Fleet, REPLICAS};
use crate::house::{get_until, outcome};

const CLIENTS: usize = 30;

/// One question is one request.
fn without_retries(options: CrateportOptions) -> CrateportOptions {
    options.flag("--upstream-retries-max", "0")
}

/// Everyone asks while the first question stands at upstream, and then it is answered.
async fn ask_at_once(fleet: &Fleet, on: On, url: &str) -> Vec<Answer> {
    let gate = fleet.parts.upstream.hold(on);
    let mut clients = JoinSet::new();
    for _ in 0..CLIENTS {
        clients.spawn(get(url).send());
    }
    gate.wait_for(1).await;
    fleet.wait_for_in_flight(CLIENTS as f64).await;
    gate.release();
    clients.join_all().await
}

fn all_are_told_to_come_again(answers: &[Answer]) {
    for answer in answers {
        assert_eq!((answer.status, outcome(answer)), (503, "unavailable"));
        assert!(answer.header("retry-after").is_some());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failing_upstream_is_asked_for_an_index_file_once_by_the_fleet() {
    let fleet = Fleet::start_with(without_retries).await;
    let upstream = &fleet.parts.upstream;
    krate("a", "1.0.0").publish(upstream);
    upstream.fault(On::Index, Fault::Status(500), Times::Always);
    let url = fleet.index_file_url("a");
    all_are_told_to_come_again(&ask_at_once(&fleet, On::Index, &url).await);
    assert_eq!(upstream.index_hits("a"), 1);
    upstream.heal();
    get_until(&url, |answer| answer.status == 200).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failing_upstream_is_asked_for_a_crate_once_by_the_fleet() {
    for fault in [Fault::Status(500), Fault::Truncated, Fault::WrongChecksum] {
        let fleet = Fleet::start_with(without_retries).await;
        let upstream = &fleet.parts.upstream;
        let a = krate("a", "1.0.0").payload(KIB).publish(upstream);
        for replica in 0..REPLICAS {
            get_until(&fleet.index_file_url_at(replica, "a"), |answer| answer.status == 200).await;
        }
        upstream.fault(On::Crates, fault.clone(), Times::Always);
        let url = fleet.crate_url(&a);
        let gate = upstream.hold(On::Crates);
        let mut clients = JoinSet::new();
        for _ in 0..CLIENTS {
            clients.spawn(get(&url).try_send());
        }
        gate.wait_for(1).await;
        fleet.wait_for_in_flight(CLIENTS as f64).await;
        gate.release();
        let mut refused = 0;
        // Where bytes had come already the transfer breaks off; everybody else is told.
        for answer in clients.join_all().await.into_iter().flatten() {
            assert_eq!((answer.status, outcome(&answer)), (503, "unavailable"), "{fault:?}");
            refused += 1;
        }
        let is_refused_at_once = matches!(fault, Fault::Status(_));
        assert!(refused == CLIENTS || !is_refused_at_once, "{fault:?}: {refused}");
        assert_eq!(upstream.crate_hits("a", "1.0.0"), 1, "{fault:?}");
        upstream.heal();
        let answer = get_until(&url, |answer| answer.status == 200).await;
        assert_eq!(answer.body, a.bytes);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_upstream_has_not_is_asked_for_once_by_the_fleet() {
    let fleet = Fleet::start_with(|options| options.flag("--absent-ttl", "30s")).await;
    let upstream = &fleet.parts.upstream;
    let url = fleet.index_file_url("missing");
    let answers = ask_at_once(&fleet, On::Index, &url).await;
    assert!(answers.iter().all(|answer| (answer.status, outcome(answer)) == (404, "absent")));
    for replica in 0..REPLICAS {
        let answer = get(fleet.index_file_url_at(replica, "missing")).send().await;
        assert_eq!((answer.status, outcome(&answer)), (404, "absent"));
    }
    assert_eq!(upstream.index_hits("missing"), 1);

    // A version that the index has not, and a crate that is not where it should be.
    let a = krate("a", "1.0.0").publish(upstream);
    upstream.remove_crate("a", "1.0.0");
    let answers = ask_at_once(&fleet, On::Crates, &fleet.crate_url(&a)).await;
    assert!(answers.iter().all(|answer| (answer.status, outcome(answer)) == (404, "absent")));
    assert_eq!(upstream.crate_hits("a", "1.0.0"), 1);
    let mut unknown = krate("a", "9.9.9").build();
    unknown.version = "9.9.9".to_owned();
    for replica in 0..REPLICAS {
        let answer = get(fleet.crate_url_at(replica, &unknown)).send().await;
        assert_eq!((answer.status, outcome(&answer)), (404, "absent"));
    }
    assert_eq!(upstream.crate_hits("a", "9.9.9"), 0);
    assert!(upstream.index_hits("a") <= 2, "{}", upstream.index_hits("a"));
}
