//! Reading of JSON messages and lists of pairs, shared by the exchanges' protocols.

use std::borrow::Cow;
use std::str::FromStr;

use marketlake_common::excerpt;
use marketlake_model::{Millis, Rejected, parse_time};
use serde_json::value::RawValue;

use super::protocol::{Listing, Listings, StreamEvent};
pub(super) use crate::json::from_json;
use crate::json::{Text, decimal_text};

/// Entries of one message. Bybit documents up to 1,024.
const MAX_ENTRIES: usize = 10_000;
/// Pairs of an exchange; what is beyond is not listed.
pub(super) const MAX_PAIRS: usize = 20_000;
/// Rejected entries of a list of pairs that are kept by name.
const MAX_NAMED_REJECTIONS: usize = 20;

/// Reason of a refusal, or a word that the exchange gave none.
pub(super) fn or_no_reason(reason: Option<Text<'_>>) -> Cow<'_, str> {
    reason.map_or(Cow::Borrowed("no reason given"), |text| text.0)
}

/// The exchange's own text of a JSON number, or of a string that holds one.
pub(super) fn decimal(value: &RawValue) -> Cow<'_, str> {
    Cow::Borrowed(decimal_text(value))
}

/// Parses a whole number, or a string that holds one.
pub(super) fn integer<T: FromStr>(value: &RawValue) -> Result<T, String> {
    let text = decimal_text(value);
    text.parse()
        .map_err(|_| format!("expected a whole number, got {:?}", excerpt(text)))
}

/// Parses the id of a trade: digits, as a number or a string.
pub(super) fn trade_id(value: &RawValue) -> Result<Cow<'_, str>, String> {
    let text = decimal_text(value);
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(format!("expected a trade id, got {:?}", excerpt(text)));
    }
    Ok(Cow::Borrowed(text))
}

/// Parses an RFC 3339 time; digits below milliseconds are dropped.
pub(super) fn time(text: &str) -> Result<Millis, String> {
    parse_time(text).map_err(|error| error.to_string())
}

/// A part of a text, borrowed where the text is.
pub(super) fn part_of<'a>(
    text: &Cow<'a, str>,
    find: impl Fn(&str) -> Option<&str>,
) -> Option<Cow<'a, str>> {
    match *text {
        Cow::Borrowed(text) => find(text).map(Cow::Borrowed),
        Cow::Owned(ref text) => find(text).map(|part| Cow::Owned(part.to_owned())),
    }
}

/// Parses the entries of an array into an event each; one that does not parse becomes an
/// [`StreamEvent::Invalid`].
pub(super) fn push_entries<'a>(
    entries: &'a RawValue,
    events: &mut Vec<StreamEvent<'a>>,
    parse: impl Fn(&'a str) -> Result<StreamEvent<'a>, String>,
) -> Result<(), String> {
    let entries: Vec<&'a RawValue> = from_json(entries.get())?;
    if entries.len() > MAX_ENTRIES {
        let count = entries.len();
        return Err(format!(
            "expected at most {MAX_ENTRIES} entries, got {count}"
        ));
    }
    events.extend(entries.into_iter().map(|entry| {
        parse(entry.get()).unwrap_or_else(|reason| StreamEvent::Invalid {
            entry: Cow::Borrowed(entry.get()),
            reason,
        })
    }));
    Ok(())
}

/// List of pairs of the entries of an array.
pub(super) fn listings<'a>(
    entries: Vec<&'a RawValue>,
    parse: fn(&'a str) -> Result<Option<Listing>, String>,
) -> Listings {
    let mut listings = Listings::default();
    for entry in entries {
        add_listing(&mut listings, entry.get(), parse(entry.get()));
    }
    listings
}

/// Adds an entry of a list of pairs: a pair, nothing if it cannot be traded, or a rejection.
pub(crate) fn add_listing(
    listings: &mut Listings,
    entry: &str,
    listing: Result<Option<Listing>, String>,
) {
    match listing {
        Ok(listing) if listings.tradable.len() < MAX_PAIRS => listings.tradable.extend(listing),
        Ok(_) => listings.rejected_count += 1,
        Err(reason) => {
            listings.rejected_count += 1;
            if listings.rejected.len() < MAX_NAMED_REJECTIONS {
                listings.rejected.push(Rejected {
                    entry: excerpt(entry).into_owned(),
                    reason,
                });
            }
        }
    }
}

/// Events of one message.
#[cfg(test)]
pub(super) fn events_of<'a>(
    protocol: &dyn super::protocol::StreamProtocol,
    message: &'a str,
) -> Result<Vec<StreamEvent<'a>>, String> {
    let mut events = Vec::new();
    protocol.parse(message, &mut events)?;
    Ok(events)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(text: &str) -> &RawValue {
        serde_json::from_str(text).expect("JSON")
    }

    #[test]
    fn a_trade_id_is_digits_as_a_number_or_a_string() {
        assert_eq!(trade_id(raw("17")), Ok(Cow::Borrowed("17")));
        assert_eq!(trade_id(raw("\"0017\"")), Ok(Cow::Borrowed("0017")));
        for text in ["null", "\"\"", "-1", "1.5", "true", "{}"] {
            assert!(trade_id(raw(text)).is_err(), "{text}");
        }
    }

    #[test]
    fn a_whole_number_may_stand_in_quotes() {
        assert_eq!(integer::<u64>(raw("\"3\"")), Ok(3));
        assert_eq!(integer::<u64>(raw("3")), Ok(3));
        assert_eq!(
            integer::<u64>(raw("3.5")),
            Err("expected a whole number, got \"3.5\"".to_owned())
        );
    }

    #[test]
    fn a_time_to_the_nanosecond_is_a_millisecond() {
        assert_eq!(
            time("2026-03-04T05:06:07.123999999Z"),
            time("2026-03-04T05:06:07.123Z")
        );
        assert!(time("2026-03-04").is_err());
    }

    fn without_prefix(text: &str) -> Option<&str> {
        text.strip_prefix("a_")
    }

    #[test]
    fn a_part_is_borrowed_where_its_text_is() {
        let part = part_of(&Cow::Borrowed("a_b"), without_prefix);
        assert!(matches!(part, Some(Cow::Borrowed("b"))));
        let part = part_of(&Cow::Owned("a_b".to_owned()), without_prefix);
        assert_eq!(part, Some(Cow::Borrowed("b")));
        assert_eq!(part_of(&Cow::Borrowed("b"), without_prefix), None);
    }
}
