//! Monotonic uptime, sleep included.

use std::sync::LazyLock;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// Linux' uptime of the machine, sleep included, to a hundredth of a second.
const UPTIME_FILE: &str = "/proc/uptime";
/// Differences below it are rounding.
const MIN_SLEEP: Duration = Duration::from_millis(100);

static START: LazyLock<Start> = LazyLock::new(|| Start {
    steady: Instant::now(),
    up: read(),
    slept: Mutex::default(),
});

struct Start {
    steady: Instant,
    up: Option<Duration>,
    /// Time that the machine has slept since, which the monotonic clock does not count.
    slept: Mutex<Duration>,
}

/// Time since the first call in this process, and the time that the machine slept meanwhile, where
/// the system tells.
pub(super) fn uptime() -> Duration {
    let start = &*START;
    let counted = start.steady.elapsed();
    let mut slept = start.slept.lock();
    if let (Some(then), Some(now)) = (start.up, read()) {
        let missing = now.saturating_sub(then).saturating_sub(counted);
        if missing > slept.saturating_add(MIN_SLEEP) {
            *slept = missing;
        }
    }
    counted.saturating_add(*slept)
}

fn read() -> Option<Duration> {
    let text = std::fs::read_to_string(UPTIME_FILE).ok()?;
    let seconds: f64 = text.split_whitespace().next()?.parse().ok()?;
    Duration::try_from_secs_f64(seconds).ok()
}
