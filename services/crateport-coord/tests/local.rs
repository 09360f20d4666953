//! The coordinator of one process, and the decorators that change nothing unless they are told to.

use std::sync::Arc;
use std::time::Duration;

use crateport_coord::contract::{self, Leases};
use crateport_coord::{
    Claim, CoordFault, Coordinator as _, FaultyCoordinator, Health, LocalCoordinator,
    MeteredCoordinator, Note,
};
use crateport_types::StoreKey;

#[tokio::test]
async fn the_local_coordinator_keeps_the_contract() {
    let local = Arc::new(LocalCoordinator::new(100));
    contract::run(local.clone(), local, Leases::Granted).await;
}

#[tokio::test]
async fn decorators_keep_the_contract() {
    let faulty = FaultyCoordinator::new(LocalCoordinator::new(100));
    let registry = prometheus::Registry::new();
    let metered = Arc::new(MeteredCoordinator::new(Arc::new(faulty), &registry).unwrap());
    contract::run(metered.clone(), metered, Leases::Granted).await;
}

#[tokio::test]
async fn ordered_faults_happen_and_heal() {
    let key = StoreKey::config(&"crates-io".parse().unwrap());
    let minute = Duration::from_secs(60);
    let coordinator = FaultyCoordinator::new(LocalCoordinator::new(100));
    coordinator.note(&key, &Note::Absent, minute).await.unwrap();

    coordinator.set(Some(CoordFault::Down));
    assert_eq!(coordinator.recall(&key).await.unwrap_err().kind(), "down");
    assert_eq!(coordinator.claim(&key).await.unwrap_err().kind(), "down");
    assert!(matches!(coordinator.health(), Health::Down { .. }));

    coordinator.set(Some(CoordFault::Forgetful));
    assert_eq!(coordinator.recall(&key).await.unwrap(), None);

    coordinator.set(Some(CoordFault::Busy));
    assert!(matches!(coordinator.claim(&key).await.unwrap(), Claim::Follow { .. }));

    coordinator.set(Some(CoordFault::Late));
    assert_eq!(coordinator.forget(&key).await.unwrap_err().kind(), "late");

    coordinator.set(None);
    assert_eq!(coordinator.recall(&key).await.unwrap(), None, "it was done before it was late");
    assert!(matches!(coordinator.claim(&key).await.unwrap(), Claim::Lead(_)));
    assert_eq!(coordinator.claims(), 3);
}

#[tokio::test]
async fn questions_are_counted_by_their_result_and_the_gauge_tells_the_health() {
    let key = StoreKey::config(&"crates-io".parse().unwrap());
    let faulty = Arc::new(FaultyCoordinator::new(LocalCoordinator::new(100)));
    let registry = prometheus::Registry::new();
    let metered = MeteredCoordinator::new(faulty.clone(), &registry).unwrap();
    assert_eq!(metered.recall(&key).await.unwrap(), None);
    let Claim::Lead(lease) = metered.claim(&key).await.unwrap() else { panic!("not granted") };
    lease.end(Some((Note::Absent, Duration::from_secs(9)))).await.unwrap();
    metered.recall(&key).await.unwrap();
    metered.wait(&key, Duration::ZERO).await.unwrap();
    let text = || prometheus::TextEncoder::new().encode_to_string(&registry.gather()).unwrap();
    let says = |line: &str| assert!(text().contains(line), "{line} is not in\n{}", text());
    for (operation, result) in
        [("recall", "absent"), ("claim", "lead"), ("end", "ok"), ("recall", "ok"), ("wait", "ok")]
    {
        says(&format!(
            "crateport_coord_requests_total{{operation=\"{operation}\",result=\"{result}\"}} 1"
        ));
    }
    says("crateport_coord_request_duration_seconds_count{operation=\"recall\"} 2");
    says("crateport_coord_up 1");
    faulty.set(Some(CoordFault::Down));
    metered.forget(&key).await.unwrap_err();
    says("crateport_coord_requests_total{operation=\"forget\",result=\"down\"} 1");
    says("crateport_coord_up 0");
}
