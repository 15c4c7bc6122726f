//! Replay feed: plays recorded history minute by minute, as if it were live.

use std::collections::HashMap;
use std::path::PathBuf;

use async_trait::async_trait;
use marketlake_model::{Millis, Minute, Sample};

use crate::batch::Batch;
use crate::error::FeedError;
use crate::feed::{Coverage, Feed};
use crate::files::{self, FileError, FileOptions};

/// Minutes that are replayed, and the speed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ReplayClock {
    /// The first minute.
    pub from: Minute,
    /// The last minute.
    pub to: Minute,
    /// Recorded minutes a minute: 1 is as it was, 60 is a minute a second.
    pub speed: f64,
}

impl ReplayClock {
    /// Newest minute that has come, by the time that has passed since the first one came.
    #[must_use]
    #[expect(
        clippy::cast_possible_truncation,
        reason = "a float's cast to an integer saturates"
    )]
    pub fn minute(&self, passed: Millis) -> Minute {
        #[expect(
            clippy::cast_precision_loss,
            reason = "years of milliseconds fit in 53 bits"
        )]
        let minutes = (passed.0 as f64 * self.speed / 60_000.0).floor();
        self.from.plus(minutes as i64).min(self.to)
    }
}

/// The feed: all samples of the files, by minute.
pub struct ReplayFeed {
    minutes: HashMap<Minute, Vec<Sample>>,
    clock: ReplayClock,
}

impl ReplayFeed {
    /// Reads the files whole. `from` and `to` default to the first and last minute in them.
    ///
    /// # Errors
    /// Fails if a file cannot be read, a line of it does not parse, or there is no sample in the
    /// given time.
    pub fn read(
        paths: &[PathBuf],
        options: &FileOptions,
        from: Option<Minute>,
        to: Option<Minute>,
        speed: f64,
    ) -> Result<Self, FileError> {
        let mut minutes: HashMap<Minute, Vec<Sample>> = HashMap::new();
        for path in paths {
            for sample in files::read(path, options)? {
                let sample = sample?;
                let wanted = from.is_none_or(|from| from <= sample.ts)
                    && to.is_none_or(|to| sample.ts <= to);
                if wanted {
                    minutes.entry(sample.ts).or_default().push(sample);
                }
            }
        }
        let first = minutes.keys().min().copied();
        let last = minutes.keys().max().copied();
        let (Some(first), Some(last)) = (from.or(first), to.or(last)) else {
            return Err(FileError::Nothing);
        };
        let clock = ReplayClock {
            from: first,
            to: last,
            speed,
        };
        Ok(Self { minutes, clock })
    }

    /// Minutes that are replayed, and the speed.
    #[must_use]
    pub fn clock(&self) -> ReplayClock {
        self.clock
    }
}

#[async_trait]
impl Feed for ReplayFeed {
    fn name(&self) -> &str {
        "replay"
    }

    fn coverage(&self) -> Coverage {
        Coverage::Historical
    }

    /// Real history has holes: a minute without a sample is an empty batch, not an error.
    async fn samples(&self, slot: Minute) -> Result<Batch, FeedError> {
        let mut batch = Batch::default();
        for sample in self.minutes.get(&slot).into_iter().flatten() {
            batch.keep(sample.metric.id(), sample.clone());
        }
        Ok(batch)
    }
}
