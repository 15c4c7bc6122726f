//! Definition of a jump, in exact integers: exactly three times the mean is never a jump.

use marketlake_common::excerpt;
use std::fmt;
use std::str::FromStr;

use crate::exact::Exact;
use crate::metric::Metric;
use crate::minute::Minute;
use crate::rule_fields::{DEFAULT_FACTOR, DEFAULT_WINDOW_MINUTES, default_min_samples};

/// Direction of a jump.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Direction {
    /// Value above the mean times the factor.
    #[default]
    Up,
    /// Value below the mean divided by the factor.
    Down,
}

/// Error of a text that is not a direction.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected up or down, got {0:?}")]
pub struct ParseDirectionError(String);

impl FromStr for Direction {
    type Err = ParseDirectionError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "up" => Ok(Self::Up),
            "down" => Ok(Self::Down),
            other => Err(ParseDirectionError(excerpt(other).into_owned())),
        }
    }
}

impl fmt::Display for Direction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Up => "up",
            Self::Down => "down",
        })
    }
}

/// Reason for which a rule cannot evaluate a sample: it neither fires nor resolves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoData {
    /// Number of samples before it, which are too few.
    TooFew(u32),
    /// Their mean is not above zero.
    MeanNotAboveZero,
}

/// Definition of a jump: the value of a sample is strictly above `factor` times the mean of the
/// samples in the `window` minutes before it, itself left out; or downwards strictly below the mean
/// divided by `factor`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JumpRule {
    /// Multiple of the mean that a value must exceed; above zero.
    pub factor: Exact,
    /// Length of the time before the sample, in minutes; 1 to 1,440.
    pub window: u32,
    /// Minimum number of samples in the window.
    pub min_samples: u32,
    /// Direction in which it looks.
    pub direction: Direction,
}

impl Default for JumpRule {
    /// The defaults of [`rule_fields`](crate::rule_fields).
    fn default() -> Self {
        let factor = Exact::new(DEFAULT_FACTOR, 0).unwrap_or(Exact::ZERO);
        Self::with_window(factor, DEFAULT_WINDOW_MINUTES)
    }
}

impl JumpRule {
    /// The rule for another window with the default's share of samples.
    #[must_use]
    pub fn with_window(factor: Exact, window: u32) -> Self {
        Self {
            factor,
            window,
            min_samples: default_min_samples(window),
            direction: Direction::Up,
        }
    }

    /// Decides on one sample by what was before it. `None`: no jump, or not enough to tell.
    #[must_use]
    pub fn jump(
        &self,
        metric: &Metric,
        ts: Minute,
        value: Exact,
        before: &RollingSum,
    ) -> Option<Jump> {
        if self.no_data(before).is_some() || !self.beyond(self.factor, value, before) {
            return None;
        }
        Some(Jump::of(metric, ts, value, before))
    }

    /// Reason for which the samples before it do not suffice to evaluate one, if there is any.
    #[must_use]
    pub fn no_data(&self, before: &RollingSum) -> Option<NoData> {
        if before.count == 0 || before.count < self.min_samples {
            Some(NoData::TooFew(before.count))
        } else if before.mean_above_zero() {
            None
        } else {
            Some(NoData::MeanNotAboveZero)
        }
    }

    /// Whether a value is strictly beyond `times` the mean, in the rule's direction: above `times`
    /// x mean, or below mean / `times`.
    #[must_use]
    pub fn beyond(&self, times: Exact, value: Exact, before: &RollingSum) -> bool {
        exceeds(self.direction, times, value, before).unwrap_or_else(|| {
            let (times, value, mean) = (times.to_f64(), value.to_f64(), before.mean());
            match self.direction {
                Direction::Up => value > times * mean,
                Direction::Down => value * times < mean,
            }
        })
    }
}

/// `value * count > times * sum`, or `value * count * times < sum`, in integers; `None` where 128
/// bits do not hold it.
fn exceeds(direction: Direction, times: Exact, value: Exact, before: &RollingSum) -> Option<bool> {
    let (sum, scale) = before.exact_sum()?;
    let common = scale.max(i32::from(value.scale()));
    let value = shift(
        i128::from(value.unscaled()),
        common - i32::from(value.scale()),
    )?;
    let sum = shift(sum, common - scale)?;
    let value = value.checked_mul(i128::from(before.count))?;
    let factor = i128::from(times.unscaled());
    let factor_scale = i32::from(times.scale());
    let (up, down) = (factor_scale.max(0), (-factor_scale).max(0));
    Some(match direction {
        Direction::Up => shift(value, up)? > shift(sum.checked_mul(factor)?, down)?,
        Direction::Down => shift(value.checked_mul(factor)?, down)? < shift(sum, up)?,
    })
}

/// `number * 10^places`, where that fits.
fn shift(number: i128, places: i32) -> Option<i128> {
    number.checked_mul(10_i128.checked_pow(u32::try_from(places).ok()?)?)
}

/// The samples before a sample, as the rule needs them: their exact sum and their count.
#[derive(Clone, Debug, Default)]
pub struct RollingSum {
    count: u32,
    /// Sum at `scale`; `None` once it no longer fits, from when on `approximate` speaks.
    sum: Option<i128>,
    scale: i32,
    approximate: f64,
}

impl RollingSum {
    /// Takes one more sample in.
    pub fn push(&mut self, value: Exact) {
        let sum = if self.count == 0 { Some(0) } else { self.sum };
        self.sum = sum.and_then(|sum| self.add_exactly(sum, value));
        self.count += 1;
        self.approximate += value.to_f64();
    }

    /// Lets go of a sample that it holds. `false` where only an approximate sum is left, which must
    /// be made anew.
    #[must_use]
    pub fn pop(&mut self, value: Exact) -> bool {
        let negated = value
            .unscaled()
            .checked_neg()
            .and_then(|unscaled| Exact::new(unscaled, value.scale()));
        let left = match (self.sum, negated) {
            (Some(sum), Some(negated)) if self.count > 0 => self.add_exactly(sum, negated),
            _ => None,
        };
        self.sum = left;
        self.count = self.count.saturating_sub(1);
        self.approximate -= value.to_f64();
        left.is_some()
    }

    fn add_exactly(&mut self, sum: i128, value: Exact) -> Option<i128> {
        let common = self.scale.max(i32::from(value.scale()));
        let sum = shift(sum, common - self.scale)?;
        let value = shift(
            i128::from(value.unscaled()),
            common - i32::from(value.scale()),
        )?;
        self.scale = common;
        sum.checked_add(value)
    }

    /// Whether its sum is exact: then it does not depend on the order in which samples came and
    /// went.
    #[must_use]
    pub fn is_exact(&self) -> bool {
        self.count == 0 || self.sum.is_some()
    }

    /// Number of samples.
    #[must_use]
    pub fn count(&self) -> u32 {
        self.count
    }

    /// Their mean, or zero where there are none.
    #[must_use]
    #[expect(
        clippy::cast_precision_loss,
        reason = "the mean is for people; the decision is exact"
    )]
    pub fn mean(&self) -> f64 {
        if self.count == 0 {
            return 0.0;
        }
        let sum = match self.sum {
            Some(sum) => sum as f64 / 10_f64.powi(self.scale),
            None => self.approximate,
        };
        sum / f64::from(self.count)
    }

    fn mean_above_zero(&self) -> bool {
        match self.sum {
            Some(sum) => sum > 0,
            None => self.approximate > 0.0,
        }
    }

    fn exact_sum(&self) -> Option<(i128, i32)> {
        self.sum.map(|sum| (sum, self.scale))
    }
}

impl FromIterator<Exact> for RollingSum {
    fn from_iter<I: IntoIterator<Item = Exact>>(values: I) -> Self {
        let mut trailing = Self::default();
        for value in values {
            trailing.push(value);
        }
        trailing
    }
}

/// A sample that stands out, with the numbers that prove it.
#[derive(Clone, Debug, PartialEq)]
pub struct Jump {
    /// The series.
    pub metric: Metric,
    /// The minute at which it jumped.
    pub ts: Minute,
    /// The value that jumped.
    pub value: Exact,
    /// Mean of the samples before it.
    pub mean: f64,
    /// `value / mean`.
    pub ratio: f64,
    /// Number of samples in the mean.
    pub samples: u32,
}

impl Jump {
    /// A sample beside those before it. Of rows summed up anew its mean is the same float in every
    /// engine.
    #[must_use]
    pub fn of(metric: &Metric, ts: Minute, value: Exact, before: &RollingSum) -> Self {
        let mean = before.mean();
        Self {
            metric: metric.clone(),
            ts,
            value,
            mean,
            ratio: value.to_f64() / mean,
            samples: before.count,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn exact(text: &str) -> Exact {
        text.parse().expect(text)
    }

    fn jump(rule: &JumpRule, value: &str, before: &[&str]) -> Option<Jump> {
        let metric = "test:pair".parse().expect("id");
        let before = before.iter().map(|text| exact(text)).collect();
        rule.jump(&metric, Minute::from_number(0), exact(value), &before)
    }

    #[test]
    fn exactly_three_times_the_mean_is_no_jump_and_the_least_more_is() {
        let hour = ["0.1"; 60];
        assert_eq!(jump(&JumpRule::default(), "0.3", &hour), None);
        let found = jump(&JumpRule::default(), "0.3000000000000001", &hour).expect("a jump");
        assert_eq!((found.mean, found.samples), (0.1, 60));
    }

    #[test]
    fn fewer_than_45_samples_or_a_mean_of_zero_say_nothing() {
        let rule = JumpRule::default();
        assert_eq!(jump(&rule, "100", &["1"; 44]), None);
        assert!(jump(&rule, "100", &["1"; 45]).is_some());
        assert_eq!(jump(&rule, "100", &["0"; 60]), None);
        assert_eq!(jump(&rule, "100", &["-1"; 60]), None);
        assert_eq!(jump(&rule, "100", &[]), None);
    }

    #[test]
    fn a_factor_with_decimals_and_values_of_all_sizes_are_decided() {
        let rule = JumpRule::with_window(exact("1.5"), 4);
        assert_eq!(rule.min_samples, 3);
        assert_eq!(jump(&rule, "3", &["1", "2", "3"]), None);
        assert!(jump(&rule, "3.000001", &["1", "2", "3"]).is_some());
        assert!(jump(&rule, "1e21", &["1e-16", "1e-16", "1e-16"]).is_some());
        assert_eq!(jump(&rule, "1e-16", &["1e21", "1e-16", "1e21"]), None);
    }

    #[test]
    fn downwards_exactly_a_third_of_the_mean_is_no_jump_and_the_least_less_is() {
        let rule = JumpRule {
            direction: Direction::Down,
            ..JumpRule::default()
        };
        let hour = ["0.3"; 60];
        assert_eq!(jump(&rule, "0.1", &hour), None);
        assert!(jump(&rule, "0.0999999999999999", &hour).is_some());
        assert_eq!(jump(&rule, "0.9", &hour), None);
    }

    proptest! {
        #[test]
        fn the_rule_agrees_with_plain_integers(
            before in prop::collection::vec(0_i64..1_000_000, 1..70),
            value in 0_i64..3_000_000,
            factor in 1_i64..9
        ) {
            let exact = |unscaled, scale| Exact::new(unscaled, scale).expect("fits");
            let rule = JumpRule {
                factor: exact(factor, 0),
                window: 60,
                min_samples: 45,
                direction: Direction::Up,
            };
            let trailing: RollingSum = before.iter().map(|&b| exact(b, 6)).collect();
            let metric = "test:pair".parse().expect("id");
            let found = rule.jump(&metric, Minute::from_number(0), exact(value, 6), &trailing);
            let sum: i64 = before.iter().sum();
            let count = i64::try_from(before.len()).expect("small");
            let expected = count >= 45 && sum > 0 && value * count > factor * sum;
            prop_assert_eq!(found.is_some(), expected);
        }
    }
}
