//! A fleet: three replicas on one bucket and one Redis, behind a load balancer that is as plain as can be.
//!
//! What the replicas reach goes through proxies that can misbehave, and each replica can have one in front of it.

mod builds;
mod delivery;
mod failures;
mod faults;
mod freshness;
mod leaders;
mod stampede;
mod store;
mod upkeep;

use crateport_testkit::client::Answer;
use crateport_testkit::{
    Balancer, ChaosProxy, Crateport, CrateportOptions, Published, RedisServer, S3Server,
    ScriptedUpstream,
};

use crate::house::{self, CRATES_IO, until_none};

/// As many as make a difference between "once" and "once per replica".
pub(crate) const REPLICAS: usize = 3;
/// How keys in the bucket begin.
pub(crate) const PREFIX: &str = "fleet";

pub(crate) struct Fleet {
    pub(crate) replicas: Vec<Crateport>,
    pub(crate) balancer: Balancer,
    /// In front of each replica, behind the balancer, if they are wanted.
    pub(crate) doors: Vec<ChaosProxy>,
    pub(crate) s3_door: ChaosProxy,
    pub(crate) redis_door: ChaosProxy,
    pub(crate) parts: Parts,
}

/// What the replicas stand on.
pub(crate) struct Parts {
    pub(crate) upstream: ScriptedUpstream,
    pub(crate) s3: S3Server,
    pub(crate) redis: RedisServer,
}

impl Parts {
    pub(crate) async fn start() -> Self {
        let (upstream, s3, redis) =
            (ScriptedUpstream::start().await, S3Server::start().await, RedisServer::start().await);
        Self { upstream, s3, redis }
    }
}

impl Fleet {
    /// In the best of health, and as sure to stay so as a busy machine allows: what is counted here is not how long
    /// Redis may take.
    pub(crate) async fn start() -> Self {
        Self::start_with(|options| options).await
    }

    /// The same, each replica with further options.
    pub(crate) async fn start_with(more: impl Fn(CrateportOptions) -> CrateportOptions) -> Self {
        Self::healthy(|options, _| more(options)).await
    }

    /// The same, with options that depend on the replica's number.
    pub(crate) async fn healthy(
        more: impl Fn(CrateportOptions, usize) -> CrateportOptions,
    ) -> Self {
        let patient = |options: CrateportOptions| options.flag("--redis-answer-timeout", "10s");
        let parts = Parts::start().await;
        let fleet = Self::on(parts, |options, number| more(patient(options), number)).await;
        fleet.wait_for_redis().await;
        fleet
    }

    /// On parts that may be down.
    pub(crate) async fn on(
        parts: Parts,
        more: impl Fn(CrateportOptions, usize) -> CrateportOptions,
    ) -> Self {
        let s3_door = ChaosProxy::in_front_of(parts.s3.address()).await;
        let redis_door = ChaosProxy::in_front_of(parts.redis.address()).await;
        let starting = (0..REPLICAS).map(|number| {
            let options = house::options(&parts.upstream)
                .bucket(&format!("s3://{}/{PREFIX}", S3Server::BUCKET))
                .flag("--s3-endpoint", s3_door.url())
                .flag("--coord", format!("redis://{}", redis_door.address()))
                .flag("--replica", name(number));
            // Purges are looked for once, so that every other operation has its reason.
            let options = options.variable("CRATEPORT_PURGE_POLL", "1h");
            let options = options.variable("CRATEPORT_ADVERTISE_ADDRESS", "127.0.0.1");
            let environment = parts.s3.environment().into_iter();
            let options = environment
                .fold(options, |options, (variable, value)| options.variable(variable, value));
            tokio::spawn(Crateport::start(more(options, number)))
        });
        let mut replicas = Vec::new();
        for starting in starting.collect::<Vec<_>>() {
            replicas.push(starting.await.expect("a replica that starts"));
        }
        let balancer = Balancer::over(replicas.iter().map(Crateport::address)).await;
        Self { replicas, balancer, doors: Vec::new(), s3_door, redis_door, parts }
    }

    /// The same fleet, with a proxy that can misbehave in front of each replica.
    pub(crate) async fn behind_doors(mut self) -> Self {
        for replica in &self.replicas {
            self.doors.push(ChaosProxy::in_front_of(replica.address()).await);
        }
        self.balancer = Balancer::over(self.doors.iter().map(ChaosProxy::address)).await;
        self
    }

    // Where things are, through the balancer.

    pub(crate) fn index_url(&self) -> String {
        format!("{}/{CRATES_IO}/index/", self.balancer.url())
    }

    pub(crate) fn index_file_url(&self, name: &str) -> String {
        index_file_url(&self.balancer.url(), &self.parts.upstream, name)
    }

    pub(crate) fn crate_url(&self, krate: &Published) -> String {
        crate_url(&self.balancer.url(), krate)
    }

    // And at one replica.

    pub(crate) fn index_file_url_at(&self, replica: usize, name: &str) -> String {
        index_file_url(self.replicas[replica].url(), &self.parts.upstream, name)
    }

    pub(crate) fn crate_url_at(&self, replica: usize, krate: &Published) -> String {
        crate_url(self.replicas[replica].url(), krate)
    }

    /// The sum of a metric over the replicas that run.
    pub(crate) async fn metric(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let mut sum = 0.0;
        for replica in self.replicas.iter().filter(|replica| replica.is_running()) {
            sum += replica.metric(name, labels).await;
        }
        sum
    }

    /// Waits until the replicas together have so many requests under way.
    pub(crate) async fn wait_for_in_flight(&self, wanted: f64) {
        until_none(async || {
            let now = self.metric("crateport_http_requests_in_flight", &[]).await;
            (now < wanted).then(|| format!("{now} requests in flight, of {wanted}"))
        })
        .await;
    }

    /// Waits until every replica that runs knows that Redis answers.
    pub(crate) async fn wait_for_redis(&self) {
        let running = self.replicas.iter().filter(|replica| replica.is_running()).count();
        until_none(async || {
            let up = self.metric("crateport_coord_up", &[]).await;
            ((up - running as f64).abs() > f64::EPSILON).then(|| format!("{up} see Redis"))
        })
        .await;
    }
}

/// A replica's name, as it stands in `x-served-by`.
pub(crate) fn name(replica: usize) -> String {
    format!("replica-{replica}")
}

/// The number of the replica that answered.
pub(crate) fn served_by(answer: &Answer) -> usize {
    let name = answer.header("x-served-by").unwrap_or_default();
    (0..REPLICAS)
        .find(|replica| self::name(*replica) == name)
        .unwrap_or_else(|| panic!("served by {name:?}"))
}

fn index_file_url(base: &str, upstream: &ScriptedUpstream, name: &str) -> String {
    format!("{base}/{CRATES_IO}{}", upstream.index_path(name))
}

fn crate_url(base: &str, krate: &Published) -> String {
    format!("{base}/{CRATES_IO}/crates/{}/{}/download", krate.name, krate.version)
}
