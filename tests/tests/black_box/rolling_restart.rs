//! A rolling restart of three replicas under constant load, behind a load balancer that asks for their health: no request
//! is lost, over HTTP/1.1 with kept connections, over HTTP/2, over connections of their own, and by cargo without retries.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use crateport_testkit::client::{Client, get};
use crateport_testkit::{
    Balancer, Cargo, Crateport, KIB, Published, ScriptedUpstream, Service, krate,
};
use tokio::task::JoinSet;

use crate::house::{CRATES_IO, options, until_none};

/// How often the balancer asks each replica whether it is ready.
const HEALTH_EVERY: Duration = Duration::from_millis(50);
/// How long a replica goes on serving after it was told to stop: many looks at its health.
const DRAIN_DELAY: &str = "1s";
/// Clients of each kind.
const CLIENTS: usize = 4;
/// cargos that fetch without end.
const CARGOS: usize = 2;

/// What the clients saw.
#[derive(Default)]
struct Tally {
    answers: AtomicUsize,
    /// By GOAWAY; asked again.
    refusals: AtomicUsize,
    failures: AtomicUsize,
    is_over: AtomicBool,
}

/// How an HTTP/2 client tells that a request was refused by GOAWAY.
const REFUSED: &str = "GoAway(b\"\", NO_ERROR, Remote)";

/// How a client connects.
#[derive(Clone, Copy, Debug)]
enum Kind {
    Kept,
    Multiplexed,
    Fresh,
}

/// Asks one after the other until it is over; every answer must be whole and right.
async fn ask(kind: Kind, urls: Vec<(String, Vec<u8>)>, tally: Arc<Tally>) {
    let client = match kind {
        Kind::Kept | Kind::Fresh => Client::h1(),
        Kind::Multiplexed => Client::h2(),
    };
    for (url, expected) in urls.iter().cycle() {
        if tally.is_over.load(Ordering::SeqCst) {
            return;
        }
        let outgoing = match kind {
            Kind::Fresh => get(url),
            Kind::Kept | Kind::Multiplexed => client.get(url),
        };
        match outgoing.try_send().await {
            Ok(answer) if answer.status == 200 && answer.body == expected.as_slice() => {
                tally.answers.fetch_add(1, Ordering::SeqCst);
            }
            Ok(answer) => {
                eprintln!("{kind:?} {url}: {} {:?}", answer.status, answer.headers);
                tally.failures.fetch_add(1, Ordering::SeqCst);
            }
            // Refused before it was heard (RFC 9113, section 6.8): every client asks again, this plain one has to be told.
            Err(error) if format!("{error:?}").contains(REFUSED) => {
                tally.refusals.fetch_add(1, Ordering::SeqCst);
            }
            Err(error) => {
                eprintln!("{kind:?} {url}: {error:?}");
                tally.failures.fetch_add(1, Ordering::SeqCst);
            }
        }
    }
}

/// Fetches everything anew until it is over; each fetch must succeed at the first try.
async fn fetch(mut cargo: Cargo, tally: Arc<Tally>) {
    while !tally.is_over.load(Ordering::SeqCst) {
        cargo = cargo.fresh_home();
        let ran = cargo.run(&["fetch"]).await;
        let counter = if ran.status.success() { &tally.answers } else { &tally.failures };
        counter.fetch_add(1, Ordering::SeqCst);
        if !ran.status.success() {
            eprintln!("{}", ran.report());
        }
    }
}

/// The balancer's health checks: each replica's own readiness, by the ops address it keeps over restarts.
async fn watch(balancer: Arc<Balancer>, ops: Vec<String>) {
    loop {
        for (number, url) in ops.iter().enumerate() {
            let ready = get(format!("{url}/readyz")).try_send().await;
            let is_in = ready.is_ok_and(|answer| answer.status == 200);
            balancer.put(number, if is_in { Service::In } else { Service::Out });
        }
        tokio::time::sleep(HEALTH_EVERY).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rolling_restart_under_load_loses_no_request() {
    let upstream = ScriptedUpstream::start().await;
    let published: Vec<Published> = [1, 200, 900]
        .map(|size| {
            krate(&format!("of-{size}-kib"), "1.0.0").payload(size * KIB).publish(&upstream)
        })
        .into();
    let folder = tempfile::tempdir().unwrap();
    let mut replicas = Vec::new();
    for _ in 0..3 {
        let options = options(&upstream).store(folder.path());
        let options = options.flag("--drain-delay", DRAIN_DELAY).flag("--log", "warn");
        replicas.push(Crateport::start(options).await);
    }
    let address = |replica: &Crateport| {
        replica.url().strip_prefix("http://").unwrap().parse::<std::net::SocketAddr>().unwrap()
    };
    let balancer = Arc::new(Balancer::over(replicas.iter().map(address)).await);
    let ops = replicas.iter().map(|replica| replica.ops_url().to_owned()).collect();
    let health = tokio::spawn(watch(Arc::clone(&balancer), ops));

    let mut urls = Vec::new();
    for krate in &published {
        let base = format!("{}/{CRATES_IO}", balancer.url());
        let download = format!("{base}/crates/{}/{}/download", krate.name, krate.version);
        urls.push((download, krate.bytes.to_vec()));
        let index = upstream.index_path(&krate.name);
        urls.push((format!("{base}{index}"), upstream.index_bytes(&krate.name).to_vec()));
    }
    let tally = Arc::<Tally>::default();
    let mut clients = JoinSet::new();
    for _ in 0..CLIENTS {
        for kind in [Kind::Kept, Kind::Multiplexed, Kind::Fresh] {
            clients.spawn(ask(kind, urls.clone(), Arc::clone(&tally)));
        }
    }
    for _ in 0..CARGOS {
        let cargo = Cargo::new()
            .replaces_crates_io_with(&format!("{}/{CRATES_IO}/index/", balancer.url()))
            .retries(0)
            .project(|project| {
                published.iter().fold(project, |project, krate| project.dep(&krate.name, "1"))
            });
        clients.spawn(fetch(cargo, Arc::clone(&tally)));
    }
    let answers = || tally.answers.load(Ordering::SeqCst);
    let more_than = async |count: usize| {
        until_none(async || (answers() < count).then(&answers)).await;
    };
    more_than(100).await;
    for (number, replica) in replicas.iter_mut().enumerate() {
        replica.terminate();
        assert_eq!(replica.wait().await.code(), Some(0));
        let log = replica.log();
        assert!(!log.contains("were cut"), "{log}");
        replica.restart().await;
        let connections = balancer.connections_to(number);
        // The next one goes when this one is back at work.
        until_none(async || (balancer.connections_to(number) == connections).then_some(number))
            .await;
        more_than(answers() + 100).await;
    }
    tally.is_over.store(true, Ordering::SeqCst);
    while let Some(client) = clients.join_next().await {
        client.unwrap();
    }
    health.abort();
    let failures = tally.failures.load(Ordering::SeqCst);
    let refusals = tally.refusals.load(Ordering::SeqCst);
    eprintln!("{} answers, {refusals} refused and asked again, {failures} failures", answers());
    assert_eq!(failures, 0, "of {} requests", answers());
}
