//! Moments: count, mean and sum of squared differences, which can be merged.

/// Count, mean, and m2: the sum of squared differences from the mean.
///
/// Numbers enter by Welford's method ("Note on a Method for Calculating Corrected Sums of Squares",
/// 1962), parts are merged by Chan's formula (Chan, Golub and others, "Updating Formulae and a
/// Pairwise Algorithm for Computing Sample Variances", 1979). Both keep their digits on large means
/// with small moves, where sums of squares lose them.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Moments {
    pub(crate) count: u32,
    pub(crate) mean: f64,
    pub(crate) m2: f64,
}

impl Moments {
    pub(crate) fn push(&mut self, value: f64) {
        self.count += 1;
        let delta = value - self.mean;
        self.mean += delta / f64::from(self.count);
        self.m2 += delta * (value - self.mean);
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        if other.count == 0 {
            return;
        }
        if self.count == 0 {
            *self = *other;
            return;
        }
        let (a, b) = (f64::from(self.count), f64::from(other.count));
        let delta = other.mean - self.mean;
        self.count += other.count;
        self.mean += delta * b / (a + b);
        self.m2 += other.m2 + delta * delta * a * b / (a + b);
    }

    /// Sample standard deviation; `None` with fewer than two numbers.
    pub(crate) fn stddev(&self) -> Option<f64> {
        (self.count >= 2).then(|| (self.m2 / f64::from(self.count - 1)).sqrt())
    }
}

impl FromIterator<f64> for Moments {
    fn from_iter<I: IntoIterator<Item = f64>>(values: I) -> Self {
        let mut moments = Self::default();
        values.into_iter().for_each(|value| moments.push(value));
        moments
    }
}
