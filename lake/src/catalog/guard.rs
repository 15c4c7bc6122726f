//! Guard before the first write: refuses a catalog that lacks the store's newest objects.
//!
//! Since every object's key is committed as an upload intent before the object is written, an
//! object of the lake that neither a row nor an intent names means that the database lost commits.
//! At the start only recent days are listed: of `raw/`, `hour/` and `day/`, from the day before the
//! newest that the catalog has. In a lake that is in use that is three LIST calls, at most
//! [`MAX_LISTED`] objects each; [`Maintenance::check`](crate::maintenance::Maintenance::check)
//! lists everything.

use std::collections::HashSet;

use marketlake_entities::database;
use marketlake_entities::records::segments::{Column, Entity, SegmentState};
use marketlake_model::{Millis, Minute};
use object_store::path::Path;
use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, DatabaseConnection, EntityTrait, QueryFilter,
    QueryOrder, QuerySelect,
};

use crate::catalog::mismatch::MismatchError;
use crate::catalog::{segments, upload_intents};
use crate::error::LakeError;
use crate::span::DAY;
use crate::storage::paths::{self, ObjectKey};
use crate::storage::store::Store;

/// Objects that are listed of each tier at the start.
pub(crate) const MAX_LISTED: usize = 10_000;
/// Unknown objects that are looked for before the start is refused.
const MAX_UNKNOWN: usize = 100;
/// Keys that are looked up at once.
const BATCH_SIZE: usize = 500;
/// The newest rows, among which the newest object is.
const NEWEST_ROWS: u64 = 200;
/// The newest live rows of which one must have its object where `lake.json` says nothing.
const PROOF_ROWS: u64 = 10;
/// Tiers, whose samples are listed; no rollups are without samples.
const FOLDERS: [&str; 3] = ["raw", "hour", "day"];

/// Refuses a catalog that is empty beside a store that is not, or older than the store's objects.
pub(crate) async fn check(database: &DatabaseConnection, store: &Store) -> Result<(), LakeError> {
    let known = newest_known(database).await?;
    let from = match known {
        Some((_, day)) => {
            let today = database::clock(database).await?.minute().day();
            Some(day.min(today).plus(-DAY))
        }
        None => None,
    };
    let newer = |key: &ObjectKey| known.is_none_or(|(newest, _)| key.created_at() > newest);
    let mut found: Vec<ObjectKey> = Vec::new();
    for folder in FOLDERS {
        let offset = from.map(|from| Path::from(format!("{folder}/dt={}", from.date())));
        let listed = store.list_from(folder, offset.as_ref(), MAX_LISTED).await?;
        let keys = listed
            .iter()
            .filter_map(|object| paths::parse(&object.location));
        let keys: Vec<ObjectKey> = keys.filter(newer).collect();
        for some in keys.chunks(BATCH_SIZE) {
            if found.len() < MAX_UNKNOWN {
                found.extend(unknown(database, store, some).await?);
            }
        }
    }
    let times = || found.iter().map(ObjectKey::created_at);
    let (Some(example), Some(oldest), Some(newest)) = (found.first(), times().min(), times().max())
    else {
        return Ok(());
    };
    let (store, example) = (format!("{store:?}"), example.to_string());
    let Some((known, _)) = known else {
        return Err(MismatchError::EmptyCatalog { store, example }.into());
    };
    let count = found.len();
    Err(MismatchError::LostCommits {
        store,
        count,
        example,
        oldest,
        newest,
        known,
    }
    .into())
}

/// Refuses a catalog that names no object beside a store that holds some.
pub(crate) async fn refuse_empty(
    database: &DatabaseConnection,
    store: &Store,
) -> Result<(), LakeError> {
    match newest_known(database).await? {
        Some(_) => Ok(()),
        None => check(database, store).await,
    }
}

/// Refuses a store that holds none of the catalog's newest objects. Keys are never used twice: one
/// that is there is proof.
pub(crate) async fn is_own(database: &DatabaseConnection, store: &Store) -> Result<(), LakeError> {
    let newest = Entity::find()
        .filter(Column::State.eq(SegmentState::Live))
        .order_by_desc(Column::Id)
        .limit(PROOF_ROWS)
        .all(database)
        .await?;
    for segment in &newest {
        if store.has(&Path::from(segment.path.as_str())).await? {
            return Ok(());
        }
    }
    let Some(example) = newest.into_iter().next() else {
        return Ok(());
    };
    let (store, example) = (format!("{store:?}"), example.path);
    Err(MismatchError::OtherStore { store, example }.into())
}

/// Creation time of the newest object that the catalog names, and the newest day that it has. By
/// the keys, whose time is of the same clocks as that of the keys that they are compared with.
async fn newest_known(
    database: &DatabaseConnection,
) -> Result<Option<(Millis, Minute)>, LakeError> {
    let rows: Vec<String> = Entity::find()
        .select_only()
        .column(Column::Path)
        .order_by_desc(Column::Id)
        .limit(NEWEST_ROWS)
        .into_tuple()
        .all(database)
        .await?;
    let keys: Vec<ObjectKey> = rows
        .iter()
        .filter_map(|path| ObjectKey::parse(path))
        .collect();
    let newest = keys.iter().map(ObjectKey::created_at).max();
    let live = segments::newest(database).await?.map(Minute::day);
    let day = keys.iter().map(ObjectKey::day).max().max(live);
    Ok(newest.zip(day))
}

/// Those of some listed keys that neither a row nor an intent names, and whose object is there.
///
/// Intents are read before rows: a segment published in between is found in one of them. One that
/// is vacuumed in between loses its object before its row.
pub(crate) async fn unknown(
    database: &DatabaseConnection,
    store: &Store,
    keys: &[ObjectKey],
) -> Result<Vec<ObjectKey>, LakeError> {
    let mut unknown = Vec::new();
    for some in keys.chunks(BATCH_SIZE) {
        let texts: Vec<String> = some.iter().map(ObjectKey::to_string).collect();
        let mut known = upload_intents::named(database, &texts).await?;
        known.extend(named(database, &texts).await?);
        for (key, text) in some.iter().zip(&texts) {
            if !known.contains(text) && store.has(&key.path()).await? {
                unknown.push(*key);
            }
        }
    }
    Ok(unknown)
}

/// Those of some keys that a row names, whatever its state.
pub(crate) async fn named(
    connection: &impl ConnectionTrait,
    keys: &[String],
) -> Result<HashSet<String>, LakeError> {
    let mut named = HashSet::new();
    for some in keys.chunks(BATCH_SIZE) {
        let any = || some.iter().map(String::as_str);
        let rows: Vec<(String, Option<String>)> = Entity::find()
            .select_only()
            .column(Column::Path)
            .column(Column::RollupPath)
            .filter(
                Condition::any()
                    .add(Column::Path.is_in(any()))
                    .add(Column::RollupPath.is_in(any())),
            )
            .into_tuple()
            .all(connection)
            .await?;
        let both = rows
            .into_iter()
            .flat_map(|(path, rollup)| [Some(path), rollup]);
        named.extend(both.flatten());
    }
    Ok(named)
}
