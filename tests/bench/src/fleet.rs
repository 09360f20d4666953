//! A fleet: three replicas that share objects in S3 and agree through Redis.

use anyhow::{Context as _, Result};
use crateport_testkit::redis::RedisServer;
use std::net::SocketAddr;

use crate::child::Cores;
use crate::cpu::Group;
use crate::crateport::{Crateport, Setup};
use crate::s3::S3;
use crate::stand::Stand;

/// Replicas.
pub(crate) const REPLICAS: usize = 3;

/// A running fleet.
pub(crate) struct Fleet {
    setups: Vec<Setup>,
    /// Its replicas.
    pub(crate) replicas: Vec<Crateport>,
    _redis: RedisServer,
    _s3: S3,
}

impl Fleet {
    /// Starts one with an empty bucket.
    pub(crate) fn start(
        stand: &Stand,
        name: &str,
        upstream: SocketAddr,
        cores: Cores,
        change: impl Fn(Setup) -> Setup,
    ) -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let redis = runtime.block_on(RedisServer::start());
        let s3 = S3::start(stand)?;
        let mut setups = Vec::new();
        for number in 1..=REPLICAS {
            let setup = Setup::embedded(&format!("{name}-{number}"), upstream, cores);
            setups.push(change(
                s3.keeps(setup, name)?
                    .flag("--coord", redis.url())
                    .flag("--advertise-address", "127.0.0.1"),
            ));
        }
        let replicas = setups.iter().map(|setup| setup.start(stand)).collect::<Result<_>>()?;
        Ok(Self { setups, replicas, _redis: redis, _s3: s3 })
    }

    /// All of its replicas as one.
    pub(crate) fn group(&self) -> Result<Group> {
        let groups = self.replicas.iter().map(Crateport::group);
        Ok(Group::joined(groups.collect::<Result<Vec<_>>>()?))
    }

    /// Ends one replica and starts it again on its ports.
    pub(crate) fn restart(&mut self, stand: &Stand, number: usize, how: Restart) -> Result<()> {
        let replica = self.replicas.get_mut(number).context("a replica")?;
        match how {
            Restart::Terminate => replica.terminate()?,
            Restart::Kill => replica.kill(),
        }
        let setup = self.setups.get(number).context("a replica")?;
        *replica = setup.start_on(stand, &replica.ports.clone())?;
        Ok(())
    }
}

/// How a replica ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Restart {
    /// As a rolling update ends it.
    Terminate,
    /// As a power cut ends it.
    Kill,
}
