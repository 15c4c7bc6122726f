//! Marks slots of minutes whose samples were found in the store: `ingest-minute` need not fetch
//! them again.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::num::NonZeroU16;
use std::sync::Arc;

use async_trait::async_trait;
use marketlake_entities::database;
use marketlake_entities::records::job_runs::{ActiveModel, Column, Entity, JobRunState};
use marketlake_lake::{Adoption, FeedParts};
use marketlake_model::{Metric, Millis, Minute};
use sea_orm::sea_query::{Expr, OnConflict};
use sea_orm::{
    ColumnTrait, Condition, DatabaseTransaction, DbErr, EntityTrait, NotSet, QueryFilter,
    QuerySelect, Set,
};

use crate::job::PlannedSlot;
use crate::jobs::detect_jumps::DetectJumps;
use crate::jobs::ingest_minute::IngestMinute;
use crate::shards::is_in_share;
use crate::slots;

/// Slots in one statement: below the parameter limit of either database.
const BATCH_SIZE: usize = 500;
const OUTCOME: &str = r#"{"adopted":true}"#;

/// Marks the slots of adopted samples as done, of each part of a minute its own: those that are
/// missing, and those that were missed, given up or planned. The latter were not evaluated yet, and
/// are now; the others were evaluated by the commits that the database lost.
///
/// Of a minute whose other parts are found, a part that is not is planned where the feeds can
/// supply history.
pub struct MarkIngested {
    parts: Arc<Shards>,
    is_history: bool,
}

/// The parts of a minute by their numbers, like those of [`IngestMinute`].
struct Shards(Vec<Shard>);

struct Shard {
    /// Markets that its feeds ingest; empty where they are not known.
    markets: HashSet<String>,
    share: (u32, u32),
}

impl MarkIngested {
    /// Adoption of one feed of unknown markets, which is split into `shards` shards.
    #[must_use]
    pub fn new(shards: u16) -> Self {
        Self::of_feeds([(Vec::new(), NonZeroU16::new(shards))])
    }

    /// Adoption of feeds by their markets, which are empty where they are not known, and their
    /// shards. Without feeds a minute is one part, of whatever markets.
    #[must_use]
    pub fn of_feeds(feeds: impl IntoIterator<Item = (Vec<String>, Option<NonZeroU16>)>) -> Self {
        let mut whole: Option<Shard> = None;
        let mut split = Vec::new();
        for (markets, shards) in feeds {
            let Some(shards) = shards else {
                let whole = whole.get_or_insert_with(|| Shard {
                    markets: HashSet::new(),
                    share: (0, 1),
                });
                whole.markets.extend(markets);
                continue;
            };
            let count = u32::from(shards.get());
            split.extend((0..count).map(|number| Shard {
                markets: markets.iter().cloned().collect(),
                share: (number, count),
            }));
        }
        if whole.is_none() && split.is_empty() {
            whole = Some(Shard {
                markets: HashSet::new(),
                share: (0, 1),
            });
        }
        let parts = whole.into_iter().chain(split).collect();
        Self {
            parts: Arc::new(Shards(parts)),
            is_history: false,
        }
    }

    /// Sets whether feeds can supply history.
    #[must_use]
    pub fn with_history(mut self, is_history: bool) -> Self {
        self.is_history = is_history;
        self
    }

    /// Plans the parts of some minutes that are not there yet.
    async fn plan(
        &self,
        transaction: &DatabaseTransaction,
        minutes: BTreeSet<Minute>,
        now: Millis,
    ) -> Result<(), DbErr> {
        let count = i32::try_from(self.parts.0.len()).unwrap_or(i32::MAX);
        let each_part = minutes
            .into_iter()
            .flat_map(|minute| (0..count).map(move |shard| (minute, shard)));
        let due: Vec<PlannedSlot> = each_part
            .map(|(minute, shard)| PlannedSlot {
                shard,
                ..PlannedSlot::pending(minute.start())
            })
            .collect();
        slots::enqueue(transaction, IngestMinute::NAME, &due, now).await?;
        Ok(())
    }
}

impl FeedParts for Shards {
    fn ingests(&self, metric: &Metric) -> bool {
        let mut parts = self.0.iter();
        parts.any(|part| part.markets.contains(metric.market()))
    }

    fn part_of(&self, metric: &Metric) -> Option<i32> {
        if self.0.len() == 1 {
            return Some(0);
        }
        let is_known = self.ingests(metric);
        let mut found = self.0.iter().enumerate().filter(|(_, part)| {
            let is_its = if is_known {
                part.markets.contains(metric.market())
            } else {
                part.markets.is_empty()
            };
            is_its && is_in_share(metric, part.share)
        });
        let (number, _) = found.next()?;
        // Samples that several parts may have given say nothing about either.
        found.next().is_none().then(|| i32::try_from(number).ok())?
    }
}

#[async_trait]
impl Adoption for MarkIngested {
    fn parts(&self) -> Arc<dyn FeedParts> {
        Arc::clone(&self.parts) as _
    }

    async fn adopted(
        &self,
        transaction: &DatabaseTransaction,
        found: &[(Minute, i32)],
        now: Millis,
    ) -> Result<u64, DbErr> {
        let mut changed = 0;
        let mut by_shard: BTreeMap<i32, Vec<Minute>> = BTreeMap::new();
        for (minute, shard) in found {
            by_shard.entry(*shard).or_default().push(*minute);
        }
        for (shard, minutes) in by_shard {
            for some in minutes.chunks(BATCH_SIZE) {
                changed += finish(transaction, shard, some, now).await?;
            }
        }
        let slots = found
            .iter()
            .map(|(minute, shard)| done(*minute, *shard, now));
        let once = OnConflict::columns([Column::Job, Column::Slot, Column::Shard])
            .do_nothing()
            .to_owned();
        changed += database::insert_all(transaction, slots.collect(), Some(once)).await?;
        if self.is_history {
            let minutes = found.iter().map(|(minute, _)| *minute).collect();
            self.plan(transaction, minutes, now).await?;
        }
        Ok(changed)
    }
}

/// Ends slots of one part that were missed, given up or planned. Returns how many.
async fn finish(
    transaction: &DatabaseTransaction,
    shard: i32,
    minutes: &[Minute],
    now: Millis,
) -> Result<u64, DbErr> {
    let open = Condition::all()
        .add(Column::Job.eq(IngestMinute::NAME))
        .add(Column::Slot.is_in(minutes.iter().map(|minute| minute.start().0)))
        .add(Column::Shard.eq(shard))
        // A worker that holds one finds its samples there.
        .add(Column::State.is_in([
            JobRunState::Missed,
            JobRunState::Failed,
            JobRunState::Pending,
        ]));
    let slots: Vec<i64> = Entity::find()
        .select_only()
        .column(Column::Slot)
        .distinct()
        .filter(open.clone())
        .into_tuple()
        .all(transaction)
        .await?;
    let unevaluated: Vec<PlannedSlot> = slots
        .into_iter()
        .map(|slot| PlannedSlot::pending(Millis(slot)))
        .collect();
    slots::enqueue(transaction, DetectJumps::NAME, &unevaluated, now).await?;
    let updated = Entity::update_many()
        .col_expr(Column::State, Expr::value(JobRunState::Done))
        .col_expr(Column::FinishedAt, Expr::value(now.0))
        .col_expr(Column::Outcome, Expr::value(OUTCOME))
        .col_expr(Column::Error, Expr::value(None::<String>))
        .filter(open)
        .exec(transaction)
        .await?;
    Ok(updated.rows_affected)
}

fn done(minute: Minute, shard: i32, now: Millis) -> ActiveModel {
    ActiveModel {
        id: NotSet,
        job: Set(IngestMinute::NAME.to_owned()),
        slot: Set(minute.start()),
        shard: Set(shard),
        state: Set(JobRunState::Done),
        token: Set(0),
        attempts: Set(0),
        not_before: Set(now),
        lease_until: Set(None),
        worker: Set(None),
        outcome: Set(Some(OUTCOME.to_owned())),
        error: Set(None),
        created_at: Set(now),
        started_at: Set(None),
        finished_at: Set(Some(now)),
    }
}
