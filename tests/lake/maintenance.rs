//! Vacuum and check.

use std::time::Duration;

use marketlake_entities::database;
use marketlake_lake::Retention;
use marketlake_model::Millis;

use super::{compact_all, compact_days, ingest};
use crate::support::SHALLOW;
use crate::support::base::{Base, on_both};
use crate::support::samples::{sample, series, start};

#[tokio::test(flavor = "multi_thread")]
async fn vacuum_deletes_what_was_replaced_and_what_never_became_visible_after_its_grace() {
    on_both(async |base: Base| {
        let lake = base.lake().await;
        ingest(&lake, &series("a:one", 0, &["1", "2", "3"])).await;
        compact_all(&lake).await;
        let _never_published = lake
            .ingest()
            .stage_minute(vec![sample("a:one", 9, "9")])
            .await
            .unwrap();
        assert_eq!(base.object_files().len(), 6);
        let hour = Duration::from_secs(3_600);
        let now = database::clock(lake.database()).await.unwrap();
        let early = lake.maintenance().vacuum(now, hour).await.unwrap();
        assert_eq!((early.retired, early.unlisted), (0, 0));
        let later = Millis(now.0 + 3_700_000);
        let late = lake.maintenance().vacuum(later, hour).await.unwrap();
        assert_eq!((late.retired, late.unlisted), (3, 1));
        // The hour's samples and rollups.
        assert_eq!(base.object_files().len(), 2);
        assert_eq!(
            lake.maintenance().check(SHALLOW).await.unwrap().problems,
            Vec::<String>::new()
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn check_names_every_object_that_is_missing_or_damaged() {
    on_both(async |base: Base| {
        let lake = base.lake().await;
        ingest(&lake, &series("a:one", 0, &["1", "2", "3", "4"])).await;
        let whole = lake.maintenance().check(SHALLOW).await.unwrap();
        assert_eq!(
            (whole.segments, whole.rows, whole.problems.len()),
            (4, 4, 0)
        );
        let files = base.object_files();
        std::fs::remove_file(&files[0]).unwrap();
        std::fs::write(&files[1], b"short").unwrap();
        let mut flipped = std::fs::read(&files[2]).unwrap();
        let last = flipped.len() - 1;
        flipped[last] ^= 0xff;
        std::fs::write(&files[2], flipped).unwrap();
        let broken = lake.maintenance().check(SHALLOW).await.unwrap();
        assert_eq!(broken.problems.len(), 3, "{:?}", broken.problems);
        assert!(
            broken.problems[0].ends_with("the object is missing"),
            "{:?}",
            broken.problems
        );
        assert!(
            broken.problems[1].contains("5 bytes, the catalog says"),
            "{:?}",
            broken.problems
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_older_than_it_is_to_be_kept_leaves_the_lake_by_its_tier() {
    on_both(async |base: Base| {
        let lake = base.lake().await;
        // A day's segment, the next day's hour, and a raw minute.
        ingest(&lake, &series("a:one", 0, &["1", "2", "3"])).await;
        compact_days(&lake).await;
        ingest(&lake, &[sample("a:one", 1_440, "4")]).await;
        compact_all(&lake).await;
        ingest(&lake, &[sample("a:one", 1_500, "5")]).await;
        let day = Duration::from_secs(86_400);
        let now = start().plus(4 * 1_440).start();
        let keep = |tier: &str, days: u32| Retention {
            raw: (tier == "raw").then_some(day * days),
            hour: (tier == "hour").then_some(day * days),
            day: (tier == "day").then_some(day * days),
        };
        assert_eq!(
            lake.maintenance()
                .expire(now, Retention::default())
                .await
                .unwrap(),
            0
        );
        assert_eq!(
            lake.maintenance()
                .expire(now, keep("day", 5))
                .await
                .unwrap(),
            0
        );
        assert_eq!(
            lake.maintenance()
                .expire(now, keep("day", 3))
                .await
                .unwrap(),
            1
        );
        assert_eq!(lake.stats().await.unwrap().samples, 2);
        assert_eq!(
            lake.maintenance()
                .expire(now, keep("hour", 2))
                .await
                .unwrap(),
            1
        );
        assert_eq!(
            lake.bounds().await.unwrap().unwrap().from,
            start().plus(1_500)
        );
        assert_eq!(
            lake.maintenance()
                .expire(now, keep("raw", 2))
                .await
                .unwrap(),
            1
        );
        assert_eq!(lake.newest().await.unwrap(), None);
        // Readers that still run keep their files for the grace.
        lake.maintenance()
            .vacuum(now, Duration::ZERO)
            .await
            .unwrap();
        assert_eq!(base.object_files().len(), 5);
        let later = now.plus(Duration::from_secs(60));
        assert_eq!(
            lake.maintenance()
                .vacuum(later, Duration::ZERO)
                .await
                .unwrap()
                .retired,
            3
        );
        assert_eq!(base.object_files().len(), 0);
        assert_eq!(lake.maintenance().check(SHALLOW).await.unwrap().segments, 0);
    })
    .await;
}
