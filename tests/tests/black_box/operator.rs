//! The operator's hands beside a cache that serves: sweeps, purges, verification.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use crateport_testkit::client::{Client, get};
use crateport_testkit::{
    Crateport, CrateportOptions, KIB, Published, S3Server, ScriptedUpstream, krate,
};
use http::Method;

use crate::audit::{store_is_right, stored_crates};
use crate::house::{
    CRATES_IO, crate_url, get_until, index_file_url, on_bucket, options, outcome, until_none,
};

const YEAR: Duration = Duration::from_secs(365 * 86_400);
/// The shortest grace that is allowed.
const SHORT_LIVES: [&str; 6] =
    ["--url-lifetime", "10s", "--presence-ttl", "10s", "--sweep-grace", "150s"];

fn with(options: CrateportOptions, arguments: &[&str]) -> CrateportOptions {
    arguments.iter().fold(options, |options, argument| options.argument(*argument))
}

fn fs_store(folder: &Path) -> String {
    format!("fs:{}", folder.display())
}

/// Makes every crate as old as one that nobody fetched for a year.
fn age(crates: &[PathBuf]) {
    for path in crates {
        // One that is swept in this moment is as good.
        if let Ok(file) = std::fs::File::options().write(true).open(path) {
            file.set_modified(SystemTime::now() - YEAR).unwrap();
        }
    }
}

fn publish(upstream: &ScriptedUpstream, count: usize) -> Vec<Published> {
    let name = |number| format!("crate-{number}");
    (0..count)
        .map(|number| krate(&name(number), "1.0.0").payload(40 * KIB).publish(upstream))
        .collect()
}

async fn fill(crateport: &Crateport, upstream: &ScriptedUpstream, published: &[Published]) {
    for krate in published {
        let answer = get(crate_url(crateport, &krate.name, "1.0.0")).send().await;
        assert_eq!(answer.body, krate.bytes);
    }
    store_is_right(crateport, upstream).await;
    until_none(async || {
        let count = stored_crates(&crateport.store()).len();
        (count < published.len()).then_some(count)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sweeps_race_with_downloads_and_no_client_notices() {
    let upstream = ScriptedUpstream::start().await;
    let published = publish(&upstream, 40);
    let options = with(options(&upstream), &SHORT_LIVES).flag("--usage-flush-every", "100ms");
    let mut crateport = Crateport::start(options.clone()).await;
    fill(&crateport, &upstream, &published).await;

    let clients = (0..4).map(|client| {
        let urls = published
            .iter()
            .map(|krate| (crate_url(&crateport, &krate.name, "1.0.0"), krate.bytes.clone()))
            .collect::<Vec<_>>();
        tokio::spawn(async move {
            for round in 0..6 {
                for offset in 0..urls.len() {
                    let (url, bytes) = &urls[(offset * (2 * client + 1) + round) % urls.len()];
                    let answer = get(url).send().await;
                    assert_eq!((answer.status, &answer.body), (200, bytes), "{url}");
                }
            }
        })
    });
    let clients = clients.collect::<Vec<_>>();
    let store = fs_store(&crateport.store());
    let mut sweep = vec!["sweep", "--unused-for", "200s", "--quiet", "--store", &store];
    sweep.extend(SHORT_LIVES);
    let mut removed = 0;
    while clients.iter().any(|client| !client.is_finished()) {
        age(&stored_crates(&crateport.store()));
        let run = options.run(&sweep).await.succeeds();
        removed += run.stdout.split(' ').nth(1).unwrap().parse::<usize>().unwrap();
    }
    for client in clients {
        client.await.unwrap();
    }
    // What was served is known once the cache has ended, and stays however old the file is.
    crateport.terminate();
    assert!(crateport.wait().await.success());
    age(&stored_crates(&crateport.store()));
    let left = stored_crates(&crateport.store()).len();
    options.run(&sweep).await.succeeds();
    assert_eq!(stored_crates(&crateport.store()).len(), left, "removed {removed} before");
    store_is_right(&crateport, &upstream).await;
}

#[tokio::test]
async fn a_sweep_removes_what_nobody_used_and_a_dry_run_nothing() {
    let upstream = ScriptedUpstream::start().await;
    let published = publish(&upstream, 3);
    let folder = tempfile::tempdir().unwrap();
    let options = options(&upstream).store(folder.path());
    let crateport = Crateport::start(options.clone()).await;
    fill(&crateport, &upstream, &published).await;
    let crates = stored_crates(&crateport.store());
    age(&crates[1..]);
    let store = fs_store(&crateport.store());
    // Killed, and its uses with it: they were made a moment ago.
    drop(crateport);
    let sweep = ["sweep", "--unused-for", "90d", "--store", &store];
    let dry = options.run(&[&sweep[..], &["--dry-run"]].concat()).await.succeeds();
    assert!(crates.iter().all(|path| path.exists()));
    let real = options.run(&sweep).await.succeeds();
    assert_eq!(
        dry.stdout.replace("would remove", "removed"),
        real.stdout.replace("the store holds", "the store would hold")
    );
    let line = |name: &str| format!("crates-io/crates/{name}/{name}-1.0.0.crate\n");
    assert!(real.stdout.contains(&line("crate-1")) && real.stdout.contains(&line("crate-2")));
    assert!(real.stdout.contains("removed 2 objects ("), "{}", real.stdout);
    assert_eq!(crates.iter().filter(|path| path.exists()).count(), 1);
    options.run(&["sweep", "--store", &store]).await.fails().says("say what is to go");
}

#[tokio::test]
async fn a_redirect_outlives_a_sweep() {
    let (s3, upstream) = (S3Server::start().await, ScriptedUpstream::start().await);
    let published = publish(&upstream, 2);
    let options = on_bucket(options(&upstream), &s3).flag("--delivery", "redirect");
    let mut crateport = Crateport::start(options.clone()).await;
    for krate in &published {
        let url = crate_url(&crateport, &krate.name, "1.0.0");
        get_until(&url, |answer| answer.status == 302).await;
    }
    // A year later, after a restart, one of them is asked for, right before the sweep.
    crateport.terminate();
    assert!(crateport.wait().await.success());
    let key = |name: &str| {
        let end = format!("v1/crates-io/crates/{name}/{name}-1.0.0.crate");
        s3.keys().into_iter().find(|key| key.ends_with(&end))
    };
    for key in s3.keys().iter().filter(|key| key.contains("/_usage/")) {
        s3.remove(key);
    }
    for name in ["crate-0", "crate-1"] {
        s3.age(&key(name).unwrap(), YEAR);
    }
    crateport.restart().await;
    let url = crate_url(&crateport, "crate-0", "1.0.0");
    let answer = get(&url).send().await;
    assert_eq!(answer.status, 302);
    let location = answer.header("location").unwrap().to_owned();

    let endpoint = s3.endpoint();
    let store = format!("s3://{}/fleet", S3Server::BUCKET);
    let sweep = ["sweep", "--unused-for", "90d", "--store", &store, "--s3-endpoint", &endpoint];
    options.run(&sweep).await.succeeds().says("removed 1 object (");
    assert!(key("crate-0").is_some() && key("crate-1").is_none());
    assert_eq!(get(&location).send().await.body, published[0].bytes);
    // And what is gone is not redirected to, but fetched again.
    let answer = get(crate_url(&crateport, "crate-1", "1.0.0")).send().await;
    assert_eq!((answer.status, outcome(&answer)), (200, "fill"));
    assert_eq!(answer.body, published[1].bytes);
}

#[tokio::test]
async fn a_cache_sweeps_itself_on_schedule() {
    let upstream = ScriptedUpstream::start().await;
    let published = publish(&upstream, 3);
    let schedule = ["--sweep-every", "300ms", "--sweep-max-size", "1B"];
    let options = with(options(&upstream), &schedule);
    let crateport = Crateport::start(with(options, &SHORT_LIVES)).await;
    fill(&crateport, &upstream, &published).await;
    // Uses are written late enough for these to be unknown.
    age(&stored_crates(&crateport.store()));
    until_none(async || {
        let left = stored_crates(&crateport.store()).len();
        (left > 0).then_some(left)
    })
    .await;
    crateport.wait_for_log("swept").await;
}

#[tokio::test]
async fn a_purge_has_upstream_asked_again_by_every_replica() {
    let upstream = ScriptedUpstream::start().await;
    let a = krate("a", "1.0.0").publish(&upstream);
    let poll = ["--purge-poll", "200ms"];
    let first = Crateport::start(with(options(&upstream), &poll)).await;
    let shared = with(options(&upstream), &poll).store(first.store());
    let second = Crateport::start(shared.clone()).await;
    let replicas = [&first, &second];
    let warm_up = async || {
        for replica in replicas {
            get(crate_url(replica, "a", "1.0.0")).send().await;
            let url = crate_url(replica, "a", "1.0.0");
            get_until(&url, |answer| outcome(answer) == "hit").await;
            let url = index_file_url(replica, &upstream, "a");
            get_until(&url, |answer| outcome(answer) == "hit").await;
        }
    };
    warm_up().await;
    let store = fs_store(&first.store());
    for way in ["command", "ops listener"] {
        upstream.forget_requests();
        if way == "command" {
            let purge = ["purge", "crates-io", "a@1.0.0", "--store", &store];
            let run = shared.run(&[&purge[..], &poll].concat()).await;
            run.succeeds().says("dropped 1 crates");
        } else {
            let url = format!("{}/purge?registry=crates-io&crate=a", second.ops_url());
            let answer = Client::h1().request(Method::POST, url).send().await;
            assert_eq!((answer.status, answer.text()), (200, "{\"crates\":1,\"index_files\":1}\n"));
        }
        for (asked, replica) in [(1, &first), (2, &second)] {
            let answer = get(index_file_url(replica, &upstream, "a")).send().await;
            assert_eq!(outcome(&answer), "revalidated", "{way}");
            assert_eq!(upstream.index_hits("a"), asked, "{way}");
        }
        let unconditional = upstream.requests_for(&upstream.index_path("a"));
        assert!(!unconditional[0].headers.contains_key("if-none-match"), "{way}");
        let answer = get(crate_url(&first, "a", "1.0.0")).send().await;
        assert_eq!((outcome(&answer), &answer.body), ("fill", &a.bytes), "{way}");
        warm_up().await;
        assert_eq!(upstream.crate_hits("a", "1.0.0"), 1, "{way}");
    }
    let url = format!("{}/purge?registry=unknown&crate=a", first.ops_url());
    assert_eq!(Client::h1().request(Method::POST, url).send().await.status, 400);
}

#[tokio::test]
async fn a_purge_does_not_lose_an_index_file_while_upstream_is_gone() {
    let upstream = ScriptedUpstream::start().await;
    krate("a", "1.0.0").publish(&upstream);
    let poll = ["--purge-poll", "200ms"];
    let crateport = Crateport::start(with(options(&upstream), &poll)).await;
    let url = index_file_url(&crateport, &upstream, "a");
    get_until(&url, |answer| outcome(answer) == "hit").await;
    let path = crateport
        .store()
        .join("v1/crates-io")
        .join(upstream.index_path("a").trim_start_matches('/'));
    until_none(async || (!path.exists()).then(|| path.clone())).await;
    upstream.stop();
    let url_of_purge = format!("{}/purge?registry=crates-io&crate=a", crateport.ops_url());
    assert_eq!(Client::h1().request(Method::POST, url_of_purge).send().await.status, 200);
    let answer = get(&url).send().await;
    assert_eq!((answer.status, outcome(&answer)), (200, "stale"));
}

#[tokio::test]
async fn verify_finds_every_wrong_byte_and_repair_fetches_it_again() {
    let upstream = ScriptedUpstream::start().await;
    let published = publish(&upstream, 5);
    let folder = tempfile::tempdir().unwrap();
    let options = options(&upstream).store(folder.path());
    let crateport = Crateport::start(options.clone()).await;
    fill(&crateport, &upstream, &published).await;
    let folder = folder.path();
    let index = |name: &str| {
        folder.join("v1").join(CRATES_IO).join(upstream.index_path(name).trim_start_matches('/'))
    };
    for krate in &published {
        let path = index(&krate.name);
        until_none(async || (!path.exists()).then(|| path.clone())).await;
    }
    drop(crateport);
    let store = fs_store(folder);
    let verify = ["verify", "--store", &store];
    options.run(&verify).await.succeeds().says("0 objects (0 B) are not");

    let crates = stored_crates(folder);
    std::fs::write(&crates[0], "rot").unwrap();
    let mut bytes = std::fs::read(&crates[1]).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&crates[1], bytes).unwrap();
    let text = std::fs::read_to_string(index("crate-2")).unwrap();
    std::fs::write(index("crate-2"), &text[..text.len() / 2]).unwrap();
    std::fs::remove_file(index("crate-3")).unwrap();
    let found = options.run(&verify).await.fails();
    let wrong = |text: &str| text.lines().filter(|line| line.starts_with("wrong")).count();
    assert_eq!(
        wrong(&found.stdout),
        5,
        "two crates, an index file, the crates of it and of a lost one\n{}",
        found.stdout
    );
    let sample = options.run(&[&verify[..], &["--sample", "1000"]].concat()).await.fails();
    assert_eq!(wrong(&sample.stdout), 5);
    options.run(&[&verify[..], &["--since", "1d"]].concat()).await.fails();
    options.run(&[&verify[..], &["--since", "9998-01-01"]].concat()).await.succeeds();

    let repaired = options.run(&[&verify[..], &["--repair"]].concat()).await.succeeds();
    assert!(repaired.stdout.contains("fetched again"), "{}", repaired.stdout);
    options.run(&verify).await.succeeds().says("0 objects (0 B) are not");
}
