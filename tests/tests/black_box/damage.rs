//! Objects that somebody or something altered on the disk: found out, dropped, filled again, never served.

use std::fs::{File, FileTimes};
use std::path::{Path, PathBuf};

use crateport_testkit::client::get;
use crateport_testkit::{Crateport, KIB, ScriptedUpstream, krate};

use crate::audit::store_is_right;
use crate::house::{
    crate_url, crateport, get_until, hasty, index_file_url, options, outcome, until_none,
};

/// How the file is altered.
#[derive(Clone, Copy, Debug)]
enum Damage {
    OtherBytes,
    OtherBytesWithTheOldTime,
    Truncated,
    Emptied,
    ReplacedByAnother,
}

const DAMAGES: [Damage; 5] = [
    Damage::OtherBytes,
    Damage::OtherBytesWithTheOldTime,
    Damage::Truncated,
    Damage::Emptied,
    Damage::ReplacedByAnother,
];

fn damage(file: &Path, damage: Damage) {
    let good = std::fs::read(file).unwrap();
    let modified = std::fs::metadata(file).unwrap().modified().unwrap();
    let flipped = good.iter().map(|byte| byte ^ 1).collect::<Vec<_>>();
    match damage {
        Damage::OtherBytes | Damage::OtherBytesWithTheOldTime => std::fs::write(file, flipped),
        Damage::Truncated => std::fs::write(file, &good[..good.len() / 2]),
        Damage::Emptied => std::fs::write(file, ""),
        Damage::ReplacedByAnother => std::fs::write(file.with_extension("new"), flipped)
            .and_then(|()| std::fs::rename(file.with_extension("new"), file)),
    }
    .unwrap();
    if matches!(damage, Damage::OtherBytesWithTheOldTime) {
        let times = FileTimes::new().set_modified(modified);
        File::options().write(true).open(file).unwrap().set_times(times).unwrap();
    }
}

fn stored(crateport: &Crateport, path: &str) -> PathBuf {
    crateport.store().join("v1/crates-io").join(path)
}

async fn appears(file: &Path) {
    until_none(async || (!file.exists()).then(|| format!("{} is missing", file.display()))).await;
}

#[tokio::test]
async fn a_damaged_crate_is_dropped_and_filled_again_and_never_served() {
    let upstream = ScriptedUpstream::start().await;
    let a = krate("a", "1.0.0").payload(50 * KIB).publish(&upstream);
    // Memory would not notice what happens to the file.
    let mut crateport = Crateport::start(options(&upstream).flag("--object-memory", "0")).await;
    let url = crate_url(&crateport, "a", "1.0.0");
    let file = stored(&crateport, "crates/a/a-1.0.0.crate");
    get(&url).send().await;
    let mut fills = 1;
    for how in DAMAGES {
        for restarted in [false, true] {
            appears(&file).await;
            get_until(&url, |answer| outcome(answer) == "hit").await;
            damage(&file, how);
            if restarted {
                crateport.restart().await;
            }
            let answer = get(&url).send().await;
            assert_eq!((answer.status, &answer.body), (200, &a.bytes), "{how:?} {restarted}");
            assert_eq!(outcome(&answer), "fill", "{how:?} {restarted}");
            fills += 1;
            assert_eq!(upstream.crate_hits("a", "1.0.0"), fills, "{how:?} {restarted}");
            assert!(crateport.metric("crateport_damaged_objects_total", &[]).await >= 1.0);
            store_is_right(&crateport, &upstream).await;
        }
    }
}

#[tokio::test]
async fn a_damaged_crate_is_503_while_upstream_is_gone() {
    let upstream = ScriptedUpstream::start().await;
    let a = krate("a", "1.0.0").payload(KIB).publish(&upstream);
    let crateport = Crateport::start(hasty(&upstream).flag("--object-memory", "0")).await;
    let url = crate_url(&crateport, "a", "1.0.0");
    get_until(&url, |answer| answer.status == 200).await;
    let file = stored(&crateport, "crates/a/a-1.0.0.crate");
    appears(&file).await;
    upstream.stop();
    damage(&file, Damage::OtherBytes);
    assert_eq!(get(&url).send().await.status, 503);
    upstream.restart();
    get_until(&url, |answer| answer.status == 200 && answer.body == a.bytes).await;
}

#[tokio::test]
async fn a_damaged_index_file_is_filled_again_and_never_served() {
    let upstream = ScriptedUpstream::start().await;
    krate("a", "1.0.0").publish(&upstream);
    krate("a", "1.1.0").publish(&upstream);
    let mut crateport = crateport(&upstream).await;
    let url = index_file_url(&crateport, &upstream, "a");
    let file = stored(&crateport, "index/1/a");
    let good = upstream.index_bytes("a");
    get(&url).send().await;
    for how in DAMAGES {
        appears(&file).await;
        damage(&file, how);
        crateport.restart().await;
        let answer = get(&url).send().await;
        assert_eq!((answer.status, answer.body), (200, good.clone()), "{how:?}");
        until_none(async || {
            let now = std::fs::read(&file).unwrap_or_default();
            (now != good).then_some("the store has not been mended")
        })
        .await;
    }
}

#[tokio::test]
async fn an_altered_checksum_in_a_stored_index_file_costs_no_good_crate() {
    let upstream = ScriptedUpstream::start().await;
    let a = krate("a", "1.0.0").payload(KIB).publish(&upstream);
    let mut crateport = crateport(&upstream).await;
    let url = crate_url(&crateport, "a", "1.0.0");
    get(&url).send().await;
    let (index, krate_file) =
        (stored(&crateport, "index/1/a"), stored(&crateport, "crates/a/a-1.0.0.crate"));
    appears(&index).await;
    appears(&krate_file).await;
    // Still an index file by its form, but not the one that was kept.
    let other = a.cksum.chars().rev().collect::<String>();
    let text = std::fs::read_to_string(&index).unwrap().replace(&a.cksum, &other);
    std::fs::write(&index, text).unwrap();
    crateport.restart().await;
    let answer = get(&url).try_send().await;
    let answer = answer.unwrap_or_else(|error| panic!("the crate is not served: {error}"));
    assert_eq!((answer.status, answer.body), (200, a.bytes));
}
