//! Upkeep of the table of gaps: repairs what a wrong clock recorded, gives up what is too old, and
//! deletes what was closed long ago.

use std::time::Duration;

use marketlake_entities::records::gaps::{Column, Entity, GapReason, GapState};
use marketlake_feeds::MAX_BAN;
use marketlake_model::{Millis, Minute};
use sea_orm::sea_query::{BinOper, Expr};
use sea_orm::{ColumnTrait, ConnectionTrait, DbErr, EntityTrait, ExprTrait, QueryFilter};

use crate::gaps::{MAX_DETAIL_CHARS, bounded};

/// Minutes after which a gap is given up that could not be filled.
pub(crate) const MAX_AGE_MINUTES: i64 = 8 * 1_440;
/// Reason for which it is.
pub(crate) const TOO_OLD: &str = "not filled within 8 days";
/// Time ahead of the clock from which on a gap was recorded under a wrong clock.
const MAX_AHEAD: Duration = Duration::from_secs(120);
/// Maximum characters of a reason.
const MAX_REASON_CHARS: usize = 500;
/// Maximum characters of a detail that a reason and its separator follow.
const MAX_KEPT_CHARS: usize = MAX_DETAIL_CHARS - MAX_REASON_CHARS - 2;
/// Time for which gaps are kept after they were filled or given up.
const RETENTION: Duration = Duration::from_secs(90 * 86_400);
/// The same for minutes that were polled and corrected, of which there is one every minute.
const POLLED_RETENTION: Duration = Duration::from_secs(7 * 86_400);

/// Repairs what was recorded under a clock that ran ahead: deletes gaps of the future, and makes
/// those due that wait for longer than the longest pause of an exchange.
pub(crate) async fn repair_times(
    connection: &impl ConnectionTrait,
    markets: &[String],
    now: Millis,
) -> Result<(), DbErr> {
    Entity::delete_many()
        .filter(Column::Market.is_in(markets))
        .filter(Column::Minute.gt(now.plus(MAX_AHEAD)))
        .exec(connection)
        .await?;
    Entity::update_many()
        .col_expr(Column::NotBefore, Expr::value(now.0))
        .filter(Column::Market.is_in(markets))
        .filter(Column::State.eq(GapState::Open))
        .filter(Column::NotBefore.gt(now.plus(MAX_BAN)))
        .exec(connection)
        .await?;
    Ok(())
}

/// Gives up the open gaps of all markets that were not filled in time: no job fills those of a
/// market that is not configured any more. Returns their number.
pub(crate) async fn give_up_old(
    connection: &impl ConnectionTrait,
    now: Millis,
) -> Result<u64, DbErr> {
    let oldest = now.minute().plus(-MAX_AGE_MINUTES);
    give_up_before(connection, None, oldest, TOO_OLD, now).await
}

/// Gives up the open gaps of a market, or of all, before a minute, with the reason. Returns their
/// number.
pub(crate) async fn give_up_before(
    connection: &impl ConnectionTrait,
    market: Option<&str>,
    minute: Minute,
    reason: &str,
    now: Millis,
) -> Result<u64, DbErr> {
    let reason = bounded(reason, MAX_REASON_CHARS);
    let mut is_old = Column::State
        .eq(GapState::Open)
        .and(Column::Minute.lt(minute.start()));
    if let Some(market) = market {
        is_old = is_old.and(Column::Market.eq(market));
    }
    let kept = Expr::cust(format!("substr(detail, 1, {MAX_KEPT_CHARS})"));
    let appended = kept.binary(BinOper::Custom("||"), Expr::value(format!("; {reason}")));
    let mut lost = 0;
    for (detail, has_detail) in [
        (Expr::value(reason), Column::Detail.eq("")),
        (appended, Column::Detail.ne("")),
    ] {
        let result = Entity::update_many()
            .col_expr(Column::State, Expr::value(GapState::Lost))
            .col_expr(Column::ClosedAt, Expr::value(now.0))
            .col_expr(Column::Detail, detail)
            .filter(is_old.clone())
            .filter(has_detail)
            .exec(connection)
            .await?;
        lost += result.rows_affected;
    }
    Ok(lost)
}

/// Deletes gaps that were filled or given up long ago. Returns their number.
pub(crate) async fn prune(connection: &impl ConnectionTrait, now: Millis) -> Result<u64, DbErr> {
    let polled = Column::Reason.eq(GapReason::Polled);
    let is_old = Column::ClosedAt.lt(now.minus(RETENTION));
    let is_old_polled = polled.and(Column::ClosedAt.lt(now.minus(POLLED_RETENTION)));
    let result = Entity::delete_many()
        .filter(is_old.or(is_old_polled))
        .exec(connection)
        .await?;
    Ok(result.rows_affected)
}
