//! Pause that an exchange requests by `Retry-After`, bounded before it is used.

use std::time::Duration;

use chrono::DateTime;
use marketlake_common::excerpt;
use marketlake_model::Millis;
use reqwest::StatusCode;
use reqwest::header::{DATE, HeaderMap, HeaderName, RETRY_AFTER};

/// The pause where none is named, or one that cannot be meant.
pub const DEFAULT_PAUSE: Duration = Duration::from_secs(60);
/// The longest pause that is believed of a 429: limits are by the minute, the hour, the day at
/// most.
pub const MAX_RETRY_AFTER: Duration = Duration::from_secs(86_400);
/// The longest that is believed of a 418: Binance bans for two minutes to three days.
pub const MAX_BAN: Duration = Duration::from_secs(3 * 86_400);

/// Pause that a response requests: `Retry-After` in seconds, or as a date relative to the
/// response's own `Date`. Anything else, or more than exchanges mean, becomes [`DEFAULT_PAUSE`]: no
/// data is given up for a meaningless number.
pub(crate) fn pause(status: StatusCode, headers: &HeaderMap) -> Duration {
    let max = if status == StatusCode::IM_A_TEAPOT {
        MAX_BAN
    } else {
        MAX_RETRY_AFTER
    };
    let Some(text) = text(headers, &RETRY_AFTER) else {
        return DEFAULT_PAUSE;
    };
    let requested = seconds(text).or_else(|| until(text, headers));
    let believed = requested.filter(|pause| *pause <= max);
    if believed.is_none() {
        let shown = excerpt(text);
        tracing::warn!(
            retry_after = shown.as_ref(),
            "an exchange requests a pause that is too long: expected at most {} s; {} s are \
             taken",
            max.as_secs(),
            DEFAULT_PAUSE.as_secs()
        );
    }
    believed.unwrap_or(DEFAULT_PAUSE)
}

fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    Some(headers.get(name)?.to_str().ok()?.trim())
}

fn seconds(text: &str) -> Option<Duration> {
    text.parse().ok().map(Duration::from_secs)
}

/// Pause until the end of a ban, a time by the exchange's clock, which the response's `Date` shows.
/// Without that, or beyond [`MAX_BAN`], it is [`DEFAULT_PAUSE`].
pub(crate) fn pause_until(end: Millis, headers: &HeaderMap) -> Duration {
    let pause = since_date(end, headers).filter(|pause| *pause <= MAX_BAN);
    pause.unwrap_or(DEFAULT_PAUSE)
}

/// A date (RFC 9110, 5.6.7); one that has passed is no pause.
fn until(text: &str, headers: &HeaderMap) -> Option<Duration> {
    since_date(date(text)?, headers)
}

/// Time from the response's own `Date` to an instant; none where that has passed.
fn since_date(end: Millis, headers: &HeaderMap) -> Option<Duration> {
    let now = date(text(headers, &DATE)?)?;
    let millis = u64::try_from(end.since(now)).unwrap_or(0);
    Some(Duration::from_millis(millis))
}

fn date(text: &str) -> Option<Millis> {
    let time = DateTime::parse_from_rfc2822(text).ok()?;
    Some(Millis(time.timestamp_millis()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use reqwest::header::HeaderValue;

    use super::*;

    fn pause_secs(status: u16, retry_after: &str, date: Option<&str>) -> u64 {
        let mut headers = HeaderMap::new();
        let value = |text| HeaderValue::from_str(text).expect("a header value");
        headers.insert(RETRY_AFTER, value(retry_after));
        if let Some(date) = date {
            headers.insert(DATE, value(date));
        }
        pause(StatusCode::from_u16(status).expect("a status"), &headers).as_secs()
    }

    #[test]
    fn a_pause_is_obeyed_where_an_exchange_can_mean_it() {
        const DATE: Option<&str> = Some("Wed, 21 Oct 2026 07:28:00 GMT");
        for (status, retry_after, date, expected) in [
            (429, "0", None, 0),
            (429, " 7 ", None, 7),
            (429, "86400", None, 86_400),
            (429, "86401", None, 60),
            (418, "259200", None, 259_200),
            (418, "259201", None, 60),
            (429, "99999999999", None, 60),
            (429, "18446744073709551615", None, 60),
            (418, "18446744073709551616", None, 60),
            (429, "-1", None, 60),
            (429, "1e3", None, 60),
            (429, "soon", None, 60),
            (429, "Wed, 21 Oct 2026 07:28:30 GMT", DATE, 30),
            (429, "Wed, 21 Oct 2026 07:27:30 GMT", DATE, 0),
            (418, "Fri, 31 Dec 9999 23:59:59 GMT", DATE, 60),
            (429, "Wed, 21 Oct 2026 07:28:30 GMT", None, 60),
            (429, "Wed, 21 Oct 99999 07:28:30 GMT", DATE, 60),
        ] {
            assert_eq!(
                pause_secs(status, retry_after, date),
                expected,
                "{status} {retry_after}"
            );
        }
    }

    proptest! {
        #[test]
        fn no_header_whatsoever_is_a_pause_beyond_the_limits(
            text in "[ -~]{0,40}", number: u128, date in "[ -~]{0,40}"
        ) {
            for text in [text, number.to_string()] {
                prop_assert!(pause_secs(429, &text, Some(&date)) <= MAX_RETRY_AFTER.as_secs());
                prop_assert!(pause_secs(418, &text, Some(&date)) <= MAX_BAN.as_secs());
            }
        }
    }
}
