//! Steps of the clock under the running program: on Postgres its clock is set, on `SQLite` the
//! machine's.

use std::time::{Duration, Instant};

use marketlake_entities::database;
use marketlake_entities::records::job_runs::{Column, Entity, JobRunState, Model};
use marketlake_jobs::{Clock, PlannedSlot, slots};
use marketlake_model::Millis;
use reqwest::Method;
use sea_orm::{ColumnTrait, DatabaseConnection, EntityTrait, QueryFilter};

use crate::support::base::Base;
use crate::support::client::Client;
use crate::support::eventually;
use crate::support::exchange::{Answer, Exchange};
use crate::support::program::Program;
use crate::support::skew::{by_file, set, true_now, with_clock};

async fn ingests(database: &DatabaseConnection) -> Vec<Model> {
    let ingest = Column::Job.eq("ingest-minute");
    Entity::find().filter(ingest).all(database).await.unwrap()
}

async fn live(base: &Base) -> (Exchange, Program) {
    let exchange = Exchange::with([Answer::tickers(&[("A", "1")])]).await;
    let feeds = format!("[{{kind=\"binance\",base_url=\"{}\"}}]", exchange.url);
    let program = Program::on(base).with("MARKETLAKE_FEEDS", feeds);
    (exchange, program)
}

/// Minutes begin once a minute: longer than anything else takes.
async fn within_two_minutes(what: &str, mut probe: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(120);
    while !probe().await {
        assert!(Instant::now() < deadline, "waited in vain for {what}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

async fn a_minute_is_done(database: &DatabaseConnection) -> usize {
    eventually("a minute", async || {
        let done = ingests(database).await;
        let count = done
            .iter()
            .filter(|row| row.state == JobRunState::Done)
            .count();
        (count > 0).then_some(count)
    })
    .await
}

/// Nothing may be missed or done that lies ahead of the true time.
async fn nothing_lies_ahead(database: &DatabaseConnection) {
    let now = true_now();
    for row in ingests(database).await {
        assert!(row.slot <= now, "{row:?}");
        assert_ne!(row.state, JobRunState::Missed, "{row:?}");
    }
}

async fn noted(server: &crate::support::program::Running, words: &str) {
    eventually(words, async || {
        let seen = server.json("/healthz?verbose").await;
        let clock = seen["notes"]["clock"].as_str().unwrap_or_default();
        clock.contains(words).then_some(())
    })
    .await;
}

async fn at_ease(server: &crate::support::program::Running) {
    eventually("the clock to be right again", async || {
        let seen = server.json("/healthz?verbose").await;
        (seen["notes"].get("clock").is_none() && seen["ready"] == true).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_clock_that_is_set_marks_nothing_as_missed_and_planning_goes_on() {
    let base = Base::remote().await;
    let database = with_clock(&base).await;
    let (_exchange, program) = live(&base).await;
    let mut server = program.up(&[]).await;
    let before = a_minute_is_done(&database).await;
    for by in ["1 hour", "-1 hour"] {
        set(&database, by).await;
        noted(&server, "the database's clock was set by").await;
        nothing_lies_ahead(&database).await;
        if by == "1 hour" {
            // Across a minute's begin: it is planned and done all the same.
            within_two_minutes("the next minute", async || {
                a_minute_is_done(&database).await > before
            })
            .await;
        }
        set(&database, "0").await;
        at_ease(&server).await;
        nothing_lies_ahead(&database).await;
    }
    let log = server.end_log();
    for words in [
        " direction=\"forward\"",
        "direction=\"back\"",
        "the clocks are right again",
    ] {
        assert!(log.contains(words), "{words}: {log}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_machine_clock_that_is_set_is_survived_in_either_direction() {
    let base = Base::local().await;
    let file = base.path().join("faketime");
    let (_exchange, program) = live(&base).await;
    let mut server = by_file(program, &file).up(&[]).await;
    let database = base.database().await;
    a_minute_is_done(&database).await;
    for (skew, words) in [("+1d\n", "was set forward by"), ("-10m\n", "was set by -")] {
        std::fs::write(&file, skew).unwrap();
        noted(&server, words).await;
        nothing_lies_ahead(&database).await;
        std::fs::write(&file, "+0\n").unwrap();
        at_ease(&server).await;
    }
    let before = ingests(&database).await.len();
    within_two_minutes("planning to go on", async || {
        ingests(&database).await.len() > before
    })
    .await;
    nothing_lies_ahead(&database).await;
    let log = server.end_log();
    for sizes in [["86400", "86399"], ["-600", "-599"]] {
        let logged = |size: &&str| log.contains(&format!("by_seconds={size} "));
        assert!(sizes.iter().any(logged), "{sizes:?}: {log}");
    }
    assert!(log.contains("the clocks are right again"), "{log}");
}

/// Mails in the program's outbox folder.
fn mails(base: &Base) -> usize {
    let folder = base.path().join("data/outbox");
    let files = std::fs::read_dir(folder).into_iter().flatten();
    files
        .filter(|file| file.as_ref().unwrap().path().extension().is_some())
        .count()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mail_leaves_soon_whatever_the_machine_clock_is_set_to() {
    let base = Base::local().await;
    let file = base.path().join("faketime");
    let (_exchange, program) = live(&base).await;
    let mut server = by_file(program, &file).up(&[]).await;
    let database = base.database().await;
    a_minute_is_done(&database).await;
    let client = Client::of(&server);
    for (number, (skew, words)) in [
        ("+1d\n", "was set forward by"),
        ("-10m\n", "was set by -"),
        ("-1d\n", "was set by -"),
    ]
    .into_iter()
    .enumerate()
    {
        std::fs::write(&file, skew).unwrap();
        noted(&server, words).await;
        let address = format!("trader{number}@example.com");
        let wanted = serde_json::json!({"metric": "binance:a", "address": address});
        let made = client
            .json(Method::POST, "/v1/subscriptions", &wanted)
            .await;
        assert!(made.status.is_success(), "{skew}: {}", made.text());
        let begun = Instant::now();
        eventually("the mail", async || {
            (mails(&base) == number + 1).then_some(())
        })
        .await;
        let took = begun.elapsed();
        assert!(took < Duration::from_secs(30), "{skew}: {took:?}");
        std::fs::write(&file, "+0\n").unwrap();
        at_ease(&server).await;
    }
    server.interrupt().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lease_is_neither_stolen_nor_lasting_when_the_database_clock_is_set() {
    let base = Base::remote().await;
    let database = with_clock(&base).await;
    let skewed = database::connect(&base.database_url).await.unwrap();
    let clock = Clock::system();
    let now = clock.now(&skewed).await.unwrap();
    let due = [
        PlannedSlot::pending(Millis(1)),
        PlannedSlot::pending(Millis(2)),
    ];
    slots::enqueue(&skewed, "count", &due, now).await.unwrap();
    let claim = async || {
        slots::claim(&skewed, "count", "w", &[], &clock)
            .await
            .unwrap()
    };
    let held = claim().await.unwrap();
    for by in ["1 hour", "-1 hour", "0"] {
        set(&database, by).await;
        clock.observe(&skewed).await.unwrap();
        assert!(slots::renew(&skewed, &held).await.unwrap());
        let row = slots::find(&skewed, "count", Millis(1), 0).await.unwrap();
        let until = row.unwrap().lease_until.unwrap();
        let left = until.since(true_now());
        assert!((0..=60_000).contains(&left), "{by}: {left}");
    }
    assert_eq!(claim().await.unwrap().slot, Millis(2));
    set(&database, "1 hour").await;
    clock.observe(&skewed).await.unwrap();
    assert!(claim().await.is_none(), "nothing is free");
}
