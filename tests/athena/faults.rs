//! Each fault: an answer all the same, or an error that says what to do.

use std::time::{Duration, Instant};

use marketlake_lake::{AthenaError, LakeError, Point, QueryEngine, Span};
use serde_json::json;

use super::Asked;
use crate::support::eventually;
use crate::support::samples::{metric, start};

const SOON: Duration = Duration::from_millis(1_500);

async fn ask(asked: &Asked) -> Result<Vec<Point>, LakeError> {
    let span = Span {
        from: start(),
        to: start().plus(30),
    };
    asked.athena.timeseries(&metric("a:one"), span).await
}

async fn answer(asked: &Asked) {
    assert_eq!(ask(asked).await.unwrap().len(), 3);
}

async fn refusal(asked: &Asked) -> AthenaError {
    match ask(asked).await {
        Err(LakeError::Athena(error)) => {
            eprintln!("{error}");
            error
        }
        other => panic!("{other:?}"),
    }
}

async fn queries(asked: &Asked, workgroup: usize) -> usize {
    let seen = asked.standin.seen(workgroup).await;
    let questions = seen.iter().filter(|query| {
        let sql = query["sql"].as_str().unwrap();
        sql.contains("metric in")
    });
    questions.count()
}

#[tokio::test(flavor = "multi_thread")]
async fn passing_faults_of_each_call_are_sat_out() {
    let calls = [
        ("StartQueryExecution", "throttled"),
        ("StartQueryExecution", "internal"),
        ("StartQueryExecution", "mute"),
        ("StartQueryExecution", "expired"),
        ("GetQueryExecution", "throttled"),
        ("GetQueryResults", "throttled"),
        ("GetQueryExecution", "internal"),
        ("GetQueryExecution", "mute"),
        ("GetQueryExecution", "expired"),
        ("GetQueryResults", "internal"),
        ("GetQueryResults", "mute"),
        ("GetQueryResults", "expired"),
    ];
    let each = calls.map(|(operation, kind)| {
        Box::pin(async move {
            let asked = Asked::new(1).await;
            let fault = json!({"operation": operation, "kind": kind, "times": 2});
            asked.standin.fault(0, fault).await;
            answer(&asked).await;
            assert_eq!(queries(&asked, 0).await, 1, "{operation} {kind}");
        })
    });
    futures::future::join_all(each).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_answer_begins_no_second_query() {
    let asked = Asked::new(1).await;
    let lost = json!({"operation": "StartQueryExecution", "kind": "lost", "times": 3});
    asked.standin.fault(0, lost).await;
    answer(&asked).await;
    assert_eq!(queries(&asked, 0).await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn another_workgroup_takes_over_from_one_that_is_throttled() {
    let asked = Asked::new(2).await;
    asked.standin.set(0, "most", 0).await;
    let begun = Instant::now();
    answer(&asked).await;
    assert_eq!((queries(&asked, 0).await, queries(&asked, 1).await), (0, 1));
    assert!(begun.elapsed() < Duration::from_secs(10));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_least_busy_workgroup_is_asked() {
    let asked = Asked::new(2).await;
    let slow = json!({"kind": "slow", "operation": "Run", "seconds": 50});
    asked.standin.fault(0, slow).await;
    let span = Span::last_24h(start().plus(30));
    let other = asked.athena.clone();
    let busy = tokio::spawn(async move { other.metrics(span).await });
    let running = async || {
        let seen = asked.standin.seen(0).await;
        (seen.last()?["state"] == "RUNNING").then_some(())
    };
    eventually("a query that runs", running).await;
    answer(&asked).await;
    assert_eq!((queries(&asked, 0).await, queries(&asked, 1).await), (0, 1));
    busy.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn throttling_that_does_not_end_is_an_error_in_time() {
    let asked = Asked::with(2, |standin| standin.options.timeout = SOON).await;
    for workgroup in 0..2 {
        asked.standin.set(workgroup, "most", 0).await;
    }
    let begun = Instant::now();
    let error = refusal(&asked).await;
    assert!(matches!(error, AthenaError::Busy { .. }), "{error:?}");
    assert!(begun.elapsed() < SOON + Duration::from_secs(2));
    assert!(error.to_string().contains("ask again later"), "{error}");
    // And then it goes on.
    asked.standin.set(1, "most", 5).await;
    eventually("an answer", async || ask(&asked).await.ok()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_workgroup_is_left_out_and_all_of_them_are_an_error() {
    let asked = Asked::new(2).await;
    asked.standin.set(0, "deleted", true).await;
    answer(&asked).await;
    assert_eq!((queries(&asked, 0).await, queries(&asked, 1).await), (0, 1));
    let asked = Asked::new(2).await;
    asked.standin.set(0, "deleted", true).await;
    let denied = json!({"operation": "StartQueryExecution", "kind": "denied", "times": 99});
    asked.standin.fault(1, denied).await;
    let error = refusal(&asked).await.to_string();
    for part in ["is not found", "not authorized", "athena.workgroups"] {
        assert!(error.contains(part), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn credentials_that_stay_expired_are_an_error() {
    let asked = Asked::new(1).await;
    asked
        .standin
        .fault(0, json!({"kind": "expired", "times": 99}))
        .await;
    let error = refusal(&asked).await;
    assert!(matches!(error, AthenaError::Credentials(_)), "{error:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_query_is_run_again_only_where_athena_says_so() {
    let asked = Asked::new(1).await;
    let failed = |retryable: bool, times: u32| json!({"kind": "failed", "operation": "Run", "reason": "ICEBERG_AHEAD: no", "retryable": retryable, "times": times});
    asked.standin.fault(0, failed(true, 2)).await;
    answer(&asked).await;
    assert_eq!(queries(&asked, 0).await, 3);
    let asked = Asked::new(1).await;
    asked.standin.fault(0, failed(false, 1)).await;
    let error = refusal(&asked).await;
    assert!(matches!(error, AthenaError::Failed { .. }), "{error:?}");
    assert!(error.to_string().contains("ICEBERG_AHEAD"), "{error}");
    assert_eq!(queries(&asked, 0).await, 1);
    // An error is not kept.
    answer(&asked).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_would_read_too_much_is_not_asked_or_ended() {
    let asked = Asked::with(1, |standin| standin.options.max_scanned_bytes = 100).await;
    let error = refusal(&asked).await;
    assert!(matches!(error, AthenaError::TooLarge { max: 100, .. }));
    assert_eq!(queries(&asked, 0).await, 0);
    let asked = Asked::new(1).await;
    asked.standin.set(0, "limit", 100).await;
    let error = refusal(&asked).await;
    assert!(matches!(error, AthenaError::ScanLimit { .. }), "{error:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_result_that_is_gone_is_made_again_twice() {
    let asked = Asked::new(1).await;
    let gone = |times: u32| json!({"kind": "gone", "times": times});
    asked.standin.fault(0, gone(1)).await;
    answer(&asked).await;
    assert_eq!(queries(&asked, 0).await, 2);
    let asked = Asked::new(1).await;
    asked.standin.fault(0, gone(99)).await;
    let error = refusal(&asked).await;
    assert!(matches!(error, AthenaError::ResultGone { .. }), "{error:?}");
    assert_eq!(queries(&asked, 0).await, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_query_is_stopped_and_so_is_one_that_nobody_waits_for() {
    let slow = json!({"kind": "slow", "operation": "Run", "seconds": 50});
    let stopped = async |asked: &Asked| {
        let ended = async || {
            let seen = asked.standin.seen(0).await;
            (seen.last()?["state"] == "CANCELLED").then_some(())
        };
        eventually("the query's end", ended).await;
    };
    let asked = Asked::with(1, |standin| standin.options.timeout = SOON).await;
    asked.standin.fault(0, slow.clone()).await;
    let error = refusal(&asked).await;
    assert!(matches!(error, AthenaError::Slow { .. }), "{error:?}");
    stopped(&asked).await;
    let asked = Asked::new(1).await;
    asked.standin.fault(0, slow).await;
    let left = tokio::time::timeout(SOON, ask(&asked)).await;
    assert!(left.is_err());
    stopped(&asked).await;
    answer(&asked).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_object_and_missing_tables_are_named() {
    let asked = Asked::new(1).await;
    let hour = asked.base.object_files().into_iter();
    let hour = hour.filter(|path| path.components().any(|part| part.as_os_str() == "hour"));
    let lost: Vec<_> = hour.collect();
    assert_eq!(lost.len(), 1);
    std::fs::remove_file(&lost[0]).unwrap();
    let error = refusal(&asked).await.to_string();
    let name = lost[0].file_name().unwrap().to_string_lossy().into_owned();
    assert!(
        error.contains(&name) && error.contains("NoSuchKey"),
        "{error}"
    );
    let mut options = asked.standin.options.clone();
    options.database = "nobody_made_it".to_owned();
    let lake = asked.base.lake().await;
    lake.connect_athena(options, marketlake_lake::AthenaPolicy::default())
        .unwrap();
    let span = Span::last_24h(start().plus(30));
    let error = lake.athena().unwrap().metrics(span).await.unwrap_err();
    assert!(
        error.to_string().contains("marketlake athena setup"),
        "{error}"
    );
}
