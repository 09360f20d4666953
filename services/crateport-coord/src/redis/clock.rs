//! What time it is in Redis, between two looks at its clock.

use std::sync::{Mutex, PoisonError};

use tokio::time::Instant;

/// Redis's clock, as last seen. It runs on with this process's monotonic clock, whatever the wall says.
#[derive(Debug, Default)]
pub(super) struct Clock(Mutex<Option<Seen>>);

#[derive(Clone, Copy, Debug)]
struct Seen {
    at: Instant,
    redis_ms: u64,
}

impl Clock {
    /// Redis said `redis_ms`, a moment before `at`: what is told later is a little early rather than late, so that
    /// notes seem a little old rather than young.
    pub(super) fn set(&self, at: Instant, redis_ms: u64) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(Seen { at, redis_ms });
    }

    pub(super) fn now_ms(&self) -> Option<u64> {
        let seen = (*self.0.lock().unwrap_or_else(PoisonError::into_inner))?;
        let since_ms = u64::try_from(seen.at.elapsed().as_millis()).unwrap_or(u64::MAX);
        Some(seen.redis_ms.saturating_add(since_ms))
    }
}

/// Redis's `TIME` in milliseconds.
pub(super) fn ms_of((seconds, micros): (u64, u64)) -> u64 {
    seconds.saturating_mul(1000).saturating_add(micros / 1000)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn it_runs_on_between_two_looks() {
        let clock = Clock::default();
        assert_eq!(clock.now_ms(), None);
        clock.set(Instant::now(), ms_of((5, 999_999)));
        tokio::time::advance(Duration::from_millis(1)).await;
        assert_eq!(clock.now_ms(), Some(6_000));
    }
}
