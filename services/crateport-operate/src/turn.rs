//! The turn of the one who works on the store while no other does.
//!
//! A lease runs out by itself after a while, whoever holds it, and a sweep of a large store takes longer. So the lease
//! is given back and taken again on the way; if another takes it in that moment, the work ends there.

use std::pin::pin;
use std::time::Duration;

use crateport_coord::{Claim, Coordinator, Lease, Note};
use crateport_types::StoreKey;
use tokio::time::{Instant, sleep, timeout};
use tracing::{debug, warn};

use crate::OperateError;

/// A lease that is kept for as long as it takes.
#[derive(Debug)]
pub(crate) struct Turn<'a> {
    coordinator: &'a dyn Coordinator,
    key: StoreKey,
    /// Without a coordinator two may work at once, which is waste and nothing worse.
    lease: Option<Lease>,
    take_again_after: Duration,
}

/// A small part of the time after which a lease runs out.
pub(crate) const TAKE_AGAIN_AFTER: Duration = Duration::from_secs(20);
/// How long a coordinator that does not answer is waited for.
const CLAIM_WAIT_MAX: Duration = Duration::from_secs(3);
const CLAIM_AGAIN_AFTER: Duration = Duration::from_millis(100);

impl<'a> Turn<'a> {
    /// Takes the turn, unless it is another's.
    pub(crate) async fn take(
        coordinator: &'a dyn Coordinator,
        key: StoreKey,
        take_again_after: Duration,
    ) -> Result<Self, OperateError> {
        let mut turn = Self { coordinator, key, lease: None, take_again_after };
        turn.claim().await?;
        Ok(turn)
    }

    /// Does some work. It ends where it is if another has taken the turn.
    pub(crate) async fn during<T>(
        &mut self,
        work: impl Future<Output = Result<T, OperateError>>,
    ) -> Result<T, OperateError> {
        let mut work = pin!(work);
        loop {
            match timeout(self.take_again_after, &mut work).await {
                Ok(done) => return done,
                Err(_) => {
                    self.give_back(None).await;
                    self.claim().await?;
                }
            }
        }
    }

    /// What the one before has left for those who come after.
    pub(crate) async fn recall(&self) -> Option<Note> {
        self.coordinator.recall(&self.key).await.ok().flatten()
    }

    /// Ends the turn.
    pub(crate) async fn end(mut self, note: Option<(Note, Duration)>) {
        self.give_back(note).await;
    }

    async fn claim(&mut self) -> Result<(), OperateError> {
        let deadline = Instant::now() + CLAIM_WAIT_MAX;
        loop {
            match self.coordinator.claim(&self.key).await {
                Ok(Claim::Lead(lease)) => {
                    self.lease = Some(lease);
                    return Ok(());
                }
                Ok(Claim::Follow { .. }) => return Err(OperateError::Busy),
                // A program that has just begun may not be connected yet.
                Err(_) if Instant::now() < deadline => sleep(CLAIM_AGAIN_AFTER).await,
                Err(error) => {
                    warn!(%error, "nobody tells whether another sweep is under way");
                    return Ok(());
                }
            }
        }
    }

    async fn give_back(&mut self, note: Option<(Note, Duration)>) {
        if let Some(lease) = self.lease.take()
            && let Err(error) = lease.end(note).await
        {
            debug!(%error, "the lease of the sweep could not be given back");
        }
    }
}

#[cfg(test)]
mod tests {
    use crateport_coord::{RedisConfig, RedisCoordinator};
    use crateport_testkit::redis::RedisServer;

    use super::*;

    const HELD_MAX: Duration = Duration::from_secs(1);

    fn coordinator(redis: &RedisServer) -> RedisCoordinator {
        let mut config = RedisConfig::new(redis.url().parse().unwrap());
        config.limits.lease_held_max = HELD_MAX;
        config.limits.lease_ttl = HELD_MAX / 2;
        RedisCoordinator::start(config).unwrap()
    }

    #[tokio::test]
    async fn a_long_sweep_keeps_its_turn() {
        let redis = RedisServer::start().await;
        let (one, other) = (coordinator(&redis), coordinator(&redis));
        one.settled().await;
        let key = StoreKey::sweep_lease;
        let mut turn = Turn::take(&one, key(), HELD_MAX / 4).await.unwrap();
        // Long after the lease would have run out, none but a moment's gap was there for others.
        let work = async {
            sleep(HELD_MAX * 2).await;
            Ok(Turn::take(&other, key(), HELD_MAX).await)
        };
        let others = turn.during(work).await.unwrap();
        assert!(matches!(others, Err(OperateError::Busy)), "{others:?}");
        turn.end(None).await;
        Turn::take(&other, key(), HELD_MAX).await.unwrap();
    }

    #[tokio::test]
    async fn a_sweep_ends_when_another_has_taken_its_turn() {
        let redis = RedisServer::start().await;
        let (one, other) = (coordinator(&redis), coordinator(&redis));
        one.settled().await;
        let key = StoreKey::sweep_lease;
        let mut turn = Turn::take(&one, key(), HELD_MAX / 4).await.unwrap();
        // As if it had run out: paused for long, for example.
        turn.give_back(None).await;
        let _others = Turn::take(&other, key(), HELD_MAX).await.unwrap();
        let lost = turn.during(std::future::pending::<Result<(), _>>()).await;
        assert!(matches!(lost, Err(OperateError::Busy)), "{lost:?}");
    }
}
