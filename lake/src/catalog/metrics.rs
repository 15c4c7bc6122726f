//! Catalog queries over metrics: their entry into the directory, and its reading.

use std::collections::BTreeMap;

use marketlake_entities::database;
use marketlake_entities::records::metrics::{ActiveModel, Column, Entity};
use marketlake_model::{Metric, Millis};
use sea_orm::sea_query::OnConflict;
use sea_orm::{
    ColumnTrait, ConnectionTrait, DatabaseTransaction, DbErr, EntityTrait, QuerySelect, Set,
};

use crate::catalog::directory::{DirectoryCounts, DirectoryEntry};

/// Times of a metric's first commits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FirstCommits {
    /// The first commit of all.
    pub(crate) created_at: Millis,
    /// The first by a feed, if there was one.
    pub(crate) recorded_at: Option<Millis>,
    /// Whether a feed's commit is known, not only likely: it then counts for a metric that the
    /// directory has from an import.
    pub(crate) is_certain: bool,
}

/// Enters metrics into the directory. One that is there already keeps its times, but gets the time
/// of the first recording where it had none and the recording is certain.
pub(crate) async fn insert(
    transaction: &DatabaseTransaction,
    new: &BTreeMap<Metric, FirstCommits>,
) -> Result<(), DbErr> {
    let rows = |is_certain: bool| -> Vec<ActiveModel> {
        new.iter()
            .filter(|(_, times)| times.is_certain == is_certain)
            .map(|(metric, times)| row(metric, *times))
            .collect()
    };
    let keep = OnConflict::column(Column::Id).do_nothing().to_owned();
    let note_recording = OnConflict::column(Column::Id)
        .update_column(Column::RecordedAt)
        .action_and_where(Column::RecordedAt.is_null())
        .to_owned();
    database::insert_all(transaction, rows(false), Some(keep)).await?;
    database::insert_all(transaction, rows(true), Some(note_recording)).await?;
    Ok(())
}

fn row(metric: &Metric, times: FirstCommits) -> ActiveModel {
    ActiveModel {
        id: Set(metric.id().to_owned()),
        market: Set(metric.market().to_owned()),
        pair: Set(metric.pair().to_owned()),
        measure: Set(metric.measure().to_owned()),
        created_at: Set(times.created_at),
        recorded_at: Set(times.recorded_at),
    }
}

/// Counts of the directory.
pub(crate) async fn counts(connection: &impl ConnectionTrait) -> Result<DirectoryCounts, DbErr> {
    let counts: Option<(i64, i64)> = Entity::find()
        .select_only()
        .column_as(Column::Id.count(), "known")
        .column_as(Column::RecordedAt.count(), "recorded")
        .into_tuple()
        .one(connection)
        .await?;
    let (known, recorded) = counts.unwrap_or_default();
    Ok(DirectoryCounts {
        known: u64::try_from(known).unwrap_or_default(),
        recorded: u64::try_from(recorded).unwrap_or_default(),
    })
}

/// The directory's entries. Rows that are no metric's are left out.
pub(crate) async fn entries(
    connection: &impl ConnectionTrait,
) -> Result<Vec<DirectoryEntry>, DbErr> {
    let rows: Vec<(String, Millis, Option<Millis>)> = Entity::find()
        .select_only()
        .column(Column::Id)
        .column(Column::CreatedAt)
        .column(Column::RecordedAt)
        .into_tuple()
        .all(connection)
        .await?;
    let entries = rows
        .into_iter()
        .filter_map(|(id, created_at, recorded_at)| {
            let metric = id.parse().ok()?;
            Some(DirectoryEntry {
                metric,
                created_at,
                recorded_at,
            })
        });
    Ok(entries.collect())
}
