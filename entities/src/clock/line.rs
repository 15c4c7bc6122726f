//! Estimate of the current time from readings of two clocks and the elapsed uptime between them.
//! Pure: reads no clock itself.

use std::time::Duration;

use marketlake_model::Millis;

/// Offset above which a clock was set rather than slewed.
pub const STEP_TOLERANCE: Duration = Duration::from_secs(5);
/// Maximum difference of the database's and the application's clock.
pub const MAX_CLOCK_DIFFERENCE: Duration = Duration::from_secs(60);
/// Time after which a step of both clocks is accepted; before that it may be reverted.
pub const STEP_SETTLE_TIME: Duration = Duration::from_secs(180);

/// A reading of both clocks.
#[derive(Clone, Copy, Debug)]
pub struct Reading {
    /// Database's clock.
    pub database: Millis,
    /// Application's clock.
    pub application: Millis,
    /// Time since the machine's start, before and after the query to the database.
    pub uptime: (Duration, Duration),
}

/// Change that is logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// The clocks differ at the start, by this many milliseconds: the time is unknown.
    Differ(i64),
    /// Only the database's clock was set; its earlier time is used.
    DatabaseStepped(i64),
    /// Only the application's clock was set; it is not used.
    ApplicationStepped(i64),
    /// Both were set by the same amount; their earlier time is used until the step has settled.
    BothStepped(i64),
    /// They were set to times that differ.
    Apart(i64),
    /// The step has settled and is accepted.
    Accepted(i64),
    /// Both are correct again.
    Returned,
}

/// A clock's time at an uptime, from which it is extrapolated.
#[derive(Clone, Copy, Debug)]
struct Track {
    at: Millis,
    uptime: Duration,
}

/// Conclusion from the readings so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Standing {
    /// No reading yet.
    #[default]
    Unknown,
    Steady,
    Differ(i64),
    /// One clock is off; which, and by how much.
    DatabaseOff(i64),
    ApplicationOff(i64),
    BothOff {
        by: i64,
        since: Duration,
    },
    Apart(i64),
}

/// Estimate of the current time.
#[derive(Debug, Default)]
pub struct Line {
    tracks: Option<(Track, Track)>,
    standing: Standing,
    /// Last accepted step.
    accepted: Option<(i64, Duration)>,
}

impl Track {
    fn expected(&self, uptime: Duration) -> Millis {
        match uptime.checked_sub(self.uptime) {
            Some(passed) => self.at.plus(passed),
            None => self.at.minus(self.uptime.saturating_sub(uptime)),
        }
    }

    /// Offset of a clock from its expected time; 0 within the tolerance.
    fn off(&self, said: Millis, (before, after): (Duration, Duration)) -> i64 {
        let (earliest, latest) = (self.expected(before), self.expected(after));
        if said < earliest.minus(STEP_TOLERANCE) {
            said.since(earliest)
        } else if said > latest.plus(STEP_TOLERANCE) {
            said.since(latest)
        } else {
            0
        }
    }
}

fn millis(span: Duration) -> i64 {
    i64::try_from(span.as_millis()).unwrap_or(i64::MAX)
}

fn near(one: i64, other: i64) -> bool {
    one.saturating_sub(other).saturating_abs() <= 2 * millis(STEP_TOLERANCE)
}

impl Line {
    /// Processes a reading.
    pub fn observe(&mut self, reading: Reading) -> Option<Event> {
        let (before, after) = reading.uptime;
        let (database, application) = (reading.database, reading.application);
        let difference = database.since(application);
        let round_trip = millis(after.saturating_sub(before));
        let agree =
            difference.saturating_abs() <= millis(MAX_CLOCK_DIFFERENCE).saturating_add(round_trip);
        let Some((theirs, ours)) = self.tracks else {
            let standing = if agree {
                self.follow(reading);
                Standing::Steady
            } else {
                Standing::Differ(difference)
            };
            return self.stand(standing);
        };
        let offs = (
            theirs.off(database, reading.uptime),
            ours.off(application, reading.uptime),
        );
        let standing = match offs {
            (0, 0) => {
                self.follow(reading);
                Standing::Steady
            }
            (0, by) if agree => {
                // Both are near enough: what it was set to is as good.
                self.follow(reading);
                Standing::ApplicationOff(by)
            }
            (0, by) => {
                self.tracks = Some((track(database, after), ours));
                Standing::ApplicationOff(by)
            }
            (by, 0) => {
                self.tracks = Some((theirs, track(application, after)));
                Standing::DatabaseOff(by)
            }
            (by, _) if agree => {
                let since = match self.standing {
                    Standing::BothOff { by: was, since } if near(was, by) => since,
                    _ => after,
                };
                let undone = self
                    .accepted
                    .is_some_and(|(was, _)| near(by, was.saturating_neg()));
                if undone || after.saturating_sub(since) >= STEP_SETTLE_TIME {
                    self.follow(reading);
                    self.accepted = Some((by, after));
                    self.standing = Standing::Steady;
                    return Some(Event::Accepted(by));
                }
                Standing::BothOff { by, since }
            }
            (_, _) => Standing::Apart(difference),
        };
        self.stand(standing)
    }

    fn follow(&mut self, reading: Reading) {
        let (_, after) = reading.uptime;
        let both = (
            track(reading.database, after),
            track(reading.application, after),
        );
        self.tracks = Some(both);
    }

    /// Sets the conclusion; returns an event if it changed.
    fn stand(&mut self, now: Standing) -> Option<Event> {
        let was = std::mem::replace(&mut self.standing, now);
        match (was, now) {
            (Standing::Unknown | Standing::Steady, Standing::Steady) | (_, Standing::Unknown) => {
                None
            }
            (_, Standing::Steady) => Some(Event::Returned),
            (Standing::Differ(a), Standing::Differ(b))
            | (Standing::Apart(a), Standing::Apart(b))
            | (Standing::DatabaseOff(a), Standing::DatabaseOff(b))
            | (Standing::ApplicationOff(a), Standing::ApplicationOff(b))
            | (Standing::BothOff { by: a, .. }, Standing::BothOff { by: b, .. })
                if near(a, b) =>
            {
                None
            }
            (_, Standing::Differ(by)) => Some(Event::Differ(by)),
            (_, Standing::DatabaseOff(by)) => Some(Event::DatabaseStepped(by)),
            (_, Standing::ApplicationOff(by)) => Some(Event::ApplicationStepped(by)),
            (_, Standing::BothOff { by, .. }) => Some(Event::BothStepped(by)),
            (_, Standing::Apart(by)) => Some(Event::Apart(by)),
        }
    }

    /// The time at an uptime; `None` before both clocks were found to agree.
    #[must_use]
    pub fn now(&self, uptime: Duration) -> Option<Millis> {
        let (theirs, _) = self.tracks?;
        Some(theirs.expected(uptime))
    }

    /// Reason why nothing is planned: the time is unknown.
    #[must_use]
    pub fn held(&self) -> Option<String> {
        let seconds = |by: i64| by / 1_000;
        match self.standing {
            Standing::Differ(by) | Standing::Apart(by) => Some(format!(
                "the database's clock is {} s from this machine's, expected at most {} s: set one \
                 of them right",
                seconds(by),
                MAX_CLOCK_DIFFERENCE.as_secs()
            )),
            Standing::BothOff { by, .. } if by > 0 => Some(format!(
                "the clock was set forward by {} s: planning waits until it is set back, or has \
                 stayed so for {} s",
                seconds(by),
                STEP_SETTLE_TIME.as_secs()
            )),
            _ => None,
        }
    }

    /// Names the clock that is off, if one is.
    #[must_use]
    pub fn describe(&self) -> Option<String> {
        let off =
            |clock: &str, by: i64| format!("{clock} was set by {} s and is not used", by / 1_000);
        match self.standing {
            Standing::DatabaseOff(by) => Some(off("the database's clock", by)),
            Standing::ApplicationOff(by) => Some(off("this machine's clock", by)),
            Standing::BothOff { by, .. } if by < 0 => Some(off("the clock", by)),
            _ => self.held(),
        }
    }

    /// Time since a step was accepted.
    #[must_use]
    pub fn accepted_ago(&self, uptime: Duration) -> Option<Duration> {
        let (_, at) = self.accepted?;
        Some(uptime.saturating_sub(at))
    }
}

fn track(at: Millis, uptime: Duration) -> Track {
    Track { at, uptime }
}
