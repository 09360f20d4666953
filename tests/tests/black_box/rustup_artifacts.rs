//! Dist files that never change: proved before they are visible, streamed while they are kept.

use std::time::Duration;

use crateport_testkit::client::{Ending, RawRequest, get, head};
use crateport_testkit::krate::{MIB, sha256_hex};
use crateport_testkit::{
    Crateport, CrateportOptions, Fault, On, ScriptedUpstream, Times, toolchain,
};
use tokio::task::JoinSet;

use crate::house::{get_until, options, outcome, until_none};
use crate::toolchains::{STABLE, distribution, eager_and_hasty, file, file_url, sum_of, told_sum};

/// A file that only the checksum beside it proves.
const ARCHIVE: &str = "/rustup/archive/1.29.0/x86_64-unknown-linux-gnu/rustup-init";

fn noise(size: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_u32;
    let next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    std::iter::repeat_with(next).take(size).collect()
}

#[tokio::test]
async fn an_artifact_has_ranges_heads_and_conditions_and_is_never_compressed() {
    let upstream = ScriptedUpstream::start().await;
    let bytes = noise(10_000);
    upstream.put_file_with_sum(ARCHIVE, bytes.clone());
    let crateport = Crateport::start(distribution(&upstream)).await;
    let url = file_url(&crateport, ARCHIVE);
    get(&url).send().await;
    let whole = get_until(&url, |answer| outcome(answer) == "hit").await;
    assert_eq!(whole.body, bytes);
    let encoded = get(&url).header("accept-encoding", "gzip, deflate, br, zstd").send().await;
    assert_eq!((encoded.header("content-encoding"), &encoded.body[..]), (None, &bytes[..]));
    let expected = Some("public, max-age=31536000, immutable");
    assert_eq!(whole.header("cache-control"), expected);
    assert_eq!(whole.header("content-type"), Some("application/octet-stream"));
    let etag = whole.header("etag").unwrap();
    let only_head = head(&url).send().await;
    assert_eq!((only_head.status, only_head.body.len()), (200, 0));
    assert_eq!(only_head.header("content-length"), Some("10000"));
    for (range, from, to) in
        [("bytes=0-0", 0, 1), ("bytes=5000-", 5000, 10_000), ("bytes=-7", 9993, 10_000)]
    {
        let part = get(&url).header("range", range).send().await;
        assert_eq!((part.status, &part.body[..]), (206, &bytes[from..to]), "{range}");
    }
    assert_eq!(get(&url).header("range", "bytes=99999-").send().await.status, 416);
    assert_eq!(get(&url).header("if-none-match", etag).send().await.status, 304);
    assert_eq!(told_sum(&crateport, ARCHIVE).await, sha256_hex(&bytes));
    assert_eq!(upstream.hits(ARCHIVE), 1);
    assert_eq!(upstream.hits(&format!("{ARCHIVE}.sha256")), 1);
}

#[tokio::test]
async fn many_clients_of_a_cold_artifact_cost_one_fetch_and_see_its_first_byte_early() {
    let upstream = ScriptedUpstream::start().await;
    let bytes = noise(2 * MIB);
    upstream.put_file_with_sum(ARCHIVE, bytes.clone());
    let crateport = Crateport::start(distribution(&upstream)).await;
    let gate = upstream.hold_after(On::Path(ARCHIVE.to_owned()), MIB);
    let url = file_url(&crateport, ARCHIVE);
    let mut first = get(&url).open().await;
    assert_eq!(first.first_byte().await.unwrap(), bytes[0], "before upstream has sent it all");
    let mut clients = JoinSet::new();
    for _ in 0..20 {
        clients.spawn(get(&url).send());
    }
    // A download that is taken up again finds its place in what is still coming.
    let resumed = tokio::spawn(get(&url).header("range", "bytes=1000-").send());
    let part = tokio::spawn(get(&url).header("range", "bytes=10-19").send());
    gate.wait_for(1).await;
    gate.release();
    assert_eq!(first.rest().await.unwrap(), bytes);
    assert!(clients.join_all().await.iter().all(|answer| answer.body == bytes));
    let resumed = resumed.await.unwrap();
    assert_eq!((resumed.status, &resumed.body[..]), (206, &bytes[1000..]));
    let content_range = format!("bytes 1000-{}/{}", bytes.len() - 1, bytes.len());
    assert_eq!(resumed.header("content-range"), Some(content_range.as_str()));
    let part = part.await.unwrap();
    assert_eq!((part.status, &part.body[..]), (206, &bytes[10..20]));
    assert_eq!(upstream.hits(ARCHIVE), 1);
}

#[tokio::test]
async fn a_manifest_proves_its_artifacts_on_every_replica_and_after_a_restart() {
    let (upstream, folder) = (ScriptedUpstream::start().await, tempfile::tempdir().unwrap());
    let released = toolchain("1.0.0", "2026-01-01").release(&upstream, &["stable"]);
    for (path, _) in &released.files {
        // A mirror may have no checksums beside components: rustup asks for none.
        upstream.remove_file(&format!("{path}.sha256"));
    }
    let options = distribution(&upstream).store(folder.path());
    let one = Crateport::start(options.clone()).await;
    assert_eq!(sum_of(&file(&one, STABLE).await), sha256_hex(&released.manifest));
    until_none(async || (upstream.hits(STABLE) == 0).then_some(())).await;
    told_sum(&one, STABLE).await;
    let other = Crateport::start(options).await;
    for (path, bytes) in &released.files {
        let answer = file(&other, path).await;
        assert_eq!((answer.status, &answer.body), (200, bytes), "{path}");
        assert_eq!(told_sum(&one, path).await, sha256_hex(bytes));
        assert_eq!(upstream.hits(&format!("{path}.sha256")), 0, "{path}");
    }
}

#[tokio::test]
async fn no_wrong_byte_of_an_artifact_is_completed_or_kept() {
    for by_manifest in [true, false] {
        for fault in [
            Fault::WrongChecksum,
            Fault::Html,
            Fault::Empty,
            Fault::Truncated,
            Fault::TruncatedChunked,
            Fault::Reset,
            Fault::HangBody,
            Fault::Status(500),
            Fault::Status(403),
            Fault::TooManyRequests { retry_after: Duration::from_secs(1) },
            Fault::RedirectLoop,
        ] {
            let upstream = ScriptedUpstream::start().await;
            let released =
                toolchain("1.0.0", "2026-01-01").payload(100_000).release(&upstream, &["stable"]);
            let crateport = Crateport::start(eager_and_hasty(&upstream)).await;
            let path = if by_manifest {
                told_sum(&crateport, STABLE).await;
                released.path("rust-std").to_owned()
            } else {
                upstream.put_file_with_sum(ARCHIVE, noise(100_000));
                ARCHIVE.to_owned()
            };
            let bytes = upstream.file(&path);
            let url = file_url(&crateport, &path);
            upstream.fault(On::Path(path.clone()), fault.clone(), Times::Always);
            for range in [None, Some("bytes=0-9"), Some("bytes=50-")] {
                let request = RawRequest::get(&url);
                let request = match range {
                    Some(range) => request.header("Range", range),
                    None => request,
                };
                let answer = request.send().await;
                let is_whole =
                    answer.ending == Ending::Whole && matches!(answer.status, Some(200 | 206));
                assert!(!is_whole, "{fault:?} {range:?}: {answer:?}");
                assert!(!matches!(answer.status, Some(404)), "{fault:?}");
            }
            let kept = crateport.store().join(format!("v1/rustup{path}"));
            assert!(!kept.exists(), "{fault:?}");
            upstream.heal();
            let answer = get_until(&url, |answer| answer.status == 200).await;
            assert_eq!(answer.body, bytes, "{fault:?}");
            until_none(async || (!kept.exists()).then_some("not kept yet")).await;
            assert_eq!(std::fs::read(&kept).unwrap(), bytes);
        }
    }
}

#[tokio::test]
async fn a_damaged_artifact_is_fetched_again_and_never_given() {
    let upstream = ScriptedUpstream::start().await;
    let bytes = noise(50_000);
    upstream.put_file_with_sum(ARCHIVE, bytes.clone());
    let mut crateport = Crateport::start(distribution(&upstream)).await;
    let url = file_url(&crateport, ARCHIVE);
    get_until(&url, |answer| outcome(answer) == "hit").await;
    let kept = crateport.store().join(format!("v1/rustup{ARCHIVE}"));
    let mut damaged = bytes.clone();
    damaged[30_000] ^= 1;
    for restarted in [false, true] {
        std::fs::write(&kept, &damaged).unwrap();
        if restarted {
            crateport.restart().await;
        }
        assert_eq!(get(&url).send().await.body, bytes, "{restarted}");
        until_none(async || (std::fs::read(&kept).ok() != Some(bytes.clone())).then_some(())).await;
    }
}

#[tokio::test]
async fn what_nothing_proves_is_not_given() {
    let upstream = ScriptedUpstream::start().await;
    upstream.put_file(ARCHIVE, "who knows");
    upstream.put_file("/tool-latest.tar.gz", "who knows");
    let crateport = Crateport::start(distribution(&upstream)).await;
    for path in [ARCHIVE, "/tool-latest.tar.gz"] {
        assert_eq!(file(&crateport, path).await.status, 404, "{path}");
        assert_eq!(upstream.hits(path), 0, "{path}");
    }
}

#[tokio::test]
async fn paths_that_mean_nothing_never_reach_upstream() {
    let upstream = ScriptedUpstream::start().await;
    let crateport = Crateport::start(distribution(&upstream)).await;
    for path in [
        "/dist/..%2f..%2fetc/passwd",
        "/dist/.hidden",
        "/.snapshots/dist/channel-rust-stable.toml@given",
        "/.snapshots/dist/channel-rust-stable.toml%40given",
        "/dist/a%00b",
        "/dist/a//b",
        "/dist/",
        "/",
    ] {
        // As it stands: other clients would tidy the path up.
        let answer = RawRequest::get(file_url(&crateport, path)).send().await;
        assert_eq!(answer.status, Some(404), "{path}");
    }
    assert_eq!(upstream.total_hits(), 0, "{:#?}", upstream.requests());
}

#[tokio::test]
async fn any_other_static_origin_is_served_the_same_way() {
    let (rust, internal) = (ScriptedUpstream::start().await, ScriptedUpstream::start().await);
    let internal = {
        let released = toolchain("1.0.0", "2026-01-01").release(&internal, &["internal"]);
        (internal, released)
    };
    let (upstream, released) = internal;
    upstream.change(|settings| settings.token = Some("secret".to_owned()));
    let options: CrateportOptions =
        options(&rust).dist_with("toolchains", &upstream.url(), "token = \"secret\"");
    let crateport = Crateport::start(options).await;
    let at = |path: &str| format!("{}/toolchains{path}", crateport.url());
    let manifest = "/dist/channel-rust-internal.toml";
    let sum = get(at(&format!("{manifest}.sha256"))).send().await;
    assert!(sum.text().starts_with(&sha256_hex(&released.manifest)), "{}", sum.text());
    assert_eq!(get(at(manifest)).send().await.body, released.manifest);
    for (path, bytes) in &released.files {
        assert_eq!(get(at(path)).send().await.body, bytes, "{path}");
    }
    upstream.put_file_with_sum("/tools/tool-1.2.3.tar.gz", "a tool");
    assert_eq!(get(at("/tools/tool-1.2.3.tar.gz")).send().await.body, "a tool");
    // Its installer would be its own; ours is for Rust's.
    assert_eq!(get(at("/rustup-init.sh")).send().await.status, 404);
    assert_eq!(rust.total_hits(), 0);
    let requests = [("registry", "toolchains"), ("resource", "dist")];
    assert!(crateport.metric("crateport_http_requests_total", &requests).await >= 6.0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_is_many_times_larger_than_memory_flows_through() {
    const SIZE: usize = 300 * MIB;
    const MEMORY_MAX: u64 = 64 * MIB as u64;
    let upstream = ScriptedUpstream::start().await;
    upstream.put_file_with_sum(ARCHIVE, noise(SIZE));
    let crateport = Crateport::start(distribution(&upstream)).await;
    let url = file_url(&crateport, ARCHIVE);
    for _ in 0..2 {
        let mut clients = JoinSet::new();
        for _ in 0..4 {
            let url = url.clone();
            clients.spawn(async move {
                let (mut size, mut answer) = (0, get(&url).open().await);
                while let Some(piece) = answer.next().await.unwrap() {
                    size += piece.len();
                }
                size
            });
        }
        assert_eq!(clients.join_all().await, [SIZE; 4]);
        until_none(async || (outcome(&head(&url).send().await) != "hit").then_some(())).await;
    }
    let peak = crateport.peak_rss_bytes();
    assert!(peak < MEMORY_MAX, "{} MiB", peak / MIB as u64);
    assert_eq!(upstream.hits(ARCHIVE), 1);
}
