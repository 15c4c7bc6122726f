//! Durations as people write them, within bounds that keep later arithmetic from overflowing.

use std::ops::RangeInclusive;
use std::time::Duration;

use super::ConfigError;

const SECOND: Duration = Duration::from_secs(1);
const DAY: Duration = Duration::from_secs(86_400);

/// Bounds of timeouts.
pub(crate) const TIMEOUTS: RangeInclusive<Duration> = SECOND..=DAY;
/// Bounds of ages and retentions.
pub(crate) const AGES: RangeInclusive<Duration> = SECOND..=Duration::from_secs(100 * 366 * 86_400);
/// Bounds of grace periods, which may be zero.
pub(crate) const GRACES: RangeInclusive<Duration> =
    Duration::ZERO..=Duration::from_secs(366 * 86_400);

/// Parses a duration of a setting.
pub(crate) fn duration(
    name: &str,
    text: &str,
    bounds: &RangeInclusive<Duration>,
) -> Result<Duration, ConfigError> {
    parse(text, bounds).map_err(|problem| ConfigError::setting(name, text, problem))
}

/// Parses a duration of a flag.
pub(crate) fn flag(text: &str) -> Result<Duration, String> {
    parse(text, &(Duration::ZERO..=366 * DAY))
}

fn parse(text: &str, bounds: &RangeInclusive<Duration>) -> Result<Duration, String> {
    let parsed = humantime::parse_duration(text).ok();
    let span = parsed.filter(|span| bounds.contains(span));
    span.ok_or_else(|| {
        let [min, max] =
            [bounds.start(), bounds.end()].map(|span| humantime::format_duration(*span));
        format!("expected a time like 30s, 10m or 400d, from {min} to {max}")
    })
}
