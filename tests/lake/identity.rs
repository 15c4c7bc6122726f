//! One lake, one catalog: a second catalog, a copied database and an older backup delete nothing.

use std::sync::Arc;
use std::time::Duration;

use marketlake_entities::database;
use marketlake_lake::{Lake, LakeError, MismatchError, Severity, Store, diagnose_identity};
use marketlake_model::Millis;
use object_store::ObjectStoreExt;
use object_store::path::Path;
use sea_orm::{ConnectionTrait, DatabaseConnection};

use super::{compact_all, ingest};
use crate::support::DEEP;
use crate::support::base::{Base, fresh_postgres, on_both};
use crate::support::samples::{sample, series};

/// Another database with the same rows.
pub async fn copied(base: &Base, name: &str) -> DatabaseConnection {
    match base.store.endpoint {
        None => {
            let from = base.database().await;
            let file = base.path().join(name);
            let copy = format!("vacuum into '{}'", file.display());
            from.execute_unprepared(&copy).await.unwrap();
            database::connect(&database::sqlite_url(&file))
                .await
                .unwrap()
        }
        Some(_) => {
            let url = fresh_postgres().await;
            let name = |url: &str| {
                let from = url.find("/test_").unwrap() + 1;
                let end = url[from..].find('?').unwrap();
                url[from..from + end].to_owned()
            };
            let (from, to) = (name(&base.database_url), name(&url));
            let admin = base
                .database_url
                .replace(&format!("/{from}?"), "/postgres?");
            let admin = database::connect(&admin).await.unwrap();
            admin
                .execute_unprepared(&format!("drop database {to}"))
                .await
                .unwrap();
            // A template must have no other users for a moment.
            crate::support::eventually("the copy", async || {
                let end = format!(
                    "select pg_terminate_backend(pid) from pg_stat_activity where datname = \
                     '{from}'"
                );
                admin.execute_unprepared(&end).await.unwrap();
                let sql = format!("create database {to} template {from}");
                admin.execute_unprepared(&sql).await.ok()
            })
            .await;
            database::connect(&url).await.unwrap()
        }
    }
}

pub async fn opened(base: &Base, database: DatabaseConnection) -> Arc<Lake> {
    let store = Store::open(&base.store).await.unwrap();
    Lake::open(database, store, Vec::new()).await.unwrap()
}

pub async fn vacuum(lake: &Lake) -> Result<u64, LakeError> {
    let vacuumed = lake
        .maintenance()
        .vacuum(Millis(i64::MAX), Duration::ZERO)
        .await;
    vacuumed.map(|vacuumed| vacuumed.retired + vacuumed.unlisted)
}

pub fn mismatch<T: std::fmt::Debug>(result: Result<T, LakeError>) -> MismatchError {
    match result {
        Err(LakeError::Mismatch(error)) => error,
        other => panic!("expected a mismatch, got {other:?}"),
    }
}

pub async fn stored(base: &Base) -> serde_json::Value {
    let store = Store::open(&base.store).await.unwrap();
    let found = store.objects().get(&Path::from("lake.json")).await.unwrap();
    serde_json::from_slice(&found.bytes().await.unwrap()).unwrap()
}

/// A lake with something to delete.
pub async fn with_retired(base: &Base) -> Arc<Lake> {
    let lake = base.lake().await;
    ingest(&lake, &series("a:one", 0, &["1", "2", "3"])).await;
    compact_all(&lake).await;
    lake
}

#[tokio::test(flavor = "multi_thread")]
async fn each_batch_of_deletions_advances_the_sequence_in_database_and_store() {
    on_both(async |base: Base| {
        let lake = with_retired(&base).await;
        assert_eq!(stored(&base).await["sequence"], 0);
        assert_eq!(vacuum(&lake).await.unwrap(), 3);
        let after = stored(&base).await;
        assert_eq!(
            (&after["sequence"], &after["format"]),
            (&1.into(), &1.into())
        );
        assert_eq!(vacuum(&lake).await.unwrap(), 0);
        assert_eq!(
            stored(&base).await,
            after,
            "nothing to delete, nothing to advance"
        );
        let finding = diagnose_identity(lake.database(), lake.store()).await;
        assert_eq!(finding.severity, Severity::Good, "{finding:?}");
        assert!(
            finding.detail.contains("1 batches of deletions"),
            "{finding:?}"
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_database_and_its_copy_only_one_goes_on_deleting() {
    on_both(async |base: Base| {
        drop(with_retired(&base).await);
        let copy = copied(&base, "copy.db").await;
        let (lake, copy) = (base.lake().await, opened(&base, copy).await);
        let files = base.object_files().len();
        // Both at the same sequence: whoever deletes first.
        assert_eq!(vacuum(&lake).await.unwrap(), 3);
        let error = mismatch(vacuum(&copy).await);
        assert!(
            matches!(
                error,
                MismatchError::OldDatabase {
                    stored: 1,
                    ours: 0,
                    ..
                }
            ),
            "{error}"
        );
        assert_eq!(base.object_files().len(), files - 3);
        // And neither may it write.
        let error = mismatch(
            copy.ingest()
                .stage_minute(vec![sample("a:two", 9, "9")])
                .await,
        );
        assert!(
            matches!(error, MismatchError::OldDatabase { .. }),
            "{error}"
        );
        mismatch(copy.maintenance().prepare_writes().await);
        let finding = diagnose_identity(copy.database(), copy.store()).await;
        assert_eq!(finding.severity, Severity::Bad);
        assert!(
            finding.detail.contains("older than the lake"),
            "{finding:?}"
        );
        lake.maintenance().prepare_writes().await.unwrap();
        assert_eq!(
            lake.maintenance().check(DEEP).await.unwrap().problems,
            Vec::<String>::new()
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_copies_that_advance_at_once_are_told_apart() {
    on_both(async |base: Base| {
        drop(with_retired(&base).await);
        let copy = copied(&base, "copy.db").await;
        let (lake, copy) = (base.lake().await, opened(&base, copy).await);
        // The copy's database went ahead, and was stopped before it came to the store.
        let ahead =
            "update lake_identity set previous_token = token, token = 'other', sequence = 1";
        copy.database().execute_unprepared(ahead).await.unwrap();
        assert_eq!(vacuum(&lake).await.unwrap(), 3);
        let error = mismatch(vacuum(&copy).await);
        assert!(
            matches!(error, MismatchError::OtherDatabase { sequence: 1, .. }),
            "{error}"
        );
        let (one, other) = tokio::join!(vacuum(&lake), vacuum(&copy));
        one.unwrap();
        mismatch(other);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_advance_that_was_interrupted_is_finished_by_the_next_start() {
    on_both(async |base: Base| {
        let lake = with_retired(&base).await;
        let ahead = "update lake_identity set previous_token = token, token = 'new', sequence = 1";
        lake.database().execute_unprepared(ahead).await.unwrap();
        let finding = diagnose_identity(lake.database(), lake.store()).await;
        assert_eq!(finding.severity, Severity::Good, "{finding:?}");
        lake.maintenance().prepare_writes().await.unwrap();
        let finished = stored(&base).await;
        assert_eq!(
            (&finished["sequence"], &finished["token"]),
            (&1.into(), &"new".into())
        );
        assert_eq!(vacuum(&lake).await.unwrap(), 3);
        assert_eq!(stored(&base).await["sequence"], 2);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_identity_that_did_not_reach_the_store_is_written_by_the_next_start() {
    on_both(async |base: Base| {
        let lake = with_retired(&base).await;
        let before = stored(&base).await;
        lake.store()
            .objects()
            .delete(&Path::from("lake.json"))
            .await
            .unwrap();
        lake.maintenance().prepare_writes().await.unwrap();
        assert_eq!(stored(&base).await, before);
        // Not into another store.
        let other = base.again().await;
        let wrong = Store::open(&other.store).await.unwrap();
        let wrong = Lake::open(base.database().await, wrong, Vec::new())
            .await
            .unwrap();
        let error = mismatch(wrong.maintenance().prepare_writes().await);
        assert!(matches!(error, MismatchError::OtherStore { .. }), "{error}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_catalog_on_a_store_is_refused_and_deletes_nothing() {
    on_both(async |base: Base| {
        let lake = with_retired(&base).await;
        let other = base.again().await;
        let second = opened(&base, other.database().await).await;
        let error = mismatch(second.maintenance().prepare_writes().await);
        assert!(
            matches!(error, MismatchError::UnknownDatabase { .. }),
            "{error}"
        );
        mismatch(
            second
                .ingest()
                .stage_minute(vec![sample("b:two", 0, "9")])
                .await,
        );
        // One that has a lake already.
        let own = other.lake().await;
        ingest(&own, &series("b:two", 0, &["1"])).await;
        let error = mismatch(second.maintenance().prepare_writes().await);
        assert!(matches!(error, MismatchError::OtherLake { .. }), "{error}");
        own.maintenance()
            .expire(
                Millis(i64::MAX - 1),
                marketlake_lake::Retention {
                    raw: Some(Duration::ZERO),
                    ..Default::default()
                },
            )
            .await
            .unwrap();
        mismatch(vacuum(&second).await);
        assert_eq!(base.object_files().len(), 5);
        assert_eq!(vacuum(&lake).await.unwrap(), 3);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_fresh_catalogs_that_start_at_once_on_one_store_leave_one() {
    on_both(async |base: Base| {
        let other = base.again().await;
        let (one, two) = (
            base.lake().await,
            opened(&base, other.database().await).await,
        );
        let (first, second) = tokio::join!(
            one.maintenance().prepare_writes(),
            two.maintenance().prepare_writes()
        );
        assert_eq!(
            [&first, &second]
                .iter()
                .filter(|result| result.is_ok())
                .count(),
            1,
            "{first:?} {second:?}"
        );
        // Processes of one catalog make one lake.
        let third = base.again().await;
        let (one, two) = (third.lake().await, third.lake().await);
        let (first, second) = tokio::join!(
            one.maintenance().prepare_writes(),
            two.maintenance().prepare_writes()
        );
        first.unwrap();
        second.unwrap();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn processes_of_one_catalog_that_vacuum_at_once_do_not_refuse_each_other() {
    on_both(async |base: Base| {
        let lake = with_retired(&base).await;
        let (a, b, c) = (base.lake().await, base.lake().await, base.lake().await);
        let results = tokio::join!(vacuum(&lake), vacuum(&a), vacuum(&b), vacuum(&c));
        for result in [results.0, results.1, results.2, results.3] {
            result.unwrap();
        }
        assert_eq!(base.object_files().len(), 2);
        assert_eq!(
            lake.maintenance().check(DEEP).await.unwrap().problems,
            Vec::<String>::new()
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_catalog_that_was_rebuilt_takes_the_store_over() {
    on_both(async |base: Base| {
        let lake = with_retired(&base).await;
        let id = stored(&base).await["lake_id"].clone();
        let rebuilt = copied(&base, "rebuilt.db").await;
        rebuilt
            .execute_unprepared("delete from lake_identity")
            .await
            .unwrap();
        let rebuilt = opened(&base, rebuilt).await;
        mismatch(rebuilt.maintenance().prepare_writes().await);
        rebuilt.maintenance().claim_store().await.unwrap();
        rebuilt.maintenance().prepare_writes().await.unwrap();
        assert_eq!(stored(&base).await["lake_id"], id);
        let lake = if base.store.endpoint.is_some() {
            base.lake().await
        } else {
            lake
        };
        mismatch(vacuum(&lake).await);
        assert_eq!(vacuum(&rebuilt).await.unwrap(), 3);
    })
    .await;
}
