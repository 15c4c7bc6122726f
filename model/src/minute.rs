//! Typed UTC times.

use std::fmt;
use std::time::Duration;

use chrono::{DateTime, Datelike, NaiveDate, SecondsFormat, Timelike, Utc};

use marketlake_common::excerpt;

const MILLIS_A_MINUTE: i64 = 60_000;
const MINUTES_AN_HOUR: i64 = 60;

/// An instant: milliseconds since 1970-01-01T00:00:00Z. Records hold it as a 64-bit integer, which
/// orders alike in every database.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "sea-orm", derive(sea_orm::DeriveValueType))]
pub struct Millis(pub i64);

impl Millis {
    /// The instant a span later.
    #[must_use]
    pub fn plus(self, span: Duration) -> Self {
        Self(
            self.0
                .saturating_add(i64::try_from(span.as_millis()).unwrap_or(i64::MAX)),
        )
    }

    /// The instant a span earlier.
    #[must_use]
    pub fn minus(self, span: Duration) -> Self {
        Self(
            self.0
                .saturating_sub(i64::try_from(span.as_millis()).unwrap_or(i64::MAX)),
        )
    }

    /// Milliseconds from an earlier instant to this one; negative where it is later. Bounded where
    /// 64 bits cannot hold them.
    #[must_use]
    pub const fn since(self, earlier: Self) -> i64 {
        self.0.saturating_sub(earlier.0)
    }

    /// The minute that it lies in.
    #[must_use]
    pub fn minute(self) -> Minute {
        Minute::from_number(self.0.div_euclid(MILLIS_A_MINUTE))
    }

    /// As a calendar time; an instant outside of what a calendar holds becomes the epoch.
    #[must_use]
    pub fn to_utc(self) -> DateTime<Utc> {
        DateTime::from_timestamp_millis(self.0).unwrap_or_default()
    }
}

impl From<DateTime<Utc>> for Millis {
    fn from(time: DateTime<Utc>) -> Self {
        Self(time.timestamp_millis())
    }
}

impl fmt::Display for Millis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match DateTime::from_timestamp_millis(self.0) {
            Some(time) => f.write_str(&time.to_rfc3339_opts(SecondsFormat::AutoSi, true)),
            None => write!(f, "{} ms after 1970", self.0),
        }
    }
}

/// No minute is further from the epoch than its start in milliseconds fits into 64 bits.
const MAX_NUMBER: i64 = i64::MAX / MILLIS_A_MINUTE / 1_440 * 1_440;

/// A UTC minute, named by its start; counted from 1970-01-01T00:00Z. It is never further from there
/// than [`Millis`] can say, so that neither its start nor the difference of two overflows.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Minute(i64);

impl Minute {
    /// The minute by its number since the epoch; the nearest that there is, where the number is
    /// beyond all.
    #[must_use]
    pub const fn from_number(number: i64) -> Self {
        if number > MAX_NUMBER {
            Self(MAX_NUMBER)
        } else if number < -MAX_NUMBER {
            Self(-MAX_NUMBER)
        } else {
            Self(number)
        }
    }

    /// Its number since the epoch.
    #[must_use]
    pub const fn number(self) -> i64 {
        self.0
    }

    /// The instant at which it starts.
    #[must_use]
    pub const fn start(self) -> Millis {
        Millis(self.0 * MILLIS_A_MINUTE)
    }

    /// The minute that is `minutes` later (earlier, where negative).
    #[must_use]
    pub const fn plus(self, minutes: i64) -> Self {
        Self::from_number(self.0.saturating_add(minutes))
    }

    /// The first minute of its hour.
    #[must_use]
    pub const fn hour(self) -> Self {
        Self(self.0.div_euclid(MINUTES_AN_HOUR) * MINUTES_AN_HOUR)
    }

    /// The first minute of its day.
    #[must_use]
    pub const fn day(self) -> Self {
        Self(self.0.div_euclid(24 * MINUTES_AN_HOUR) * 24 * MINUTES_AN_HOUR)
    }

    /// The calendar date, `2026-11-24`, as it stands in a Hive path.
    #[must_use]
    pub fn date(self) -> String {
        let time = self.start().to_utc();
        format!("{:04}-{:02}-{:02}", time.year(), time.month(), time.day())
    }

    /// The first minute of a calendar date in the form that [`Self::date`] writes; `None` for any
    /// other text.
    #[must_use]
    pub fn from_date(text: &str) -> Option<Self> {
        let (rest, day) = text.rsplit_once('-')?;
        let (year, month) = rest.rsplit_once('-')?;
        let (month, day) = (month.parse().ok()?, day.parse().ok()?);
        let date = NaiveDate::from_ymd_opt(year.parse().ok()?, month, day)?;
        let midnight = date.and_hms_opt(0, 0, 0)?.and_utc();
        let minute = Millis::from(midnight).minute();
        (minute.date() == text).then_some(minute)
    }

    /// The hour of the day, 0 to 23.
    #[must_use]
    pub fn hour_of_day(self) -> u32 {
        self.start().to_utc().hour()
    }
}

impl fmt::Display for Minute {
    /// RFC 3339 to the second: `2026-11-24T10:31:00Z`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            &self
                .start()
                .to_utc()
                .to_rfc3339_opts(SecondsFormat::Secs, true),
        )
    }
}

impl fmt::Debug for Minute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Error of a text that is not a time.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected a time as RFC 3339 (2026-11-24T10:31:00Z), got {0:?}")]
pub struct ParseTimeError(String);

/// Reads an RFC 3339 time with any offset.
///
/// # Errors
/// Fails if the text is no such time.
pub fn parse_time(text: &str) -> Result<Millis, ParseTimeError> {
    DateTime::parse_from_rfc3339(text)
        .map(|time| Millis(time.timestamp_millis()))
        .map_err(|_| ParseTimeError(excerpt(text).into_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_minute_is_named_by_its_start() {
        let at = parse_time("2026-11-24T12:31:59.999+02:00").expect("a time");
        assert_eq!(at.minute().to_string(), "2026-11-24T10:31:00Z");
        assert_eq!(at.minute().hour().to_string(), "2026-11-24T10:00:00Z");
        assert_eq!(
            (at.minute().date().as_str(), at.minute().hour_of_day()),
            ("2026-11-24", 10)
        );
    }

    #[test]
    fn a_minute_before_the_epoch_still_starts_before_it_ends() {
        assert_eq!(Millis(-1).minute().to_string(), "1969-12-31T23:59:00Z");
    }

    #[test]
    fn a_date_is_read_only_as_it_is_written() {
        let day = Minute::from_date("2026-11-24").expect("a date");
        assert_eq!(day.to_string(), "2026-11-24T00:00:00Z");
        let refused = [
            "2026-11-4",
            "2026-02-30",
            "+2026-11-24",
            "2026-11",
            "",
            "--",
            "2026-1-1-1",
        ];
        for text in refused {
            assert_eq!(Minute::from_date(text), None, "{text:?}");
        }
        for text in ["0001-01-01", "58873-05-01", "1969-12-31"] {
            assert_eq!(
                Minute::from_date(text).map(Minute::date).as_deref(),
                Some(text)
            );
        }
    }

    #[test]
    fn no_arithmetic_on_any_time_overflows() {
        let odd = [i64::MIN, i64::MIN + 1, -1, 0, 1, i64::MAX - 1, i64::MAX];
        let spans = [Duration::ZERO, Duration::from_secs(1), Duration::MAX];
        for a in odd {
            let (at, minute) = (Millis(a), Minute::from_number(a));
            for ts in [at.minute(), minute] {
                assert_eq!(ts.start().minute(), ts);
                assert!(ts.hour() <= ts && ts.day() <= ts.hour());
                assert!(ts.date().len() == 10 && ts.hour_of_day() < 24);
            }
            for span in spans {
                assert!(at.minus(span) <= at && at <= at.plus(span));
            }
            for b in odd {
                assert_eq!(at.since(Millis(b)) > 0, a > b);
                let moved = minute.plus(b);
                assert_eq!(moved.number() - minute.number() > 0, moved > minute);
            }
        }
    }

    #[test]
    fn what_is_no_time_is_named() {
        let error = parse_time("yesterday").expect_err("no time");
        assert_eq!(
            error.to_string(),
            "expected a time as RFC 3339 (2026-11-24T10:31:00Z), got \"yesterday\""
        );
    }
}
