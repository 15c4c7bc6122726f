//! Gaps: minutes of a market that were not recorded, or not completely, and their filling from the
//! exchange's history.

use std::collections::HashMap;

use sea_orm::entity::prelude::*;
use sea_orm::{QueryOrder, QuerySelect};

use marketlake_model::{Millis, Minute};

use super::keyset::Keyset;

/// Reason of a gap.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EnumIter, DeriveActiveEnum)]
#[sea_orm(
    rs_type = "String",
    db_type = "String(StringLen::None)",
    rename_all = "snake_case"
)]
pub enum GapReason {
    /// Nothing was recorded in time: no process ran, or no feed delivered anything.
    Missed,
    /// The market's feed failed while others delivered the minute.
    FeedFailed,
    /// The market's stream had some pairs of the minute only.
    Incomplete,
    /// The minute was polled: it has prices, and not yet what the exchange's history has.
    Polled,
}

/// State of a gap.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EnumIter, DeriveActiveEnum)]
#[sea_orm(
    rs_type = "String",
    db_type = "String(StringLen::None)",
    rename_all = "snake_case"
)]
pub enum GapState {
    /// To be filled, or partly filled, from `not_before` on.
    Open,
    /// Everything that the exchange has of the minute is recorded.
    Filled,
    /// Given up; `detail` says why.
    Lost,
}

/// A gap: one minute of a market.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "gaps")]
pub struct Model {
    /// Rises.
    #[sea_orm(primary_key)]
    pub id: i64,
    /// The market. Unique together with `minute`.
    pub market: String,
    /// Start of the minute.
    pub minute: Millis,
    /// Reason.
    pub reason: GapReason,
    /// State.
    pub state: GapState,
    /// Attempts in a row that failed.
    pub attempts: i32,
    /// Earliest time of the next attempt.
    pub not_before: Millis,
    /// Position of the filling: symbols up to this one, itself included, are done.
    pub next_symbol: Option<String>,
    /// Samples that the history supplied so far.
    pub samples: i64,
    /// Last error, skipped symbols, or the reason in words; at most 2,000 characters.
    pub detail: String,
    /// Time at which it was found.
    pub found_at: Millis,
    /// Time at which it was filled or given up.
    pub closed_at: Option<Millis>,
}

/// No relations.
#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

/// Filter and position of a page of gaps, newest minute first.
#[derive(Clone, Debug, Default)]
pub struct GapPage {
    /// Market, or all.
    pub market: Option<String>,
    /// State, or all.
    pub state: Option<GapState>,
    /// First minute, or without limit.
    pub from: Option<Minute>,
    /// Last minute, or without limit.
    pub to: Option<Minute>,
    /// Start after this (minute, id); the minute as milliseconds of its start.
    pub after: Option<(i64, i64)>,
    /// End before this (minute, id).
    pub before: Option<(i64, i64)>,
    /// Oldest minute first.
    pub backwards: bool,
    /// Maximum number of gaps.
    pub limit: u64,
}

/// Gap of a market without its details, which are long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GapMark {
    /// Its id.
    pub id: i64,
    /// The minute.
    pub minute: Minute,
    /// Reason.
    pub reason: GapReason,
    /// State.
    pub state: GapState,
    /// Whether it has details.
    pub has_detail: bool,
}

/// Number of gaps of a market that are in a state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GapCount {
    /// The market.
    pub market: String,
    /// The state.
    pub state: GapState,
    /// Number of gaps.
    pub count: i64,
}

/// Reads a page of gaps.
///
/// # Errors
/// If the database fails.
pub async fn page(connection: &impl ConnectionTrait, page: &GapPage) -> Result<Vec<Model>, DbErr> {
    let mut select = Entity::find();
    if let Some(market) = &page.market {
        select = select.filter(Column::Market.eq(market.as_str()));
    }
    if let Some(state) = page.state {
        select = select.filter(Column::State.eq(state));
    }
    if let Some(from) = page.from {
        select = select.filter(Column::Minute.gte(from.start()));
    }
    if let Some(to) = page.to {
        select = select.filter(Column::Minute.lte(to.start()));
    }
    let keyset = Keyset {
        after: page.after,
        before: page.before,
        backwards: page.backwards,
        limit: page.limit,
    };
    keyset
        .select(select, Column::Minute, Column::Id)
        .all(connection)
        .await
}

/// Finds a gap by its id.
///
/// # Errors
/// If the database fails.
pub async fn find(connection: &impl ConnectionTrait, id: i64) -> Result<Option<Model>, DbErr> {
    Entity::find_by_id(id).one(connection).await
}

/// Reads the gaps of a market from a minute to another, both included, oldest first.
///
/// # Errors
/// If the database fails.
pub async fn of_market(
    connection: &impl ConnectionTrait,
    market: &str,
    from: Minute,
    to: Minute,
) -> Result<Vec<Model>, DbErr> {
    Entity::find()
        .filter(Column::Market.eq(market))
        .filter(Column::Minute.gte(from.start()))
        .filter(Column::Minute.lte(to.start()))
        .order_by_asc(Column::Minute)
        .all(connection)
        .await
}

/// Reads the gaps of a market from a minute to another, both included, oldest first, without their
/// details.
///
/// # Errors
/// If the database fails.
pub async fn marks(
    connection: &impl ConnectionTrait,
    market: &str,
    from: Minute,
    to: Minute,
) -> Result<Vec<GapMark>, DbErr> {
    let rows: Vec<(i64, i64, GapReason, GapState, bool)> = Entity::find()
        .select_only()
        .column(Column::Id)
        .column(Column::Minute)
        .column(Column::Reason)
        .column(Column::State)
        .column_as(Column::Detail.ne(""), "has_detail")
        .filter(Column::Market.eq(market))
        .filter(Column::Minute.gte(from.start()))
        .filter(Column::Minute.lte(to.start()))
        .order_by_asc(Column::Minute)
        .into_tuple()
        .all(connection)
        .await?;
    let marks = rows
        .into_iter()
        .map(|(id, minute, reason, state, has_detail)| GapMark {
            id,
            minute: Millis(minute).minute(),
            reason,
            state,
            has_detail,
        });
    Ok(marks.collect())
}

/// Reads the details of gaps, by their ids.
///
/// # Errors
/// If the database fails.
pub async fn details(
    connection: &impl ConnectionTrait,
    ids: Vec<i64>,
) -> Result<HashMap<i64, String>, DbErr> {
    if ids.is_empty() {
        return Ok(HashMap::new());
    }
    let rows: Vec<(i64, String)> = Entity::find()
        .select_only()
        .column(Column::Id)
        .column(Column::Detail)
        .filter(Column::Id.is_in(ids))
        .into_tuple()
        .all(connection)
        .await?;
    Ok(rows.into_iter().collect())
}

/// Counts the gaps by market and state.
///
/// # Errors
/// If the database fails.
pub async fn counts(connection: &impl ConnectionTrait) -> Result<Vec<GapCount>, DbErr> {
    let rows: Vec<(String, GapState, i64)> = Entity::find()
        .select_only()
        .column(Column::Market)
        .column(Column::State)
        .column_as(Column::Id.count(), "count")
        .group_by(Column::Market)
        .group_by(Column::State)
        .into_tuple()
        .all(connection)
        .await?;
    let counts = rows.into_iter().map(|(market, state, count)| GapCount {
        market,
        state,
        count,
    });
    Ok(counts.collect())
}
