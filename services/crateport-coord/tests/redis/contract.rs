//! The port's contract, on every kind of Redis.

use crateport_coord::contract::{self, Leases};
use crateport_coord::{RedisConfig, RedisCoordinator};
use crateport_testkit::TestCa;
use crateport_testkit::redis::{RedisCluster, RedisOptions, RedisServer, SentinelSetup};

use super::{becomes_up, config, limits, listens, replica};

#[tokio::test]
async fn one_server_keeps_the_contract() {
    let server = RedisServer::start().await;
    let (one, other) =
        (replica(&server.url(), limits()).await, replica(&server.url(), limits()).await);
    listens(&server, 2).await;
    contract::run(one, other, Leases::Exclusive).await;
}

#[tokio::test]
async fn a_cluster_keeps_the_contract() {
    let cluster = RedisCluster::start(3).await;
    let (one, other) =
        (replica(&cluster.url(), limits()).await, replica(&cluster.url(), limits()).await);
    contract::run(one, other, Leases::Exclusive).await;
}

#[tokio::test]
async fn a_master_behind_sentinels_keeps_the_contract() {
    let setup = SentinelSetup::start().await;
    let (one, other) =
        (replica(&setup.url(), limits()).await, replica(&setup.url(), limits()).await);
    contract::run(one, other, Leases::Exclusive).await;
}

#[tokio::test]
async fn a_user_with_few_rights_over_tls_keeps_the_contract() {
    let authority = TestCa::new();
    let rights = ["on", ">p@ss", "~crateport:*", "&crateport:*", "-@all"];
    let commands =
        "+eval +evalsha +get +set +del +pttl +pexpire +time +publish +subscribe +ping +hello";
    let rules: Vec<&str> = rights.into_iter().chain(commands.split(' ')).collect();
    let options = RedisOptions::default().password("root").tls(&authority).user("cp", &rules);
    let server = RedisServer::start_with(options).await;
    let url = server.url().replace("://", "://cp:p%40ss@");
    let start = || RedisConfig {
        ca_pem: Some(authority.pem().as_bytes().to_vec()),
        ..config(&url, limits())
    };
    let one = std::sync::Arc::new(RedisCoordinator::start(start()).unwrap());
    let other = std::sync::Arc::new(RedisCoordinator::start(start()).unwrap());
    becomes_up(&one).await;
    becomes_up(&other).await;
    listens(&server, 2).await;
    contract::run(one, other, Leases::Exclusive).await;
}
