//! Upload intents: what vacuum may delete, and what it never does.

use std::path::PathBuf;
use std::time::Duration;

use marketlake_entities::database;
use marketlake_entities::records::upload_intents::{ActiveModel, Entity};
use marketlake_lake::{Lake, LakeError, Store, VacuumSummary};
use marketlake_model::Millis;
use object_store::ObjectStoreExt;
use object_store::path::Path;
use sea_orm::{EntityTrait, PaginatorTrait, Set};

use super::faults::faulty;
use super::{compact_all, ingest, publish};
use crate::support::base::{Base, on_both};
use crate::support::samples::{sample, series, start};
use crate::support::{DEEP, SHALLOW};

const GRACE: Duration = Duration::from_secs(3_600);

/// Vacuums as if a number of minutes had passed.
async fn vacuum_in(lake: &Lake, minutes: i64) -> Result<VacuumSummary, LakeError> {
    let now = database::clock(lake.database()).await.unwrap();
    lake.maintenance()
        .vacuum(Millis(now.0 + minutes * 60_000), GRACE)
        .await
}

async fn intents(lake: &Lake) -> u64 {
    Entity::find().count(lake.database()).await.unwrap()
}

/// The same as in a crash between publishing and everything before.
async fn stage_and_crash(lake: &Lake) {
    drop(
        lake.ingest()
            .stage_minute(vec![sample("a:lost", 9, "9")])
            .await
            .unwrap(),
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn intents_are_there_before_the_object_and_end_with_the_commit() {
    on_both(async |base: Base| {
        let (lake, faults) = faulty(&base).await;
        // A crash between intent and object: the object cannot be written.
        ingest(&lake, &series("a:one", 0, &["1"])).await;
        assert_eq!(intents(&lake).await, 0);
        faults.set_full(true);
        let failed = lake
            .ingest()
            .stage_minute(vec![sample("a:one", 1, "2")])
            .await;
        assert!(failed.is_err());
        assert_eq!((intents(&lake).await, base.object_files().len()), (1, 1));
        faults.set_full(false);
        let staged = lake
            .ingest()
            .stage_minute(vec![sample("a:one", 1, "2")])
            .await
            .unwrap();
        assert_eq!((intents(&lake).await, base.object_files().len()), (2, 2));
        publish(&lake, &staged).await.unwrap();
        assert_eq!(intents(&lake).await, 1);
        // A merge's two objects.
        compact_all(&lake).await;
        assert_eq!((intents(&lake).await, base.object_files().len()), (1, 4));
        assert_eq!(vacuum_in(&lake, 61).await.unwrap().unlisted, 1);
        assert_eq!(
            lake.maintenance().check(DEEP).await.unwrap().problems,
            Vec::<String>::new()
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_writer_that_is_slower_than_the_grace_stages_again_and_loses_nothing() {
    on_both(async |base: Base| {
        let lake = base.lake().await;
        ingest(&lake, &series("a:one", 0, &["1", "2"])).await;
        let staged = lake
            .ingest()
            .stage_minute(vec![sample("a:one", 2, "3")])
            .await
            .unwrap();
        assert_eq!(vacuum_in(&lake, 61).await.unwrap().unlisted, 1);
        assert_eq!(base.object_files().len(), 2);
        let error = publish(&lake, &staged).await.unwrap_err();
        assert!(
            matches!(error, LakeError::Conflict { first } if first == start()),
            "{error}"
        );
        let staged = lake
            .ingest()
            .stage_minute(vec![sample("a:one", 2, "3")])
            .await
            .unwrap();
        publish(&lake, &staged).await.unwrap();
        assert_eq!(vacuum_in(&lake, 61).await.unwrap().unlisted, 0);
        assert_eq!(lake.stats().await.unwrap().samples, 3);
        assert_eq!(
            lake.maintenance().check(DEEP).await.unwrap().problems,
            Vec::<String>::new()
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_that_is_written_after_vacuum_took_its_intent_goes_a_grace_later() {
    on_both(async |base: Base| {
        let lake = base.lake().await;
        ingest(&lake, &series("a:one", 0, &["1"])).await;
        stage_and_crash(&lake).await;
        let is_late = |file: &PathBuf| file.to_string_lossy().contains("/09-");
        let late = base.object_files().into_iter().find(is_late).unwrap();
        let bytes = std::fs::read(&late).unwrap();
        assert_eq!(vacuum_in(&lake, 61).await.unwrap().unlisted, 1);
        assert!(!late.exists());
        // The writer was stopped for an hour before it wrote.
        std::fs::create_dir_all(late.parent().unwrap()).unwrap();
        std::fs::write(&late, bytes).unwrap();
        let report = lake.maintenance().check(SHALLOW).await.unwrap();
        assert_eq!((report.unlisted, report.unknown), (1, 0));
        vacuum_in(&lake, 62).await.unwrap();
        assert!(late.exists(), "not before the second grace");
        vacuum_in(&lake, 123).await.unwrap();
        assert!(!late.exists());
        assert_eq!(intents(&lake).await, 0);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_vacuum_that_fails_between_intent_and_object_goes_on_the_next_time() {
    on_both(async |base: Base| {
        let lake = base.lake().await;
        ingest(&lake, &series("a:one", 0, &["1"])).await;
        stage_and_crash(&lake).await;
        // Condemned, and killed before the object went.
        let row = ActiveModel {
            condemned_at: Set(Some(Millis(1))),
            ..Entity::find()
                .one(lake.database())
                .await
                .unwrap()
                .unwrap()
                .into()
        };
        Entity::update(row).exec(lake.database()).await.unwrap();
        assert_eq!(base.object_files().len(), 2);
        vacuum_in(&lake, 0).await.unwrap();
        assert_eq!(base.object_files().len(), 1);
        // Killed between the object and the note of it: the same once more does no harm.
        vacuum_in(&lake, 0).await.unwrap();
        assert_eq!(
            lake.maintenance().check(DEEP).await.unwrap().problems,
            Vec::<String>::new()
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn files_of_others_and_objects_that_nobody_recorded_survive_every_vacuum() {
    on_both(async |base: Base| {
        let lake = base.lake().await;
        ingest(&lake, &series("a:one", 0, &["1", "2"])).await;
        compact_all(&lake).await;
        let store = Store::open(&base.store).await.unwrap();
        let unknown = "raw/dt=2026-11-24/hour=11/03-019ab3c4d5e67f8899aabbccddeeff00.parquet";
        let foreign = [
            "README.txt",
            "backups/other.tar",
            "raw/dt=2026-11-24/hour=10/notes.txt",
            "raw/dt=2026-11-24/hour=10/31-copy.parquet",
            "day/dt=2026-11-24/019AB3C4D5E67F8899AABBCCDDEEFF00.parquet",
        ];
        for key in foreign.iter().chain([&unknown]) {
            store
                .objects()
                .put(&Path::from(*key), "mine".into())
                .await
                .unwrap();
        }
        // Not even where the database was made to name them.
        for key in foreign {
            let row = ActiveModel {
                key: Set(key.to_owned()),
                created_at: Set(Millis(0)),
                condemned_at: Set(Some(Millis(0))),
                ..Default::default()
            };
            Entity::insert(row)
                .exec_without_returning(lake.database())
                .await
                .unwrap();
        }
        let late = lake
            .maintenance()
            .vacuum(Millis(i64::MAX), Duration::ZERO)
            .await
            .unwrap();
        assert_eq!((late.retired, late.unlisted), (2, 0));
        for key in foreign.iter().chain([&unknown]) {
            let there = store.objects().head(&Path::from(*key)).await;
            assert!(there.is_ok(), "{key} is gone");
        }
        let report = lake.maintenance().check(SHALLOW).await.unwrap();
        assert_eq!((report.foreign, report.unknown), (foreign.len(), 1));
        assert_eq!(report.problems.len(), 1, "{:?}", report.problems);
        assert!(
            report.problems[0].contains(unknown),
            "{:?}",
            report.problems
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_intent_never_outranks_a_row() {
    on_both(async |base: Base| {
        let lake = base.lake().await;
        ingest(&lake, &series("a:one", 0, &["1"])).await;
        let segment = lake.segments(None, None, true, 1).await.unwrap().remove(0);
        let row = ActiveModel {
            key: Set(segment.path),
            created_at: Set(Millis(0)),
            ..Default::default()
        };
        Entity::insert(row)
            .exec_without_returning(lake.database())
            .await
            .unwrap();
        lake.maintenance()
            .vacuum(Millis(i64::MAX), Duration::ZERO)
            .await
            .unwrap();
        assert_eq!(
            lake.maintenance().check(DEEP).await.unwrap().problems,
            Vec::<String>::new()
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_fails_in_the_middle_of_a_vacuum_loses_nothing() {
    on_both(async |base: Base| {
        let (lake, faults) = faulty(&base).await;
        ingest(&lake, &series("a:one", 0, &["1", "2", "3"])).await;
        compact_all(&lake).await;
        for at in 20..26 {
            drop(
                lake.ingest()
                    .stage_minute(vec![sample("a:lost", at, "9")])
                    .await
                    .unwrap(),
            );
        }
        vacuum_in(&lake, 61).await.unwrap();
        assert_eq!(base.object_files().len(), 2);
        assert!(faults.failed() > 3, "{} calls failed", faults.failed());
        assert_eq!(
            lake.maintenance().check(DEEP).await.unwrap().problems,
            Vec::<String>::new()
        );
    })
    .await;
}
