//! Times of answers.

use std::time::Duration;

/// One number for each answer.
#[derive(Clone, Debug, Default)]
pub(crate) struct Latencies(Vec<u32>);

impl Latencies {
    /// Adds one.
    pub(crate) fn add(&mut self, latency: Duration) {
        self.0.push(u32::try_from(latency.as_micros()).unwrap_or(u32::MAX));
    }

    /// Adds those of another run.
    pub(crate) fn append(&mut self, other: &Self) {
        self.0.extend_from_slice(&other.0);
    }

    /// The time within which this share of the answers was complete, in microseconds.
    pub(crate) fn quantile_us(&mut self, share: f64) -> f64 {
        self.0.sort_unstable();
        let last = self.0.len().saturating_sub(1);
        let index = (last as f64 * share).round() as usize;
        f64::from(self.0.get(index).copied().unwrap_or(0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_taken_from_the_sorted_times() {
        let mut latencies = Latencies::default();
        for micros in (1..=101).rev() {
            latencies.add(Duration::from_micros(micros));
        }
        assert_eq!(
            [0.0, 0.5, 0.99, 1.0].map(|share| latencies.quantile_us(share)),
            [1.0, 51.0, 100.0, 101.0]
        );
        assert_eq!(Latencies::default().quantile_us(0.5), 0.0);
    }
}
