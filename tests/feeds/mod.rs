//! Feeds: answers of exchanges, good and bad.

mod answers;
mod binance;
mod cryptowatch;
mod history;
mod hostile_files;
mod poll;
mod stream;

use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures::FutureExt;
use futures::future::join_all;
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

/// Runs a check of each of several feeds, all at the same time. Reports how many pass it, and fails
/// with the names of those that do not.
async fn every_feed<F: Future<Output = ()>>(fault: &str, checks: Vec<(String, F)>) {
    let count = checks.len();
    let checks = checks.into_iter().map(async |(name, check)| {
        let is_passed = AssertUnwindSafe(check).catch_unwind().await.is_ok();
        (!is_passed).then_some(name)
    });
    let failed: Vec<String> = join_all(checks).await.into_iter().flatten().collect();
    let passed = count - failed.len();
    eprintln!("{fault}: {passed} of {count} feeds");
    assert!(failed.is_empty(), "{fault}: not {failed:?}");
}
