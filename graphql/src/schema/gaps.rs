//! Gaps: minutes of a market that were not recorded, or not completely.

use std::sync::Arc;

use async_graphql::{Context, Enum, ID, Object, Result, SimpleObject};
use marketlake_entities::records::gaps::{self, GapPage, Model};
use marketlake_http::auth::scope::Scope;
use marketlake_http::caller::Caller;
use marketlake_lake::Lake;

use super::errors;
use super::guard::RequireScope;
use super::metrics::minute;
use super::paging::{self, Page as Paged, PageArgs, Paging};
use super::scalars::DateTime;

/// Reason of a gap.
#[derive(Enum, Clone, Copy, PartialEq, Eq)]
#[graphql(remote = "gaps::GapReason")]
pub(super) enum GapReason {
    /// Nothing was recorded in time: no process ran, or no feed delivered.
    Missed,
    /// The market's feed failed while others delivered.
    FeedFailed,
    /// The market's stream had some pairs only.
    Incomplete,
    /// The minute was polled: it has prices, and the exchange's history has the rest.
    Polled,
}

/// State of a gap.
#[derive(Enum, Clone, Copy, PartialEq, Eq)]
#[graphql(remote = "gaps::GapState")]
pub(super) enum GapState {
    /// To be filled from the exchange's history, or partly filled.
    Open,
    /// Filled with all that the exchange has.
    Filled,
    /// Given up.
    Lost,
}

/// Minute of a market that was not recorded, or not completely.
#[derive(SimpleObject)]
pub(super) struct Gap {
    /// Id of the gap.
    pub(super) id: ID,
    /// The exchange: `binance`.
    market: String,
    /// The start of the minute, UTC.
    timestamp: DateTime,
    /// Reason.
    reason: GapReason,
    /// State.
    state: GapState,
    /// Failed attempts in a row to fill it.
    attempts: i32,
    /// Samples that the exchange's history supplied.
    samples: i64,
    /// Explanation, which may quote errors; null without the scope admin.
    detail: Option<String>,
    /// Time at which it was found.
    found_at: DateTime,
    /// Time of the next attempt at the earliest; null where it is closed.
    next_attempt_at: Option<DateTime>,
    /// Time at which it was filled or given up.
    closed_at: Option<DateTime>,
}

/// Prefix of the ids of gaps.
pub(super) const GAP: &str = "gap/";

impl Gap {
    /// The gap as a client sees it: errors are for operators.
    pub(super) fn new(row: Model, caller: &Caller) -> Self {
        let is_open = row.state == gaps::GapState::Open;
        Self {
            id: format!("{GAP}{}", row.id).into(),
            market: row.market,
            timestamp: row.minute.into(),
            reason: row.reason.into(),
            state: row.state.into(),
            attempts: row.attempts,
            samples: row.samples,
            detail: Some(row.detail).filter(|text| !text.is_empty() && shows_details(caller)),
            found_at: row.found_at.into(),
            next_attempt_at: is_open.then(|| row.not_before.into()),
            closed_at: row.closed_at.map(DateTime),
        }
    }
}

/// Returns whether a client may see the details of gaps, which may quote errors.
pub(super) fn shows_details(caller: &Caller) -> bool {
    caller.permissions.allows(Scope::Admin)
}

#[derive(Default)]
pub(super) struct GapsQuery;

#[Object]
impl GapsQuery {
    /// Minutes of markets that were not recorded, or not completely, the newest first.
    #[expect(clippy::too_many_arguments, reason = "they are the field's arguments")]
    #[graphql(
        guard = "RequireScope(Scope::Read)",
        complexity = "paging::complexity(first.or(last), child_complexity)"
    )]
    async fn gaps(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "Only gaps of this exchange: binance.")] market: Option<String>,
        #[graphql(desc = "Only in this state.")] state: Option<GapState>,
        #[graphql(desc = "First minute; without a limit by default.")] from: Option<DateTime>,
        #[graphql(desc = "Last minute; without a limit by default.")] to: Option<DateTime>,
        #[graphql(desc = "Rows of the page, 1 to 10,000; 100 by default.")] first: Option<i32>,
        #[graphql(desc = "Cursor behind which the page begins.")] after: Option<String>,
        #[graphql(desc = "Rows of the page, from the end of the list.")] last: Option<i32>,
        #[graphql(desc = "Cursor before which the page ends.")] before: Option<String>,
    ) -> Result<Paged<Gap>> {
        let (lake, caller) = (context.data::<Arc<Lake>>()?, context.data::<Caller>()?);
        let paging = Paging::new(&PageArgs {
            first,
            after,
            last,
            before,
        })?;
        let read = paging.read(paging::time_and_id)?;
        let page = GapPage {
            market,
            state: state.map(gaps::GapState::from),
            from: from.map(minute),
            to: to.map(minute),
            after: read.after,
            before: read.before,
            backwards: read.backwards,
            limit: read.limit,
        };
        let found = gaps::page(lake.database(), &page)
            .await
            .map_err(|error| errors::unavailable(&error))?;
        Ok(paging.of_read(found, |row| {
            let place = format!("{}/{}", row.minute.0, row.id);
            (place, Gap::new(row, caller))
        }))
    }
}
