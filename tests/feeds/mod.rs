//! Feeds: answers of exchanges, good and bad.

mod binance;
mod cryptowatch;
mod hostile_files;
mod stream;

use std::time::Duration;

use marketlake_feeds::{Batch, FeedError};

/// Timeout of requests to an exchange.
const TIMEOUT: Option<Duration> = Some(Duration::from_millis(1_500));

/// Kept samples as `id=value`, sorted.
fn kept(batch: &Batch) -> Vec<String> {
    let mut kept: Vec<String> = batch
        .samples
        .iter()
        .map(|s| format!("{}={}", s.metric, s.value))
        .collect();
    kept.sort();
    kept
}

/// Rejected entries as `entry: reason`.
fn rejected(batch: &Batch) -> Vec<String> {
    batch
        .first_rejected
        .iter()
        .map(|r| format!("{}: {}", r.entry, r.reason))
        .collect()
}

fn without_address(error: &FeedError, url: &str) -> String {
    error.to_string().replace(url, "URL")
}
