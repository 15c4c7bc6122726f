//! A database that is not the lake's any more, or never was, stops writing while its process runs.

use std::sync::Arc;

use marketlake_lake::{Lake, LakeError, MismatchError, Severity, diagnose_identity};
use object_store::ObjectStoreExt;
use object_store::path::Path;

use super::faults::faulty;
use super::identity::{copied, mismatch, opened, stored, with_retired};
use super::{import, ingest};
use crate::support::DEEP;
use crate::support::base::{Base, on_both};
use crate::support::samples::{sample, series};

/// Everything that writes is refused, and leaves nothing in the store.
async fn assert_refused(base: &Base, behind: &Arc<Lake>) {
    let files = base.object_files();
    for at in 20..23 {
        let staged = behind
            .ingest()
            .stage_minute(vec![sample("a:two", at, "9")])
            .await;
        let error = mismatch(staged);
        assert!(
            matches!(error, MismatchError::OldDatabase { .. }),
            "{error}"
        );
        assert!(error.to_string().contains("marketlake rebuild-catalog"));
    }
    let imported = behind.import(series("a:two", 30, &["1"]), marketlake_model::Millis(0));
    mismatch(imported.await);
    let hour = crate::support::samples::start();
    let merged = behind.ingest().stage_compaction(hour).await;
    assert!(
        matches!(merged, Err(LakeError::Mismatch(_)) | Ok(None)),
        "{merged:?}"
    );
    mismatch(behind.check_identity().await);
    let finding = diagnose_identity(behind.database(), behind.store()).await;
    assert_eq!(finding.severity, Severity::Bad, "{finding:?}");
    assert_eq!(base.object_files(), files);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copied_catalog_stops_writing_once_the_other_one_was_rebuilt() {
    on_both(async |base: Base| {
        drop(with_retired(&base).await);
        let copy = copied(&base, "copy.db").await;
        let (lake, copy) = (base.lake().await, opened(&base, copy).await);
        // Both began at the same state, and both have written.
        for one in [&lake, &copy] {
            one.maintenance().prepare_writes().await.unwrap();
        }
        ingest(&lake, &series("a:one", 10, &["4"])).await;
        ingest(&copy, &series("a:one", 11, &["5"])).await;
        let did = lake.maintenance().rebuild_catalog(&()).await.unwrap();
        assert_eq!((did.rows, did.lost), (1, 0), "{did:?}");
        assert_refused(&base, &copy).await;
        ingest(&lake, &series("a:one", 12, &["6"])).await;
        import(&lake, &series("a:three", 0, &["7"])).await;
        let report = lake.maintenance().check(DEEP).await.unwrap();
        assert_eq!(report.problems, Vec::<String>::new());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rebuild_that_finds_nothing_to_adopt_refuses_copies_too() {
    on_both(async |base: Base| {
        drop(with_retired(&base).await);
        let copy = copied(&base, "copy.db").await;
        let (lake, copy) = (base.lake().await, opened(&base, copy).await);
        copy.maintenance().prepare_writes().await.unwrap();
        let id = stored(&base).await["lake_id"].clone();
        assert!(
            lake.maintenance()
                .rebuild_catalog(&())
                .await
                .unwrap()
                .is_empty()
        );
        assert_eq!(stored(&base).await["lake_id"], id);
        assert_refused(&base, &copy).await;
        // Until it is told to take the lake over.
        copy.maintenance().rebuild_catalog(&()).await.unwrap();
        ingest(&copy, &series("a:two", 20, &["1"])).await;
        assert_refused(&base, &lake).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_identity_that_is_lost_while_running_comes_back_from_the_newest_catalog_only() {
    on_both(async |base: Base| {
        drop(with_retired(&base).await);
        let copy = copied(&base, "copy.db").await;
        let (lake, copy) = (base.lake().await, opened(&base, copy).await);
        lake.maintenance().rebuild_catalog(&()).await.unwrap();
        ingest(&lake, &series("a:one", 10, &["4"])).await;
        let before = stored(&base).await;
        let path = Path::from("lake.json");
        lake.store().objects().delete(&path).await.unwrap();
        // The older one misses what was written since.
        let error = mismatch(
            copy.ingest()
                .stage_minute(vec![sample("a:two", 9, "9")])
                .await,
        );
        assert!(
            matches!(error, MismatchError::LostCommits { count: 1, .. }),
            "{error}"
        );
        assert!(lake.store().objects().get(&path).await.is_err());
        ingest(&lake, &series("a:one", 11, &["5"])).await;
        assert_eq!(stored(&base).await, before);
        assert_refused(&base, &copy).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_cannot_be_reached_is_no_mismatch() {
    let base = Base::local().await;
    drop(with_retired(&base).await);
    let (lake, faults) = faulty(&base).await;
    lake.check_identity().await.unwrap();
    faults.set_down(true);
    for refused in [
        lake.check_identity().await,
        lake.ingest()
            .stage_minute(vec![sample("a:two", 9, "9")])
            .await
            .map(drop),
    ] {
        assert!(matches!(refused, Err(LakeError::Store(_))), "{refused:?}");
    }
    faults.set_down(false);
    ingest(&lake, &series("a:two", 9, &["9"])).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_catalog_that_is_not_a_stores_does_not_claim_it() {
    on_both(async |base: Base| {
        let lake = with_retired(&base).await;
        let other = base.again().await;
        let own = other.lake().await;
        ingest(&own, &series("b:two", 0, &["1"])).await;
        let second = opened(&base, other.database().await).await;
        let path = Path::from("lake.json");
        let before = stored(&base).await;
        let error = second.maintenance().rebuild_catalog(&()).await;
        let error = mismatch(error.map(drop));
        assert!(matches!(error, MismatchError::OtherLake { .. }), "{error}");
        // Nor where the store does not say whose it is.
        lake.store().objects().put(&path, "{".into()).await.unwrap();
        let error = mismatch(second.maintenance().rebuild_catalog(&()).await.map(drop));
        assert!(matches!(error, MismatchError::OtherStore { .. }), "{error}");
        lake.store().objects().delete(&path).await.unwrap();
        let error = mismatch(second.maintenance().rebuild_catalog(&()).await.map(drop));
        assert!(matches!(error, MismatchError::OtherStore { .. }), "{error}");
        lake.maintenance().prepare_writes().await.unwrap();
        assert_eq!(stored(&base).await, before);
    })
    .await;
}
