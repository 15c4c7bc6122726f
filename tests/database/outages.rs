//! What is said when the database cannot be used.

use std::time::Duration;

use crate::end_to_end::{history, replaying, wait_for_minutes};
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
    wait_for_minutes(&database, 2).await;
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
