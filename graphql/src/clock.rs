//! The database's clock, asked once a minute and carried on by this machine's steady one.

use std::time::{Duration, Instant};

use marketlake_entities::{Millis, database};
use marketlake_lake::Lake;
use parking_lot::Mutex;

const KEPT: Duration = Duration::from_secs(60);

/// Tells the time that all processes agree on, without asking the database each time.
#[derive(Default)]
pub(crate) struct Clock {
    set: Mutex<Option<(Millis, Instant)>>,
}

impl Clock {
    /// `None` where the database cannot be asked; the log says why.
    pub(crate) async fn now(&self, lake: &Lake) -> Option<Millis> {
        let set = *self.set.lock();
        if let Some((then, at)) = set
            && at.elapsed() < KEPT
        {
            return Some(then.plus(at.elapsed()));
        }
        let asked = Instant::now();
        match database::clock(lake.database()).await {
            Ok(now) => {
                *self.set.lock() = Some((now, asked));
                Some(now)
            }
            Err(error) => {
                tracing::warn!(%error, "the database's clock cannot be read");
                None
            }
        }
    }
}
