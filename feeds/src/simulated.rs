//! Simulated feed, for demonstrations: the same seed gives the same history.
//!
//! Every metric's market is `simulated`, which every API shows, so that it is not mistaken for
//! real.

use async_trait::async_trait;
use marketlake_model::{Exact, Metric, Minute, PRICE, SIMULATED, Sample, VOLUME};

use crate::batch::Batch;
use crate::error::FeedError;
use crate::feed::{Coverage, Feed};

/// Pair, price about which it wanders, digits behind the point.
const PAIRS: [(&str, f64, i8); 40] = [
    ("btcusdt", 91_500.0, 2),
    ("ethusdt", 3_120.0, 2),
    ("hottry", 0.06076, 5),
    ("solusdt", 142.0, 2),
    ("bnbusdt", 880.0, 1),
    ("xrpusdt", 2.21, 4),
    ("adausdt", 0.52, 4),
    ("dogeusdt", 0.16, 5),
    ("trxusdt", 0.28, 4),
    ("avaxusdt", 15.2, 2),
    ("linkusdt", 13.4, 2),
    ("dotusdt", 2.6, 3),
    ("ltcusdt", 96.0, 2),
    ("bchusdt", 512.0, 1),
    ("uniusdt", 7.1, 3),
    ("atomusdt", 2.9, 3),
    ("etcusdt", 15.1, 2),
    ("xlmusdt", 0.25, 4),
    ("filusdt", 1.9, 3),
    ("aptusdt", 2.8, 3),
    ("nearusdt", 2.2, 3),
    ("arbusdt", 0.23, 4),
    ("opusdt", 0.37, 4),
    ("injusdt", 6.4, 3),
    ("aaveusdt", 178.0, 2),
    ("shibusdt", 0.0000088, 8),
    ("pepeusdt", 0.0000047, 8),
    ("hotusdt", 0.00062, 6),
    ("ethbtc", 0.0341, 5),
    ("solbtc", 0.00155, 7),
    ("ltcbtc", 0.00105, 6),
    ("xrpbtc", 0.0000241, 8),
    ("adabtc", 0.0000057, 8),
    ("xmrbtc", 0.0042, 6),
    ("zecbtc", 0.0061, 6),
    ("dashbtc", 0.00071, 6),
    ("btctry", 3_860_000.0, 0),
    ("ethtry", 131_700.0, 0),
    ("btceur", 79_300.0, 2),
    ("etheur", 2_705.0, 2),
];
/// Minutes between two jumps of volume, each of another pair; a pair's turn comes again after
/// longer than an hour.
const MINUTES_BETWEEN_JUMPS: i64 = 2;
/// Amplitude of a price around its middle, as a share.
const PRICE_SWING: f64 = 0.04;
/// Volume stays within a factor of 1.5 unless it jumps.
const VOLUME_SWING: f64 = 0.2;

/// The feed.
#[derive(Clone, Copy, Debug)]
pub struct Simulated {
    seed: u64,
}

impl Simulated {
    /// The market that this seed stands for.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self { seed }
    }

    /// All samples of a minute: a price and a volume for each of 40 pairs.
    #[must_use]
    pub fn at(&self, minute: Minute) -> Vec<Sample> {
        let mut samples = Vec::with_capacity(PAIRS.len() * 2);
        for (index, (pair, middle, digits)) in (0_u64..).zip(PAIRS) {
            let price = middle * (1.0 + PRICE_SWING * self.wander(index * 2, minute));
            samples.extend(sample(pair, PRICE, minute, price, digits));
            let usual =
                turnover(pair) / middle * (VOLUME_SWING * self.wander(index * 2 + 1, minute)).exp();
            let volume = usual * self.jump(index, minute);
            samples.extend(sample(pair, VOLUME, minute, volume, 4));
        }
        samples
    }

    /// Factor of a pair's usual volume: 1, or 6 to 9 when its turn has come.
    fn jump(self, index: u64, minute: Minute) -> f64 {
        let turn = u64::try_from(minute.number().div_euclid(MINUTES_BETWEEN_JUMPS)).unwrap_or(0);
        let count = u64::try_from(PAIRS.len()).unwrap_or(1);
        if minute.number() % MINUTES_BETWEEN_JUMPS == 0 && turn % count == index {
            6.0 + 3.0 * unit(self.seed ^ turn)
        } else {
            1.0
        }
    }

    /// Smooth noise between -1 and 1: six octaves of values at whole steps, from an hour's quarter
    /// to weeks.
    fn wander(self, series: u64, minute: Minute) -> f64 {
        let mut height = 0.0;
        let mut weight = 0.5;
        for step in [16_384_i64, 4_096, 1_024, 256, 64, 4] {
            let start = minute.number().div_euclid(step);
            let share = fraction(minute.number().rem_euclid(step), step);
            let smooth = share * share * (3.0 - 2.0 * share);
            let (from, to) = (
                self.point(series, step, start),
                self.point(series, step, start + 1),
            );
            height += weight * (from + (to - from) * smooth);
            weight *= 0.5;
        }
        height
    }

    fn point(self, series: u64, step: i64, at: i64) -> f64 {
        let key = self.seed
            ^ scramble(series ^ scramble(step.unsigned_abs() ^ scramble(at.unsigned_abs())));
        unit(key) * 2.0 - 1.0
    }
}

/// Usual turnover of a minute, in the quote currency.
fn turnover(pair: &str) -> f64 {
    if pair.ends_with("btc") {
        2.0
    } else if pair.ends_with("try") {
        8_000_000.0
    } else {
        200_000.0
    }
}

#[expect(clippy::cast_precision_loss, reason = "both are below 16,385")]
fn fraction(part: i64, whole: i64) -> f64 {
    part as f64 / whole as f64
}

/// A number from 0 to 1 that looks like chance.
#[expect(clippy::cast_precision_loss, reason = "53 bits fit")]
fn unit(key: u64) -> f64 {
    (scramble(key) >> 11) as f64 / (1_u64 << 53) as f64
}

/// `SplitMix64`'s finaliser (Steele, Lea, Flood 2014).
fn scramble(key: u64) -> u64 {
    let z = key.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

fn sample(pair: &str, measure: &str, ts: Minute, value: f64, digits: i8) -> Option<Sample> {
    let places = usize::try_from(digits).ok()?;
    Some(Sample {
        metric: Metric::new(SIMULATED, pair, measure).ok()?,
        ts,
        value: format!("{value:.places$}").parse::<Exact>().ok()?,
    })
}

#[async_trait]
impl Feed for Simulated {
    fn name(&self) -> &str {
        SIMULATED
    }

    fn coverage(&self) -> Coverage {
        Coverage::Historical
    }

    async fn samples(&self, slot: Minute) -> Result<Batch, FeedError> {
        let mut batch = Batch::default();
        for sample in self.at(slot) {
            let metric = sample.metric.clone();
            batch.keep(metric.id(), sample);
        }
        batch.into_non_empty(SIMULATED)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use marketlake_model::JumpRule;

    #[test]
    fn the_same_seed_gives_the_same_market_and_another_seed_another() {
        let minute = Minute::from_number(29_900_000);
        assert_eq!(Simulated::new(7).at(minute), Simulated::new(7).at(minute));
        assert_ne!(Simulated::new(7).at(minute), Simulated::new(8).at(minute));
        assert!(
            Simulated::new(7)
                .at(minute)
                .iter()
                .all(|s| s.metric.market() == SIMULATED)
        );
    }

    #[test]
    fn every_second_minute_exactly_one_volume_jumps() {
        let feed = Simulated::new(7);
        let start = Minute::from_number(29_900_000);
        let rule = JumpRule::default();
        let hour: Vec<Vec<Sample>> = (-60..20).map(|i| feed.at(start.plus(i))).collect();
        for now in 60..80 {
            let jumps = (0..80).filter(|&series| {
                let before = hour[now - 60..now]
                    .iter()
                    .map(|minute| minute[series].value)
                    .collect();
                let sample = &hour[now][series];
                rule.jump(&sample.metric, sample.ts, sample.value, &before)
                    .is_some()
            });
            assert_eq!(jumps.count(), usize::from(now % 2 == 0), "minute {now}");
        }
    }
}
