//! `PgBouncer` 1.18, Debian's, between the program and Postgres.

use std::time::{Duration, Instant};

use crate::end_to_end::{history, replaying, wait_for_minutes};
use crate::support::base::Base;
use crate::support::client::Client;
use crate::support::eventually;
use crate::support::postgres::Server;
use crate::support::program::Program;

#[tokio::test(flavor = "multi_thread")]
async fn a_pooler_that_loses_prepared_statements_is_refused_with_what_helps() {
    let base = Base::remote().await;
    for pool_size in [1, 20] {
        let (_pooler, url) = Server::pgbouncer(&base.database_url, "transaction", pool_size).await;
        let program = Program::on(&base).with("MARKETLAKE_DATABASE__URL", url);
        for command in ["up", "check", "doctor"] {
            let said = program.run(&[command]).await;
            let text = format!("{}{}", said.out, said.err);
            assert!(said.code > 0, "{command}: {said:?}");
            assert!(text.contains("pool_mode = session"), "{command}: {text}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_program_ingests_merges_and_answers_through_a_pooler_in_session_mode() {
    let base = Base::remote().await;
    let (_pooler, url) = Server::pgbouncer(&base.database_url, "session", 60).await;
    let file = history(&base, 60, None);
    let program = replaying(&base, &[file], 3_600).with("MARKETLAKE_DATABASE__URL", url);
    let database = base.database().await;
    {
        let running = program.up(&[]).await;
        wait_for_minutes(&database, 60).await;
        let (client, operator) = (Client::of(&running), running.operator());
        let requests = (0..50).map(async |at| {
            let path = format!("/v1/metric/ethbtc/timeseries?limit={}", at + 1);
            assert_eq!(client.status(&path).await, 200);
            let answer = operator
                .graphql("{ jobRuns(first: 5) { nodes { job } } lake { samples } }")
                .await;
            assert_eq!(answer["data"]["lake"]["samples"], 120, "{answer}");
        });
        futures::future::join_all(requests).await;
    }
    let compacted = program.ok(&["compact"]).await;
    assert!(
        compacted.starts_with("compact: 1 hours and 1 days compacted, 0 failed;"),
        "{compacted}"
    );
    let checked = program.ok(&["check", "--deep"]).await;
    assert!(checked.contains(", 0 problems,"), "{checked}");
}

#[tokio::test(flavor = "multi_thread")]
async fn up_waits_for_a_postgres_that_starts_behind_the_pooler() {
    let base = Base::local().await;
    let postgres = Server::with_password("secret").await;
    let at = postgres.port;
    let target = format!("host=127.0.0.1 port={at} user=postgres password=secret");
    let (_pooler, port) = Server::pgbouncer_before(&target, "session", 40).await;
    let url = format!("postgres://postgres@127.0.0.1:{port}/postgres");
    let program = Program::on(&base).with("MARKETLAKE_DATABASE__URL", url);
    let patient = program
        .clone()
        .with("MARKETLAKE_DATABASE__ACQUIRE_TIMEOUT", "60s");
    // The pooler knows the server from now on, and lets clients in without it.
    program.ok(&["check"]).await;
    drop(postgres);
    let hasty = program.with("MARKETLAKE_DATABASE__ACQUIRE_TIMEOUT", "1s");
    let begun = Instant::now();
    let said = hasty.run(&["up"]).await;
    assert_eq!(said.code, 2, "{said:?}");
    assert!(said.err.contains("cannot reach the database"), "{said:?}");
    assert!(begun.elapsed() < Duration::from_secs(20), "{said:?}");
    let mut server = patient.start(&["up", "--role", "scheduler"]);
    let _postgres = Server::with_password_at(at, "secret").await;
    eventually("the lake's tables", async || {
        assert!(server.is_running(), "{}", server.log());
        base.path().join("lake/lake.json").exists().then_some(())
    })
    .await;
    let (code, _) = server.interrupt().await;
    assert_eq!(code, 0, "{}", server.end_log());
}
