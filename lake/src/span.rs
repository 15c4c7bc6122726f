//! Spans of minutes, points in time, and the minutes that samples can have.

use std::time::Duration;

use marketlake_model::{Exact, Millis, Minute};

/// Minutes of a day.
pub(crate) const DAY: i64 = 1_440;
/// No market of ours is older: the day of Bitcoin's first block.
pub const EARLIEST_MINUTE: Minute = Minute::from_number(20_515_680);
/// Clocks differ a little: a minute that begins so shortly ahead is not in the future yet.
pub const FUTURE_TOLERANCE: Duration = Duration::from_secs(60);

/// The latest minute that can be true at a time.
pub(crate) fn latest_minute(now: Millis) -> Minute {
    now.plus(FUTURE_TOLERANCE).minute()
}

/// The minutes from `from` to `to`, both within.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// The first minute.
    pub from: Minute,
    /// The last minute.
    pub to: Minute,
}

/// 2100-01-01T00:00:00Z, in seconds since 1970.
const END_OF_TIME_SECONDS: i64 = 4_102_444_800;

impl Span {
    /// All of time that a sample can have: from 1970 to 2100.
    pub const ALL: Self = Self {
        from: Minute::from_number(0),
        to: Minute::from_number(END_OF_TIME_SECONDS / 60),
    };

    /// The last 24 hours at a minute: (at - 24 h, at], 1,440 minutes.
    #[must_use]
    pub fn last_24h(at: Minute) -> Self {
        Self {
            from: at.plus(1 - DAY),
            to: at,
        }
    }

    /// A minute and the `window` minutes before it.
    #[must_use]
    pub fn lookback(at: Minute, window: u32) -> Self {
        Self {
            from: at.plus(-i64::from(window)),
            to: at,
        }
    }

    /// The 60 minutes of the hour of a minute.
    #[must_use]
    pub fn hour(of: Minute) -> Self {
        let first = of.hour();
        Self {
            from: first,
            to: first.plus(59),
        }
    }

    /// The 1,440 minutes of the calendar day of a minute.
    #[must_use]
    pub fn day(of: Minute) -> Self {
        let first = of.day();
        Self {
            from: first,
            to: first.plus(DAY - 1),
        }
    }

    /// Returns itself, or an error text where it ends before it begins.
    ///
    /// # Errors
    /// Fails if it ends before it begins.
    pub fn validate(self) -> Result<Self, String> {
        if self.from > self.to {
            return Err(format!(
                "expected a time up to {}, got {}",
                self.to, self.from
            ));
        }
        Ok(self)
    }

    /// Returns whether it contains a minute.
    #[must_use]
    pub fn contains(self, minute: Minute) -> bool {
        self.from <= minute && minute <= self.to
    }
}

/// One sample of a known metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Point {
    /// The minute.
    pub ts: Minute,
    /// The value.
    pub value: Exact,
}
