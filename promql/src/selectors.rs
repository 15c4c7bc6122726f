//! Selection of metrics, and of minutes that samples can have.

use std::time::Instant;

use marketlake_lake::{Directory, Span};
use marketlake_model::{Metric, Millis, Minute};

use super::value::PromError;

/// Metrics between two checks of the deadline.
const METRICS_PER_CHECK: usize = 1_024;

/// The minute of an instant in milliseconds, within the range that samples can have.
pub(super) fn minute(millis: i64) -> Minute {
    Millis(millis.clamp(0, Span::ALL.to.start().0)).minute()
}

/// The metrics that are wanted, in the directory's order; not for longer than until a deadline.
pub(super) fn select(
    directory: &Directory,
    is_wanted: impl Fn(&Metric) -> bool,
    deadline: Instant,
) -> Result<Vec<Metric>, PromError> {
    let mut found = Vec::new();
    for (index, metric) in directory.metrics().enumerate() {
        if index % METRICS_PER_CHECK == 0 && Instant::now() > deadline {
            return Err(PromError::Timeout);
        }
        if is_wanted(metric) {
            found.push(metric.clone());
        }
    }
    Ok(found)
}
