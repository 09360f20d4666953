//! Promise 2: one fetch per object, however many clients want it at the same time.

use crateport_testkit::client::{Client, get};
use crateport_testkit::{KIB, On, ScriptedUpstream, krate};
use tokio::task::JoinSet;

use crate::house::{crate_url, crateport, index_file_url, metric_is, outcome};

const CLIENTS: usize = 200;
const CLIENTS_FLOAT: f64 = 200.0;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_fetch_per_object_for_200_clients_of_one_cold_crate() {
    let upstream = ScriptedUpstream::start().await;
    let a = krate("a", "1.0.0").payload(100 * KIB).publish(&upstream);
    let crateport = crateport(&upstream).await;
    let url = crate_url(&crateport, "a", "1.0.0");
    let gate = upstream.hold(On::Crates);
    let mut clients = JoinSet::new();
    for _ in 0..CLIENTS {
        clients.spawn(get(&url).send());
    }
    gate.wait_for(1).await;
    metric_is(&crateport, "crateport_http_requests_in_flight", &[], CLIENTS_FLOAT).await;
    gate.release();
    let answers = clients.join_all().await;
    assert!(answers.iter().all(|answer| answer.status == 200 && answer.body == a.bytes));
    let filled = answers.iter().filter(|answer| outcome(answer) == "fill").count();
    let joined = answers.iter().filter(|answer| outcome(answer) == "join").count();
    assert_eq!((filled, joined), (1, CLIENTS - 1));
    assert_eq!((upstream.crate_hits("a", "1.0.0"), upstream.index_hits("a")), (1, 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_fetch_per_object_for_200_clients_of_one_cold_index_file() {
    let upstream = ScriptedUpstream::start().await;
    krate("a", "1.0.0").publish(&upstream);
    let crateport = crateport(&upstream).await;
    let url = index_file_url(&crateport, &upstream, "a");
    let gate = upstream.hold(On::Index);
    let mut clients = JoinSet::new();
    for _ in 0..CLIENTS {
        clients.spawn(get(&url).send());
    }
    gate.wait_for(1).await;
    metric_is(&crateport, "crateport_http_requests_in_flight", &[], CLIENTS_FLOAT).await;
    gate.release();
    let answers = clients.join_all().await;
    let whole = upstream.index_bytes("a");
    assert!(answers.iter().all(|answer| answer.status == 200 && answer.body == whole));
    assert_eq!(upstream.index_hits("a"), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_fetch_per_object_for_three_clients_of_each_of_100_cold_crates() {
    let upstream = ScriptedUpstream::start().await;
    let published = (0..100)
        .map(|number| krate(&format!("many-{number}"), "1.0.0").payload(KIB).publish(&upstream))
        .collect::<Vec<_>>();
    let crateport = crateport(&upstream).await;
    let client = Client::h2();
    let mut clients = JoinSet::new();
    for krate in published.iter().cycle().take(3 * published.len()).cloned() {
        let request = client.get(crate_url(&crateport, &krate.name, &krate.version));
        clients.spawn(async move {
            let answer = request.send().await;
            assert_eq!((answer.status, &answer.body), (200, &krate.bytes), "{}", krate.name);
        });
    }
    clients.join_all().await;
    for krate in &published {
        assert_eq!(upstream.crate_hits(&krate.name, "1.0.0"), 1, "{}", krate.name);
        assert_eq!(upstream.index_hits(&krate.name), 1, "{}", krate.name);
    }
    assert_eq!(upstream.hits("/index/config.json"), 1);
}
