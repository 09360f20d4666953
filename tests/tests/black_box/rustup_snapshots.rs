//! Manifests and their checksums come from one snapshot, whatever replica answers and whatever happens in between.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crateport_testkit::client::get;
use crateport_testkit::krate::sha256_hex;
use crateport_testkit::{Crateport, Fault, On, Rustup, ScriptedUpstream, Times, toolchain};
use tokio::task::JoinSet;

use crate::house::{get_until, outcome, until_none};
use crate::toolchains::{
    STABLE, distribution, eager, eager_and_hasty, eager_with_grace, file, file_url, sum_of,
    told_sum,
};

#[tokio::test]
async fn a_manifest_that_changes_after_its_checksum_was_told_is_still_the_one_that_was_told() {
    let (upstream, folder) = (ScriptedUpstream::start().await, tempfile::tempdir().unwrap());
    let old = toolchain("1.0.0", "2026-01-01").release(&upstream, &["stable"]);
    // Two replicas that share nothing but the store.
    let options = eager_with_grace(&upstream, "3s").store(folder.path());
    let (one, other) = (Crateport::start(options.clone()).await, Crateport::start(options).await);
    let old_sum = told_sum(&one, STABLE).await;
    assert_eq!(old_sum, sha256_hex(&old.manifest));
    assert_eq!(file(&other, STABLE).await.body, old.manifest);

    let new = toolchain("1.1.0", "2026-02-12").release(&upstream, &["stable"]);
    // A client that is told nothing before the new manifest is given everywhere.
    let next = tokio::spawn(get(format!("{}.sha256", file_url(&other, STABLE))).send());
    upstream.wait_for_hits(STABLE, 2).await;
    for _ in 0..5 {
        for replica in [&one, &other] {
            assert_eq!(sum_of(&file(replica, STABLE).await), old_sum);
        }
    }
    let told = next.await.unwrap();
    let new_sum = sha256_hex(&new.manifest);
    assert!(told.text().starts_with(&new_sum), "{}", told.text());
    for replica in [&one, &other] {
        assert_eq!(sum_of(&file(replica, STABLE).await), new_sum);
        assert_eq!(told_sum(replica, STABLE).await, new_sum);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_client_of_two_replicas_ever_gets_a_pair_that_disagrees() {
    let (upstream, folder) = (ScriptedUpstream::start().await, tempfile::tempdir().unwrap());
    let old = toolchain("1.0.0", "2026-01-01").release(&upstream, &["stable"]);
    // No clock of one machine is off, so a second is more than a client needs between its two questions; on a busy
    // machine it may need more.
    let options = eager_with_grace(&upstream, "4s").store(folder.path());
    let first = Crateport::start(options.clone()).await;
    let second = Crateport::start(options).await;
    let urls = [first.url().to_owned(), second.url().to_owned()];
    let over = Arc::new(AtomicBool::new(false));
    let seen = [const { Mutex::new(String::new()) }; 8].map(Arc::new);
    let mut clients = JoinSet::new();
    for (client, seen) in seen.iter().cloned().enumerate() {
        let (urls, over) = (urls.clone(), Arc::clone(&over));
        clients.spawn(async move {
            let mut turn = client;
            while !over.load(Ordering::Relaxed) {
                let url = |turn: usize| format!("{}/rustup{STABLE}", urls[turn % 2]);
                let sum = get(format!("{}.sha256", url(turn))).send().await;
                let file = get(url(turn / 2)).send().await;
                assert_eq!((sum.status, file.status), (200, 200));
                let digest = sha256_hex(&file.body);
                assert!(sum.text().starts_with(&digest), "{} and {digest}", sum.text());
                *seen.lock().unwrap() = digest;
                turn += 1;
            }
        });
    }
    // A client that waits for one change may be told of the next one only, so the next one comes when all have seen it.
    let all_see = async |digest: &str| {
        until_none(async || {
            let behind = seen.iter().filter(|seen| *seen.lock().unwrap() != digest).count();
            (behind > 0).then(|| format!("{behind} clients have not seen {digest}"))
        })
        .await;
    };
    all_see(&sha256_hex(&old.manifest)).await;
    for (version, date) in
        [("1.1.0", "2026-02-12"), ("1.2.0", "2026-03-26"), ("1.3.0", "2026-05-07")]
    {
        let manifest = toolchain(version, date).release(&upstream, &["stable"]).manifest;
        all_see(&sha256_hex(&manifest)).await;
    }
    over.store(true, Ordering::Relaxed);
    clients.join_all().await;
}

#[tokio::test]
async fn upstreams_own_pair_that_disagrees_is_not_passed_on() {
    let upstream = ScriptedUpstream::start().await;
    let old = toolchain("1.0.0", "2026-01-01").release(&upstream, &["stable"]);
    let crateport = Crateport::start(eager(&upstream)).await;
    let old_sum = told_sum(&crateport, STABLE).await;
    // Upstream's cache has the new checksum and the old manifest.
    let new = toolchain("1.1.0", "2026-02-12").release(&upstream, &["stable"]);
    upstream.put_file(STABLE, old.manifest.clone());
    for _ in 0..3 {
        assert_eq!(told_sum(&crateport, STABLE).await, old_sum);
        assert_eq!(sum_of(&file(&crateport, STABLE).await), old_sum);
    }
    let rustup = Rustup::of(crateport.url()).installed().await;
    let install = ["toolchain", "install", "stable", "--profile", "minimal", "--no-self-update"];
    rustup.run(&install).await.succeeds();
    upstream.put_file(STABLE, new.manifest.clone());
    get_until(&file_url(&crateport, STABLE), |answer| answer.body == new.manifest).await;
    assert_eq!(told_sum(&crateport, STABLE).await, sha256_hex(&new.manifest));
}

#[tokio::test]
async fn a_manifest_is_given_byte_for_byte_and_never_compressed() {
    let upstream = ScriptedUpstream::start().await;
    let released = toolchain("1.0.0", "2026-01-01").release(&upstream, &["stable"]);
    let crateport = Crateport::start(distribution(&upstream)).await;
    for _ in 0..2 {
        let url = file_url(&crateport, STABLE);
        let answer = get(&url).header("accept-encoding", "gzip, deflate, br, zstd").send().await;
        assert_eq!((answer.status, &answer.body), (200, &released.manifest));
        assert_eq!(answer.header("content-encoding"), None);
        assert_eq!(answer.header("cache-control"), Some("no-cache"));
        let sum = get(format!("{url}.sha256")).header("accept-encoding", "gzip").send().await;
        assert_eq!((sum.status, sum.header("content-encoding")), (200, None));
    }
}

#[tokio::test]
async fn a_fleet_asks_upstream_once_per_ttl_however_many_clients_there_are() {
    let upstream = ScriptedUpstream::start().await;
    toolchain("1.0.0", "2026-01-01").release(&upstream, &["stable"]);
    let crateport = Crateport::start(distribution(&upstream)).await;
    let mut clients = JoinSet::new();
    for _ in 0..50 {
        clients.spawn(get(format!("{}.sha256", file_url(&crateport, STABLE))).send());
        clients.spawn(get(file_url(&crateport, STABLE)).send());
    }
    assert!(clients.join_all().await.iter().all(|answer| answer.status == 200));
    assert_eq!(upstream.hits(STABLE), 1);
    assert_eq!(upstream.hits(&format!("{STABLE}.sha256")), 1);
}

#[tokio::test]
async fn upstream_may_die_and_the_pair_that_was_given_is_still_given() {
    for fault in [
        Fault::Refuse,
        Fault::Hang,
        Fault::Reset,
        Fault::Status(500),
        Fault::Status(403),
        Fault::TooManyRequests { retry_after: Duration::from_secs(1) },
        Fault::Html,
        Fault::Empty,
        Fault::Truncated,
    ] {
        let upstream = ScriptedUpstream::start().await;
        let released = toolchain("1.0.0", "2026-01-01").release(&upstream, &["stable"]);
        let mut crateport = Crateport::start(eager_and_hasty(&upstream)).await;
        let sum = told_sum(&crateport, STABLE).await;
        assert_eq!(sum_of(&file(&crateport, STABLE).await), sum);
        upstream.fault(On::All, fault.clone(), Times::Always);
        for _ in 0..2 {
            let answer = file(&crateport, &format!("{STABLE}.sha256")).await;
            assert_eq!((answer.status, outcome(&answer)), (200, "stale"), "{fault:?}");
            assert!(answer.text().starts_with(&sum), "{fault:?}: {}", answer.text());
            assert_eq!(file(&crateport, STABLE).await.body, released.manifest, "{fault:?}");
            crateport.restart().await;
        }
    }
}

#[tokio::test]
async fn a_checksum_that_is_none_is_never_passed_on() {
    let digest = "a".repeat(64);
    for text in [
        "<!DOCTYPE html>\n<html><body>Please sign in.</body></html>\n".to_owned(),
        String::new(),
        digest[1..].to_owned(),
        format!("{digest}0"),
        "z".repeat(64),
        format!("{digest}{}", " padded ".repeat(2000)),
    ] {
        let upstream = ScriptedUpstream::start().await;
        let released = toolchain("1.0.0", "2026-01-01").release(&upstream, &["stable"]);
        let crateport = Crateport::start(eager_and_hasty(&upstream)).await;
        let artifact = released.path("rustc");
        for path in [STABLE, artifact, "/dist/2026-01-01/channel-rust-stable.toml"] {
            upstream.put_file(&format!("{path}.sha256"), text.clone());
            for asked in [format!("{path}.sha256"), path.to_owned()] {
                let answer = file(&crateport, &asked).await;
                assert_eq!(answer.status, 503, "{asked} with {text:?}: {}", answer.text());
                assert!(answer.header("retry-after").is_some());
            }
        }
        // And once one is known, it is told instead.
        let sum = sha256_hex(&released.manifest);
        upstream.put_file(&format!("{STABLE}.sha256"), sum.clone());
        let url = format!("{}.sha256", file_url(&crateport, STABLE));
        get_until(&url, |answer| answer.status == 200).await;
        upstream.put_file(&format!("{STABLE}.sha256"), text.clone());
        until_none(async || {
            let answer = get(&url).send().await;
            let right = answer.status == 200 && answer.text().starts_with(&sum);
            assert!(right, "{answer:?}");
            (outcome(&answer) != "stale").then(|| outcome(&answer).to_owned())
        })
        .await;
    }
}

#[tokio::test]
async fn what_was_never_seen_is_503_while_upstream_is_down_and_never_404() {
    let upstream = ScriptedUpstream::start().await;
    let released = toolchain("1.0.0", "2026-01-01").release(&upstream, &["stable"]);
    let crateport = Crateport::start(eager_and_hasty(&upstream)).await;
    upstream.stop();
    for path in [
        STABLE.to_owned(),
        format!("{STABLE}.sha256"),
        "/dist/2026-01-01/channel-rust-stable.toml".to_owned(),
        "/dist/2026-01-01/channel-rust-stable.toml.sha256".to_owned(),
        released.path("rustc").to_owned(),
        "/rustup/release-stable.toml".to_owned(),
    ] {
        let answer = file(&crateport, &path).await;
        assert_eq!(answer.status, 503, "{path}: {}", answer.text());
        let seconds = answer.header("retry-after").unwrap().parse::<u64>().unwrap();
        assert!((1..=10).contains(&seconds), "{seconds}");
    }
    upstream.restart();
    get_until(&file_url(&crateport, STABLE), |answer| answer.status == 200).await;
}

#[tokio::test]
async fn what_upstream_has_not_is_404_and_remembered() {
    let upstream = ScriptedUpstream::start().await;
    let crateport = Crateport::start(distribution(&upstream)).await;
    for path in [
        "/dist/channel-rust-nightly.toml",
        "/dist/channel-rust-nightly.toml.sha256",
        "/dist/2026-01-01/channel-rust-nightly.toml.sha256",
        "/dist/2026-01-01/channel-rust-nightly.toml",
        "/dist/2026-01-01/channel-rust-nightly.sha256",
        "/dist/2026-01-01/rustc-nightly-x.tar.xz",
        "/rustup/release-stable.toml",
    ] {
        for _ in 0..5 {
            let answer = file(&crateport, path).await;
            assert_eq!((answer.status, outcome(&answer)), (404, "absent"), "{path}");
        }
        let file = path.trim_end_matches(".sha256");
        let asked = upstream.hits(file) + upstream.hits(&format!("{file}.sha256"));
        assert_eq!(asked, 1, "{path}: {:#?}", upstream.requests());
    }
    toolchain("nightly", "2026-01-01").release(&upstream, &["nightly"]);
    let crateport = Crateport::start(eager(&upstream)).await;
    assert_eq!(file(&crateport, "/dist/channel-rust-nightly.toml").await.status, 200);
}

#[tokio::test]
async fn a_record_is_given_as_it_is_and_a_page_in_its_place_is_not() {
    let upstream = ScriptedUpstream::start().await;
    let record = |version: &str| format!("schema-version = '1'\nversion = '{version}'\n");
    let path = "/rustup/release-stable.toml";
    upstream.put_file(path, record("1.29.0"));
    let crateport = Crateport::start(eager_and_hasty(&upstream)).await;
    assert_eq!(file(&crateport, path).await.text(), record("1.29.0"));
    for fault in [Fault::Html, Fault::Empty, Fault::CutAtLine, Fault::Truncated, Fault::Status(502)]
    {
        upstream.fault(On::Path(path.to_owned()), fault.clone(), Times::Always);
        let answer = file(&crateport, path).await;
        assert_eq!((answer.status, answer.text()), (200, &*record("1.29.0")), "{fault:?}");
        upstream.heal();
    }
    upstream.put_file(path, record("1.30.0"));
    get_until(&file_url(&crateport, path), |answer| answer.text() == record("1.30.0")).await;
    let sum = file(&crateport, &format!("{path}.sha256")).await;
    assert_eq!(sum.status, 404, "{}", sum.text());
}

#[tokio::test]
async fn a_replica_that_dies_in_the_middle_of_a_change_leaves_a_pair_that_agrees() {
    let (upstream, folder) = (ScriptedUpstream::start().await, tempfile::tempdir().unwrap());
    toolchain("1.0.0", "2026-01-01").release(&upstream, &["stable"]);
    let options = eager(&upstream).store(folder.path());
    let (mut one, other) =
        (Crateport::start(options.clone()).await, Crateport::start(options).await);
    told_sum(&one, STABLE).await;
    let new = toolchain("1.1.0", "2026-02-12").release(&upstream, &["stable"]);
    let gate = upstream.hold_after(On::Path(STABLE.to_owned()), 100);
    let asking = tokio::spawn(get(format!("{}.sha256", file_url(&one, STABLE))).try_send());
    gate.wait_for(1).await;
    one.kill9();
    assert!(asking.await.unwrap().is_err());
    gate.release();
    until_none(async || {
        let sum = told_sum(&other, STABLE).await;
        assert_eq!(sum_of(&file(&other, STABLE).await), sum);
        (sum != sha256_hex(&new.manifest)).then_some(sum)
    })
    .await;
}

#[tokio::test]
async fn a_snapshot_that_the_store_lost_is_fetched_again() {
    let upstream = ScriptedUpstream::start().await;
    let released = toolchain("1.0.0", "2026-01-01").release(&upstream, &["stable"]);
    let crateport = Crateport::start(eager(&upstream)).await;
    let sum = told_sum(&crateport, STABLE).await;
    let name = format!("v1/rustup/.snapshots{STABLE}@{sum}");
    for damaged in [false, true] {
        let content = crateport.store().join(&name);
        if damaged {
            std::fs::write(&content, "damaged").unwrap();
        } else {
            std::fs::remove_file(&content).unwrap();
        }
        let answer = get_until(&file_url(&crateport, STABLE), |answer| answer.status == 200).await;
        assert_eq!(answer.body, released.manifest, "{damaged}");
        until_none(async || (!content.exists()).then_some("not kept yet")).await;
    }
}
