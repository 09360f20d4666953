//! Reading along: the bytes of a fill that another replica leads, as they come there.
//!
//! Whatever goes wrong on the way costs nothing but the early bytes: the follower goes on where it stands, with what
//! the store has by then, or as the leader.

use std::pin::Pin;
use std::time::Duration;

use crateport_upstream::{Found, Peers};
use futures_util::StreamExt as _;
use tokio::time::{Instant, timeout, timeout_at};
use tracing::debug;

use super::{Filled, Filling};
use crate::Failure;

/// How long a leader whose lease has ended may take for the next bytes: usually it has them all, or is gone.
const LAST_BYTES_WAIT_MAX: Duration = Duration::from_secs(2);
/// How long it may take for all that are left.
const REST_WAIT_MAX: Duration = Duration::from_secs(60);

/// The time in which somebody else leads.
pub(super) struct Led {
    end: Pin<Box<dyn Future<Output = ()> + Send>>,
    over_since: Option<Instant>,
}

impl Led {
    /// It is over when `end` is.
    pub(super) fn until(end: impl Future<Output = ()> + Send + 'static) -> Self {
        Self { end: Box::pin(end), over_since: None }
    }

    /// Waits for the end; tells when it was.
    pub(super) async fn over(&mut self) -> Instant {
        if let Some(since) = self.over_since {
            return since;
        }
        (&mut self.end).await;
        *self.over_since.insert(Instant::now())
    }

    /// Gives `work` time for as long as somebody leads.
    async fn give_time<T>(&mut self, work: impl Future<Output = T> + Send) -> Option<T> {
        tokio::select! {
            biased;
            done = work => Some(done),
            _ = self.over() => None,
        }
    }

    /// Gives `work` time for as long as somebody leads, and then a little longer.
    async fn give_more_time<T>(&mut self, work: impl Future<Output = T> + Send) -> Option<T> {
        tokio::pin!(work);
        let over_since = tokio::select! {
            biased;
            done = &mut work => return Some(done),
            since = self.over() => since,
        };
        let work = timeout(LAST_BYTES_WAIT_MAX, work);
        timeout_at(over_since + REST_WAIT_MAX, work).await.ok()?.ok()
    }
}

impl Filling {
    /// Takes the bytes that the replica at `leader` has, as they come there. Tells whether those are all.
    pub(super) async fn read_along(
        &mut self,
        leader: &str,
        led: &mut Led,
    ) -> Result<bool, Failure> {
        let Some(peers) = self.cache.ports.peers.clone() else { return Ok(false) };
        let Some(found) = self.ask_leader(&peers, leader, led).await else { return Ok(false) };
        let Found { size_bytes, mut body, .. } = found;
        let mut is_begun = false;
        loop {
            let chunk = match led.give_more_time(body.next()).await {
                Some(Some(Ok(chunk))) => chunk,
                Some(None) => return Ok(is_begun),
                Some(Some(Err(error))) => {
                    debug!(key = %self.wanted.key, %error, "the leader broke off");
                    return Ok(false);
                }
                None => {
                    debug!(key = %self.wanted.key, leader, "the leader stands still");
                    return Ok(false);
                }
            };
            // Whoever waits is told once there is something to read.
            let intake = self.intake(size_bytes, Filled::Along);
            if !is_begun {
                intake.begin_again_at_peer();
                is_begun = true;
            }
            intake.take(chunk).await?;
        }
    }

    /// While nothing has come, the store is as good as a leader that is done.
    async fn ask_leader(&self, peers: &Peers, leader: &str, led: &mut Led) -> Option<Found> {
        let (key, checksum) = (&self.wanted.key, &self.wanted.checksum);
        let found = match led.give_time(peers.fill(leader, key, checksum)).await? {
            Ok(found) => found?,
            Err(error) => {
                debug!(%key, %error, "the leader gives nothing");
                return None;
            }
        };
        let size_bytes_max = self.cache.size_bytes_max(&self.wanted);
        let fits = |size_bytes| (1..=size_bytes_max).contains(&size_bytes);
        found.size_bytes.is_none_or(fits).then_some(found)
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::sleep;

    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    #[tokio::test(start_paused = true)]
    async fn there_is_time_while_somebody_leads_and_a_little_longer() {
        let mut led = Led::until(sleep(MINUTE));
        assert_eq!(led.give_more_time(sleep(MINUTE / 2)).await, Some(()));
        assert_eq!(led.over_since, None);
        let last = sleep(MINUTE / 2 + LAST_BYTES_WAIT_MAX / 2);
        assert_eq!(led.give_more_time(last).await, Some(()));
        let over = led.over().await;
        assert_eq!(led.give_more_time(sleep(LAST_BYTES_WAIT_MAX * 2)).await, None);
        while over.elapsed() < REST_WAIT_MAX {
            assert!(over.elapsed() < REST_WAIT_MAX * 2, "a drip does not go on for ever");
            led.give_more_time(sleep(LAST_BYTES_WAIT_MAX / 2)).await;
        }
        assert_eq!(led.give_more_time(sleep(LAST_BYTES_WAIT_MAX / 2)).await, None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_first_byte_is_waited_for_only_while_somebody_leads() {
        let mut led = Led::until(sleep(MINUTE));
        assert_eq!(led.give_time(sleep(MINUTE / 2)).await, Some(()));
        assert_eq!(led.give_time(sleep(MINUTE)).await, None);
    }
}
