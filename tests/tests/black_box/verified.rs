//! Stores that are verified and repaired.

use crateport_testkit::client::get;
use crateport_testkit::{
    Crateport, Rustup, S3Fault, S3Operation, S3Server, ScriptedUpstream, Times, toolchain,
};

use crate::audit::{files, stored_crates};
use crate::house::{CRATES_IO, crate_url, fill, fs_store, on_bucket, options, publish, until_none};
use crate::toolchains::distribution;

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

#[tokio::test]
async fn a_toolchain_is_verified_too_and_what_is_wrong_is_fetched_again() {
    let upstream = ScriptedUpstream::start().await;
    let released = toolchain("1.0.0", "2026-01-01").release(&upstream, &["stable"]);
    let folder = tempfile::tempdir().unwrap();
    let options = distribution(&upstream).store(folder.path());
    let mut crateport = Crateport::start(options.clone()).await;
    let install = ["toolchain", "install", "stable", "--profile", "minimal", "--no-self-update"];
    Rustup::of(crateport.url()).installed().await.run(&install).await.succeeds();
    crateport.terminate();
    assert!(crateport.wait().await.success());
    let kept = folder.path().join("v1/rustup");
    let alter = |part: &str| {
        let found = files(&kept).into_iter().find(|path| path.to_str().unwrap().contains(part));
        std::fs::write(found.unwrap(), "rot").unwrap();
    };
    let store = fs_store(folder.path());
    let verify = ["verify", "--store", &store];
    options.run(&verify).await.succeeds().says("0 objects (0 B) are not");
    for part in ["dist/2026-01-01/rustc-", "channel-rust-stable.toml@"] {
        alter(part);
    }
    for arguments in [&verify[..], &[&verify[..], &["--sample", "1000"]].concat()] {
        let run = options.run(arguments).await.fails();
        let wrong = run.stdout.lines().filter(|line| line.starts_with("wrong")).count();
        assert_eq!(wrong, 2, "{}", run.stdout);
    }
    options.run(&[&verify[..], &["--repair"]].concat()).await.succeeds();
    options.run(&verify).await.succeeds().says("0 objects (0 B) are not");
    crateport.restart().await;
    let rustup = Rustup::of(crateport.url()).installed().await;
    rustup.run(&install).await.succeeds();
    assert_eq!(rustup.prints("stable", "rustc").await, "rustc 1.0.0 (tiny)");
    assert_eq!(upstream.hits(released.path("rustc")), 2);
}

#[tokio::test]
async fn a_repair_loses_nothing_that_may_be_right() {
    let (s3, upstream) = (S3Server::start().await, ScriptedUpstream::start().await);
    let published = publish(&upstream, 1);
    let options = on_bucket(options(&upstream), &s3);
    let crateport = Crateport::start(options.clone()).await;
    let answer = get(crate_url(&crateport, "crate-0", "1.0.0")).send().await;
    assert_eq!(answer.body, published[0].bytes);
    let is_krate = |key: &String| key.ends_with(".crate");
    until_none(async || s3.keys().iter().all(|key| !is_krate(key)).then_some("no crate")).await;
    drop(crateport);
    upstream.stop();
    // The store fails for a while, and upstream is gone.
    let failure = S3Fault::Answer(500, "InternalError");
    s3.fault(&[S3Operation::GetObject], failure, Times::Always);
    let (store, endpoint) = (format!("s3://{}/fleet", S3Server::BUCKET), s3.endpoint());
    let verify = ["verify", "--repair", "--store", &store, "--s3-endpoint", &endpoint];
    options.run(&verify).await.fails().says("so it stays");
    s3.heal();
    assert!(s3.keys().iter().any(is_krate));
    options.run(&verify).await.succeeds();
}
