//! Errors while the database cannot be used.

use std::time::{Duration, Instant};

use crate::end_to_end::{history, replaying, runs, wait_for_minutes};
use crate::support::base::Base;
use crate::support::eventually;
use crate::support::postgres::Server;
use crate::support::program::{Program, Running};
use crate::support::proxy::Proxy;

fn started(base: &Base, url: &str) -> Program {
    Program::on(base)
        .with("MARKETLAKE_DATABASE__URL", url)
        .with("MARKETLAKE_DATABASE__ACQUIRE_TIMEOUT", "1s")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_closed_port_and_a_wrong_password_are_told_apart() {
    let base = Base::local().await;
    let closed = started(&base, "postgres://postgres:guessed@127.0.0.1:1/postgres");
    let server = Server::with_password("right").await;
    let address = |password: &str| {
        format!(
            "postgres://postgres:{password}@127.0.0.1:{}/postgres",
            server.port
        )
    };
    let wrong = started(&base, &address("guessed"));
    for (program, cause) in [
        (closed, "Connection refused"),
        (
            wrong,
            "password authentication failed for user \"postgres\"",
        ),
    ] {
        for command in ["up", "check", "doctor"] {
            let said = program.run(&[command]).await;
            let text = format!("{}{}", said.out, said.err);
            assert!(said.code > 0 && text.contains(cause), "{command}: {said:?}");
            assert!(
                !text.contains("pool timed out") && !text.contains("guessed"),
                "{text}"
            );
        }
    }
    started(&base, &address("right")).ok(&["check"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_that_runs_once_names_a_closed_port_soon() {
    let base = Base::local().await;
    let url = "postgres://postgres:guessed@127.0.0.1:1/postgres";
    let program = Program::on(&base).with("MARKETLAKE_DATABASE__URL", url);
    for command in [&["check"][..], &["metrics"], &["deliveries", "list"]] {
        let begun = Instant::now();
        let said = program.run(command).await;
        let took = begun.elapsed();
        assert!(took < Duration::from_secs(4), "{command:?}: {took:?}");
        let cause = "cannot connect to 127.0.0.1:1: ";
        assert!(said.code > 0 && said.err.contains(cause), "{said:?}");
        assert!(said.err.contains("Connection refused"), "{said:?}");
        assert!(!said.err.contains("guessed"), "{said:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_waits_some_seconds_for_its_database_and_says_so_once() {
    let base = Base::remote().await;
    let (mut proxy, url) = Proxy::to_postgres(&base.database_url);
    let file = history(&base, 3, None);
    let program = replaying(&base, &[file], 600)
        .with("MARKETLAKE_DATABASE__URL", url)
        .with("MARKETLAKE_DATABASE__ACQUIRE_TIMEOUT", "60s");
    let database = base.database().await;
    proxy.close().await;
    let mut running = program.start(&["up"]);
    let waits = "the database cannot be reached yet, trying again";
    eventually("the wait to be told", async || {
        running.log().contains(waits).then_some(())
    })
    .await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    proxy.open();
    wait_for_minutes(&database, 3).await;
    let log = running.end_log();
    assert_eq!(log.matches(waits).count(), 1, "{log}");
    let address = format!("cannot connect to {}: ", proxy.address);
    assert!(log.contains(&address), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn readiness_names_the_cause_and_not_the_pool() {
    let base = Base::remote().await;
    let (mut proxy, url) = Proxy::to_postgres(&base.database_url);
    let file = history(&base, 600, None);
    let running = replaying(&base, &[file], 60)
        .with("MARKETLAKE_DATABASE__URL", url)
        .with("MARKETLAKE_DATABASE__ACQUIRE_TIMEOUT", "1s")
        .up(&[])
        .await;
    proxy.close().await;
    let cause = format!("cannot connect to {}: ", proxy.address);
    for path in ["/readyz", "/healthz?verbose"] {
        eventually("every part to name the cause", async || {
            let seen = running.json(path).await;
            let roles = seen["roles"].as_object().unwrap().values();
            let parts = roles.flat_map(|role| role["parts"].as_object().unwrap());
            let ill = parts.filter(|(_, said)| !matches!(said.as_str(), Some("ok" | "starting")));
            let ill: Vec<String> = ill.map(|(name, said)| format!("{name}: {said}")).collect();
            let is_told = |part: &String| part.contains(&cause) && !part.contains("pool timed");
            let names = ["catalog", "planner", "ingest-minute"];
            let has = |name: &&str| ill.iter().any(|part| part.starts_with(*name));
            (names.iter().all(has) && ill.iter().all(is_told)).then_some(())
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outage_is_two_lines_of_the_log() {
    let base = Base::remote().await;
    let (mut proxy, url) = Proxy::to_postgres(&base.database_url);
    let file = history(&base, 30, None);
    let mut running = replaying(&base, &[file], 60)
        .with("MARKETLAKE_DATABASE__URL", url)
        .with("MARKETLAKE_DATABASE__ACQUIRE_TIMEOUT", "1s")
        .with("MARKETLAKE_DATABASE__API_ACQUIRE_TIMEOUT", "1s")
        .up(&[])
        .await;
    let database = base.database().await;
    // A minute a second: a busy machine may not see just the second one.
    eventually("some minutes", async || {
        let evaluated = runs(&database, "detect-jumps", "done").await;
        (evaluated >= 2).then_some(())
    })
    .await;
    let said = |running: &Running, words: &str| {
        let log = running.log();
        log.lines().filter(|line| line.contains(words)).count()
    };
    for round in 1..=2 {
        proxy.close().await;
        eventually("the outage to be noticed", async || {
            (said(&running, "outage of the database begins") == round).then_some(())
        })
        .await;
        // It goes on for so long that each worker, the planner and the follower fail several times.
        tokio::time::sleep(Duration::from_secs(5)).await;
        proxy.open();
        eventually("the end of the outage to be noticed", async || {
            (said(&running, "outage of the database ended") == round).then_some(())
        })
        .await;
    }
    wait_for_minutes(&database, 30).await;
    let log = running.end_log();
    let lines = |words: &str| log.lines().filter(|line| line.contains(words)).count();
    assert_eq!(lines("outage of the database begins"), 2, "{log}");
    assert_eq!(lines("outage of the database ended"), 2, "{log}");
    assert!(lines("Connection refused") >= 2, "{log}");
    assert_eq!(
        lines("cannot claim slots") + lines("cannot plan slots"),
        0,
        "{log}"
    );
}
