//! Check that samples are of minutes that are possible: after the first market, not in the future.
//! The last check before publication, for feeds and files alike.

use marketlake_model::{Metric, Millis, Minute, Sample};

use crate::error::LakeError;
use crate::span::{EARLIEST_MINUTE, latest_minute};

/// The earliest and the latest of some samples.
#[derive(Clone, Debug, Default)]
pub(crate) struct TimeBounds(Option<((Minute, Metric), (Minute, Metric))>);

impl TimeBounds {
    pub(crate) fn from_samples(samples: &[Sample]) -> Self {
        let mut bounds = Self::default();
        samples.iter().for_each(|sample| bounds.add(sample));
        bounds
    }

    pub(crate) fn add(&mut self, sample: &Sample) {
        let this = || (sample.ts, sample.metric.clone());
        match &mut self.0 {
            None => self.0 = Some((this(), this())),
            Some((earliest, _)) if sample.ts < earliest.0 => *earliest = this(),
            Some((_, latest)) if sample.ts > latest.0 => *latest = this(),
            Some(_) => (),
        }
    }

    /// Refuses impossible times, naming one.
    pub(crate) fn check(&self, now: Millis) -> Result<(), LakeError> {
        let Some((earliest, latest)) = &self.0 else {
            return Ok(());
        };
        let last = latest_minute(now);
        let odd = if latest.0 > last {
            latest
        } else if earliest.0 < EARLIEST_MINUTE {
            earliest
        } else {
            return Ok(());
        };
        Err(LakeError::InvalidTime {
            metric: odd.1.clone(),
            ts: odd.0,
            last,
        })
    }
}
