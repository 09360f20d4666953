//! Times that differ from replica to replica, so that not all of them come at once.

use std::time::Duration;

/// Anything from `time` to twice that.
pub(super) fn between_one_and_two(time: Duration) -> Duration {
    time.mul_f64(1.0 + fastrand::f64())
}

/// `time`, give or take a quarter.
pub(super) fn give_or_take_a_quarter(time: Duration) -> Duration {
    time.mul_f64(0.75 + fastrand::f64() / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_stay_within_their_bounds() {
        let second = Duration::from_secs(1);
        for _ in 0..100 {
            assert!((second..=second * 2).contains(&between_one_and_two(second)));
            assert!((second * 3 / 4..=second * 5 / 4).contains(&give_or_take_a_quarter(second)));
        }
    }
}
