//! Connection pools: a lock or an outage delays no price.

use std::time::{Duration, Instant};

use sea_orm::{ConnectionTrait, DbBackend, Statement, TransactionTrait};
use serde_json::json;

use crate::end_to_end::{history, replaying, wait_for_minutes};
use crate::support::base::Base;
use crate::support::client::Client;
use crate::support::eventually;
use crate::support::proxy::Proxy;

/// Answers from memory take some milliseconds; what waits for a database takes seconds here.
const MAX_UNDELAYED: Duration = Duration::from_millis(900);
const MEMORY: [&str; 5] = [
    "/v1/metric/ethbtc/timeseries?limit={}",
    "/v1/metrics/ethbtc",
    "/v1/metric/ethbtc/rank",
    "/v1/ranking?limit={}",
    "/v1/metrics?limit={}",
];

/// Longest time of a response; each must be good, and most requests are new so that no response is
/// cached.
async fn slowest_read(client: &Client, round: usize) -> Duration {
    let mut slowest = Duration::ZERO;
    for path in MEMORY {
        let path = path.replace("{}", &(100 + round).to_string());
        let begun = Instant::now();
        assert_eq!(client.status(&path).await, 200, "{path}");
        slowest = slowest.max(begun.elapsed());
    }
    let query = format!(
        "{{ a{round}: latest(metrics: [\"ethbtc\"]) {{ sample {{ value }} }} rank(metric: \
         \"ethbtc\") {{ display }} }}"
    );
    let begun = Instant::now();
    let answer = client.graphql(&query).await;
    assert!(answer.get("errors").is_none(), "{answer}");
    slowest.max(begun.elapsed())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lock_on_job_runs_delays_no_price_and_fails_what_needs_the_table_soon() {
    let base = Base::remote().await;
    let file = history(&base, 5, None);
    let program = replaying(&base, &[file], 600)
        .with("MARKETLAKE_DATABASE__API_MAX_CONNECTIONS", 4)
        .with("MARKETLAKE_DATABASE__JOBS_MAX_CONNECTIONS", 4)
        .with("MARKETLAKE_DATABASE__API_ACQUIRE_TIMEOUT", "1s")
        .with("MARKETLAKE_DATABASE__API_STATEMENT_TIMEOUT", "1s");
    let mut running = program.up(&[]).await;
    let database = base.database().await;
    wait_for_minutes(&database, 5).await;

    let lock = database.begin().await.unwrap();
    lock.execute_unprepared("lock table job_runs in access exclusive mode")
        .await
        .unwrap();
    eventually(
        "all connections of the jobs to wait for the table",
        async || {
            let waiting = "select count(*) as n from pg_locks where not granted and database = \
            (select oid from pg_database where datname = current_database())";
            let waiting = Statement::from_string(DbBackend::Postgres, waiting);
            let row = database.query_one_raw(waiting).await.unwrap().unwrap();
            (row.try_get::<i64>("", "n").unwrap() >= 4).then_some(())
        },
    )
    .await;
    // More requests than the API has connections for.
    // Made before: a client takes its time to read the system's certificates.
    let (client, operator) = (Client::of(&running), running.operator());
    let query_job_runs = async || {
        let begun = Instant::now();
        let answer = operator
            .graphql("{ jobRuns(first: 1) { nodes { job } } }")
            .await;
        (answer, begun.elapsed())
    };
    let reading = async {
        let mut slowest = Duration::ZERO;
        for round in 0..20 {
            slowest = slowest.max(slowest_read(&client, round).await);
        }
        slowest
    };
    let (failed, slowest) = tokio::join!(
        futures::future::join_all((0..8).map(|_| query_job_runs())),
        reading
    );
    eprintln!("the slowest price took {slowest:?} under the lock");
    assert!(slowest < MAX_UNDELAYED, "{slowest:?}");
    for (answer, took) in failed {
        assert_eq!(
            answer["errors"][0]["extensions"]["code"],
            json!("UNAVAILABLE"),
            "{answer}"
        );
        assert!(took < Duration::from_secs(4), "{took:?}");
    }
    lock.rollback().await.unwrap();
    let log = running.end_log();
    assert!(
        log.contains("canceling statement due to statement timeout"),
        "{log}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn prices_in_memory_are_answered_while_the_database_is_gone() {
    let base = Base::remote().await;
    let (mut proxy, url) = Proxy::to_postgres(&base.database_url);
    let file = history(&base, 5, None);
    let program = replaying(&base, &[file], 600).with("MARKETLAKE_DATABASE__URL", url);
    let running = program.up(&[]).await;
    let client = Client::of(&running);
    let database = base.database().await;
    wait_for_minutes(&database, 5).await;
    slowest_read(&client, 0).await;
    proxy.close().await;
    for round in 1..20 {
        let slowest = slowest_read(&client, round).await;
        assert!(slowest < MAX_UNDELAYED, "{slowest:?}");
    }
    let begun = Instant::now();
    let unknown = client.status("/v1/metric/nosuch/timeseries").await;
    assert_eq!(unknown, 503);
    assert!(
        begun.elapsed() < Duration::from_secs(5),
        "{:?}",
        begun.elapsed()
    );
}
