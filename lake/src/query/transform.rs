//! Transforms of a series for charts: change, percent change, moving average, z-score.

use marketlake_model::{Exact, Minute};

use crate::segment::moments::Moments;
use crate::span::Point;

/// Significant digits of what is computed; the sixteenth and seventeenth of a float are noise.
const SIGNIFICANT_DIGITS: usize = 15;

/// Transform of each sample and those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transform {
    /// The value less the one before it; exact. The first has none.
    Change,
    /// Change in percent of the absolute value before it. None behind a zero.
    PercentChange,
    /// Mean of the values over the last minutes, its own included.
    MovingAverage {
        /// Length of the time.
        minutes: u32,
    },
    /// Z-score: sample standard deviations (of the last `minutes`, its own included) by which a
    /// value lies above the mean of those. None where they are all equal, or fewer than two.
    ZScore {
        /// Length of the time.
        minutes: u32,
    },
}

impl Transform {
    /// Minutes before a sample that it reads; the distance of the previous sample is not known.
    #[must_use]
    pub fn reach(self) -> u32 {
        match self {
            Self::Change | Self::PercentChange => 0,
            Self::MovingAverage { minutes } | Self::ZScore { minutes } => minutes.saturating_sub(1),
        }
    }

    /// Transforms points in the order of time.
    #[must_use]
    pub fn apply(self, points: &[Point]) -> Vec<Point> {
        match self {
            Self::Change => pairs(points, |before, value| value.minus(before)),
            Self::PercentChange => pairs(points, |before, value| {
                let (change, before) = (value.minus(before)?.to_f64(), before.to_f64().abs());
                (before != 0.0)
                    .then(|| 100.0 * change / before)
                    .and_then(rounded)
            }),
            Self::MovingAverage { minutes } => {
                trailing(points, minutes, |moments, _| rounded(moments.mean))
            }
            Self::ZScore { minutes } => trailing(points, minutes, |moments, value| {
                let stddev = moments.stddev().filter(|stddev| *stddev > 0.0)?;
                rounded((value - moments.mean) / stddev)
            }),
        }
    }
}

fn rounded(value: f64) -> Option<Exact> {
    Exact::rounded(value, SIGNIFICANT_DIGITS)
}

fn pairs(points: &[Point], of: impl Fn(Exact, Exact) -> Option<Exact>) -> Vec<Point> {
    let pairs = points.iter().zip(points.iter().skip(1));
    let made = pairs.filter_map(|(before, point)| {
        let value = of(before.value, point.value)?;
        Some(Point {
            ts: point.ts,
            value,
        })
    });
    made.collect()
}

/// The moments of each time are summed up anew: nothing drifts.
fn trailing(
    points: &[Point],
    minutes: u32,
    of: impl Fn(&Moments, f64) -> Option<Exact>,
) -> Vec<Point> {
    let mut first = 0;
    let mut made = Vec::with_capacity(points.len());
    for (index, point) in points.iter().enumerate() {
        let from: Minute = point.ts.plus(1 - i64::from(minutes));
        while points[first].ts < from {
            first += 1;
        }
        let moments: Moments = points[first..=index]
            .iter()
            .map(|point| point.value.to_f64())
            .collect();
        made.extend(of(&moments, point.value.to_f64()).map(|value| Point {
            ts: point.ts,
            value,
        }));
    }
    made
}
