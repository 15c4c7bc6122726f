//! Durations as people write them, within bounds that keep later arithmetic from overflowing.

use std::ops::RangeInclusive;
use std::time::Duration;

const DAY: Duration = Duration::from_secs(86_400);

/// Parses a duration of a flag.
pub(crate) fn flag(text: &str) -> Result<Duration, String> {
    parse(text, &(Duration::ZERO..=366 * DAY))
}

/// Parses a duration within bounds.
pub(super) fn parse(text: &str, bounds: &RangeInclusive<Duration>) -> Result<Duration, String> {
    let parsed = humantime::parse_duration(text).ok();
    let span = parsed.filter(|span| bounds.contains(span));
    span.ok_or_else(|| {
        let [min, max] = [bounds.start(), bounds.end()].map(|time| format(*time));
        format!("expected a time like 30s, 10m or 400d, from {min} to {max}")
    })
}

/// Formats a duration in the greatest unit in which it is whole: `400d`, `90s`, `100ms`.
pub(super) fn format(time: Duration) -> String {
    let seconds = time.as_secs();
    if time.subsec_nanos() != 0 {
        return format!("{}ms", time.as_millis());
    }
    for (unit, length) in [("d", 86_400), ("h", 3_600), ("m", 60)] {
        if seconds > 0 && seconds.is_multiple_of(length) {
            return format!("{}{unit}", seconds / length);
        }
    }
    format!("{seconds}s")
}
