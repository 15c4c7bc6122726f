//! Clocks that are set while the program runs: which time it goes by.

use std::time::Duration;

use marketlake_jobs::{
    ClockEvent as Event, ClockLine as Line, ClockReading as Reading, STEP_SETTLE_TIME,
};
use marketlake_model::Millis;

use crate::support::samples::start;

const HOUR: i64 = 3_600_000;
const DAY: i64 = 24 * HOUR;

/// Two clocks on a machine that has been up for a while.
struct Clocks {
    line: Line,
    second: u64,
    database: i64,
    application: i64,
}

impl Clocks {
    fn right() -> Self {
        Self::off(0, 0)
    }

    fn off(database: i64, application: i64) -> Self {
        Self {
            line: Line::default(),
            second: 1_000,
            database,
            application,
        }
    }

    fn true_now(&self) -> i64 {
        start().start().0 + i64::try_from(self.second).unwrap() * 1_000
    }

    fn uptime(&self) -> Duration {
        Duration::from_secs(self.second)
    }

    /// Observes once a second for `seconds` seconds. Returns the events that are worth a line in
    /// the log.
    fn run(&mut self, seconds: u64) -> Vec<Event> {
        let mut events = Vec::new();
        for _ in 0..seconds {
            self.second += 1;
            let before = self.uptime();
            events.extend(self.line.observe(Reading {
                database: Millis(self.true_now() + self.database),
                application: Millis(self.true_now() + self.application),
                uptime: (before, before),
            }));
        }
        events
    }

    /// By how much the time that is gone by is off.
    fn off_by(&self) -> i64 {
        self.line.now(self.uptime()).unwrap().0 - self.true_now()
    }

    fn is_held(&self) -> bool {
        self.line.held().is_some()
    }
}

#[test]
fn a_database_that_is_an_hour_ahead_for_a_while_does_not_move_the_time() {
    let mut clocks = Clocks::right();
    assert_eq!(clocks.run(10), []);
    clocks.database = HOUR;
    assert_eq!(clocks.run(75), [Event::DatabaseStepped(HOUR)]);
    assert_eq!((clocks.off_by(), clocks.is_held()), (0, false));
    clocks.database = 0;
    assert_eq!(clocks.run(5), [Event::Returned]);
    // However long it lasts: two agree against one.
    clocks.database = -HOUR;
    assert_eq!(clocks.run(7_200).len(), 1);
    assert_eq!(
        (clocks.off_by().abs() < 10, clocks.is_held()),
        (true, false)
    );
}

#[test]
fn an_application_that_is_a_day_ahead_or_ten_minutes_behind_goes_by_the_database() {
    for by in [DAY, -10 * 60_000] {
        let mut clocks = Clocks::right();
        clocks.run(10);
        clocks.application = by;
        assert!(matches!(
            clocks.run(150)[..],
            [Event::ApplicationStepped(_)]
        ));
        assert_eq!((clocks.off_by(), clocks.is_held()), (0, false));
        clocks.application = 0;
        assert_eq!(clocks.run(2), [Event::Returned]);
    }
}

#[test]
fn one_clock_for_both_that_is_set_forward_holds_planning_until_it_is_right_again() {
    let mut clocks = Clocks::right();
    clocks.run(10);
    (clocks.database, clocks.application) = (DAY, DAY);
    assert!(matches!(clocks.run(150)[..], [Event::BothStepped(_)]));
    assert!(clocks.off_by() == 0 && clocks.is_held());
    (clocks.database, clocks.application) = (0, 0);
    assert_eq!(clocks.run(1), [Event::Returned]);
    assert!(clocks.off_by() == 0 && !clocks.is_held());
}

#[test]
fn one_clock_for_both_that_is_set_back_does_not_stop_planning() {
    let mut clocks = Clocks::right();
    clocks.run(10);
    (clocks.database, clocks.application) = (-600_000, -600_000);
    assert!(matches!(clocks.run(60)[..], [Event::BothStepped(_)]));
    assert!(clocks.off_by() == 0 && !clocks.is_held());
    // A lasting difference is adopted.
    let events = clocks.run(STEP_SETTLE_TIME.as_secs());
    assert!(matches!(events[..], [Event::Accepted(_)]), "{events:?}");
    assert_eq!(clocks.off_by(), -600_000);
}

#[test]
fn a_step_that_was_gone_along_with_is_taken_back_within_seconds() {
    let mut clocks = Clocks::right();
    clocks.run(10);
    (clocks.database, clocks.application) = (DAY, DAY);
    clocks.run(STEP_SETTLE_TIME.as_secs() + 60);
    assert_eq!((clocks.off_by(), clocks.is_held()), (DAY, false));
    assert!(clocks.line.accepted_ago(clocks.uptime()).is_some());
    (clocks.database, clocks.application) = (0, 0);
    assert!(matches!(clocks.run(1)[..], [Event::Accepted(_)]));
    assert_eq!((clocks.off_by(), clocks.is_held()), (0, false));
}

#[test]
fn clocks_that_differ_at_the_start_hold_planning_until_they_agree() {
    let mut clocks = Clocks::off(HOUR, 0);
    assert_eq!(clocks.run(600), [Event::Differ(HOUR)]);
    assert!(clocks.is_held() && clocks.line.now(clocks.uptime()).is_none());
    clocks.database = 0;
    assert_eq!(clocks.run(1), [Event::Returned]);
    assert_eq!((clocks.off_by(), clocks.is_held()), (0, false));
}

#[test]
fn a_clock_that_runs_fast_is_followed_and_is_no_step() {
    let mut clocks = Clocks::right();
    for _ in 0..3_600 {
        clocks.database += 5;
        assert_eq!(clocks.run(1), []);
    }
    assert_eq!(clocks.off_by(), 18_000);
}

#[test]
fn no_reading_however_odd_ends_the_process() {
    let odd = [i64::MIN, -1, 0, 1, 1_795_516_260_000, i64::MAX];
    let spans = [Duration::ZERO, Duration::from_secs(9), Duration::MAX];
    let mut line = Line::default();
    for database in odd {
        for application in odd {
            for (before, after) in [(0, 1), (1, 0), (1, 2), (2, 2)] {
                line.observe(Reading {
                    database: Millis(database),
                    application: Millis(application),
                    uptime: (spans[before], spans[after]),
                });
                let _ = (line.now(spans[after]), line.held(), line.describe());
            }
        }
    }
}
