//! Each fault: an answer all the same, or an error that says what to do.

use std::time::{Duration, Instant};

use marketlake_lake::{AthenaError, LakeError, Point, QueryEngine, Span};
use serde_json::json;

use super::Fixture;
use crate::support::eventually;
use crate::support::samples::{metric, start};

const SOON: Duration = Duration::from_millis(1_500);

async fn query_series(fixture: &Fixture) -> Result<Vec<Point>, LakeError> {
    let span = Span {
        from: start(),
        to: start().plus(30),
    };
    fixture.athena.timeseries(&metric("a:one"), span).await
}

async fn answer(fixture: &Fixture) {
    assert_eq!(query_series(fixture).await.unwrap().len(), 3);
}

async fn refusal(fixture: &Fixture) -> AthenaError {
    match query_series(fixture).await {
        Err(LakeError::Athena(error)) => {
            eprintln!("{error}");
            error
        }
        other => panic!("{other:?}"),
    }
}

async fn queries(fixture: &Fixture, workgroup: usize) -> usize {
    let seen = fixture.standin.seen(workgroup).await;
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
            let fixture = Fixture::new(1).await;
            let fault = json!({"operation": operation, "kind": kind, "times": 2});
            fixture.standin.fault(0, fault).await;
            answer(&fixture).await;
            assert_eq!(queries(&fixture, 0).await, 1, "{operation} {kind}");
        })
    });
    futures::future::join_all(each).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_answer_begins_no_second_query() {
    let fixture = Fixture::new(1).await;
    let lost = json!({"operation": "StartQueryExecution", "kind": "lost", "times": 3});
    fixture.standin.fault(0, lost).await;
    answer(&fixture).await;
    assert_eq!(queries(&fixture, 0).await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn another_workgroup_takes_over_from_one_that_is_throttled() {
    let fixture = Fixture::new(2).await;
    fixture.standin.set(0, "most", 0).await;
    let begun = Instant::now();
    answer(&fixture).await;
    assert_eq!(
        (queries(&fixture, 0).await, queries(&fixture, 1).await),
        (0, 1)
    );
    assert!(begun.elapsed() < Duration::from_secs(10));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_least_busy_workgroup_is_asked() {
    let fixture = Fixture::new(2).await;
    let slow = json!({"kind": "slow", "operation": "Run", "seconds": 50});
    fixture.standin.fault(0, slow).await;
    let span = Span::last_24h(start().plus(30));
    let other = fixture.athena.clone();
    let busy = tokio::spawn(async move { other.metrics(span).await });
    let running = async || {
        let seen = fixture.standin.seen(0).await;
        (seen.last()?["state"] == "RUNNING").then_some(())
    };
    eventually("a query that runs", running).await;
    answer(&fixture).await;
    assert_eq!(
        (queries(&fixture, 0).await, queries(&fixture, 1).await),
        (0, 1)
    );
    busy.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn throttling_that_does_not_end_is_an_error_in_time() {
    let fixture = Fixture::with(2, |standin| standin.options.timeout = SOON).await;
    for workgroup in 0..2 {
        fixture.standin.set(workgroup, "most", 0).await;
    }
    let begun = Instant::now();
    let error = refusal(&fixture).await;
    assert!(matches!(error, AthenaError::Busy { .. }), "{error:?}");
    assert!(begun.elapsed() < SOON + Duration::from_secs(2));
    assert!(error.to_string().contains("try again later"), "{error}");
    // And then it goes on.
    fixture.standin.set(1, "most", 5).await;
    eventually("an answer", async || query_series(&fixture).await.ok()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_workgroup_is_left_out_and_all_of_them_are_an_error() {
    let fixture = Fixture::new(2).await;
    fixture.standin.set(0, "deleted", true).await;
    answer(&fixture).await;
    assert_eq!(
        (queries(&fixture, 0).await, queries(&fixture, 1).await),
        (0, 1)
    );
    let fixture = Fixture::new(2).await;
    fixture.standin.set(0, "deleted", true).await;
    let denied = json!({"operation": "StartQueryExecution", "kind": "denied", "times": 99});
    fixture.standin.fault(1, denied).await;
    let error = refusal(&fixture).await.to_string();
    for part in ["is not found", "not authorized", "athena.workgroups"] {
        assert!(error.contains(part), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn credentials_that_stay_expired_are_an_error() {
    let fixture = Fixture::new(1).await;
    fixture
        .standin
        .fault(0, json!({"kind": "expired", "times": 99}))
        .await;
    let error = refusal(&fixture).await;
    assert!(matches!(error, AthenaError::Credentials(_)), "{error:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_query_is_run_again_only_where_athena_says_so() {
    let fixture = Fixture::new(1).await;
    let failed = |retryable: bool, times: u32| json!({"kind": "failed", "operation": "Run", "reason": "ICEBERG_AHEAD: no", "retryable": retryable, "times": times});
    fixture.standin.fault(0, failed(true, 2)).await;
    answer(&fixture).await;
    assert_eq!(queries(&fixture, 0).await, 3);
    let fixture = Fixture::new(1).await;
    fixture.standin.fault(0, failed(false, 1)).await;
    let error = refusal(&fixture).await;
    assert!(matches!(error, AthenaError::Failed { .. }), "{error:?}");
    assert!(error.to_string().contains("ICEBERG_AHEAD"), "{error}");
    assert_eq!(queries(&fixture, 0).await, 1);
    // An error is not kept.
    answer(&fixture).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_would_read_too_much_is_not_asked_or_ended() {
    let fixture = Fixture::with(1, |standin| standin.options.max_scanned_bytes = 100).await;
    let error = refusal(&fixture).await;
    assert!(matches!(error, AthenaError::TooLarge { max: 100, .. }));
    assert_eq!(queries(&fixture, 0).await, 0);
    let fixture = Fixture::new(1).await;
    fixture.standin.set(0, "limit", 100).await;
    let error = refusal(&fixture).await;
    assert!(matches!(error, AthenaError::ScanLimit { .. }), "{error:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_result_that_is_gone_is_made_again_twice() {
    let fixture = Fixture::new(1).await;
    let gone = |times: u32| json!({"kind": "gone", "times": times});
    fixture.standin.fault(0, gone(1)).await;
    answer(&fixture).await;
    assert_eq!(queries(&fixture, 0).await, 2);
    let fixture = Fixture::new(1).await;
    fixture.standin.fault(0, gone(99)).await;
    let error = refusal(&fixture).await;
    assert!(matches!(error, AthenaError::ResultGone { .. }), "{error:?}");
    assert_eq!(queries(&fixture, 0).await, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_query_is_stopped_and_so_is_one_that_nobody_waits_for() {
    let slow = json!({"kind": "slow", "operation": "Run", "seconds": 50});
    let stopped = async |fixture: &Fixture| {
        let ended = async || {
            let seen = fixture.standin.seen(0).await;
            (seen.last()?["state"] == "CANCELLED").then_some(())
        };
        eventually("the query's end", ended).await;
    };
    let fixture = Fixture::with(1, |standin| standin.options.timeout = SOON).await;
    fixture.standin.fault(0, slow.clone()).await;
    let error = refusal(&fixture).await;
    assert!(matches!(error, AthenaError::Slow { .. }), "{error:?}");
    stopped(&fixture).await;
    let fixture = Fixture::new(1).await;
    fixture.standin.fault(0, slow).await;
    let left = tokio::time::timeout(SOON, query_series(&fixture)).await;
    assert!(left.is_err());
    stopped(&fixture).await;
    answer(&fixture).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_object_and_missing_tables_are_named() {
    let fixture = Fixture::new(1).await;
    let hour = fixture.base.object_files().into_iter();
    let hour = hour.filter(|path| path.components().any(|part| part.as_os_str() == "hour"));
    let lost: Vec<_> = hour.collect();
    assert_eq!(lost.len(), 1);
    std::fs::remove_file(&lost[0]).unwrap();
    let error = refusal(&fixture).await.to_string();
    let name = lost[0].file_name().unwrap().to_string_lossy().into_owned();
    assert!(
        error.contains(&name) && error.contains("NoSuchKey"),
        "{error}"
    );
    let mut options = fixture.standin.options.clone();
    options.database = "nobody_made_it".to_owned();
    let lake = fixture.base.lake().await;
    lake.connect_athena(options, marketlake_lake::AthenaPolicy::default())
        .unwrap();
    let span = Span::last_24h(start().plus(30));
    let error = lake.athena().unwrap().metrics(span).await.unwrap_err();
    assert!(
        error.to_string().contains("marketlake athena setup"),
        "{error}"
    );
}
