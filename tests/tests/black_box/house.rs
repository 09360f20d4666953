//! Crateports as the tests start them, and the addresses and waits they share.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crateport_testkit::client::{Answer, get};
use crateport_testkit::{
    Cargo, Crateport, CrateportOptions, KIB, Published, S3Server, ScriptedUpstream, krate,
};

use crate::audit::{store_is_right, stored_crates};

/// The registry under test, unless a test has several.
pub(crate) const CRATES_IO: &str = "crates-io";
/// How long an event may take to come.
const EVENT_DEADLINE: Duration = Duration::from_secs(30);
/// How often is looked whether it has.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// A cache of `upstream` in place of crates.io, everything else as people have it.
pub(crate) fn options(upstream: &ScriptedUpstream) -> CrateportOptions {
    let lines = "allow = [\"127.0.0.1\"]";
    CrateportOptions::default().upstream_with(CRATES_IO, &upstream.index_url(), lines)
}

/// The same, started.
pub(crate) async fn crateport(upstream: &ScriptedUpstream) -> Crateport {
    Crateport::start(options(upstream)).await
}

/// Every index file must be asked for again at once, and every wait for upstream is short.
pub(crate) fn hasty(upstream: &ScriptedUpstream) -> CrateportOptions {
    let waits = [
        ("--upstream-connect-timeout", "500ms"),
        ("--upstream-answer-timeout", "500ms"),
        ("--upstream-idle-timeout", "500ms"),
        ("--upstream-deadline", "1s"),
        ("--wait-max", "10s"),
    ];
    with_flags(forgetful(upstream), &waits)
}

/// The same with waits that only a dead upstream can outlast, even on a busy machine.
pub(crate) fn patient(upstream: &ScriptedUpstream) -> CrateportOptions {
    let waits = [("--upstream-answer-timeout", "10s"), ("--wait-max", "20s")];
    with_flags(forgetful(upstream), &waits)
}

fn forgetful(upstream: &ScriptedUpstream) -> CrateportOptions {
    let flags = [
        ("--index-ttl", "1ms"),
        ("--absent-ttl", "100ms"),
        ("--refresh-ahead-max", "0"),
        ("--refresh-patience", "100ms"),
        ("--upstream-cool-off-max", "1s"),
    ];
    with_flags(options(upstream), &flags)
}

/// The same on a bucket.
pub(crate) fn on_bucket(options: CrateportOptions, s3: &S3Server) -> CrateportOptions {
    let options = options
        .bucket(&format!("s3://{}/fleet", S3Server::BUCKET))
        .flag("--s3-endpoint", s3.endpoint());
    let environment = s3.environment().into_iter();
    environment.fold(options, |options, (name, value)| options.variable(name, value))
}

fn with_flags(options: CrateportOptions, flags: &[(&str, &str)]) -> CrateportOptions {
    flags.iter().fold(options, |options, (flag, value)| options.flag(flag, *value))
}

/// Where a Crateport has the index file of a crate.
pub(crate) fn index_file_url(
    crateport: &Crateport,
    upstream: &ScriptedUpstream,
    name: &str,
) -> String {
    format!("{}/{CRATES_IO}{}", crateport.url(), upstream.index_path(name))
}

/// Where it has a crate.
pub(crate) fn crate_url(crateport: &Crateport, name: &str, version: &str) -> String {
    crateport.crate_url(CRATES_IO, name, version)
}

/// The answer's `x-cache`.
pub(crate) fn outcome(answer: &Answer) -> &str {
    answer.header("x-cache").unwrap_or_default()
}

/// Asks until the answer is as wanted.
pub(crate) async fn get_until(url: &str, wanted: impl Fn(&Answer) -> bool) -> Answer {
    let mut last = None;
    let start = std::time::Instant::now();
    while start.elapsed() < EVENT_DEADLINE {
        match get(url).try_send().await {
            Ok(answer) if wanted(&answer) => return answer,
            answer => last = Some(answer),
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
    panic!("{url} was not answered as it should be within {EVENT_DEADLINE:?}; at last {last:?}")
}

/// Looks until there is nothing to complain of.
pub(crate) async fn until_none<T: std::fmt::Debug>(mut complaint: impl AsyncFnMut() -> Option<T>) {
    let start = std::time::Instant::now();
    while let Some(found) = complaint().await {
        assert!(start.elapsed() < EVENT_DEADLINE, "after {EVENT_DEADLINE:?} still: {found:?}");
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// Waits until a metric has a value.
pub(crate) async fn metric_is(
    crateport: &Crateport,
    name: &str,
    labels: &[(&str, &str)],
    wanted: f64,
) {
    until_none(async || {
        let value = crateport.metric(name, labels).await;
        ((value - wanted).abs() > f64::EPSILON).then(|| format!("{name}{labels:?} is {value}"))
    })
    .await;
}

/// A lock file as cargo writes it, in a folder of its own.
pub(crate) async fn lockfile(
    upstream: &ScriptedUpstream,
    dependencies: &[(&str, &str)],
) -> (Cargo, PathBuf) {
    let crateport = crateport(upstream).await;
    let cargo =
        Cargo::new().replaces_crates_io_with(&crateport.index_url(CRATES_IO)).project(|project| {
            let project = dependencies
                .iter()
                .fold(project, |project, (name, version)| project.dep(name, version));
            project.main("fn main() {}")
        });
    cargo.run(&["generate-lockfile"]).await.succeeds();
    let path = cargo.work().join("Cargo.lock");
    (cargo, path)
}

/// The path as an argument.
pub(crate) fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// A folder as `--store` names it.
pub(crate) fn fs_store(folder: &Path) -> String {
    format!("fs:{}", folder.display())
}

/// With further arguments.
pub(crate) fn with(options: CrateportOptions, arguments: &[&str]) -> CrateportOptions {
    arguments.iter().fold(options, |options, argument| options.argument(*argument))
}

/// Some crates of a size that matters.
pub(crate) fn publish(upstream: &ScriptedUpstream, count: usize) -> Vec<Published> {
    let name = |number| format!("crate-{number}");
    (0..count)
        .map(|number| krate(&name(number), "1.0.0").payload(40 * KIB).publish(upstream))
        .collect()
}

/// Has a cache keep them.
pub(crate) async fn fill(
    crateport: &Crateport,
    upstream: &ScriptedUpstream,
    published: &[Published],
) {
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
