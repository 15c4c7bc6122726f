//! Catalog row of a new segment, inserted in the transaction that makes its objects live.

use marketlake_entities::records::segments::{ActiveModel, Entity, SegmentState};
use marketlake_model::{Millis, Minute};
use sea_orm::{DatabaseTransaction, EntityTrait, NotSet, Set};

use crate::catalog::upload_intents;
use crate::error::LakeError;
use crate::segment::encode::Segment;

/// Makes a segment live, and its objects' upload intents end, in one transaction.
pub(crate) async fn insert(
    transaction: &DatabaseTransaction,
    first: Minute,
    segment: &Segment,
    now: Millis,
) -> Result<(), LakeError> {
    if !upload_intents::consume(transaction, &segment.keys()).await? {
        return Err(LakeError::Conflict { first });
    }
    Entity::insert(row(first, segment, now))
        .exec_without_returning(transaction)
        .await?;
    Ok(())
}

/// A segment's row, live from now on.
fn row(first: Minute, segment: &Segment, now: Millis) -> ActiveModel {
    let (samples, rollups) = (&segment.samples, segment.rollups.as_ref());
    ActiveModel {
        id: NotSet,
        path: Set(samples.key.to_string()),
        tier: Set(segment.tier),
        origin: Set(segment.origin),
        state: Set(SegmentState::Live),
        hour: Set(first.start()),
        min_ts: Set(segment.span.from.start()),
        max_ts: Set(segment.span.to.start()),
        row_count: Set(segment.row_count),
        metric_count: Set(segment.metric_count),
        byte_count: Set(samples.sums.byte_count),
        sha256: Set(samples.sums.sha256.clone()),
        crcs: Set(Some(samples.sums.crcs.clone())),
        rollup_path: Set(rollups.map(|part| part.key.to_string())),
        rollup_byte_count: Set(rollups.map(|part| part.sums.byte_count)),
        rollup_sha256: Set(rollups.map(|part| part.sums.sha256.clone())),
        rollup_crcs: Set(rollups.map(|part| part.sums.crcs.clone())),
        created_at: Set(now),
        retired_at: Set(None),
    }
}
