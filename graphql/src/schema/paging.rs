//! Relay connections, forward: `first` and `after`.

use async_graphql::connection::{Connection, CursorType, Edge, EmptyFields};
use async_graphql::{OutputType, Result};

use super::errors::bad_argument;
use crate::cursor;

/// Rows of a page where none are asked for.
pub(super) const DEFAULT_ROWS: usize = 100;
/// The most rows of a page.
pub(super) const MOST_ROWS: usize = 10_000;

/// An opaque place.
pub(super) struct Place(pub(super) String);

impl CursorType for Place {
    type Error = String;

    fn decode_cursor(text: &str) -> Result<Self, Self::Error> {
        cursor::decode(text).map(Self)
    }

    fn encode_cursor(&self) -> String {
        cursor::encode(&self.0)
    }
}

/// How many rows a page has.
pub(super) fn rows(first: Option<i32>) -> Result<usize> {
    let Some(first) = first else {
        return Ok(DEFAULT_ROWS);
    };
    usize::try_from(first)
        .ok()
        .filter(|rows| (1..=MOST_ROWS).contains(rows))
        .ok_or_else(|| {
            bad_argument(
                "first",
                &format!("expected a number from 1 to {MOST_ROWS}, got {first}"),
            )
        })
}

/// What a page costs: its rows, each with what is asked of it. A number of rows that is no number of rows is refused later.
pub(super) fn complexity(first: Option<i32>, of_a_row: usize) -> usize {
    let rows = first.map_or(DEFAULT_ROWS, |first| {
        usize::try_from(first.max(1)).unwrap_or(1)
    });
    rows * of_a_row
}

/// The place behind which a page begins.
pub(super) fn place(after: Option<&str>) -> Result<Option<String>> {
    after
        .map(|after| cursor::decode(after).map_err(|error| bad_argument("after", &error)))
        .transpose()
}

/// A page of what comes behind `start` of a whole list.
pub(super) fn page<T, N: OutputType>(
    all: Vec<T>,
    start: usize,
    rows: usize,
    edge: impl Fn(T) -> (String, N),
) -> Connection<Place, N, EmptyFields, EmptyFields> {
    let more = all.len().saturating_sub(start) > rows;
    let mut connection = Connection::new(start > 0, more);
    connection
        .edges
        .extend(all.into_iter().skip(start).take(rows).map(|item| {
            let (place, node) = edge(item);
            Edge::new(Place(place), node)
        }));
    connection
}
