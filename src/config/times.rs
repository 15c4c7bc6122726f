//! Spans of time as people write them, each within bounds: what is reckoned with them later never
//! overflows.

use std::ops::RangeInclusive;
use std::time::Duration;

use super::ConfigError;

const SECOND: Duration = Duration::from_secs(1);
const DAY: Duration = Duration::from_secs(86_400);

/// How long a step, a query or a command may take.
pub(crate) const TIMEOUTS: RangeInclusive<Duration> = SECOND..=DAY;
/// How old something may be, and for how long something is kept.
pub(crate) const AGES: RangeInclusive<Duration> = SECOND..=Duration::from_secs(100 * 366 * 86_400);
/// For how long something is left alone; none at all, where an operator is sure.
pub(crate) const GRACES: RangeInclusive<Duration> =
    Duration::ZERO..=Duration::from_secs(366 * 86_400);

/// A setting that is a span of time.
pub(crate) fn duration(
    name: &str,
    text: &str,
    bounds: &RangeInclusive<Duration>,
) -> Result<Duration, ConfigError> {
    parse(text, bounds).map_err(|problem| ConfigError::setting(name, text, problem))
}

/// A flag that is a span of time.
pub(crate) fn flag(text: &str) -> Result<Duration, String> {
    parse(text, &(Duration::ZERO..=366 * DAY))
}

fn parse(text: &str, bounds: &RangeInclusive<Duration>) -> Result<Duration, String> {
    let parsed = humantime::parse_duration(text).ok();
    let span = parsed.filter(|span| bounds.contains(span));
    span.ok_or_else(|| {
        let [least, most] =
            [bounds.start(), bounds.end()].map(|span| humantime::format_duration(*span));
        format!("expected a time like 30s, 10m or 400d, from {least} to {most}")
    })
}
