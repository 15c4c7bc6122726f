//! No sample is later than now, or older than any market; a lake that holds such is found and
//! mended.

use std::sync::Arc;

use marketlake_entities::database;
use marketlake_lake::{CheckOptions, EARLIEST_MINUTE, Lake, LakeError};
use marketlake_model::{Millis, Minute, Sample};

use super::{ingest, publish};
use crate::support::base::{Base, on_both};
use crate::support::samples::{metric, sample, start};
use crate::support::{DEEP, SHALLOW};

/// A minute in microseconds that was taken for milliseconds.
fn year_58873() -> Minute {
    Millis(start().start().0 * 1_000).minute()
}

fn at(id: &str, ts: Minute) -> Sample {
    Sample {
        metric: metric(id),
        ts,
        value: "7".parse().unwrap(),
    }
}

/// Publishes under a clock that is far ahead, as a version without bounds did under any.
pub(super) async fn poison(lake: &Arc<Lake>, samples: Vec<Sample>) {
    let staged = lake.ingest().stage_minute(samples).await.unwrap();
    let transaction = database::begin_write(lake.database()).await.unwrap();
    staged
        .publish(&transaction, Millis(i64::MAX))
        .await
        .unwrap();
    transaction.commit().await.unwrap();
    lake.refresh_directory().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sample_of_the_future_or_of_no_time_is_refused_and_named() {
    on_both(async |base: Base| {
        let lake = base.lake().await;
        let now = database::clock(lake.database()).await.unwrap().minute();
        for ts in [now.plus(3), year_58873(), Minute::from_number(i64::MAX)] {
            let staged = lake
                .ingest()
                .stage_minute(vec![at("a:one", ts)])
                .await
                .unwrap();
            let error = publish(&lake, &staged).await.unwrap_err();
            assert!(matches!(error, LakeError::InvalidTime { .. }), "{error}");
            let expected = "a:one: ts: expected a minute from 2009-01-03T00:00:00Z to ";
            assert!(error.to_string().starts_with(expected), "{error}");
            let imported = lake.import(vec![at("a:one", ts)], now.start()).await;
            assert!(matches!(imported, Err(LakeError::InvalidTime { .. })));
        }
        for ts in [EARLIEST_MINUTE.plus(-1), Minute::from_number(i64::MIN)] {
            let mixed = vec![sample("a:one", 0, "1"), at("a:two", ts)];
            let imported = lake.import(mixed, now.start()).await;
            let error = imported.unwrap_err().to_string();
            assert!(error.starts_with("a:two: ts: expected"), "{error}");
        }
        assert_eq!(lake.stats().await.unwrap().segments, 0);
        let staged = lake
            .ingest()
            .stage_minute(vec![at("a:one", now)])
            .await
            .unwrap();
        publish(&lake, &staged).await.unwrap();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_poisoned_lake_answers_as_before_is_found_by_check_and_mended_by_repair() {
    on_both(async |base: Base| {
        let lake = base.lake().await;
        let real: Vec<Sample> = (0..5).map(|n| sample("a:one", n, "1")).collect();
        ingest(&lake, &real).await;
        // One segment of nothing else, one with both.
        poison(&lake, vec![at("a:two", year_58873())]).await;
        let both = vec![
            sample("a:three", 5, "2"),
            at("a:four", year_58873().plus(9)),
        ];
        poison(&lake, both).await;
        let newest = start().plus(5);
        assert_eq!(lake.newest().await.unwrap(), Some(newest));
        lake.queries().follow(0).await.unwrap();
        assert_eq!(lake.recent_day().newest(), Some(newest));
        let bounds = lake.bounds().await.unwrap().unwrap();
        assert_eq!((bounds.from, bounds.to), (start(), newest));

        let found = lake.maintenance().check(SHALLOW).await.unwrap();
        assert_eq!(found.problems.len(), 2, "{found:?}");
        assert!(
            found.problems[0].contains("1 rows of impossible minutes, like a:two at "),
            "{found:?}"
        );
        let repair = CheckOptions {
            deep: false,
            repair: true,
        };
        let mended = lake.maintenance().check(repair).await.unwrap();
        assert!(mended.is_whole(), "{mended:?}");
        assert!(
            mended.repairs[1].contains("1 rows of impossible minutes removed, 1 kept"),
            "{mended:?}"
        );
        assert_eq!(mended.lost, 0);
        let whole = lake.maintenance().check(DEEP).await.unwrap();
        assert_eq!(whole.problems, Vec::<String>::new());
        assert_eq!(lake.stats().await.unwrap().samples, 6);
        let reopened = base.lake().await;
        assert_eq!(reopened.newest().await.unwrap(), Some(start().plus(5)));
        let now = database::clock(lake.database()).await.unwrap();
        assert_eq!(lake.impossible_segments(now).await.unwrap(), 0);
    })
    .await;
}
