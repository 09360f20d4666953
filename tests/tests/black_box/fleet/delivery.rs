//! How a fleet hands out what it has: by redirect or as a stream, over either protocol, without asking anybody, and
//! without any replica at all.

use std::path::PathBuf;

use crateport_testkit::client::{Client, get};
use crateport_testkit::s3::S3Reads;
use crateport_testkit::{Cargo, KIB, MIB, Published, S3Operation, S3Server, krate};

use super::store::bucket_is_right;
use super::{Fleet, REPLICAS, served_by};
use crate::house::{CRATES_IO, get_until, outcome};
use crate::tree;

/// Waits until every replica has seen the crate in the bucket.
async fn known_to_everyone(fleet: &Fleet, krate: &Published) {
    for replica in 0..REPLICAS {
        let url = format!("{}?delivery=stream", fleet.crate_url_at(replica, krate));
        let answer = get_until(&url, |answer| outcome(answer) == "hit").await;
        assert_eq!(answer.body, krate.bytes);
        get(fleet.crate_url_at(replica, krate)).send().await;
        get_until(&fleet.index_file_url_at(replica, &krate.name), |answer| {
            outcome(answer) == "hit"
        })
        .await;
    }
    bucket_is_right(&fleet.parts.s3, &fleet.parts.upstream).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redirect_is_followed_to_whole_bytes_over_h1_and_h2_from_every_replica() {
    let fleet = Fleet::start().await;
    let large = krate("large", "1.0.0").payload(2 * MIB).publish(&fleet.parts.upstream);
    known_to_everyone(&fleet, &large).await;
    let mut by_replica = [0; REPLICAS];
    for client in [Client::h1, Client::h2] {
        for _ in 0..REPLICAS {
            // A client of its own has a connection of its own, which the next replica gets.
            let answer = client().get(fleet.crate_url(&large)).send().await;
            assert_eq!((answer.status, outcome(&answer)), (302, "hit"));
            by_replica[served_by(&answer)] += 1;
            let location = answer.header("location").expect("a location");
            assert!(location.starts_with(&fleet.s3_door.url()), "{location}");
            assert_eq!(get(location).send().await.body, large.bytes);
            let tampered = location.replace("large-1.0.0", "other-1.0.0");
            assert_eq!(get(&tampered).send().await.status, 403);
        }
    }
    assert_eq!(by_replica, [2; REPLICAS]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_warm_request_asks_neither_redis_nor_s3_nor_upstream() {
    let fleet = Fleet::start().await;
    let upstream = &fleet.parts.upstream;
    let large = krate("large", "1.0.0").payload(2 * MIB).publish(upstream);
    known_to_everyone(&fleet, &large).await;
    let asked = async || {
        let coordinator = fleet.metric("crateport_coord_requests_total", &[]).await;
        (coordinator, fleet.parts.s3.total_count(), upstream.total_hits())
    };
    let before = asked().await;
    for replica in 0..REPLICAS {
        let index = fleet.index_file_url_at(replica, "large");
        let etag = get(&index).send().await.header("etag").expect("an etag").to_owned();
        for _ in 0..10 {
            assert_eq!(outcome(&get(&index).send().await), "hit");
            let again = get(&index).header("if-none-match", &etag).send().await;
            assert_eq!(again.status, 304);
            assert_eq!(get(fleet.crate_url_at(replica, &large)).send().await.status, 302);
        }
    }
    assert_eq!(asked().await, before);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cargo_builds_through_the_balancer_with_redirects_and_with_streams() {
    for delivery in ["redirect", "stream", "auto"] {
        let fleet = Fleet::start_with(|options| options.flag("--delivery", delivery)).await;
        tree::publish(&fleet.parts.upstream);
        for _ in 0..2 {
            let cargo = Cargo::new().replaces_crates_io_with(&fleet.index_url());
            cargo.project(tree::project).run(&["fetch"]).await.succeeds();
        }
        bucket_is_right(&fleet.parts.s3, &fleet.parts.upstream).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_bucket_is_a_registry_by_itself_when_every_replica_is_down() {
    let mut fleet = Fleet::start().await;
    tree::publish(&fleet.parts.upstream);
    let first = Cargo::new().replaces_crates_io_with(&fleet.index_url()).project(tree::project);
    first.run(&["fetch"]).await.succeeds();
    for replica in &mut fleet.replicas {
        replica.terminate();
        assert!(replica.wait().await.success());
    }
    fleet.parts.upstream.stop();
    fleet.parts.redis.kill9();

    // A company would let its machines read the bucket by its policy.
    let bucket = format!("{}/{}/{}", fleet.s3_door.url(), S3Server::BUCKET, super::PREFIX);
    let index = format!("{bucket}/v1/{CRATES_IO}/index/");
    let cargo = || Cargo::new().retries(0).replaces_crates_io_with(&index).project(tree::project);
    cargo().run(&["fetch"]).await.fails();
    fleet.parts.s3.change_dialect(|dialect| dialect.reads = S3Reads::Public);
    cargo().lock(&first.read_lock()).run(&["fetch", "--locked"]).await.succeeds();
    let fresh = cargo();
    fresh.run(&["fetch"]).await.succeeds();
    assert_eq!(fresh.read_lock(), first.read_lock());
}

/// Replicas whose clocks are minutes apart.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clocks_that_differ_by_minutes_do_no_harm() {
    let library = faketime().display().to_string();
    let fleet = Fleet::healthy(|options, replica| {
        let offset = ["-5m", "+0", "+5m"][replica];
        let options = options.flag("--index-ttl", "60s").variable("LD_PRELOAD", &library);
        // The monotonic clock is the kernel's own on every machine.
        options.variable("FAKETIME", offset).variable("FAKETIME_DONT_FAKE_MONOTONIC", "1")
    })
    .await;
    let upstream = &fleet.parts.upstream;
    let large = krate("large", "1.0.0").payload(2 * MIB).publish(upstream);
    let small = krate("small", "1.0.0").payload(KIB).publish(upstream);
    // The clocks do differ.
    let mut days = Vec::new();
    for replica in 0..REPLICAS {
        let answer = get(fleet.index_file_url_at(replica, "small")).send().await;
        assert_eq!(answer.status, 200);
        let date = answer.header("date").expect("a date");
        days.push(httpdate::parse_http_date(date).expect("an HTTP date"));
    }
    for (earlier, later) in days.iter().zip(&days[1..]) {
        assert!(later.duration_since(*earlier).expect("later").as_secs() > 240, "{days:?}");
    }
    // One question for all, whoever asks first and whoever asks next.
    assert_eq!(upstream.index_hits("small"), 1);
    for replica in (0..REPLICAS).rev() {
        let answer = get(fleet.crate_url_at(replica, &small)).send().await;
        assert_eq!((answer.status, &answer.body), (200, &small.bytes));
        let url = fleet.crate_url_at(replica, &large);
        assert_eq!(get(format!("{url}?delivery=stream")).send().await.body, large.bytes);
        let answer = get_until(&url, |answer| answer.status == 302).await;
        let location = answer.header("location").expect("a location");
        assert_eq!(get(location).send().await.body, large.bytes, "signed by replica {replica}");
    }
    for krate in ["small", "large"] {
        assert_eq!((upstream.index_hits(krate), upstream.crate_hits(krate, "1.0.0")), (1, 1));
    }
    bucket_is_right(&fleet.parts.s3, upstream).await;
    assert_eq!(fleet.parts.s3.count(S3Operation::DeleteObject), 0);
}

/// The library of the Debian package, wherever this machine's architecture has it.
fn faketime() -> PathBuf {
    let folders = std::fs::read_dir("/usr/lib").into_iter().flatten().flatten();
    let mut files = folders.map(|folder| folder.path().join("faketime/libfaketimeMT.so.1"));
    files.find(|file| file.exists()).unwrap_or_else(|| {
        panic!("this test needs the Debian package libfaketime, which tests/run installs")
    })
}
