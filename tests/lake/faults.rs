//! A store that fails, a disk that is full: nothing is lost, and the lake is whole again.

use std::sync::Arc;

use marketlake_entities::records::segments::{Column, Entity, SegmentState};
use marketlake_lake::{Lake, LakeError, QueryEngine, Span, Store};
use marketlake_model::{Millis, Sample};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter};

use super::{compact_all, compact_days, import, ingest, publish};
use crate::support::DEEP;
use crate::support::base::{Base, on_both};
use crate::support::faulty::Faulty;
use crate::support::samples::{metric, sample, series, start};

pub fn history() -> Vec<Sample> {
    let mut samples = series("a:one", 0, &["1.5", "2.5", "0.00000001", "1e21"]);
    samples.extend(series("b:two", 1, &["7", "8"]));
    samples.extend(series("a:late", 61, &["3", "4"]));
    samples
}

/// The history in a day's segment; the hours that it replaced are still there.
pub async fn one_day(base: &Base) -> Arc<Lake> {
    let lake = base.lake().await;
    ingest(&lake, &history()).await;
    compact_days(&lake).await;
    lake
}

pub async fn faulty(base: &Base) -> (Arc<Lake>, Arc<Faulty>) {
    let real = Store::open(&base.store).await.unwrap();
    let faulty = Faulty::over(Arc::clone(real.objects()));
    let store = real.through(Arc::clone(&faulty) as _);
    let lake = Lake::open(base.database().await, store, Vec::new());
    (lake.await.unwrap(), faulty)
}

pub async fn live_hashes(lake: &Lake) -> Vec<String> {
    let live = Entity::find().filter(Column::State.eq(SegmentState::Live));
    let mut hashes: Vec<String> = live
        .all(lake.database())
        .await
        .unwrap()
        .into_iter()
        .map(|segment| segment.sha256)
        .collect();
    hashes.sort();
    hashes
}

/// Every row, and in how many segments they lie: files of the same rows differ by when they were
/// written.
pub async fn live_rows(lake: &Lake) -> (i64, Vec<Sample>) {
    let rows = lake.datafusion().samples(Span::ALL).await.unwrap();
    (lake.stats().await.unwrap().segments, rows)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_fails_one_call_in_five_leaves_the_same_lake_as_a_good_one() {
    let good = Base::local().await;
    let good_lake = good.lake().await;
    ingest(&good_lake, &history()).await;
    import(&good_lake, &series("c:three", 0, &["9"])).await;
    compact_days(&good_lake).await;
    on_both(async |base: Base| {
        let (lake, faults) = faulty(&base).await;
        ingest(&lake, &history()).await;
        import(&lake, &series("c:three", 0, &["9"])).await;
        compact_days(&lake).await;
        lake.queries().follow(0).await.unwrap();
        let day = lake.queries().last_24h(None).await.unwrap().unwrap();
        let points = lake.datafusion().timeseries(&metric("a:one"), day).await;
        assert_eq!(points.unwrap().len(), 4);
        assert_eq!(
            lake.maintenance().check(DEEP).await.unwrap().problems,
            Vec::<String>::new()
        );
        lake.maintenance()
            .vacuum(Millis(i64::MAX), std::time::Duration::ZERO)
            .await
            .unwrap();
        // The day's samples and rollups.
        assert_eq!(base.object_files().len(), 2);
        assert_eq!(live_rows(&lake).await, live_rows(&good_lake).await);
        assert!(faults.failed() > 5, "{} calls failed", faults.failed());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_is_full_while_compacting_retires_nothing() {
    on_both(async |base: Base| {
        let (lake, faults) = faulty(&base).await;
        ingest(&lake, &history()).await;
        let before = live_hashes(&lake).await;
        faults.set_full(true);
        let error = lake.ingest().stage_compaction(start()).await.unwrap_err();
        assert!(error.to_string().contains("no space left"), "{error}");
        let error = lake
            .ingest()
            .stage_minute(vec![sample("a:one", 9, "9")])
            .await;
        assert!(matches!(error, Err(LakeError::Store(_))));
        assert_eq!(live_hashes(&lake).await, before);
        faults.set_full(false);
        compact_all(&lake).await;
        assert_eq!(
            lake.maintenance().check(DEEP).await.unwrap().problems,
            Vec::<String>::new()
        );
        assert_eq!(lake.stats().await.unwrap().samples, 8);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_imported_twice_changes_nothing_the_second_time() {
    on_both(async |base: Base| {
        let lake = base.lake().await;
        let first = lake.import(history(), Millis(0)).await.unwrap();
        assert_eq!((first.samples, first.added, first.corrected), (8, 8, 0));
        compact_days(&lake).await;
        let (hashes, objects) = (live_hashes(&lake).await, base.object_files());
        let second = lake.import(history(), Millis(0)).await.unwrap();
        assert_eq!((second.samples, second.added, second.corrected), (8, 0, 0));
        assert_eq!(
            (live_hashes(&lake).await, base.object_files()),
            (hashes, objects)
        );
        let mut other = history();
        other[0].value = "1.6".parse().unwrap();
        other.push(sample("a:one", 30, "5"));
        let third = lake.import(other, Millis(0)).await.unwrap();
        assert_eq!((third.samples, third.added, third.corrected), (9, 1, 1));
        let day = lake.queries().last_24h(None).await.unwrap().unwrap();
        let points = lake
            .datafusion()
            .timeseries(&metric("a:one"), day)
            .await
            .unwrap();
        assert_eq!(points[0].value, "1.6".parse().unwrap());
        assert_eq!(
            lake.maintenance().check(DEEP).await.unwrap().problems,
            Vec::<String>::new()
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_that_memory_does_not_hold_ends_as_one_that_it_does() {
    on_both(async |base: Base| {
        let whole = base.lake().await;
        import(&whole, &history()).await;
        let other = base.again().await;
        let lake = other.lake().await;
        // The end first, and two values of one minute in different pieces: the later one wins.
        let mut pieces: Vec<Vec<Sample>> = history().chunks(3).rev().map(<[_]>::to_vec).collect();
        pieces.insert(0, vec![sample("a:one", 0, "99")]);
        let mut import = lake.importer(Millis(0)).with_memory(2);
        for piece in pieces {
            import.push(piece).unwrap();
        }
        let did = import.finish().await.unwrap();
        assert_eq!((did.samples, did.added, did.corrected), (9, 8, 0));
        assert_eq!(live_rows(&lake).await, live_rows(&whole).await);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn parts_of_a_minute_lie_side_by_side_and_share_no_metric() {
    on_both(async |base: Base| {
        let lake = base.lake().await;
        for part in [
            vec![sample("a:one", 0, "1"), sample("a:two", 0, "2")],
            vec![sample("a:three", 0, "3"), sample("a:two", 0, "9")],
        ] {
            let staged = lake.ingest().stage_part(part).await.unwrap();
            publish(&lake, &staged).await.unwrap();
        }
        let figures = lake.stats().await.unwrap();
        assert_eq!((figures.segments, figures.samples), (2, 3));
        let day = lake.queries().last_24h(None).await.unwrap().unwrap();
        let two = lake
            .datafusion()
            .timeseries(&metric("a:two"), day)
            .await
            .unwrap();
        assert_eq!(two[0].value, "2".parse().unwrap());
        assert_eq!(
            lake.maintenance().check(DEEP).await.unwrap().problems,
            Vec::<String>::new()
        );
        compact_all(&lake).await;
        assert_eq!(lake.stats().await.unwrap().samples, 3);
    })
    .await;
}
