//! Whether to ask once more, and when. A plain function of what happened.

use std::time::Duration;

use crate::{UpstreamError, UpstreamLimits};

/// How long to wait before asking once more after `error`, the result of the attempt with this number (the first is
/// 0); `None` when it is not to be. `left` is what remains of the deadline, `chance` is between 0 and 1.
///
/// The wait is anything up to a bound that doubles ("full jitter"), or what `Retry-After` says.
pub(crate) fn delay(
    error: &UpstreamError,
    attempt: u32,
    left: Duration,
    chance: f64,
    limits: &UpstreamLimits,
) -> Option<Duration> {
    if attempt >= limits.retries_max || !may_pass(error) {
        return None;
    }
    let bound = limits.retry_delay_base.saturating_mul(1 << attempt.min(16));
    let jittered = bound.mul_f64(chance.clamp(0.0, 1.0));
    let delay = error.retry_after().unwrap_or(jittered);
    (delay < left).then_some(delay)
}

/// Whether the next moment may bring a better answer. A host that asks for fewer requests does not get more.
const fn may_pass(error: &UpstreamError) -> bool {
    match error {
        UpstreamError::Connect { .. }
        | UpstreamError::Timeout { .. }
        | UpstreamError::Cut { .. } => true,
        UpstreamError::Status { status, .. } => *status >= 500 && !matches!(*status, 501 | 505),
        UpstreamError::RateLimited { .. }
        | UpstreamError::CircuitOpen { .. }
        | UpstreamError::Invalid { .. }
        | UpstreamError::Forbidden { .. }
        | UpstreamError::TooLarge { .. }
        | UpstreamError::Offline => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_may_pass_is_asked_again_and_only_within_the_deadline() {
        let host = || "a".to_owned();
        let ms = Duration::from_millis;
        let status = |status, retry_after: Option<u64>| UpstreamError::Status {
            host: host(),
            status,
            retry_after: retry_after.map(Duration::from_secs),
        };
        let connect = UpstreamError::Connect { host: host(), detail: String::new() };
        let cut = UpstreamError::Cut { host: host(), detail: String::new() };
        let timeout = UpstreamError::Timeout { host: host(), waited: ms(1) };
        let limited = UpstreamError::RateLimited { host: host(), retry_after: ms(1) };
        let open = UpstreamError::CircuitOpen { host: host(), retry_after: ms(1) };
        let invalid = UpstreamError::Invalid { host: host(), detail: String::new() };
        for (error, attempt, left, chance, expected) in [
            (&connect, 0, 1000, 0.5, Some(50)),
            (&cut, 0, 1000, 1.0, Some(100)),
            (&timeout, 1, 1000, 1.0, Some(200)),
            (&timeout, 1, 1000, 0.0, Some(0)),
            (&timeout, 1, 0, 0.0, None),
            (&connect, 1, 150, 1.0, None),
            (&connect, 2, 1000, 0.0, None),
            (&status(500, None), 0, 1000, 1.0, Some(100)),
            (&status(503, Some(2)), 0, 3000, 1.0, Some(2000)),
            (&status(503, Some(2)), 0, 2000, 1.0, None),
            (&status(501, None), 0, 1000, 1.0, None),
            (&status(505, None), 0, 1000, 1.0, None),
            (&status(403, None), 0, 1000, 1.0, None),
            (&limited, 0, 1000, 1.0, None),
            (&open, 0, 1000, 1.0, None),
            (&invalid, 0, 1000, 1.0, None),
        ] {
            let delay = delay(error, attempt, ms(left), chance, &UpstreamLimits::default());
            assert_eq!(delay, expected.map(ms), "{error} {attempt} {left}");
        }
    }
}
