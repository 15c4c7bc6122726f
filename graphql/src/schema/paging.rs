//! Relay connections: paging forward (`first`, `after`) and backward (`last`, `before`).

use std::ops::Range;

use async_graphql::connection::{Connection, CursorType, Edge, EmptyFields};
use async_graphql::{OutputType, Result};
use marketlake_http::cursor;

use super::errors::bad_argument;

/// Default number of rows of a page.
pub(super) const DEFAULT_ROWS: usize = 100;
/// Maximum number of rows of a page.
pub(super) const MAX_ROWS: usize = 10_000;

/// An opaque place.
pub(super) struct Cursor(pub(super) String);

impl CursorType for Cursor {
    type Error = String;

    fn decode_cursor(text: &str) -> Result<Self, Self::Error> {
        cursor::decode(text).map(Self)
    }

    fn encode_cursor(&self) -> String {
        cursor::encode(&self.0)
    }
}

/// A connection of ours.
pub(super) type Page<N> = Connection<Cursor, N, EmptyFields, EmptyFields>;

/// Page of a list, by checked arguments.
#[derive(Clone, Debug, Default)]
pub(super) struct Paging {
    first: Option<usize>,
    last: Option<usize>,
    after: Option<String>,
    before: Option<String>,
}

/// Paging arguments of a field.
pub(super) struct PageArgs {
    pub(super) first: Option<i32>,
    pub(super) after: Option<String>,
    pub(super) last: Option<i32>,
    pub(super) before: Option<String>,
}

impl Paging {
    /// Checks the arguments.
    pub(super) fn new(args: &PageArgs) -> Result<Self> {
        if args.first.is_some() && args.last.is_some() {
            return Err(bad_argument(
                "last",
                "expected either first or last, got both",
            ));
        }
        Ok(Self {
            first: rows("first", args.first)?,
            last: rows("last", args.last)?,
            after: place("after", args.after.as_deref())?,
            before: place("before", args.before.as_deref())?,
        })
    }

    /// The page of a list of which a place's position is known.
    pub(super) fn page<T, N: OutputType>(
        &self,
        all: &[T],
        position: impl Fn(&str) -> Option<CursorPosition>,
        edge: impl Fn(&T) -> (String, N),
    ) -> Result<Page<N>> {
        let range = self.range(all.len(), position)?;
        let mut page = Connection::new(range.start > 0, range.end < all.len());
        page.edges.extend(all[range].iter().map(|item| {
            let (place, node) = edge(item);
            Edge::new(Cursor(place), node)
        }));
        Ok(page)
    }

    fn range(
        &self,
        length: usize,
        position: impl Fn(&str) -> Option<CursorPosition>,
    ) -> Result<Range<usize>> {
        let find = |name: &str, place: &Option<String>| match place {
            None => Ok(None),
            Some(place) => {
                let found = position(place).ok_or_else(|| {
                    bad_argument(
                        name,
                        "expected a cursor of this list; its row no longer exists",
                    )
                });
                found.map(Some)
            }
        };
        let start = find("after", &self.after)?.map_or(0, |place| place.behind);
        let end = find("before", &self.before)?.map_or(length, |place| place.at);
        let end = end.max(start);
        let rows = end - start;
        Ok(match (self.first, self.last) {
            (_, Some(last)) => end - rows.min(last)..end,
            (first, None) => start..start + rows.min(first.unwrap_or(DEFAULT_ROWS)),
        })
    }
}

/// Position of a cursor in a list: the index of its item, and that of the next. Both are the same
/// for an item that is gone.
#[derive(Clone, Copy)]
pub(super) struct CursorPosition {
    pub(super) at: usize,
    pub(super) behind: usize,
}

impl CursorPosition {
    /// Position of an item that is there.
    pub(super) fn of(at: usize) -> Self {
        Self { at, behind: at + 1 }
    }
}

/// Number of rows of a page, where it is given.
fn rows(name: &str, number: Option<i32>) -> Result<Option<usize>> {
    let Some(number) = number else {
        return Ok(None);
    };
    let rows = usize::try_from(number).ok();
    let rows = rows.filter(|rows| (1..=MAX_ROWS).contains(rows));
    rows.map(Some).ok_or_else(|| {
        bad_argument(
            name,
            &format!("expected a number from 1 to {MAX_ROWS}, got {number}"),
        )
    })
}

/// Rows of a list that has no pages.
pub(super) fn first_rows(first: Option<i32>) -> Result<usize> {
    Ok(rows("first", first)?.unwrap_or(DEFAULT_ROWS))
}

/// Database query of a page: at most `limit` rows behind one cursor and before another, from the
/// end where `backwards`.
pub(super) struct PageRequest<P> {
    pub(super) after: Option<P>,
    pub(super) before: Option<P>,
    pub(super) backwards: bool,
    /// One more than the page has.
    pub(super) limit: u64,
}

impl Paging {
    /// The query of the page; cursors are parsed by `parse`.
    pub(super) fn read<P>(&self, parse: impl Fn(&str) -> Option<P>) -> Result<PageRequest<P>> {
        let find = |name: &str, place: &Option<String>| match place {
            None => Ok(None),
            Some(place) => {
                let known = parse(place);
                let wrong = || bad_argument(name, "expected a cursor of an earlier answer");
                known.ok_or_else(wrong).map(Some)
            }
        };
        Ok(PageRequest {
            after: find("after", &self.after)?,
            before: find("before", &self.before)?,
            backwards: self.last.is_some(),
            limit: self.rows() as u64 + 1,
        })
    }

    fn rows(&self) -> usize {
        self.last.or(self.first).unwrap_or(DEFAULT_ROWS)
    }

    /// The page of what was read, in the order in which it was.
    pub(super) fn of_read<T, N: OutputType>(
        &self,
        mut read: Vec<T>,
        edge: impl Fn(T) -> (String, N),
    ) -> Page<N> {
        let more = read.len() > self.rows();
        read.truncate(self.rows());
        let (previous, next) = if self.last.is_some() {
            read.reverse();
            (more, self.before.is_some())
        } else {
            (self.after.is_some(), more)
        };
        let mut page = Connection::new(previous, next);
        page.edges.extend(read.into_iter().map(|item| {
            let (place, node) = edge(item);
            Edge::new(Cursor(place), node)
        }));
        page
    }
}

/// Complexity of a page: its rows times that of one. A wrong number of rows is refused later.
pub(super) fn complexity(rows: Option<i32>, of_a_row: usize) -> usize {
    let rows = rows.map_or(DEFAULT_ROWS, |rows| {
        usize::try_from(rows.max(1)).unwrap_or(1)
    });
    rows.saturating_mul(of_a_row)
}

/// The place that a cursor stands for.
fn place(name: &str, cursor: Option<&str>) -> Result<Option<String>> {
    cursor
        .map(|cursor| cursor::decode(cursor).map_err(|error| bad_argument(name, &error)))
        .transpose()
}

/// Parses a place of rows that are ordered by a time and an id: `1795514400000/7`.
pub(super) fn time_and_id(place: &str) -> Option<(i64, i64)> {
    let (time, id) = place.split_once('/')?;
    Some((time.parse().ok()?, id.parse().ok()?))
}
