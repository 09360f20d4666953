//! A fleet on this machine, to try things on: three replicas of the real binary on a real Redis and an S3 server,
//! behind a load balancer. It serves crates.io, keeps nothing beyond its own end, and ends with Ctrl-C.
//!
//! `tests/fleet/run` starts it; an argument is the balancer's port.

use std::error::Error;
use std::net::{Ipv4Addr, SocketAddr};

use crateport_testkit::{Balancer, Crateport, CrateportOptions, RedisServer, S3Server};
use tokio::signal::unix::{SignalKind, signal};

const REPLICAS: usize = 3;
/// Where the balancer listens unless an argument says otherwise.
const PORT: u16 = 8080;
/// How a machine reaches crates.io is the caller's affair, and passed on.
const PASSED_ON: [&str; 8] = [
    "HTTPS_PROXY",
    "https_proxy",
    "HTTP_PROXY",
    "http_proxy",
    "NO_PROXY",
    "no_proxy",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
];

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> Result<(), Box<dyn Error>> {
    let port = match std::env::args().nth(1) {
        Some(text) => text.parse().map_err(|_| format!("{text:?} is no port"))?,
        None => PORT,
    };
    let (mut interrupt, mut terminate) =
        (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    tokio::select! {
        ended = run(port) => ended?,
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    println!("\nEverything is stopped.");
    Ok(())
}

/// Runs until it is dropped, and everything with it.
async fn run(port: u16) -> Result<(), Box<dyn Error>> {
    println!(
        "Starting Redis, an S3 server and {REPLICAS} replicas; the first time, they are built."
    );
    let (redis, s3) = (RedisServer::start().await, S3Server::start().await);
    let mut replicas = Vec::new();
    for number in 1..=REPLICAS {
        replicas.push(Crateport::start(options(&redis, &s3, number)).await);
    }
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let balancer = Balancer::at(address, replicas.iter().map(Crateport::address)).await;

    println!("\nload balancer  {}", balancer.url());
    for (number, replica) in (1..).zip(&replicas) {
        println!("replica-{number}      {}, ops {}", replica.url(), replica.ops_url());
    }
    println!("Redis          {}", redis.url());
    println!("S3             {}, bucket {}", s3.endpoint(), S3Server::BUCKET);
    for (name, value) in s3.environment() {
        println!("               {name}={value:?}");
    }
    println!("\nPut this into $CARGO_HOME/config.toml:\n");
    println!("[registries.crateport]");
    println!("index = \"sparse+{}/crates-io/index/\"\n", balancer.url());
    println!("[source.crates-io]\nreplace-with = \"crateport\"\n");
    println!("Ctrl-C stops everything.");
    std::future::pending().await
}

fn options(redis: &RedisServer, s3: &S3Server, number: usize) -> CrateportOptions {
    let options = CrateportOptions::default()
        .bucket(&format!("s3://{}/fleet", S3Server::BUCKET))
        .flag("--s3-endpoint", s3.endpoint())
        .flag("--coord", redis.url())
        .flag("--advertise-address", "127.0.0.1")
        .flag("--replica", format!("replica-{number}"));
    let given = PASSED_ON.into_iter().filter_map(|name| Some((name, std::env::var(name).ok()?)));
    let own = s3.environment().into_iter().map(|(name, value)| (name, value.to_owned()));
    own.chain(given).fold(options, |options, (name, value)| options.variable(name, value))
}
