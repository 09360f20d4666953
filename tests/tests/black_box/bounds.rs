//! Promise 7: bounded. Large things flow through little memory, and too much at once is turned away politely.

use crateport_testkit::client::get;
use crateport_testkit::krate::sha256_hex;
use crateport_testkit::{Crateport, KIB, MIB, On, Published, ScriptedUpstream, krate};

use crate::audit::store_is_right;
use crate::house::{crate_url, crateport, index_file_url, options};

const LARGE_BYTES: usize = 200 * MIB;
const GROWTH_BYTES_MAX: u64 = 64 * MIB as u64;

/// A crate of random bytes: to those who do not unpack it, it is as good as any.
fn large() -> Published {
    let small = krate("large", "1.0.0").build();
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut bytes = Vec::with_capacity(LARGE_BYTES);
    while bytes.len() < LARGE_BYTES {
        // xorshift64: no pattern that anything could compress.
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    let cksum = sha256_hex(&bytes);
    let index_line = small.index_line.replace(&small.cksum, &cksum);
    Published { bytes: bytes.into(), cksum, index_line, ..small }
}

async fn download(url: String, length: usize) {
    let mut answer = get(url).open().await;
    let mut read = 0;
    while let Some(piece) = answer.next().await.unwrap() {
        read += piece.len();
    }
    assert_eq!(read, length);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bounded_memory_carries_a_crate_of_200_mb_cold_and_warm() {
    let upstream = ScriptedUpstream::start().await;
    upstream.publish(&large());
    let mut crateport = crateport(&upstream).await;
    let url = crate_url(&crateport, "large", "1.0.0");
    let before = crateport.rss_bytes();
    // Cold, for several clients, one of which stands still.
    let mut still = get(&url).open().await;
    still.first_byte().await.unwrap();
    let clients = (0..3).map(|_| tokio::spawn(download(url.clone(), LARGE_BYTES)));
    for client in clients.collect::<Vec<_>>() {
        client.await.unwrap();
    }
    store_is_right(&crateport, &upstream).await;
    drop(still);
    let growth = crateport.peak_rss_bytes().saturating_sub(before);
    assert!(growth < GROWTH_BYTES_MAX, "cold: {} MiB", growth / MIB as u64);
    // Warm, by a process that has to check the object first.
    crateport.restart().await;
    let before = crateport.rss_bytes();
    download(url, LARGE_BYTES).await;
    let growth = crateport.peak_rss_bytes().saturating_sub(before);
    assert!(growth < GROWTH_BYTES_MAX, "warm: {} MiB", growth / MIB as u64);
    assert_eq!(upstream.crate_hits("large", "1.0.0"), 1);
}

#[tokio::test]
async fn bounded_requests_in_flight_and_503_beyond() {
    let upstream = ScriptedUpstream::start().await;
    let a = krate("a", "1.0.0").payload(KIB).publish(&upstream);
    krate("b", "1.0.0").publish(&upstream);
    let crateport = Crateport::start(options(&upstream).flag("--requests-max", "1")).await;
    let gate = upstream.hold(On::Crates);
    let first = tokio::spawn(get(crate_url(&crateport, "a", "1.0.0")).send());
    gate.wait_for(1).await;
    let shed = get(index_file_url(&crateport, &upstream, "b")).send().await;
    assert_eq!((shed.status, shed.header("retry-after")), (503, Some("1")));
    gate.release();
    assert_eq!(first.await.unwrap().body, a.bytes);
}

#[tokio::test]
async fn bounded_size_of_crates_and_index_files() {
    let upstream = ScriptedUpstream::start().await;
    krate("a", "1.0.0").payload(100 * KIB).publish(&upstream);
    let small =
        options(&upstream).flag("--crate-size-max", "50KiB").flag("--index-size-max", "10KiB");
    let crateport = Crateport::start(small).await;
    let answer = get(crate_url(&crateport, "a", "1.0.0")).send().await;
    assert_eq!(answer.status, 502, "trying again would not help");
    // One byte a crate must not become a whole memory: a file of many lines is refused as a whole.
    let lines = (0..100).map(|n| krate("b", &format!("1.0.{n}")).build().index_line + "\n");
    upstream.replace_index("b", lines.collect::<String>());
    let answer = get(index_file_url(&crateport, &upstream, "b")).send().await;
    assert_eq!(answer.status, 502);
    store_is_right(&crateport, &upstream).await;
}
