//! The suite that every backend of [`Coordinator`] must pass.
#![expect(clippy::unwrap_used, clippy::panic, reason = "test support: a panic is a failed test")]

use std::sync::Arc;
use std::time::Duration;

use crateport_types::{Reason, RegistryId, Sha256, StoreKey};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

use crate::{Claim, Coordinator, Lease, Note};

/// How a backend grants leases: here backends differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leases {
    /// One holder at a time, among all replicas.
    Exclusive,
    /// To everybody: there is one process, and it joins its own requests.
    Granted,
}

/// What must happen happens within this, on the slowest machine.
const DEADLINE: Duration = Duration::from_secs(30);
const LONG: Duration = Duration::from_secs(60);
const MOMENT: Duration = Duration::from_millis(5);
const RACERS: usize = 32;

/// Runs the whole suite. `one` and `other` are two replicas of one fleet; of a backend for one process, they are the
/// same.
///
/// # Panics
///
/// When the backend breaks the contract.
pub async fn run(one: Arc<dyn Coordinator>, other: Arc<dyn Coordinator>, leases: Leases) {
    nothing_is_known_of_a_new_key(&*one).await;
    a_note_is_recalled_everywhere_until_it_is_forgotten(&*one, &*other).await;
    a_later_note_takes_the_place_of_an_earlier_one(&*one, &*other).await;
    a_note_grows_older(&*one, &*other).await;
    a_note_runs_out(&*one, &*other).await;
    a_note_for_no_time_leaves_nothing(&*one).await;
    a_lease_ends_with_its_note(&*one, &*other).await;
    waiting_for_nobody_ends_at_once(&*one).await;
    match leases {
        Leases::Exclusive => {
            one_of_many_leads(&one, &other).await;
            who_follows_leads_after_the_end(&*one, &*other).await;
            a_dropped_lease_is_given_back(&*one, &*other).await;
            patience_ends(&*one, &*other).await;
            keys_do_not_stand_in_each_others_way(&*one, &*other).await;
        }
        Leases::Granted => everybody_leads(&*one, &*other).await,
    }
}

fn key(name: &str) -> StoreKey {
    let registry: RegistryId = "contract".parse().unwrap();
    StoreKey::krate(&registry, &name.parse().unwrap(), &"1.0.0+b".parse().unwrap())
}

fn fresh(ago: Duration) -> Note {
    Note::Fresh { checksum: Sha256::of(b"x"), asked_ago: ago * 2, checked_ago: ago }
}

/// When upstream was asked and when it answered, of a note that must be a fresh one.
fn ages(note: Option<Note>) -> (Duration, Duration) {
    match note {
        Some(Note::Fresh { asked_ago, checked_ago, .. }) => (asked_ago, checked_ago),
        other => panic!("{other:?} is not what was noted"),
    }
}

async fn lead(coordinator: &dyn Coordinator, key: &StoreKey) -> Lease {
    match coordinator.claim(key).await.unwrap() {
        Claim::Lead(lease) => lease,
        Claim::Follow { .. } => panic!("{key} is led by somebody else"),
    }
}

async fn follows(coordinator: &dyn Coordinator, key: &StoreKey) -> bool {
    matches!(coordinator.claim(key).await.unwrap(), Claim::Follow { .. })
}

async fn nothing_is_known_of_a_new_key(one: &dyn Coordinator) {
    let key = key("unknown");
    assert_eq!(one.recall(&key).await.unwrap(), None);
    one.forget(&key).await.unwrap();
}

async fn a_note_is_recalled_everywhere_until_it_is_forgotten(
    one: &dyn Coordinator,
    other: &dyn Coordinator,
) {
    let key = key("recalled");
    for note in [
        Note::Absent,
        Note::Failed { reason: Reason::UpstreamTimeout },
        Note::Failed { reason: Reason::UpstreamStatus },
    ] {
        one.note(&key, &note, LONG).await.unwrap();
        assert_eq!(one.recall(&key).await.unwrap(), Some(note.clone()));
        assert_eq!(other.recall(&key).await.unwrap(), Some(note));
        other.forget(&key).await.unwrap();
        assert_eq!(one.recall(&key).await.unwrap(), None);
    }
}

async fn a_later_note_takes_the_place_of_an_earlier_one(
    one: &dyn Coordinator,
    other: &dyn Coordinator,
) {
    let key = key("replaced");
    one.note(&key, &Note::Absent, LONG).await.unwrap();
    other.note(&key, &fresh(Duration::ZERO), LONG).await.unwrap();
    ages(one.recall(&key).await.unwrap());
}

async fn a_note_grows_older(one: &dyn Coordinator, other: &dyn Coordinator) {
    let key = key("older");
    let ago = Duration::from_secs(1);
    one.note(&key, &fresh(ago), LONG).await.unwrap();
    let (asked, checked) = ages(other.recall(&key).await.unwrap());
    assert!(checked >= ago, "{checked:?} is younger than it was");
    // What lies between question and answer stays, whatever the age; times are kept in milliseconds.
    assert!((asked - checked).abs_diff(ago) <= Duration::from_millis(1));
    sleep(MOMENT).await;
    let (_, later) = ages(other.recall(&key).await.unwrap());
    assert!(later > ago, "{later:?}: it does not grow older");
}

async fn a_note_runs_out(one: &dyn Coordinator, other: &dyn Coordinator) {
    let key = key("run-out");
    one.note(&key, &Note::Absent, Duration::from_millis(50)).await.unwrap();
    let gone = async {
        while other.recall(&key).await.unwrap().is_some() {
            sleep(MOMENT).await;
        }
    };
    timeout(DEADLINE, gone).await.unwrap();
}

async fn a_note_for_no_time_leaves_nothing(one: &dyn Coordinator) {
    let key = key("no-time");
    one.note(&key, &Note::Absent, LONG).await.unwrap();
    one.note(&key, &fresh(Duration::ZERO), Duration::ZERO).await.unwrap();
    assert_eq!(one.recall(&key).await.unwrap(), None);
}

async fn a_lease_ends_with_its_note(one: &dyn Coordinator, other: &dyn Coordinator) {
    let key = key("noted");
    lead(one, &key).await.end(Some((Note::Absent, LONG))).await.unwrap();
    assert_eq!(other.recall(&key).await.unwrap(), Some(Note::Absent));
    lead(other, &key).await.end(None).await.unwrap();
    assert_eq!(one.recall(&key).await.unwrap(), Some(Note::Absent), "an end without one keeps it");
}

async fn waiting_for_nobody_ends_at_once(one: &dyn Coordinator) {
    timeout(DEADLINE, one.wait(&key("unheld"), LONG)).await.unwrap().unwrap();
}

async fn one_of_many_leads(one: &Arc<dyn Coordinator>, other: &Arc<dyn Coordinator>) {
    let key = key("raced");
    let mut racers = JoinSet::new();
    for racer in 0..RACERS {
        let (replica, key) = (Arc::clone(if racer % 2 == 0 { one } else { other }), key.clone());
        racers.spawn(async move { replica.claim(&key).await.unwrap() });
    }
    let claims = racers.join_all().await;
    let mut leases = claims.into_iter().filter_map(|claim| match claim {
        Claim::Lead(lease) => Some(lease),
        Claim::Follow { .. } => None,
    });
    let lease = leases.next().unwrap();
    assert!(leases.next().is_none(), "two lead");
    lease.end(None).await.unwrap();
}

async fn who_follows_leads_after_the_end(one: &dyn Coordinator, other: &dyn Coordinator) {
    let key = key("followed");
    for replica in [one, other] {
        let lease = lead(one, &key).await;
        assert!(follows(replica, &key).await);
        let (waited, ended) =
            tokio::join!(timeout(DEADLINE, replica.wait(&key, LONG)), lease.end(None));
        ended.unwrap();
        waited.unwrap().unwrap();
        lead(replica, &key).await.end(None).await.unwrap();
    }
}

async fn a_dropped_lease_is_given_back(one: &dyn Coordinator, other: &dyn Coordinator) {
    let key = key("dropped");
    drop(lead(one, &key).await);
    let led = async {
        loop {
            match other.claim(&key).await.unwrap() {
                Claim::Lead(lease) => break lease,
                Claim::Follow { .. } => other.wait(&key, LONG).await.unwrap(),
            }
        }
    };
    timeout(DEADLINE, led).await.unwrap().end(None).await.unwrap();
}

async fn patience_ends(one: &dyn Coordinator, other: &dyn Coordinator) {
    let key = key("patience");
    let lease = lead(one, &key).await;
    let patience = Duration::from_millis(50);
    let began = Instant::now();
    timeout(DEADLINE, other.wait(&key, patience)).await.unwrap().unwrap();
    assert!(began.elapsed() >= patience, "it did not wait");
    assert!(follows(other, &key).await);
    lease.end(None).await.unwrap();
}

async fn keys_do_not_stand_in_each_others_way(one: &dyn Coordinator, other: &dyn Coordinator) {
    let [a, b] = ["a", "b"].map(key);
    let first = lead(one, &a).await;
    let second = lead(other, &b).await;
    first.end(Some((Note::Absent, LONG))).await.unwrap();
    assert_eq!(one.recall(&b).await.unwrap(), None);
    assert!(follows(one, &b).await);
    second.end(None).await.unwrap();
}

async fn everybody_leads(one: &dyn Coordinator, other: &dyn Coordinator) {
    let key = key("granted");
    let (first, second) = (lead(one, &key).await, lead(other, &key).await);
    waiting_for_nobody_ends_at_once(one).await;
    first.end(Some((Note::Absent, LONG))).await.unwrap();
    second.end(None).await.unwrap();
    assert_eq!(other.recall(&key).await.unwrap(), Some(Note::Absent));
}
