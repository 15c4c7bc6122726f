//! Figures of the drill, and whether they are good enough.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;

use crate::say;

/// The 99th percentile must stay below it.
const MAX_P99: Duration = Duration::from_millis(50);
/// Percent by which memory may differ from its value after the warm-up.
const MAX_MEMORY_PERCENT: u64 = 20;
/// After this time memory and descriptors are compared with.
const WARM_UP: Duration = Duration::from_secs(600);

/// One look at the process.
#[derive(Clone, Copy, Debug)]
pub struct Observation {
    pub at: Duration,
    pub resident_bytes: u64,
    pub descriptors: usize,
}

/// Outcomes that clients met.
#[derive(Debug, Default)]
pub struct Counters {
    pub idle_closed: AtomicU64,
    pub idle_refused: AtomicU64,
    pub slow_closed: AtomicU64,
    pub slow_refused: AtomicU64,
    pub hostile_answered: AtomicU64,
    pub hostile_500: AtomicU64,
    pub hostile_unanswered: AtomicU64,
    pub hostile_refused: AtomicU64,
    latencies: Mutex<Vec<Duration>>,
    failures: Mutex<BTreeMap<String, u64>>,
}

impl Counters {
    pub fn add(&self, counter: &AtomicU64) {
        counter.fetch_add(1, Ordering::Relaxed);
    }

    /// Notes an ordinary request that was answered with 200.
    pub fn record(&self, latency: Duration) {
        self.latencies.lock().push(latency);
    }

    /// Notes one that was not.
    pub fn fail(&self, reason: String) {
        *self.failures.lock().entry(reason).or_default() += 1;
    }

    fn percentile(&self, of_thousand: usize) -> Duration {
        let mut latencies = self.latencies.lock().clone();
        latencies.sort_unstable();
        let at = latencies.len() * of_thousand / 1_000;
        latencies.get(at).copied().unwrap_or(Duration::MAX)
    }
}

impl fmt::Display for Counters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        // A guard within `write!` would be held until its end, while others are taken.
        let answered = self.latencies.lock().len();
        let p99 = self.percentile(990).as_secs_f64() * 1e3;
        let failures = self.failures.lock().clone();
        write!(
            f,
            "{} answered, p99 {:.1} ms, failures {:?}; idle closed {}, refused {}; \
             slow closed {}, refused {}; hostile answered {}, 500 {}, unanswered {}, refused {}",
            answered,
            p99,
            failures,
            get(&self.idle_closed),
            get(&self.idle_refused),
            get(&self.slow_closed),
            get(&self.slow_refused),
            get(&self.hostile_answered),
            get(&self.hostile_500),
            get(&self.hostile_unanswered),
            get(&self.hostile_refused),
        )
    }
}

impl fmt::Display for Observation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let megabytes = self.resident_bytes >> 20;
        let seconds = self.at.as_secs();
        write!(
            f,
            "{seconds} s: {megabytes} MiB, {} descriptors",
            self.descriptors
        )
    }
}

/// Says all figures, and fails where one is not good enough.
pub fn evaluate(
    length: Duration,
    seen: &[Observation],
    counters: &Counters,
    minutes: &[String],
    check: &str,
) -> anyhow::Result<()> {
    let warm_up = WARM_UP.min(length / 6);
    let Some(early) = seen.iter().find(|seen| seen.at >= warm_up) else {
        anyhow::bail!("the drill was too short");
    };
    let later = seen.iter().filter(|seen| seen.at >= warm_up);
    let most = later.map(|seen| seen.resident_bytes).max().unwrap_or(0);
    // They rise and fall as idle connections are closed and opened again: so the most of some time
    // after the warm-up is compared with the most of as long before the end.
    let max_descriptors = |from: Duration| {
        let within = seen
            .iter()
            .filter(|seen| (from..=from + warm_up).contains(&seen.at));
        within.map(|seen| seen.descriptors).max().unwrap_or(0)
    };
    let (early_descriptors, descriptors) = (
        max_descriptors(warm_up),
        max_descriptors(length.saturating_sub(warm_up)),
    );
    let last = seen.last().unwrap_or(early);
    say(&format!("after the warm-up: {early}"));
    say(&format!(
        "at the end: {last}; most: {} MiB; most descriptors: {early_descriptors}, then \
         {descriptors}",
        most >> 20
    ));
    say(&format!("requests: {counters}"));
    for (name, of_thousand) in [("p50", 500), ("p99", 990), ("p99.9", 999)] {
        let latency = counters.percentile(of_thousand).as_secs_f64() * 1e3;
        say(&format!("{name} {latency:.2} ms"));
    }
    say(&format!(
        "minutes recorded: {} {:?}",
        minutes.len(),
        minutes.first()
    ));
    say(check.trim());
    let mut wrong = Vec::new();
    if counters.percentile(990) >= MAX_P99 {
        wrong.push("p99 is 50 ms or more".to_owned());
    }
    if !counters.failures.lock().is_empty() {
        wrong.push("ordinary requests failed".to_owned());
    }
    let allowed = early.resident_bytes * MAX_MEMORY_PERCENT / 100;
    if last.resident_bytes.abs_diff(early.resident_bytes) > allowed {
        wrong.push(format!("memory is not within {MAX_MEMORY_PERCENT} %"));
    }
    if descriptors > early_descriptors + early_descriptors / 10 {
        wrong.push("descriptors grew".to_owned());
    }
    if let Some(gap) = gap(minutes) {
        wrong.push(format!("a minute is missing after {gap}"));
    }
    anyhow::ensure!(wrong.is_empty(), "{}", wrong.join("; "));
    say("load: every figure is within its limit");
    Ok(())
}

/// The minute after which one is missing.
fn gap(minutes: &[String]) -> Option<&String> {
    let number = |text: &String| {
        let time = marketlake_model::parse_time(text);
        time.map_or(0, |time| time.minute().number())
    };
    let pairs = minutes.iter().zip(minutes.iter().skip(1));
    pairs
        .filter(|(a, b)| number(b) != number(a) + 1)
        .map(|(a, _)| a)
        .next()
}
