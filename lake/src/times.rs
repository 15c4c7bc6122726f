//! Which minutes a sample can be of. The last line of defence: whatever a feed or a file says,
//! nothing else is published.

use std::time::Duration;

use marketlake_model::{Metric, Millis, Minute, Sample};

use crate::LakeError;

/// No market of ours is older: the day of Bitcoin's first block.
pub const EARLIEST_MINUTE: Minute = Minute::from_number(20_515_680);
/// Clocks differ a little: a minute that begins so shortly ahead is not in the future yet.
pub const FUTURE_TOLERANCE: Duration = Duration::from_secs(60);

/// The latest minute that can be true at a time.
pub(crate) fn latest_minute(now: Millis) -> Minute {
    now.plus(FUTURE_TOLERANCE).minute()
}

/// The earliest and the latest of some samples.
#[derive(Clone, Debug, Default)]
pub(crate) struct Extremes(Option<((Minute, Metric), (Minute, Metric))>);

impl Extremes {
    pub(crate) fn of(samples: &[Sample]) -> Self {
        let mut extremes = Self::default();
        samples.iter().for_each(|sample| extremes.add(sample));
        extremes
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

    /// Refuses times that cannot be true, naming one.
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
        Err(LakeError::Time {
            metric: odd.1.clone(),
            ts: odd.0,
            last,
        })
    }
}
