//! Clock for slots, leases and links: the database's clock, on which all processes agree, as long
//! as it runs steadily.
//!
//! Each second both clocks are compared with the machine's uptime, sleep included. A clock that was
//! set does not move the time: it goes on as before. Where the database's was set alone, for as
//! long as that lasts; where both were (one machine, one clock), until the step has stayed for
//! [`STEP_SETTLE_TIME`]. A step forward holds planning meanwhile: it is unknown to which minute a
//! price belongs.

mod line;
mod uptime;

use std::sync::Arc;
use std::time::Duration;

use metrics::{counter, gauge};
use parking_lot::Mutex;
use sea_orm::{ConnectionTrait, DbErr};

use crate::database;
use marketlake_model::Millis;

pub use line::{Event, Line, MAX_CLOCK_DIFFERENCE, Reading, STEP_SETTLE_TIME, STEP_TOLERANCE};

/// Interval at which the clocks are compared.
const OBSERVE_INTERVAL: Duration = Duration::from_secs(1);

/// A clock as a function.
type Tell<T> = Box<dyn Fn() -> T + Send + Sync>;

/// Current time. Cheap to clone; clones share their state.
#[derive(Clone)]
pub struct Clock(Arc<Inner>);

struct Inner {
    application: Tell<Millis>,
    uptime: Tell<Duration>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    line: Line,
    observed: Option<Duration>,
}

impl Default for Clock {
    fn default() -> Self {
        Self::system()
    }
}

impl Clock {
    /// The clock over this machine's.
    #[must_use]
    pub fn system() -> Self {
        Self::new(Box::new(machine_clock), Box::new(uptime::uptime))
    }

    /// The clock over an application's clock, and a monotonic uptime.
    #[must_use]
    pub fn new(application: Tell<Millis>, uptime: Tell<Duration>) -> Self {
        Self(Arc::new(Inner {
            application,
            uptime,
            state: Mutex::default(),
        }))
    }

    /// Compares the clocks, and logs what is new.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn observe(&self, connection: &impl ConnectionTrait) -> Result<(), DbErr> {
        let before = (self.0.uptime)();
        let database = database::clock(connection).await?;
        let application = (self.0.application)();
        let after = (self.0.uptime)();
        let event = {
            let mut state = self.0.state.lock();
            state.observed = Some(after);
            state.line.observe(Reading {
                database,
                application,
                uptime: (before, after),
            })
        };
        gauge!("marketlake_clock_difference_seconds").set(seconds(database.since(application)));
        if let Some(event) = event {
            self.log(event);
        }
        Ok(())
    }

    /// Current time. Compares the clocks first if the last comparison is over a second old.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn now(&self, connection: &impl ConnectionTrait) -> Result<Millis, DbErr> {
        let observed = self.0.state.lock().observed;
        let uptime = (self.0.uptime)();
        if observed.is_none_or(|at| uptime.saturating_sub(at) >= OBSERVE_INTERVAL) {
            // One caller reads the clock for all.
            self.0.state.lock().observed = Some(uptime);
            if let Err(error) = self.observe(connection).await {
                self.0.state.lock().observed = None;
                return Err(error);
            }
        }
        match self.estimate() {
            Some(now) => Ok(now),
            // The clocks differ from the start: what has passed by both has passed.
            None => Ok(database::clock(connection)
                .await?
                .min((self.0.application)())),
        }
    }

    /// The time as it goes on from the last comparison; `None` where there is none, or the clocks
    /// differed.
    #[must_use]
    pub fn estimate(&self) -> Option<Millis> {
        self.0.state.lock().line.now((self.0.uptime)())
    }

    /// Reason why nothing is planned.
    #[must_use]
    pub fn held(&self) -> Option<String> {
        self.0.state.lock().line.held()
    }

    /// Names the clock that is off, if one is.
    #[must_use]
    pub fn describe(&self) -> Option<String> {
        self.0.state.lock().line.describe()
    }

    /// Whether a step of the clock was accepted within `span`. A row that looks old by the new time
    /// may be young.
    #[must_use]
    pub fn stepped_within(&self, span: Duration) -> bool {
        let ago = self.0.state.lock().line.accepted_ago((self.0.uptime)());
        ago.is_some_and(|ago| ago < span)
    }

    fn log(&self, event: Event) {
        let (clock, by) = match event {
            Event::Differ(by) | Event::Apart(by) => ("difference", by),
            Event::DatabaseStepped(by) => ("database", by),
            Event::ApplicationStepped(by) => ("application", by),
            Event::BothStepped(by) | Event::Accepted(by) => ("both", by),
            Event::Returned => {
                tracing::warn!("the clocks are right again");
                return;
            }
        };
        let by_seconds = by / 1_000;
        if event == Event::Accepted(by) {
            let until = self.estimate().map(|now| now.minute().to_string());
            tracing::warn!(
                by_seconds,
                until,
                "the clock's step is accepted; minutes recorded since the step, or since an \
                 earlier wrong setting, may be {} s off",
                by_seconds.saturating_abs()
            );
            return;
        }
        let direction = if by > 0 { "forward" } else { "back" };
        counter!("marketlake_clock_steps_total", "clock" => clock, "direction" => direction)
            .increment(1);
        let detail = self.describe().unwrap_or_default();
        tracing::error!(clock, by_seconds, direction, "clock step: {detail}");
    }
}

#[expect(clippy::cast_precision_loss, reason = "gauges are floats")]
fn seconds(millis: i64) -> f64 {
    millis as f64 / 1_000.0
}

#[expect(
    clippy::disallowed_methods,
    reason = "here the machine's clock is compared with the database's"
)]
fn machine_clock() -> Millis {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    Millis(0).plus(since.unwrap_or_default())
}
