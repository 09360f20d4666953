//! Reading along: the bytes of a fill that another replica leads, as they come there.
//!
//! Whatever goes wrong on the way costs nothing but the early bytes: the follower goes on where it stands, with what
//! the store has by then, or as the leader.

use std::pin::Pin;
use std::time::Duration;

use crateport_upstream::{Found, Peers};
use futures_util::StreamExt as _;
use tracing::debug;

use super::{Filled, Filling};
use crate::Failure;

/// How long a leader whose lease has ended may take for the next bytes: it has them all, or it is gone.
const LAST_BYTES_WAIT_MAX: Duration = Duration::from_secs(2);

/// The time in which somebody else leads.
pub(super) struct Led {
    end: Pin<Box<dyn Future<Output = ()> + Send>>,
    is_over: bool,
}

impl Led {
    /// It is over when `end` is.
    pub(super) fn until(end: impl Future<Output = ()> + Send + 'static) -> Self {
        Self { end: Box::pin(end), is_over: false }
    }

    /// Waits for the end.
    pub(super) async fn over(&mut self) {
        if !self.is_over {
            (&mut self.end).await;
            self.is_over = true;
        }
    }

    /// Gives `work` time for as long as somebody leads, and then a little longer.
    async fn give_time<T>(&mut self, work: impl Future<Output = T> + Send) -> Option<T> {
        tokio::pin!(work);
        tokio::select! {
            biased;
            done = &mut work => return Some(done),
            () = self.over() => {}
        }
        tokio::time::timeout(LAST_BYTES_WAIT_MAX, work).await.ok()
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
        self.begin(size_bytes, Filled::Along);
        loop {
            match led.give_time(body.next()).await {
                Some(Some(Ok(chunk))) => self.take(chunk).await?,
                Some(None) => return Ok(true),
                Some(Some(Err(error))) => {
                    debug!(key = %self.wanted.key, %error, "the leader broke off");
                    return Ok(false);
                }
                None => {
                    debug!(key = %self.wanted.key, leader, "the leader stands still");
                    return Ok(false);
                }
            }
        }
    }

    async fn ask_leader(&self, peers: &Peers, leader: &str, led: &mut Led) -> Option<Found> {
        let (key, checksum) = (&self.wanted.key, &self.wanted.checksum);
        match led.give_time(peers.fill(leader, key, checksum)).await? {
            Ok(found) => found,
            Err(error) => {
                debug!(%key, %error, "the leader gives nothing");
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn there_is_time_while_somebody_leads_and_a_little_longer() {
        let minute = Duration::from_secs(60);
        let mut led = Led::until(tokio::time::sleep(minute));
        assert_eq!(led.give_time(tokio::time::sleep(minute / 2)).await, Some(()));
        assert!(!led.is_over);
        let last = tokio::time::sleep(minute / 2 + LAST_BYTES_WAIT_MAX / 2);
        assert_eq!(led.give_time(last).await, Some(()));
        assert!(led.is_over);
        assert_eq!(led.give_time(tokio::time::sleep(minute)).await, None);
        led.over().await;
    }
}
