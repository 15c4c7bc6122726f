//! Each role says for itself whether it does its work.

use sea_orm::ConnectionTrait;
use serde_json::Value;

use crate::end_to_end::{history, replaying, runs, wait_for_minutes};
use crate::lake::identity::{copied, opened};
use crate::support::base::{Base, fresh_postgres};
use crate::support::eventually;
use crate::support::exchange::{Answer, Exchange};
use crate::support::program::{Program, Running};

async fn ready(server: &Running) -> (u16, Value) {
    let response = server.get("/readyz").await;
    let status = response.status().as_u16();
    (
        status,
        serde_json::from_str(&response.text().await.unwrap()).unwrap(),
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scheduler_whose_store_takes_nothing_is_not_ready_while_the_api_is() {
    let base = Base::local().await;
    // A minute a second.
    let file = history(&base, 300, None);
    let mut server = replaying(&base, &[file], 60).up(&[]).await;
    wait_until_ingested(&base).await;
    // A file where the folder of raw segments ought to be: as full as a disk can be.
    let raw = base.objects().join("raw");
    let aside = base.objects().join("raw.aside");
    std::fs::rename(&raw, &aside).unwrap();
    std::fs::write(&raw, "").unwrap();
    let seen = eventually("the scheduler to be unready", async || {
        let (status, seen) = ready(&server).await;
        (status == 503).then_some(seen)
    })
    .await;
    let part = seen["roles"]["scheduler"]["parts"]["ingest-minute"].as_str();
    assert!(
        part.unwrap()
            .starts_with("the last run could not write: object store: "),
        "{seen}"
    );
    assert_eq!(seen["roles"]["scheduler"]["ready"], false);
    assert_eq!(seen["roles"]["api"]["ready"], true, "{seen}");
    let series = server.get("/v1/metric/ethbtc/timeseries").await;
    assert_eq!(series.status().as_u16(), 200);
    std::fs::remove_file(&raw).unwrap();
    std::fs::rename(&aside, &raw).unwrap();
    eventually("the scheduler to be ready again", async || {
        (ready(&server).await.0 == 200).then_some(())
    })
    .await;
    server.interrupt().await;
}

async fn wait_until_ingested(base: &Base) {
    let database = base.database().await;
    eventually("a minute", async || {
        let done = runs(&database, "ingest-minute", "done").await;
        (done > 2).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_api_stays_ready_without_its_catalog_and_a_scheduler_does_not() {
    let base = Base::remote().await;
    let file = history(&base, 3, None);
    let program = replaying(&base, &[file], 6_000);
    let mut first = program.up(&[]).await;
    let database = base.database().await;
    wait_for_minutes(&database, 3).await;
    first.interrupt().await;
    let mut api = program.up(&["--role", "api"]).await;
    let mut both = program.up(&[]).await;
    let name: String = {
        let sql = "select current_database()::text as name";
        let backend = database.get_database_backend();
        let row = database.query_one_raw(sea_orm::Statement::from_string(backend, sql));
        row.await.unwrap().unwrap().try_get("", "name").unwrap()
    };
    let admin = marketlake_entities::database::connect(&fresh_postgres().await)
        .await
        .unwrap();
    for statement in [
        format!("alter database {name} allow_connections false"),
        format!("select pg_terminate_backend(pid) from pg_stat_activity where datname = '{name}'"),
    ] {
        admin.execute_unprepared(&statement).await.unwrap();
    }
    let seen = eventually("the scheduler to be unready", async || {
        let (status, seen) = ready(&both).await;
        (status == 503).then_some(seen)
    })
    .await;
    assert_eq!(seen["roles"]["scheduler"]["ready"], false, "{seen}");
    assert_eq!(seen["roles"]["api"]["ready"], true, "{seen}");
    let seen = eventually("the API to say that its catalog is gone", async || {
        let (status, seen) = ready(&api).await;
        assert_eq!(status, 200, "{seen}");
        (seen["roles"]["api"]["parts"]["catalog"] != "ok").then_some(seen)
    })
    .await;
    assert_eq!(seen["roles"]["api"]["ready"], true);
    let back = format!("alter database {name} allow_connections true");
    admin.execute_unprepared(&back).await.unwrap();
    eventually("the scheduler to be ready again", async || {
        (ready(&both).await.0 == 200).then_some(())
    })
    .await;
    api.kill();
    both.kill();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stale_feed_is_told_and_takes_no_api_out_of_service() {
    let base = Base::local().await;
    let exchange = Exchange::with([
        Answer::tickers(&[("A", "1")]),
        Answer::status(418, "banned").header("retry-after", "259200"),
    ])
    .await;
    let feeds = format!("[{{kind=\"binance\",base_url=\"{}\"}}]", exchange.url);
    let program = Program::on(&base)
        .with("MARKETLAKE_FEEDS", feeds)
        .with("MARKETLAKE_ALERTS__FEED_STALE_AFTER", "1s");
    let mut server = program.up(&[]).await;
    let said = eventually("the feed to be stale", async || {
        let seen = server.json("/healthz?verbose").await;
        seen["notes"]["feeds"].as_str().map(str::to_owned)
    })
    .await;
    assert!(
        said.starts_with("stale: the newest minute ended "),
        "{said}"
    );
    assert_eq!(ready(&server).await.0, 200);
    assert_eq!(server.text("/healthz").await, "ok\n");
    server.interrupt().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scheduler_whose_database_is_not_the_lakes_any_more_says_so_and_writes_nothing() {
    let base = Base::local().await;
    // A minute a second.
    let file = history(&base, 300, None);
    let program = replaying(&base, &[file], 60);
    let mut server = program.up(&[]).await;
    wait_until_ingested(&base).await;
    let copy = opened(&base, copied(&base, "copy.db").await).await;
    copy.maintenance().rebuild_catalog(&()).await.unwrap();
    let seen = eventually("the scheduler to be unready", async || {
        let (status, seen) = ready(&server).await;
        let parts = &seen["roles"]["scheduler"]["parts"];
        let names_it = |part: &str| {
            let said = parts[part].as_str();
            said.is_some_and(|said| said.contains("this database is older than the lake"))
        };
        let both = names_it("lake") && names_it("ingest-minute");
        (status == 503 && both).then_some(seen)
    })
    .await;
    assert_eq!(seen["roles"]["api"]["ready"], true, "{seen}");
    let files = base.object_files();
    let database = base.database().await;
    let refused = runs(&database, "ingest-minute", "failed").await;
    eventually("two more runs to be refused", async || {
        let now = runs(&database, "ingest-minute", "failed").await;
        (now >= refused + 2).then_some(())
    })
    .await;
    assert_eq!(base.object_files(), files);
    let series = server.get("/v1/metric/ethbtc/timeseries").await;
    assert_eq!(series.status().as_u16(), 200);
    let examined = program.run(&["doctor", "--format", "csv"]).await;
    assert_eq!(examined.code, 1, "{examined:?}");
    assert!(examined.out.contains("lake,bad,"), "{examined:?}");
    // The lake is given back to it: it goes on without a restart.
    program.ok(&["rebuild-catalog"]).await;
    eventually("the scheduler to be ready again", async || {
        (ready(&server).await.0 == 200).then_some(())
    })
    .await;
    server.interrupt().await;
}
