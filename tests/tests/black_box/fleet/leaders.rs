//! Promise 5 in a fleet: a leader may be slow, be killed at any stage of a fill, freeze, or not be the only one.

use crateport_testkit::client::get;
use crateport_testkit::{
    Gate, KIB, MIB, Mode, On, Published, S3Fault, S3Operation, ScriptedUpstream, Times, krate,
};
use tokio::task::JoinSet;

use super::store::{bucket_is_right, stored_crates, wrong_crate};
use super::{Fleet, REPLICAS};
use crate::at_once;
use crate::house::{get_until, outcome, until_none};

/// The clients of each replica that only follows.
const FOLLOWERS: usize = 5;
/// A lease lives for 10 s without a sign of life, and a sign comes at every third of that: so many signs are more than
/// one life.
const SIGNS: u64 = 4;

/// Where in the fill the leader is killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    BeforeTheAnswer,
    InTheMiddle,
    BeforeTheLastByte,
    WhileItIsPut,
    WhileAPartIsPut,
    RightAfter,
}

/// Who keeps the fill at its stage.
enum Held {
    Upstream(Gate),
    Bucket,
    Nobody,
}

impl Stage {
    const ALL: [Self; 6] = [
        Self::BeforeTheAnswer,
        Self::InTheMiddle,
        Self::BeforeTheLastByte,
        Self::WhileItIsPut,
        Self::WhileAPartIsPut,
        Self::RightAfter,
    ];

    /// What is put in parts is larger than what is put at once.
    fn payload_bytes(self) -> usize {
        if self == Self::WhileAPartIsPut { 17 * MIB } else { 900 * KIB }
    }

    /// Whether everyone who follows has all bytes.
    fn is_whole(self) -> bool {
        matches!(self, Self::WhileItIsPut | Self::WhileAPartIsPut | Self::RightAfter)
    }

    fn hold(self, fleet: &Fleet, krate: &Published) -> Held {
        let upstream = &fleet.parts.upstream;
        let hang = |operation| fleet.parts.s3.fault(&[operation], S3Fault::Hang, Times::Next(1));
        match self {
            Self::BeforeTheAnswer => Held::Upstream(upstream.hold(On::Crates)),
            Self::InTheMiddle => {
                Held::Upstream(upstream.hold_after(On::Crates, krate.bytes.len() / 2))
            }
            Self::BeforeTheLastByte => {
                Held::Upstream(upstream.hold_after(On::Crates, krate.bytes.len() - 1))
            }
            Self::WhileItIsPut => {
                hang(S3Operation::PutObject);
                Held::Bucket
            }
            Self::WhileAPartIsPut => {
                hang(S3Operation::UploadPart);
                Held::Bucket
            }
            Self::RightAfter => Held::Nobody,
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_killed_at_any_stage_of_a_fill_is_taken_over() {
    let rows = Stage::ALL.map(|stage| (format!("{stage:?}"), move || killed(stage)));
    at_once::all(rows).await;
}

async fn killed(stage: Stage) {
    let mut fleet = Fleet::start().await;
    let a = krate("a", "1.0.0").payload(stage.payload_bytes()).publish(&fleet.parts.upstream);
    // Everyone knows the index file, so that what is put next is the crate.
    for replica in 0..REPLICAS {
        get_until(&fleet.index_file_url_at(replica, "a"), |answer| answer.status == 200).await;
    }
    bucket_is_right(&fleet.parts.s3, &fleet.parts.upstream).await;
    fleet.parts.s3.wait_for(S3Operation::PutObject, 1).await;
    fleet.parts.s3.forget_counts();
    let held = stage.hold(&fleet, &a);
    let leading = tokio::spawn(get(fleet.crate_url_at(0, &a)).try_send());
    match &held {
        Held::Upstream(gate) => gate.wait_for(1).await,
        Held::Bucket => until_none(async || under_way(&fleet)).await,
        Held::Nobody => assert_eq!(leading.await.unwrap().unwrap().body, a.bytes),
    }
    let mut following = JoinSet::new();
    for replica in 1..REPLICAS {
        for _ in 0..FOLLOWERS {
            following.spawn(get(fleet.crate_url_at(replica, &a)).send());
        }
    }
    let mut answers = Vec::new();
    if stage.is_whole() {
        // The leader has all bytes, and so everyone who follows has them before it dies.
        answers = following.join_all().await;
        following = JoinSet::new();
    } else {
        fleet.wait_for_in_flight((FOLLOWERS * (REPLICAS - 1)) as f64).await;
    }
    fleet.replicas[0].kill9();
    assert_eq!(wrong_crate(&fleet.parts.s3, &fleet.parts.upstream), None);
    drop(held);
    answers.extend(following.join_all().await);
    for answer in answers {
        assert!(answer.status < 400, "{} {}", answer.status, answer.text());
        let bytes = match answer.header("location") {
            Some(location) => get(location).send().await.body,
            None => answer.body,
        };
        assert_eq!(bytes, a.bytes);
    }
    // The dead one's and the one that took over. What every replica had whole is not asked for again, put or not.
    let hits = fleet.parts.upstream.crate_hits("a", "1.0.0");
    let hits_max = if stage.is_whole() { 1 } else { 2 };
    assert!(hits <= hits_max, "{hits} requests to upstream");
    stored_once(&fleet).await;
    assert_eq!(wrong_crate(&fleet.parts.s3, &fleet.parts.upstream), None);
    // It comes back to a fleet that needs nothing of it.
    fleet.replicas[0].restart().await;
    let url = format!("{}?delivery=stream", fleet.crate_url_at(0, &a));
    let answer = get_until(&url, |answer| outcome(answer) == "hit").await;
    assert_eq!(answer.body, a.bytes);
    assert_eq!(fleet.parts.upstream.crate_hits("a", "1.0.0"), hits);
}

/// Clients have their bytes before the bucket has.
async fn stored_once(fleet: &Fleet) {
    until_none(async || {
        let stored = stored_crates(&fleet.parts.s3);
        (stored.len() != 1).then_some(stored)
    })
    .await;
}

/// Whether the put of the crate has not begun.
fn under_way(fleet: &Fleet) -> Option<&'static str> {
    let s3 = &fleet.parts.s3;
    let begun = s3.count(S3Operation::PutObject) + s3.count(S3Operation::UploadPart);
    (begun == 0).then_some("nothing is put")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_leader_keeps_its_lease_for_longer_than_a_lease_lives() {
    let fleet = Fleet::start().await;
    let upstream = &fleet.parts.upstream;
    let a = krate("a", "1.0.0").payload(100 * KIB).publish(upstream);
    let gate = upstream.hold_after(On::Crates, KIB);
    let mut clients = JoinSet::new();
    clients.spawn(get(fleet.crate_url_at(0, &a)).send());
    gate.wait_for(1).await;
    for replica in 1..REPLICAS {
        clients.spawn(get(fleet.crate_url_at(replica, &a)).send());
    }
    fleet.wait_for_in_flight(REPLICAS as f64).await;
    let before = fleet.parts.redis.calls("pexpire").await;
    until_none(async || {
        let signs = fleet.parts.redis.calls("pexpire").await - before;
        (signs < SIGNS).then(|| format!("{signs} signs of life"))
    })
    .await;
    assert_eq!(upstream.crate_hits("a", "1.0.0"), 1, "nobody took over");
    gate.release();
    let answers = clients.join_all().await;
    assert!(answers.iter().all(|answer| answer.status == 200 && answer.body == a.bytes));
    assert_eq!(upstream.crate_hits("a", "1.0.0"), 1);
    bucket_is_right(&fleet.parts.s3, upstream).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_leaders_at_once_end_in_one_right_object() {
    let rows = Loss::ALL.map(|loss| (format!("{loss:?}"), move || two_leaders(loss)));
    at_once::all(rows).await;
}

/// How Redis loses a lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Loss {
    Flushed,
    Restarted,
    CutOff,
}

impl Loss {
    const ALL: [Self; 3] = [Self::Flushed, Self::Restarted, Self::CutOff];
}

async fn two_leaders(loss: Loss) {
    let fleet = Fleet::start().await;
    let upstream = &fleet.parts.upstream;
    let a = krate("a", "1.0.0").payload(500 * KIB).publish(upstream);
    let gate = upstream.hold_after(On::Crates, KIB);
    let mut clients = JoinSet::new();
    clients.spawn(get(fleet.crate_url_at(0, &a)).send());
    gate.wait_for(1).await;
    match loss {
        Loss::Flushed => drop(fleet.parts.redis.cli(&["FLUSHALL"]).await),
        Loss::Restarted => {
            fleet.parts.redis.restart().await;
            fleet.wait_for_redis().await;
        }
        Loss::CutOff => fleet.redis_door.set(Mode::Refuse),
    }
    // Each other replica now leads in its turn, or on its own.
    let others = if loss == Loss::CutOff { REPLICAS - 1 } else { 1 };
    for replica in 1..=others {
        clients.spawn(get(fleet.crate_url_at(replica, &a)).send());
    }
    gate.wait_for(1 + others).await;
    gate.release();
    for answer in clients.join_all().await {
        assert_eq!((answer.status, answer.body), (200, a.bytes.clone()));
    }
    assert_eq!(upstream.crate_hits("a", "1.0.0"), 1 + others);
    stored_once(&fleet).await;
    bucket_is_right(&fleet.parts.s3, upstream).await;
    fleet.redis_door.set(Mode::Pass);
    fleet.wait_for_redis().await;
    served_by_everyone(&fleet, &a).await;
}

async fn served_by_everyone(fleet: &Fleet, krate: &Published) {
    for replica in 0..REPLICAS {
        let answer = get_until(&fleet.crate_url_at(replica, krate), |answer| {
            answer.status == 200 && outcome(answer) == "hit"
        })
        .await;
        assert_eq!(answer.body, krate.bytes, "replica {replica}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_frozen_leader_is_taken_over_and_does_no_harm_when_it_goes_on() {
    let fleet = Fleet::start().await;
    let upstream: &ScriptedUpstream = &fleet.parts.upstream;
    let a = krate("a", "1.0.0").payload(500 * KIB).publish(upstream);
    let gate = upstream.hold_after(On::Crates, KIB);
    let leading = tokio::spawn(get(fleet.crate_url_at(0, &a)).send());
    gate.wait_for(1).await;
    fleet.replicas[0].freeze();
    let following = tokio::spawn(get(fleet.crate_url_at(1, &a)).send());
    gate.wait_for(2).await;
    gate.release();
    assert_eq!(following.await.unwrap().body, a.bytes);
    bucket_is_right(&fleet.parts.s3, upstream).await;
    fleet.replicas[0].thaw();
    // It goes on where it was; what it then puts is the same.
    assert_eq!(leading.await.unwrap().body, a.bytes);
    assert_eq!(upstream.crate_hits("a", "1.0.0"), 2);
    served_by_everyone(&fleet, &a).await;
    bucket_is_right(&fleet.parts.s3, upstream).await;
}
