//! Promise 4: the first byte comes early, and everybody reads at his own speed.

use crateport_testkit::client::get;
use crateport_testkit::{KIB, MIB, On, ScriptedUpstream, krate};
use tokio::task::JoinSet;

use crate::audit::store_is_right;
use crate::house::{crate_url, crateport};

const CLIENTS: usize = 20;

#[tokio::test]
async fn the_first_byte_comes_early_to_every_client() {
    // With a length and without, as upstreams do it.
    for chunked in [false, true] {
        let builder = ScriptedUpstream::builder();
        let upstream = if chunked { builder.chunked() } else { builder }.start().await;
        let a = krate("a", "1.0.0").payload(100 * KIB).publish(&upstream);
        let crateport = crateport(&upstream).await;
        let url = crate_url(&crateport, "a", "1.0.0");
        let gate = upstream.hold_after(On::Crates, 1000);
        let mut clients = JoinSet::new();
        for _ in 0..CLIENTS {
            let request = get(&url);
            clients.spawn(async move {
                let mut answer = request.open().await;
                answer.first_byte().await.unwrap();
                answer
            });
        }
        let opened = clients.join_all().await;
        assert_eq!((opened.len(), gate.waiting()), (CLIENTS, 1), "upstream still stands");
        gate.release();
        for answer in opened {
            assert_eq!(answer.rest().await.unwrap(), a.bytes);
        }
        assert_eq!(upstream.crate_hits("a", "1.0.0"), 1);
    }
}

#[tokio::test]
async fn a_slow_client_slows_only_itself() {
    let upstream = ScriptedUpstream::start().await;
    let a = krate("a", "1.0.0").payload(16 * MIB).publish(&upstream);
    let crateport = crateport(&upstream).await;
    let url = crate_url(&crateport, "a", "1.0.0");
    let gate = upstream.hold_after(On::Crates, KIB);
    let mut slow = get(&url).open().await;
    slow.first_byte().await.unwrap();
    gate.release();
    // It reads no further, and everything else goes on: the others, the fill, the store.
    for _ in 0..3 {
        assert_eq!(get(&url).send().await.body, a.bytes);
    }
    store_is_right(&crateport, &upstream).await;
    assert_eq!(crate::audit::stored_crates(&crateport.store()).len(), 1);
    assert_eq!(slow.rest().await.unwrap(), a.bytes, "and its own download is whole");
    assert_eq!(upstream.crate_hits("a", "1.0.0"), 1);
}
