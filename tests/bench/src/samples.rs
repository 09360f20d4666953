//! Numbers measured several times: their median is what is said, their spread is the noise.

use serde::{Deserialize, Serialize};

/// One number for each round.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Samples(Vec<f64>);

impl Samples {
    /// One more round.
    pub(crate) fn add(&mut self, value: f64) {
        self.0.push(value);
    }

    /// The middle one; 0 if there is none.
    pub(crate) fn median(&self) -> f64 {
        let sorted = self.sorted();
        let middle = sorted.len() / 2;
        let at = |index: usize| sorted.get(index).copied().unwrap_or(0.0);
        if sorted.len() % 2 == 1 || middle == 0 {
            at(middle)
        } else {
            f64::midpoint(at(middle - 1), at(middle))
        }
    }

    /// The smallest.
    pub(crate) fn min(&self) -> f64 {
        self.sorted().first().copied().unwrap_or(0.0)
    }

    /// The largest.
    pub(crate) fn max(&self) -> f64 {
        self.sorted().last().copied().unwrap_or(0.0)
    }

    /// How far the rounds lie apart: half the way from the smallest to the largest, as a share of the median.
    pub(crate) fn spread(&self) -> f64 {
        let median = self.median();
        if median == 0.0 { 0.0 } else { (self.max() - self.min()) / 2.0 / median }
    }

    /// Whether nothing was measured.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many rounds there are.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    fn sorted(&self) -> Vec<f64> {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        sorted
    }
}

impl FromIterator<f64> for Samples {
    fn from_iter<T: IntoIterator<Item = f64>>(values: T) -> Self {
        Self(values.into_iter().collect())
    }
}

/// The median of the ratios of two numbers that were measured in the same rounds: noise that lasts longer than a round
/// falls out of it.
pub(crate) fn ratio(of: &Samples, to: &Samples) -> Option<f64> {
    let pairs = of.0.iter().zip(&to.0).filter(|(_, to)| **to > 0.0);
    let ratios: Samples = pairs.map(|(of, to)| of / to).collect();
    (!ratios.is_empty()).then(|| ratios.median())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians_and_ratios() {
        let samples = |values: &[f64]| values.iter().copied().collect::<Samples>();
        assert_eq!(samples(&[3.0, 1.0, 2.0]).median(), 2.0);
        assert_eq!(samples(&[4.0, 1.0]).median(), 2.5);
        assert_eq!(samples(&[7.0]).median(), 7.0);
        assert_eq!(samples(&[]).median(), 0.0);
        assert_eq!(samples(&[1.0, 2.0, 3.0]).spread(), 0.5);
        assert_eq!(ratio(&samples(&[2.0, 6.0, 9.0]), &samples(&[1.0, 2.0, 9.0])), Some(2.0));
        assert_eq!(ratio(&samples(&[]), &samples(&[])), None);
    }
}
