//! Catalog queries over segments: the live ones, their bounds and sizes, changes of their state.

use std::collections::{BTreeMap, HashSet};

use marketlake_entities::database;
use marketlake_entities::records::segments::{Column, Entity, Model, Origin, SegmentState, Tier};
use marketlake_model::{Millis, Minute};
use sea_orm::sea_query::Expr;
use sea_orm::{
    ColumnTrait, ConnectionTrait, DatabaseTransaction, DbBackend, DbErr, EntityTrait, ExprTrait,
    Order, QueryFilter, QueryOrder, QuerySelect, Select,
};

use crate::span::{DAY, EARLIEST_MINUTE, Span, latest_minute};

/// Live segments that may hold samples of a span, in the order in which they were committed.
pub(crate) async fn live(
    connection: &impl ConnectionTrait,
    span: Span,
) -> Result<Vec<Model>, DbErr> {
    live_in(span).order_by_asc(Column::Id).all(connection).await
}

fn live_in(span: Span) -> Select<Entity> {
    Entity::find()
        .filter(Column::State.eq(SegmentState::Live))
        .filter(Column::MinTs.lte(span.to.start()))
        .filter(Column::MaxTs.gte(span.from.start()))
}

/// The live segments of each day that has any and begins in a span, as [`join_ids`].
pub(crate) async fn live_days(
    connection: &impl ConnectionTrait,
    days: Span,
) -> Result<BTreeMap<Minute, String>, DbErr> {
    let rows: Vec<(i64, i64)> = Entity::find()
        .select_only()
        .column(Column::Id)
        .column(Column::Hour)
        .filter(Column::State.eq(SegmentState::Live))
        .filter(Column::Hour.gte(days.from.start()))
        .filter(Column::Hour.lt(days.to.plus(DAY).start()))
        .order_by_asc(Column::Id)
        .into_tuple()
        .all(connection)
        .await?;
    let mut ids: BTreeMap<Minute, Vec<i64>> = BTreeMap::new();
    for (id, hour) in rows {
        ids.entry(Millis(hour).minute().day()).or_default().push(id);
    }
    let days = ids.into_iter().map(|(day, ids)| (day, join_ids(&ids)));
    Ok(days.collect())
}

/// Ids as one text.
pub(crate) fn join_ids(ids: &[i64]) -> String {
    let ids: Vec<String> = ids.iter().map(i64::to_string).collect();
    ids.join(",")
}

/// Segments of all states, the newest first; the oldest first where `backwards`.
pub(crate) async fn page(
    connection: &impl ConnectionTrait,
    after: Option<i64>,
    before: Option<i64>,
    backwards: bool,
    limit: u64,
) -> Result<Vec<Model>, DbErr> {
    let mut all = Entity::find();
    if let Some(after) = after {
        all = all.filter(Column::Id.lt(after));
    }
    if let Some(before) = before {
        all = all.filter(Column::Id.gt(before));
    }
    let order = if backwards { Order::Asc } else { Order::Desc };
    all.order_by(Column::Id, order)
        .limit(limit)
        .all(connection)
        .await
}

/// Returns whether a segment may hold samples of a span: the condition of [`live`].
pub(crate) fn overlaps(segment: &Model, span: Span) -> bool {
    segment.min_ts <= span.to.start() && span.from.start() <= segment.max_ts
}

/// Segments with new samples that were committed after a segment; those too that were replaced
/// since, because what replaced them is said to hold old samples only.
pub(crate) async fn new_since(
    connection: &impl ConnectionTrait,
    id: i64,
) -> Result<Vec<Model>, DbErr> {
    Entity::find()
        .filter(Column::Id.gt(id))
        .filter(Column::Origin.ne(Origin::Compact))
        .order_by_asc(Column::Id)
        .all(connection)
        .await
}

/// Estimates the bytes that a query of a span reads: all of the span's samples, or the share of
/// some metrics.
pub(crate) async fn estimate_bytes(
    connection: &impl ConnectionTrait,
    span: Span,
    metrics: Option<usize>,
) -> Result<u64, DbErr> {
    let sizes: Vec<(i64, i64)> = live_in(span)
        .select_only()
        .column(Column::ByteCount)
        .column(Column::MetricCount)
        .into_tuple()
        .all(connection)
        .await?;
    let read = sizes.into_iter().map(|(bytes, all)| {
        let (bytes, all) = (
            u64::try_from(bytes).unwrap_or(0),
            u64::try_from(all).unwrap_or(0),
        );
        match metrics {
            Some(queried) if (queried as u64) < all => bytes.saturating_mul(queried as u64) / all,
            _ => bytes,
        }
    });
    Ok(read.sum())
}

/// Bounds from the oldest to the newest minute with a committed sample, those of the future left
/// out.
pub(crate) async fn bounds(connection: &impl ConnectionTrait) -> Result<Option<Span>, DbErr> {
    let possible = Column::MinTs.gte(EARLIEST_MINUTE.start());
    let oldest = bound(connection, Column::MinTs.min(), possible).await?;
    let newest = newest(connection).await?;
    let forwards = oldest.zip(newest).filter(|(from, to)| from <= to);
    Ok(forwards.map(|(from, to)| Span { from, to }))
}

/// The newest minute with a committed sample; what is in the future is none.
pub(crate) async fn newest(connection: &impl ConnectionTrait) -> Result<Option<Minute>, DbErr> {
    let last = latest_minute(database::clock(connection).await?);
    let whole = Column::MaxTs.lte(last.start());
    let newest = bound(connection, Column::MaxTs.max(), whole).await?;
    // Of a segment with samples of the future too, the first is known.
    let begun = Column::MinTs.lte(last.start());
    let first = bound(connection, Column::MinTs.max(), begun).await?;
    Ok(newest.max(first))
}

/// Live segments with samples that lie in the future at a time, or before there were markets.
pub(crate) async fn out_of_range(
    connection: &impl ConnectionTrait,
    now: Millis,
) -> Result<Vec<Model>, DbErr> {
    let future = Column::MaxTs.gt(latest_minute(now).start());
    let past = Column::MinTs.lt(EARLIEST_MINUTE.start());
    Entity::find()
        .filter(Column::State.eq(SegmentState::Live))
        .filter(future.or(past))
        .order_by_asc(Column::Id)
        .all(connection)
        .await
}

/// Bound that one query finds by an index.
async fn bound(
    connection: &impl ConnectionTrait,
    bound: Expr,
    possible: Expr,
) -> Result<Option<Minute>, DbErr> {
    let bound: Option<Option<i64>> = Entity::find()
        .select_only()
        .column_as(bound, "bound")
        .filter(Column::State.eq(SegmentState::Live))
        .filter(possible)
        .into_tuple()
        .one(connection)
        .await?;
    Ok(bound.flatten().map(|millis| Millis(millis).minute()))
}

/// The newest segment, whatever became of it; 0 where there is none.
pub(crate) async fn newest_id(connection: &impl ConnectionTrait) -> Result<i64, DbErr> {
    let newest: Option<Option<i64>> = Entity::find()
        .select_only()
        .column_as(Column::Id.max(), "newest")
        .into_tuple()
        .one(connection)
        .await?;
    Ok(newest.flatten().unwrap_or(0))
}

/// Hours before a minute that have raw segments, oldest first.
pub(crate) async fn raw_hours(
    connection: &impl ConnectionTrait,
    before: Minute,
) -> Result<Vec<Minute>, DbErr> {
    first_minutes(connection, &[Tier::Raw], before).await
}

/// Days before a minute that are not one segment, oldest first.
pub(crate) async fn uncompacted_days(
    connection: &impl ConnectionTrait,
    before: Minute,
) -> Result<Vec<Minute>, DbErr> {
    let hours = first_minutes(connection, &[Tier::Raw, Tier::Hour], before).await?;
    let mut days: Vec<Minute> = hours.into_iter().map(Minute::day).collect();
    days.dedup();
    Ok(days)
}

async fn first_minutes(
    connection: &impl ConnectionTrait,
    tiers: &[Tier],
    before: Minute,
) -> Result<Vec<Minute>, DbErr> {
    let firsts: Vec<i64> = Entity::find()
        .select_only()
        .column(Column::Hour)
        .distinct()
        .filter(Column::State.eq(SegmentState::Live))
        .filter(Column::Tier.is_in(tiers.iter().copied()))
        .filter(Column::Hour.lt(before.start()))
        .order_by_asc(Column::Hour)
        .into_tuple()
        .all(connection)
        .await?;
    let minutes = firsts.into_iter().map(|first| Millis(first).minute());
    Ok(minutes.collect())
}

/// Totals of the live segments: their number, rows, bytes, and bytes of rollups.
pub(crate) async fn totals(
    connection: &impl ConnectionTrait,
) -> Result<(i64, i64, i64, i64), DbErr> {
    // Postgres sums bigints as numeric.
    let sum = |column| Expr::cust(format!("cast(coalesce(sum({column}), 0) as bigint)"));
    let sums: Option<(i64, i64, i64, i64)> = Entity::find()
        .select_only()
        .column_as(Column::Id.count(), "segments")
        .column_as(sum("row_count"), "samples")
        .column_as(sum("byte_count + coalesce(rollup_byte_count, 0)"), "bytes")
        .column_as(sum("coalesce(rollup_byte_count, 0)"), "rollup_bytes")
        .filter(Column::State.eq(SegmentState::Live))
        .into_tuple()
        .one(connection)
        .await?;
    Ok(sums.unwrap_or_default())
}

/// Keeps every other commit to the catalog out until the transaction ends. `SQLite` has one writer
/// anyway.
pub(crate) async fn lock(transaction: &DatabaseTransaction) -> Result<(), DbErr> {
    if transaction.get_database_backend() == DbBackend::Postgres {
        transaction
            .execute_unprepared("lock table segments in share row exclusive mode")
            .await?;
    }
    Ok(())
}

/// Takes segments out of the lake. Returns how many of them were live.
pub(crate) async fn retire(
    transaction: &DatabaseTransaction,
    ids: &[i64],
    now: Millis,
) -> Result<u64, DbErr> {
    end_live(transaction, ids, SegmentState::Retired, now).await
}

/// Takes broken segments out of the lake. Returns how many of them were live.
pub(crate) async fn set_aside(
    transaction: &DatabaseTransaction,
    ids: &[i64],
    now: Millis,
) -> Result<u64, DbErr> {
    end_live(transaction, ids, SegmentState::SetAside, now).await
}

async fn end_live(
    transaction: &DatabaseTransaction,
    ids: &[i64],
    state: SegmentState,
    now: Millis,
) -> Result<u64, DbErr> {
    if ids.is_empty() {
        return Ok(0);
    }
    let result = Entity::update_many()
        .col_expr(Column::State, Expr::value(state))
        .col_expr(Column::RetiredAt, Expr::value(now.0))
        .filter(Column::Id.is_in(ids.iter().copied()))
        .filter(Column::State.eq(SegmentState::Live))
        .exec(transaction)
        .await?;
    Ok(result.rows_affected)
}

/// Takes out live segments of a tier all of whose samples are older than an instant. Returns how
/// many.
pub(crate) async fn expire(
    connection: &impl ConnectionTrait,
    tier: Tier,
    before: Millis,
    now: Millis,
) -> Result<u64, DbErr> {
    let result = Entity::update_many()
        .col_expr(Column::State, Expr::value(SegmentState::Retired))
        .col_expr(Column::RetiredAt, Expr::value(now.0))
        .filter(Column::State.eq(SegmentState::Live))
        .filter(Column::Tier.eq(tier))
        .filter(Column::MaxTs.lt(before))
        .exec(connection)
        .await?;
    Ok(result.rows_affected)
}

/// Segments that were retired before an instant.
pub(crate) async fn retired(
    connection: &impl ConnectionTrait,
    before: Millis,
) -> Result<Vec<Model>, DbErr> {
    Entity::find()
        .filter(Column::State.eq(SegmentState::Retired))
        .filter(Column::RetiredAt.lt(before))
        .all(connection)
        .await
}

/// Returns whether any of some segments was retired before an instant.
pub(crate) async fn any_retired(
    connection: &impl ConnectionTrait,
    ids: Vec<i64>,
    before: Millis,
) -> Result<bool, DbErr> {
    if ids.is_empty() {
        return Ok(false);
    }
    let found = Entity::find()
        .filter(Column::Id.is_in(ids))
        .filter(Column::RetiredAt.lt(before))
        .limit(1)
        .one(connection)
        .await?;
    Ok(found.is_some())
}

/// The segments in whose place one was written, by the instant of that commit.
pub(crate) async fn replaced_by(
    connection: &impl ConnectionTrait,
    segment: &Model,
) -> Result<Vec<Model>, DbErr> {
    Entity::find()
        .filter(Column::State.eq(SegmentState::Retired))
        .filter(Column::RetiredAt.eq(segment.created_at))
        .filter(Column::Id.lt(segment.id))
        .filter(Column::MinTs.gte(segment.min_ts))
        .filter(Column::MaxTs.lte(segment.max_ts))
        .order_by_asc(Column::Id)
        .all(connection)
        .await
}

/// The key of every object that a row names, whatever the row's state.
pub(crate) async fn object_paths(
    connection: &impl ConnectionTrait,
) -> Result<HashSet<String>, DbErr> {
    let rows: Vec<(String, Option<String>)> = Entity::find()
        .select_only()
        .column(Column::Path)
        .column(Column::RollupPath)
        .into_tuple()
        .all(connection)
        .await?;
    let both = rows
        .into_iter()
        .flat_map(|(path, rollup)| [Some(path), rollup]);
    Ok(both.flatten().collect())
}
