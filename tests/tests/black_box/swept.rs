//! Sweeps: what nobody used goes, beside caches that serve, and no client notices.

use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use crateport_testkit::client::get;
use crateport_testkit::{
    Crateport, Rustup, S3Fault, S3Operation, S3Server, ScriptedUpstream, Times, toolchain,
};

use crate::audit::{files, store_is_right, stored_crates};
use crate::house::{
    crate_url, fill, fs_store, get_until, on_bucket, options, outcome, publish, until_none, with,
};
use crate::toolchains::distribution;

const YEAR: Duration = Duration::from_secs(365 * 86_400);
/// The shortest grace that is allowed.
const SHORT_LIVES: [&str; 6] =
    ["--url-lifetime", "10s", "--presence-ttl", "10s", "--sweep-grace", "150s"];

/// Makes every crate as old as one that nobody fetched for a year.
fn age(crates: &[PathBuf]) {
    for path in crates {
        // One that is swept in this moment is as good.
        if let Ok(file) = std::fs::File::options().write(true).open(path) {
            file.set_modified(SystemTime::now() - YEAR).unwrap();
        }
    }
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
async fn a_redirect_never_leads_to_what_was_removed_before_its_use_was_known() {
    let (s3, upstream) = (S3Server::start().await, ScriptedUpstream::start().await);
    let published = publish(&upstream, 2);
    // Memory would not notice that an object was removed.
    let options = on_bucket(options(&upstream), &s3).flag("--object-memory", "0");
    let mut crateport = Crateport::start(options.flag("--delivery", "redirect")).await;
    let urls = published.iter().map(|krate| crate_url(&crateport, &krate.name, "1.0.0"));
    let urls = urls.collect::<Vec<_>>();
    for url in &urls {
        get_until(url, |answer| answer.status == 302).await;
    }
    crateport.terminate();
    assert!(crateport.wait().await.success());
    for key in s3.keys().iter().filter(|key| key.ends_with(".crate")) {
        s3.age(key, YEAR);
    }
    crateport.restart().await;
    // It is seen there, but its use cannot be written, so nobody is sent there.
    s3.fault(&[S3Operation::PutObject], S3Fault::Answer(500, "InternalError"), Times::Always);
    let streamed = get(&urls[0]).send().await;
    assert_eq!((streamed.status, outcome(&streamed)), (200, "hit"));
    s3.heal();
    // Removed before its use is known, which it is when that of another is.
    let key = s3.keys().into_iter().find(|key| key.ends_with("crate-0-1.0.0.crate")).unwrap();
    s3.remove(&key);
    get_until(&urls[1], |answer| answer.status == 302).await;
    let answer = get(&urls[0]).send().await;
    assert_eq!((answer.status, outcome(&answer)), (200, "fill"));
    assert!(answer.body == published[0].bytes);
}

#[tokio::test]
async fn a_toolchain_that_nobody_used_goes_and_comes_again() {
    let upstream = ScriptedUpstream::start().await;
    let released = toolchain("1.0.0", "2026-01-01").release(&upstream, &["stable"]);
    let folder = tempfile::tempdir().unwrap();
    let options = distribution(&upstream).store(folder.path());
    let mut crateport = Crateport::start(options.clone()).await;
    let install = ["toolchain", "install", "stable", "--profile", "minimal", "--no-self-update"];
    let rustup = Rustup::of(crateport.url()).installed().await;
    rustup.run(&install).await.succeeds();
    // Killed, so that nobody knows who used it.
    crateport.kill9();
    let kept = folder.path().join("v1/rustup");
    let archives = files(&kept.join("dist/2026-01-01"));
    assert!(archives.len() >= 3, "{archives:?}");
    let others = files(&kept).len() - archives.len();
    age(&files(&kept));
    let store = fs_store(folder.path());
    let sweep = ["sweep", "--max-size", "1B", "--store", &store];
    let run = options.run(&sweep).await.succeeds();
    assert!(run.stdout.contains("rustup/dist/2026-01-01/rustc-1.0.0"), "{}", run.stdout);
    assert_eq!(files(&kept).len(), others, "what tells of the channel stays");

    crateport.restart().await;
    let rustup = Rustup::of(crateport.url()).installed().await;
    rustup.run(&install).await.succeeds();
    assert_eq!(rustup.prints("stable", "rustc").await, "rustc 1.0.0 (tiny)");
    assert_eq!(upstream.hits(released.path("rustc")), 2);
}

#[tokio::test]
async fn a_sweep_that_finds_no_coordinator_says_so_and_sweeps() {
    let upstream = ScriptedUpstream::start().await;
    let published = publish(&upstream, 1);
    let options = options(&upstream);
    let mut crateport = Crateport::start(options.clone()).await;
    fill(&crateport, &upstream, &published).await;
    crateport.kill9();
    age(&stored_crates(&crateport.store()));
    let store = fs_store(&crateport.store());
    let sweep =
        ["sweep", "--unused-for", "90d", "--store", &store, "--coord", "redis://127.0.0.1:1"];
    let run = options.run(&sweep).await.succeeds();
    run.says("nobody tells whether another sweep is under way").says("removed 1 object (");
}
