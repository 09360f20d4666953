//! Distributions as the tests of toolchains need them, and what is asked of one.

use crateport_testkit::client::{Answer, get};
use crateport_testkit::krate::sha256_hex;
use crateport_testkit::{Crateport, CrateportOptions, ScriptedUpstream};

use crate::house::options;

/// Another target that programs can be built for.
pub(crate) const WASM: &str = "wasm32-unknown-unknown";
/// The manifest that most tests ask for.
pub(crate) const STABLE: &str = "/dist/channel-rust-stable.toml";

/// A cache of `upstream` in place of crates.io and of Rust's own server, everything else as people have it.
pub(crate) fn distribution(upstream: &ScriptedUpstream) -> CrateportOptions {
    options(upstream).dist_with("rustup", &upstream.url(), "allow = [\"127.0.0.1\"]")
}

/// Every file that changes is asked for again at once, and a change takes a moment.
pub(crate) fn eager(upstream: &ScriptedUpstream) -> CrateportOptions {
    eager_with_grace(upstream, "500ms")
}

/// The same, for clients that take a while between a checksum and its file.
pub(crate) fn eager_with_grace(upstream: &ScriptedUpstream, grace: &str) -> CrateportOptions {
    let flags = [
        ("--dist-ttl", "1ms"),
        ("--dist-absent-ttl", "1ms"),
        ("--dist-grace", grace),
        ("--upstream-cool-off-max", "1s"),
    ];
    flags.iter().fold(distribution(upstream), |options, (flag, value)| options.flag(flag, *value))
}

/// The same, and every wait for upstream is short.
pub(crate) fn eager_and_hasty(upstream: &ScriptedUpstream) -> CrateportOptions {
    let waits = [
        ("--refresh-patience", "200ms"),
        ("--upstream-connect-timeout", "500ms"),
        ("--upstream-answer-timeout", "500ms"),
        ("--upstream-idle-timeout", "500ms"),
        ("--upstream-deadline", "1s"),
        ("--wait-max", "10s"),
    ];
    waits.iter().fold(eager(upstream), |options, (flag, value)| options.flag(flag, *value))
}

/// Where a Crateport has the file that upstream has at `path`.
pub(crate) fn file_url(crateport: &Crateport, path: &str) -> String {
    format!("{}/rustup{path}", crateport.url())
}

/// The file at `path`.
pub(crate) async fn file(crateport: &Crateport, path: &str) -> Answer {
    get(file_url(crateport, path)).send().await
}

/// What a Crateport says of the checksum of the file at `path`; the test fails if it says nothing.
pub(crate) async fn told_sum(crateport: &Crateport, path: &str) -> String {
    let answer = file(crateport, &format!("{path}.sha256")).await;
    assert_eq!(answer.status, 200, "{path}: {}", answer.text());
    let text = answer.text();
    let name = path.rsplit('/').next().unwrap();
    let (digest, rest) = text.split_at(64);
    assert!(digest.bytes().all(|byte| byte.is_ascii_hexdigit()), "{text}");
    assert_eq!(rest, format!("  {name}\n"), "as Rust's own server writes it");
    digest.to_owned()
}

/// The checksum of the bytes of an answer.
pub(crate) fn sum_of(answer: &Answer) -> String {
    assert_eq!(answer.status, 200, "{}", String::from_utf8_lossy(&answer.body));
    sha256_hex(&answer.body)
}
