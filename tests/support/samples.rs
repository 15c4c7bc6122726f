//! Samples in few words.

use std::time::Duration;

use chrono::Utc;
use marketlake_model::{Metric, Millis, Minute, Sample, parse_time};

/// The minute at which most tests begin: an hour's start.
pub fn start() -> Minute {
    minute("2026-11-24T10:00:00Z")
}

pub fn minute(text: &str) -> Minute {
    parse_time(text).unwrap().minute()
}

/// The last minute that is over, soon enough after its end for a live price of it: waits for the
/// next one if there is little time left.
pub async fn last_minute() -> Minute {
    loop {
        let now = Millis::from(Utc::now());
        if now.since(now.minute().start()) < 30_000 {
            return now.minute().plus(-1);
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

pub fn metric(id: &str) -> Metric {
    id.parse().unwrap()
}

/// A sample at a number of minutes after [`start`].
pub fn sample(id: &str, offset: i64, value: &str) -> Sample {
    Sample {
        metric: metric(id),
        ts: start().plus(offset),
        value: value.parse().unwrap(),
    }
}

/// One sample a minute from `from` on.
pub fn series(id: &str, from: i64, values: &[&str]) -> Vec<Sample> {
    (from..)
        .zip(values)
        .map(|(offset, value)| sample(id, offset, value))
        .collect()
}
