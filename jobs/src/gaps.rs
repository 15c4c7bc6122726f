//! Statements on the table of gaps: finding them, choosing what to fill, and recording progress.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use marketlake_entities::database;
use marketlake_entities::records::gaps::{ActiveModel, Column, Entity, GapReason, GapState, Model};
use marketlake_entities::records::job_runs::{self, JobRunState};
use marketlake_model::{Millis, Minute};
use sea_orm::sea_query::{Expr, OnConflict};
use sea_orm::{
    ColumnTrait, ConnectionTrait, DbErr, EntityTrait, ExprTrait, NotSet, QueryFilter, QueryOrder,
    QuerySelect, Set,
};

use crate::job::MINUTE;
use crate::shards::Source;

/// Time after a minute's end from which on the exchange's history has it.
const HISTORY_DELAY: Duration = Duration::from_secs(60);
/// The same of an exchange that leaves minutes without a trade out: a candle that is late would
/// look like such a minute.
const QUIET_DELAY: Duration = Duration::from_secs(300);
/// Minutes that are corrected together, so that they cost one request a pair.
const BLOCK_MINUTES: i64 = 3;
/// Maximum characters of a detail.
pub(crate) const MAX_DETAIL_CHARS: usize = 2_000;
/// Maximum characters of a skipped symbol with its reason.
const MAX_SYMBOL_CHARS: usize = 300;
/// Maximum characters of an error in a detail.
const MAX_ERROR_CHARS: usize = 500;
/// Ids of a statement.
const BATCH_SIZE: usize = 500;

/// A gap to record.
#[derive(Clone, Debug)]
pub(crate) struct NewGap {
    market: String,
    minute: Minute,
    reason: GapReason,
    detail: String,
    /// Time after a minute's end from which on the history has it, if there is one.
    history_delay: Option<Duration>,
}

/// A slot that gave no samples.
#[derive(Debug)]
pub(crate) struct MissedSlot {
    pub(crate) minute: Minute,
    pub(crate) shard: i32,
    pub(crate) error: String,
}

/// Change of a gap by an attempt to fill it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct GapChange {
    pub(crate) state: GapState,
    pub(crate) attempts: i32,
    pub(crate) not_before: Millis,
    pub(crate) next_symbol: Option<String>,
    /// Samples to add to its number.
    pub(crate) samples: i64,
    pub(crate) detail: String,
}

impl NewGap {
    /// Gaps of all markets of a source.
    pub(crate) fn of_source(
        source: &Source,
        minute: Minute,
        reason: GapReason,
        detail: &str,
    ) -> Vec<Self> {
        let markets = source.markets.iter();
        let gaps = markets.map(|market| Self {
            market: market.clone(),
            minute,
            reason,
            detail: bounded(detail, MAX_ERROR_CHARS),
            history_delay: source.history.as_ref().map(|history| {
                match history.limits().omits_quiet_minutes {
                    true => QUIET_DELAY,
                    false => HISTORY_DELAY,
                }
            }),
        });
        gaps.collect()
    }

    /// Earliest time at which it can be filled.
    fn not_before(&self, now: Millis) -> Millis {
        let delay = self.history_delay.unwrap_or_default();
        let ready = match self.reason {
            GapReason::Polled => {
                let block = self.minute.number().div_euclid(BLOCK_MINUTES);
                let next = block.saturating_add(1).saturating_mul(BLOCK_MINUTES);
                Minute::from_number(next).start().plus(delay)
            }
            GapReason::Missed | GapReason::FeedFailed | GapReason::Incomplete => {
                self.minute.start().plus(MINUTE).plus(delay)
            }
        };
        Ord::max(ready, now)
    }

    fn row(&self, now: Millis) -> ActiveModel {
        let (state, detail) = if self.history_delay.is_some() {
            (GapState::Open, self.detail.clone())
        } else {
            let reason = format!("{} has no history to fill it from", self.market);
            (GapState::Lost, joined(&[&self.detail, &reason]))
        };
        ActiveModel {
            id: NotSet,
            market: Set(self.market.clone()),
            minute: Set(self.minute.start()),
            reason: Set(self.reason),
            state: Set(state),
            attempts: Set(0),
            not_before: Set(self.not_before(now)),
            next_symbol: Set(None),
            samples: Set(0),
            detail: Set(detail),
            found_at: Set(now),
            closed_at: Set((state == GapState::Lost).then_some(now)),
        }
    }
}

/// The first characters of a text.
pub(crate) fn bounded(text: &str, max_chars: usize) -> String {
    text.chars().take(max_chars).collect()
}

/// A skipped symbol with the reason.
pub(crate) fn named(symbol: &str, reason: &str) -> String {
    bounded(&format!("{symbol} ({reason})"), MAX_SYMBOL_CHARS)
}

/// Parts of a detail that are not empty, as one text.
pub(crate) fn joined(parts: &[&str]) -> String {
    let parts: Vec<&str> = parts
        .iter()
        .copied()
        .filter(|part| !part.is_empty())
        .collect();
    bounded(&parts.join("; "), MAX_DETAIL_CHARS)
}

/// Records gaps; of a market and minute that has one already it stays as it is. Returns the number
/// of new ones.
pub(crate) async fn insert(
    connection: &impl ConnectionTrait,
    gaps: &[NewGap],
    now: Millis,
) -> Result<u64, DbErr> {
    let rows = gaps.iter().map(|gap| gap.row(now)).collect();
    let once = OnConflict::columns([Column::Market, Column::Minute])
        .do_nothing()
        .to_owned();
    database::insert_all(connection, rows, Some(once)).await
}

/// Slots of a job from a minute on that were missed, or failed for good, at `since` or later.
pub(crate) async fn missed_slots(
    connection: &impl ConnectionTrait,
    job: &str,
    from: Minute,
    since: Millis,
) -> Result<Vec<MissedSlot>, DbErr> {
    use job_runs::Column;
    let rows: Vec<(i64, i32, Option<String>)> = job_runs::Entity::find()
        .select_only()
        .column(Column::Slot)
        .column(Column::Shard)
        .column(Column::Error)
        .filter(Column::Job.eq(job))
        .filter(Column::State.is_in([JobRunState::Missed, JobRunState::Failed]))
        .filter(Column::Slot.gte(from.start()))
        .filter(Column::FinishedAt.gte(since))
        .order_by_asc(Column::Slot)
        .order_by_asc(Column::Shard)
        .into_tuple()
        .all(connection)
        .await?;
    let missed = rows.into_iter().map(|(slot, shard, error)| MissedSlot {
        minute: Millis(slot).minute(),
        shard,
        error: error.unwrap_or_default(),
    });
    Ok(missed.collect())
}

/// Leaves those out whose market and minute has a gap already.
pub(crate) async fn retain_new(
    connection: &impl ConnectionTrait,
    gaps: Vec<NewGap>,
) -> Result<Vec<NewGap>, DbErr> {
    let minutes = || gaps.iter().map(|gap| gap.minute);
    let (Some(from), Some(to)) = (minutes().min(), minutes().max()) else {
        return Ok(gaps);
    };
    let markets: BTreeSet<&str> = gaps.iter().map(|gap| gap.market.as_str()).collect();
    let mut known: BTreeSet<(String, i64)> = BTreeSet::new();
    for market in markets {
        let minutes: Vec<i64> = Entity::find()
            .select_only()
            .column(Column::Minute)
            .filter(Column::Market.eq(market))
            .filter(Column::Minute.gte(from.start()))
            .filter(Column::Minute.lte(to.start()))
            .into_tuple()
            .all(connection)
            .await?;
        known.extend(
            minutes
                .into_iter()
                .map(|minute| (market.to_owned(), minute)),
        );
    }
    // Several shards of a market have one gap.
    let is_new = |gap: &NewGap| known.insert((gap.market.clone(), gap.minute.start().0));
    Ok(gaps.into_iter().filter(is_new).collect())
}

/// Whether one of some markets has an open gap that is due.
pub(crate) async fn has_due(
    connection: &impl ConnectionTrait,
    markets: &[String],
    now: Millis,
) -> Result<bool, DbErr> {
    let due = Entity::find()
        .filter(Column::State.eq(GapState::Open))
        .filter(Column::NotBefore.lte(now))
        .filter(Column::Market.is_in(markets))
        .one(connection)
        .await?;
    Ok(due.is_some())
}

/// Number of open gaps by market.
pub(crate) async fn open_counts(
    connection: &impl ConnectionTrait,
) -> Result<HashMap<String, i64>, DbErr> {
    let rows: Vec<(String, i64)> = Entity::find()
        .select_only()
        .column(Column::Market)
        .column_as(Column::Id.count(), "count")
        .filter(Column::State.eq(GapState::Open))
        .group_by(Column::Market)
        .into_tuple()
        .all(connection)
        .await?;
    Ok(rows.into_iter().collect())
}

/// The due gap of a market that is filled next, and those before it that can be filled with the
/// same requests: minute by minute, at the same position, of the same kind. At most `limit`. What
/// was begun comes first, so that newer gaps do not hold it up for ever, then the newest.
pub(crate) async fn next_due(
    connection: &impl ConnectionTrait,
    market: &str,
    now: Millis,
    limit: u64,
) -> Result<Vec<Model>, DbErr> {
    let due = Entity::find()
        .filter(Column::Market.eq(market))
        .filter(Column::State.eq(GapState::Open))
        .filter(Column::NotBefore.lte(now))
        .order_by_asc(Column::NextSymbol.is_null())
        .order_by_desc(Column::Minute)
        .limit(limit)
        .all(connection)
        .await?;
    let mut span: Vec<Model> = Vec::with_capacity(due.len());
    for gap in due {
        if span
            .last()
            .is_some_and(|later| !is_filled_with(&gap, later))
        {
            break;
        }
        span.push(gap);
    }
    Ok(span)
}

/// Whether a gap can be filled with the requests of a later one.
fn is_filled_with(gap: &Model, later: &Model) -> bool {
    let is_incomplete = |gap: &Model| gap.reason == GapReason::Incomplete;
    gap.minute.minute() == later.minute.minute().plus(-1)
        && gap.next_symbol == later.next_symbol
        && is_incomplete(gap) == is_incomplete(later)
}

/// Puts the open gaps of a market off until a time.
pub(crate) async fn put_off(
    connection: &impl ConnectionTrait,
    market: &str,
    until: Millis,
) -> Result<(), DbErr> {
    Entity::update_many()
        .col_expr(Column::NotBefore, Expr::value(until.0))
        .filter(Column::Market.eq(market))
        .filter(Column::State.eq(GapState::Open))
        .filter(Column::NotBefore.lt(until))
        .exec(connection)
        .await?;
    Ok(())
}

/// Records changes of open gaps, unless another run has moved their position from `position`.
pub(crate) async fn record(
    connection: &impl ConnectionTrait,
    changes: &[(i64, GapChange)],
    position: Option<&str>,
    now: Millis,
) -> Result<(), DbErr> {
    let mut alike: HashMap<&GapChange, Vec<i64>> = HashMap::new();
    for (id, change) in changes {
        alike.entry(change).or_default().push(*id);
    }
    let unmoved = match position {
        Some(symbol) => Column::NextSymbol.eq(symbol),
        None => Column::NextSymbol.is_null(),
    };
    for (change, ids) in alike {
        let closed_at = (change.state != GapState::Open).then_some(now.0);
        let samples = Expr::col(Column::Samples).add(change.samples);
        for ids in ids.chunks(BATCH_SIZE) {
            Entity::update_many()
                .col_expr(Column::State, Expr::value(change.state))
                .col_expr(Column::Attempts, Expr::value(change.attempts))
                .col_expr(Column::NotBefore, Expr::value(change.not_before.0))
                .col_expr(Column::NextSymbol, Expr::value(change.next_symbol.clone()))
                .col_expr(Column::Samples, samples.clone())
                .col_expr(Column::Detail, Expr::value(change.detail.as_str()))
                .col_expr(Column::ClosedAt, Expr::value(closed_at))
                .filter(Column::Id.is_in(ids.iter().copied()))
                .filter(Column::State.eq(GapState::Open))
                .filter(unmoved.clone())
                .exec(connection)
                .await?;
        }
    }
    Ok(())
}
