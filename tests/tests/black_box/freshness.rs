//! Promise 8: fresh when it can be, and upstream asked at most once per TTL.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use crateport_testkit::client::{Client, get};
use crateport_testkit::{Crateport, ScriptedUpstream, Validators, krate};

use crate::house::{crateport, get_until, index_file_url, metric_is, options};

const TTL: Duration = Duration::from_secs(1);
const CLIENTS: usize = 10;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fresh_when_it_can_be_with_one_revalidation_per_ttl_for_all_clients() {
    let upstream = ScriptedUpstream::start().await;
    krate("a", "1.0.0").publish(&upstream);
    let crateport = Crateport::start(options(&upstream).flag("--index-ttl", "1s")).await;
    let url = index_file_url(&crateport, &upstream, "a");
    let (stop, asked) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let clients = (0..CLIENTS).map(|_| {
        let (url, stop, asked) = (url.clone(), Arc::clone(&stop), Arc::clone(&asked));
        tokio::spawn(async move {
            let client = Client::h1();
            while !stop.load(Ordering::Relaxed) {
                assert_eq!(client.get(&url).send().await.status, 200);
                asked.fetch_add(1, Ordering::Relaxed);
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        })
    });
    let clients = clients.collect::<Vec<_>>();
    let path = upstream.index_path("a");
    upstream.wait_for_hits(&path, 4).await;
    stop.store(true, Ordering::Relaxed);
    for client in clients {
        client.await.unwrap();
    }
    // Arrivals may waver a little, what was sent did not.
    let gaps = upstream.gaps(&path);
    assert!(gaps.iter().all(|gap| *gap > TTL.mul_f64(0.8)), "{gaps:?}");
    assert!(asked.load(Ordering::Relaxed) > 4 * CLIENTS, "{asked:?}");
    assert_eq!(upstream.not_modified(&path), upstream.index_hits("a") - 1);
}

#[tokio::test]
async fn fresh_when_it_can_be_so_a_publish_shows_with_the_next_revalidation() {
    for validators in [
        Validators::Strong,
        Validators::Weak,
        Validators::Flapping,
        Validators::LastModifiedOnly,
        Validators::None,
    ] {
        let upstream = ScriptedUpstream::builder().validators(validators).start().await;
        krate("a", "1.0.0").publish(&upstream);
        let crateport = Crateport::start(options(&upstream).flag("--index-ttl", "200ms")).await;
        let url = index_file_url(&crateport, &upstream, "a");
        let first = get(&url).send().await;
        let path = upstream.index_path("a");
        // Unchanged: asked with what upstream gave, and our own tag stays.
        let start = upstream.hits(&path);
        let again = get_until(&url, |_| upstream.hits(&path) > start).await;
        assert_eq!(again.header("etag"), first.header("etag"), "{validators:?}");
        let conditional = usize::from(validators != Validators::None);
        assert_eq!(upstream.not_modified(&path).min(1), conditional, "{validators:?}");

        krate("a", "1.1.0").publish(&upstream);
        let published = upstream.hits(&path);
        let wanted = upstream.index_bytes("a");
        let newer = get_until(&url, |answer| answer.body == wanted).await;
        assert_ne!(newer.header("etag"), first.header("etag"));
        // One may have been under way when it was published.
        let asked = upstream.hits(&path) - published;
        assert!(asked <= 2, "{validators:?}: {asked} revalidations");
    }
}

#[tokio::test]
async fn a_file_within_its_ttl_costs_upstream_nothing() {
    let upstream = ScriptedUpstream::start().await;
    krate("a", "1.0.0").publish(&upstream);
    let crateport = crateport(&upstream).await;
    let url = index_file_url(&crateport, &upstream, "a");
    for _ in 0..50 {
        assert_eq!(get(&url).send().await.status, 200);
    }
    assert_eq!(upstream.index_hits("a"), 1);
}

#[tokio::test]
async fn a_hot_file_is_refreshed_ahead_without_a_client_that_waits() {
    let upstream = ScriptedUpstream::start().await;
    krate("hot", "1.0.0").publish(&upstream);
    krate("cold", "1.0.0").publish(&upstream);
    let crateport = Crateport::start(options(&upstream).flag("--index-ttl", "500ms")).await;
    get(index_file_url(&crateport, &upstream, "cold")).send().await;
    for _ in 0..5 {
        get(index_file_url(&crateport, &upstream, "hot")).send().await;
    }
    upstream.wait_for_hits(&upstream.index_path("hot"), 2).await;
    metric_is(&crateport, "crateport_refreshes_ahead_total", &[], 1.0).await;
    assert_eq!(upstream.index_hits("cold"), 1, "nobody asks for it any more");
}

#[tokio::test]
async fn absence_is_remembered_for_a_while_and_not_for_long() {
    let upstream = ScriptedUpstream::start().await;
    let crateport = Crateport::start(options(&upstream).flag("--absent-ttl", "1s")).await;
    let url = index_file_url(&crateport, &upstream, "later");
    for _ in 0..5 {
        assert_eq!(get(&url).send().await.status, 404);
    }
    assert!(upstream.index_hits("later") < 5, "{}", upstream.index_hits("later"));
    krate("later", "1.0.0").publish(&upstream);
    get_until(&url, |answer| answer.status == 200).await;
}
