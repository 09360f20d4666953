//! Promise 5: a replica may die at any point of a fill. What is on the disk then is whole or not there.

use crateport_testkit::client::get;
use crateport_testkit::{KIB, On, ScriptedUpstream, krate};

use crate::audit::{scratch_files, store_is_right, stored_crates, wrong_byte};
use crate::house::{crate_url, crateport, get_until};

/// Where in the fill it is killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Moment {
    BeforeTheAnswer,
    InTheMiddle,
    BeforeTheLastByte,
    RightAfter,
}

async fn a_replica_may_die(moment: Moment) {
    let upstream = ScriptedUpstream::start().await;
    // Larger than what a fill keeps in memory, so that there is something on the disk.
    let a = krate("a", "1.0.0").payload(900 * KIB).publish(&upstream);
    let mut crateport = crateport(&upstream).await;
    let url = crate_url(&crateport, "a", "1.0.0");
    let gate = match moment {
        Moment::BeforeTheAnswer => Some(upstream.hold(On::Crates)),
        Moment::InTheMiddle => Some(upstream.hold_after(On::Crates, a.bytes.len() / 2)),
        Moment::BeforeTheLastByte => Some(upstream.hold_after(On::Crates, a.bytes.len() - 1)),
        Moment::RightAfter => None,
    };
    let client = tokio::spawn(get(&url).try_send());
    match &gate {
        Some(gate) => gate.wait_for(1).await,
        None => assert_eq!(client.await.unwrap().unwrap().body, a.bytes),
    }
    crateport.kill9();
    assert_eq!(wrong_byte(&crateport.store(), &upstream), None, "{moment:?}");
    if gate.is_some() {
        assert!(stored_crates(&crateport.store()).is_empty(), "{moment:?}");
    }
    drop(gate);

    crateport.restart().await;
    assert!(scratch_files(&crateport.store()).is_empty(), "{moment:?}: the dead one's are gone");
    let answer = get_until(&url, |answer| answer.status == 200).await;
    assert_eq!(answer.body, a.bytes, "{moment:?}");
    store_is_right(&crateport, &upstream).await;
    assert!(upstream.crate_hits("a", "1.0.0") <= 2, "{moment:?}");
}

#[tokio::test]
async fn a_replica_may_die_before_the_answer() {
    a_replica_may_die(Moment::BeforeTheAnswer).await;
}

#[tokio::test]
async fn a_replica_may_die_in_the_middle_of_a_fill() {
    a_replica_may_die(Moment::InTheMiddle).await;
}

#[tokio::test]
async fn a_replica_may_die_before_the_last_byte() {
    a_replica_may_die(Moment::BeforeTheLastByte).await;
}

#[tokio::test]
async fn a_replica_may_die_right_after_a_fill() {
    a_replica_may_die(Moment::RightAfter).await;
}

#[tokio::test]
async fn a_replica_may_die_while_many_fills_are_under_way() {
    let upstream = ScriptedUpstream::start().await;
    let published = (0..40)
        .map(|number| {
            krate(&format!("many-{number}"), "1.0.0").payload(20 * number * KIB).publish(&upstream)
        })
        .collect::<Vec<_>>();
    let mut crateport = crateport(&upstream).await;
    let urls = published
        .iter()
        .map(|krate| crate_url(&crateport, &krate.name, "1.0.0"))
        .collect::<Vec<_>>();
    let clients = urls.iter().map(|url| tokio::spawn(get(url).try_send())).collect::<Vec<_>>();
    // Some are there, some are coming, some have not begun.
    upstream.wait_for_hits("/dl/many-20/1.0.0/download", 1).await;
    crateport.kill9();
    assert_eq!(wrong_byte(&crateport.store(), &upstream), None);
    for client in clients {
        // Whole or an error: which of them is chance.
        let _ = client.await.unwrap();
    }
    crateport.restart().await;
    for (url, krate) in urls.iter().zip(&published) {
        let answer = get_until(url, |answer| answer.status == 200).await;
        assert_eq!(answer.body, krate.bytes, "{}", krate.name);
    }
    store_is_right(&crateport, &upstream).await;
}
