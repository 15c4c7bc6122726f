//! One value of one metric at one minute.

use crate::exact::Exact;
use crate::metric::Metric;
use crate::minute::Minute;

/// One value of one metric; there is one a metric and minute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sample {
    /// The series it belongs to.
    pub metric: Metric,
    /// The minute it stands for.
    pub ts: Minute,
    /// The value, exactly as it was sent.
    pub value: Exact,
}

/// A rejected entry of a feed's answer or a file, and the reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejected {
    /// The entry as it was named there: a key, a symbol, a line.
    pub entry: String,
    /// Reason for its rejection.
    pub reason: String,
}
