//! Attempts to fill a gap: which errors may pass, and when the next attempt is due.

use std::collections::HashMap;
use std::time::Duration;

use marketlake_common::backoff;
use marketlake_entities::records::gaps::Model;
use marketlake_feeds::FeedError;
use marketlake_model::Minute;

const INITIAL_BACKOFF: Duration = Duration::from_secs(60);
const MAX_BACKOFF: Duration = Duration::from_secs(3_600);
/// The number that attempts do not exceed while the exchange or the lake is away, so that one error
/// after that gives nothing up.
const MAX_AWAY_ATTEMPTS: i32 = 7;

/// Whether an error of the exchange may pass by itself: no answer, a failure of its server, a
/// firewall that refuses, or an error that comes with a status of success, as those of a busy
/// exchange do.
pub(crate) fn may_pass(error: &FeedError) -> bool {
    match error {
        FeedError::Unreachable { .. } | FeedError::Slow { .. } => true,
        FeedError::Status { status, .. } => {
            !(300..500).contains(status) || matches!(status, 401 | 403 | 408 | 451)
        }
        _ => false,
    }
}

/// Number of failed attempts after another one.
pub(crate) fn failed_again(attempts: i32, is_away: bool) -> i32 {
    let next = attempts.saturating_add(1);
    match is_away {
        true => next.min(attempts.max(MAX_AWAY_ATTEMPTS)),
        false => next,
    }
}

/// Delay of the next attempt: a share of the backoff.
pub(crate) fn delay(attempts: i32, share: f64) -> Duration {
    let failed = u32::try_from(attempts).unwrap_or(1);
    backoff(INITIAL_BACKOFF, MAX_BACKOFF, failed, share)
}

/// Share of the delay of a gap, from a half to all of it, by a random number for each hour. So each
/// is due at a time of its own, and one that the lake cannot read or write does not fail others.
pub(crate) fn share_by_hour(mut draw: impl FnMut() -> f64) -> impl FnMut(&Model) -> f64 {
    let mut drawn: HashMap<Minute, f64> = HashMap::new();
    move |gap| {
        let hour = gap.minute.minute().hour();
        f64::midpoint(1.0, *drawn.entry(hour).or_insert_with(&mut draw))
    }
}
