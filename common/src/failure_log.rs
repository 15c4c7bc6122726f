//! Log lines of failures that repeat with the same cause: one when it begins, one with a count
//! at bounded intervals, one when it is over.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// Time between two lines about the same cause.
pub const REPEAT_INTERVAL: Duration = Duration::from_secs(300);
/// Maximum number of distinct causes; further ones count as one.
const MAX_CAUSES: usize = 16;
/// Leading characters of a cause that are compared.
const MAX_CAUSE_CHARS: usize = 200;
const OTHERS: &str = "others";

/// Failures of one thing, by their cause.
#[derive(Debug)]
pub struct FailureLog {
    failing: Mutex<BTreeMap<String, Failing>>,
}

#[derive(Clone, Copy, Debug)]
struct Failing {
    since: Instant,
    last: Instant,
    logged: Instant,
    failures: u64,
}

/// Failures until now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Failures {
    /// Number of failures.
    pub count: u64,
    /// Time since the first, in seconds.
    pub seconds: u64,
}

/// Line that is due about a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailureLine {
    /// The first of its cause: the whole story.
    First,
    /// It has gone on for another interval: how often it has failed until now.
    Again(Failures),
    /// None: there was one lately.
    Quiet,
}

impl FailureLog {
    /// A log of something that has not failed.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            failing: Mutex::new(BTreeMap::new()),
        }
    }

    /// Notes a failure. Causes that differ in numbers and paths only are the same.
    pub fn fail(&self, now: Instant, cause: &str) -> FailureLine {
        let mut failing = self.failing.lock();
        // A cause without a failure for this long is over, even if no success was reported.
        failing.retain(|_, one| now.saturating_duration_since(one.last) < 2 * REPEAT_INTERVAL);
        let mut key = kind(cause);
        if !failing.contains_key(&key) && failing.len() >= MAX_CAUSES {
            OTHERS.clone_into(&mut key);
        }
        let Some(one) = failing.get_mut(&key) else {
            let first = Failing {
                since: now,
                last: now,
                logged: now,
                failures: 1,
            };
            failing.insert(key, first);
            return FailureLine::First;
        };
        one.failures += 1;
        one.last = now;
        if now.saturating_duration_since(one.logged) < REPEAT_INTERVAL {
            return FailureLine::Quiet;
        }
        one.logged = now;
        FailureLine::Again(Failures {
            count: one.failures,
            seconds: now.saturating_duration_since(one.since).as_secs(),
        })
    }

    /// Notes a success. Returns the failures that are over by it, where there were any.
    pub fn succeed(&self, now: Instant) -> Option<Failures> {
        let failing = std::mem::take(&mut *self.failing.lock());
        let since = failing.values().map(|one| one.since).min()?;
        Some(Failures {
            count: failing.values().map(|one| one.failures).sum(),
            seconds: now.saturating_duration_since(since).as_secs(),
        })
    }
}

impl Default for FailureLog {
    fn default() -> Self {
        Self::new()
    }
}

/// A cause without the words that differ from one time to the next: numbers, times, keys, paths.
fn kind(cause: &str) -> String {
    let differs = |word: &&str| word.contains(|c: char| c.is_ascii_digit() || c == '/');
    let words = cause.split_whitespace().filter(|word| !differs(word));
    let words: Vec<&str> = words.collect();
    words.join(" ").chars().take(MAX_CAUSE_CHARS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cause_is_a_line_at_its_begin_one_each_interval_and_one_at_its_end() {
        let (log, begin) = (FailureLog::new(), Instant::now());
        let mut lines = Vec::new();
        for second in 0..900 {
            let now = begin + Duration::from_secs(second);
            let cause = format!("raw/{second}.parquet: No space left on device (os error 28)");
            match log.fail(now, &cause) {
                FailureLine::Quiet => (),
                line => lines.push((second, line)),
            }
        }
        let again = |count, seconds| FailureLine::Again(Failures { count, seconds });
        assert_eq!(
            lines,
            [
                (0, FailureLine::First),
                (300, again(301, 300)),
                (600, again(601, 600))
            ]
        );
        let end = begin + Duration::from_secs(900);
        let over = log.succeed(end).map(|over| (over.count, over.seconds));
        assert_eq!(over, Some((900, 900)));
        assert_eq!(log.succeed(end), None);
        assert_eq!(log.fail(end, "No space"), FailureLine::First);
    }

    #[test]
    fn causes_that_differ_in_words_have_lines_of_their_own_up_to_a_limit() {
        let (log, now) = (FailureLog::new(), Instant::now());
        assert_eq!(log.fail(now, "refused"), FailureLine::First);
        assert_eq!(log.fail(now, "timed out"), FailureLine::First);
        assert_eq!(log.fail(now, "refused"), FailureLine::Quiet);
        let words = (0..1_000_u32).map(|n| "x".repeat(n as usize % 300 + 1));
        let lines = words.map(|cause| log.fail(now, &cause));
        let first = lines.filter(|line| *line == FailureLine::First).count();
        assert_eq!(first, MAX_CAUSES - 2 + 1, "the last stands for all others");
    }
}
