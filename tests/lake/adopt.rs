//! An outdated catalog, and objects whose commits were lost: what a repair and a rebuild take in.

use std::collections::BTreeSet;
use std::time::Duration;

use marketlake_entities::database;
use marketlake_entities::records::job_runs::{self, JobRunState};
use marketlake_entities::records::upload_intents;
use marketlake_jobs::{DetectJumps, IngestMinute, MarkIngested, PlannedSlot, slots};
use marketlake_lake::{CheckOptions, LakeError, MismatchError};
use sea_orm::{ActiveModelTrait, ConnectionTrait, EntityTrait};

use super::rebuild::{LATER, problems, rebuilt, rows};
use super::{compact_days, import, ingest, publish};
use crate::support::SHALLOW;
use crate::support::base::{Base, on_both};
use crate::support::samples::{sample, series, start};

const REPAIR: CheckOptions = CheckOptions {
    deep: true,
    repair: true,
};

#[tokio::test(flavor = "multi_thread")]
async fn an_outdated_catalog_adopts_what_was_committed_after_its_backup() {
    on_both(async |mut base: Base| {
        let lake = base.lake().await;
        ingest(&lake, &series("a:one", 0, &["1", "2", "3"])).await;
        // A backup is a lake whose later commits went to another database.
        let old_url = base.database_url.clone();
        let (other, _) = rebuilt(&mut base).await;
        ingest(&other, &series("a:one", 3, &["4", "5"])).await;
        import(&other, &[sample("a:one", 1, "2.5")]).await;
        compact_days(&other).await;
        other
            .maintenance()
            .vacuum(LATER, Duration::ZERO)
            .await
            .unwrap();
        let after = rows(&other).await;
        base.database_url = old_url;
        let lake = base.lake().await;
        let now = database::clock(lake.database()).await.unwrap();
        let missed = PlannedSlot {
            state: JobRunState::Missed,
            ..PlannedSlot::pending(start().plus(4).start())
        };
        slots::enqueue(lake.database(), IngestMinute::NAME, &[missed], now)
            .await
            .unwrap();
        let adoption = MarkIngested::of_feeds([(vec!["a".to_owned()], None)]);
        // The other one is the lake's catalog now: a repair does not take it away.
        let report = lake
            .maintenance()
            .check_adopting(REPAIR, &adoption)
            .await
            .unwrap();
        assert!(report.unknown > 0 && !report.is_whole(), "{report:?}");
        let did = lake.maintenance().rebuild_catalog(&adoption).await.unwrap();
        assert_eq!((did.lost, did.damaged), (0, 0), "{did:?}");
        assert_eq!(rows(&lake).await, after);
        assert_eq!(problems(&lake).await, Vec::<String>::new());
        let runs = job_runs::Entity::find().all(lake.database()).await.unwrap();
        let of = |job: &str, state: JobRunState| {
            let runs = runs
                .iter()
                .filter(|run| run.job == job && run.state == state);
            let minutes = runs.map(|run| run.slot.minute().number() - start().number());
            minutes.collect::<BTreeSet<i64>>()
        };
        assert_eq!(of(IngestMinute::NAME, JobRunState::Done), (0..5).collect());
        // The slot that this database had planned was not evaluated yet; the others were, by lost
        // commits.
        assert_eq!(of(DetectJumps::NAME, JobRunState::Pending), [4].into());
        assert_eq!(runs.len(), 6);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repair_adopts_objects_whose_commits_were_lost() {
    on_both(async |base: Base| {
        let lake = base.lake().await;
        ingest(&lake, &series("a:one", 0, &["1", "2", "3"])).await;
        let before = rows(&lake).await;
        let lost = "delete from segments where id = (select max(id) from segments)";
        lake.database().execute_unprepared(lost).await.unwrap();
        let report = lake.maintenance().check(SHALLOW).await.unwrap();
        assert_eq!((report.unknown, report.problems.len()), (1, 1));
        let adoption = MarkIngested::of_feeds([(vec!["a".to_owned()], None)]);
        let report = lake
            .maintenance()
            .check_adopting(REPAIR, &adoption)
            .await
            .unwrap();
        assert!(report.is_whole() && report.lost == 0, "{report:?}");
        let said = &report.repairs[0];
        assert!(
            said.starts_with("adopted: 1 unknown objects: 1 adopted"),
            "{said}"
        );
        assert_eq!(rows(&lake).await, before);
        assert_eq!(problems(&lake).await, Vec::<String>::new());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_whose_commit_was_lost_is_adopted_by_a_rebuild_and_not_deleted() {
    on_both(async |base: Base| {
        let lake = base.lake().await;
        ingest(&lake, &series("a:one", 0, &["1", "2"])).await;
        // The database's newest state that is left: the object's intent, not its commit.
        let staged = lake
            .ingest()
            .stage_minute(vec![sample("a:one", 2, "3")])
            .await;
        let intents = upload_intents::Entity::find();
        let intents = intents.all(lake.database()).await.unwrap();
        publish(&lake, &staged.unwrap()).await.unwrap();
        let before = rows(&lake).await;
        let lost = "delete from segments where id = (select max(id) from segments)";
        lake.database().execute_unprepared(lost).await.unwrap();
        for intent in intents {
            let intent = upload_intents::ActiveModel::from(intent).reset_all();
            let insert = upload_intents::Entity::insert(intent);
            insert
                .exec_without_returning(lake.database())
                .await
                .unwrap();
        }
        let did = lake
            .maintenance()
            .rebuild_catalog(&MarkIngested::new(1))
            .await
            .unwrap();
        assert_eq!((did.adopted, did.rows), (1, 1), "{did:?}");
        lake.maintenance()
            .vacuum(LATER, Duration::ZERO)
            .await
            .unwrap();
        assert_eq!(rows(&lake).await, before);
        assert_eq!(problems(&lake).await, Vec::<String>::new());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_lake_s_catalog_takes_nothing_over() {
    on_both(async |mut base: Base| {
        let lake = base.lake().await;
        ingest(&lake, &series("a:one", 0, &["1", "2"])).await;
        let mut other = base.again().await;
        let theirs = other.lake().await;
        ingest(&theirs, &series("b:two", 0, &["1", "2"])).await;
        std::mem::swap(&mut base.database_url, &mut other.database_url);
        let mixed = base.lake().await;
        let error = mixed.maintenance().rebuild_catalog(&()).await.unwrap_err();
        assert!(
            matches!(error, LakeError::Mismatch(MismatchError::OtherLake { .. })),
            "{error}"
        );
        assert_eq!(mixed.stats().await.unwrap().samples, 2);
        assert_eq!(rows(&lake).await.len(), 2);
    })
    .await;
}
