//! Athena from the CLI, and through every API.

use super::samples;
use crate::lake::{compact_all, ingest};
use crate::support::athena::Standin;
use crate::support::base::Base;
use crate::support::client::Client;
use crate::support::program::Program;
use crate::support::samples::{series, start};

fn on(base: &Base, standin: &Standin) -> Program {
    let settings = standin.settings().into_iter();
    settings.fold(Program::on(base), |program, (name, value)| {
        program.with(&name, value)
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_are_set_up_once_and_answer_from_the_shell() {
    let base = Base::remote().await;
    let lake = base.lake().await;
    ingest(&lake, &samples()).await;
    compact_all(&lake).await;
    let program = on(&base, &Standin::of(&base, 1).await);
    let dry = program.run(&["athena", "setup", "--dry-run"]).await;
    assert_eq!(dry.code, 0, "{dry:?}");
    assert_eq!(dry.out.matches("create ").count(), 4, "{dry:?}");
    let rank = ["rank", "one", "--engine", "athena", "--format", "json"];
    let said = program.run(&rank).await;
    assert_eq!(said.code, 1, "{said:?}");
    assert!(said.err.contains("marketlake athena setup"), "{said:?}");
    let said = program.run(&["doctor"]).await;
    assert_eq!(said.code, 1, "{said:?}");
    assert!(
        said.out.contains("run `marketlake athena setup`"),
        "{said:?}"
    );
    for _ in 0..2 {
        let said = program.run(&["athena", "setup"]).await;
        assert_eq!(said.code, 0, "{said:?}");
    }
    let said = program.ok(&["doctor"]).await;
    assert!(
        said.contains("answers, and sees samples, rollups and prices"),
        "{said}"
    );
    assert!(said.contains("list what is committed"), "{said}");
    let said = program.run(&rank).await;
    assert!(
        said.out.contains("\"rank\": 1") || said.out.contains("\"rank\":1"),
        "{said:?}"
    );
    let cost = "athena: 1 queries read ";
    assert!(
        said.err.contains(cost) && said.err.contains(" for 0.00005"),
        "{said:?}"
    );
    // Another minute, which the job publishes.
    ingest(&lake, &series("a:one", 50, &["9"])).await;
    let said = program.ok(&["doctor"]).await;
    assert!(
        said.contains("the manifests of 1 days are older than the catalog"),
        "{said}"
    );
    let slot = ["run", "publish-manifests", "--slot", "2026-11-24T10:51:00Z"];
    let said = program.run(&slot).await;
    assert!(
        said.out.contains("\"days\":1") || said.err.contains("\"days\":1"),
        "{said:?}"
    );
    let said = program.run(&["athena", "publish"]).await;
    assert!(
        said.out.starts_with("athena: manifests of 0 days"),
        "{said:?}"
    );
    let nowhere = Program::on(&Base::local().await);
    let said = nowhere.run(&["athena", "setup", "--dry-run"]).await;
    assert_eq!(said.code, 2, "{said:?}");
    assert!(said.err.contains("expected s3://bucket/prefix"), "{said:?}");
    let said = nowhere.run(&rank).await;
    assert_eq!(said.code, 2, "{said:?}");
    assert!(said.err.contains("athena.workgroups"), "{said:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_says_which_engine_gave_it() {
    let base = Base::remote().await;
    let lake = base.lake().await;
    // Three days: the last is in memory, the second in files, the first is for Athena.
    for day in 0..3 {
        ingest(&lake, &series("a:one", day * 1_440, &["1.5", "2.5"])).await;
    }
    let standin = Standin::of(&base, 1).await;
    standin.connect(&lake).await;
    let program = on(&base, &standin)
        .with("MARKETLAKE_ATHENA__ROUTE__OLDER_THAN", "40h")
        .with("MARKETLAKE_FEEDS", "[]");
    let client = Client::owning(program.up(&["--role", "api"]).await);
    for (day, engine) in [(2, "memory"), (1, "datafusion"), (0, "athena")] {
        let (from, to) = (start().plus(day * 1_440), start().plus(day * 1_440 + 1));
        let path = format!("/v1/metric/a:one/timeseries?from={from}&to={to}");
        let answer = client.get(&path).await;
        assert_eq!(answer.header("marketlake-engine"), engine, "{answer:?}");
        assert_eq!(answer.value()["data"].as_array().unwrap().len(), 2);
        // The kept answer says so too.
        let answer = client.get(&path).await;
        assert_eq!(answer.header("marketlake-engine"), engine);
        let query = format!(
            "{{ timeseries(metrics: [\"a:one\"], from: \"{from}\", to: \"{to}\") {{ values }} }}"
        );
        let answer = client.graphql(&query).await;
        assert_eq!(
            answer["extensions"]["engines"],
            serde_json::json!([engine]),
            "{answer}"
        );
    }
    // As many as read by the job, too.
    let figures = client.metrics().await;
    assert!(
        figures.contains("marketlake_athena_queries_total"),
        "{figures}"
    );
}
