//! Planning: slots that are due and missing are planned without a call.

use std::collections::BTreeMap;

use chrono::Utc;
use marketlake_entities::records::job_runs::{self, JobRunState};
use marketlake_model::{Millis, Minute};
use sea_orm::EntityTrait;

use crate::support::base::{Base, on_both};
use crate::support::eventually;
use crate::support::exchange::{Answer, Exchange};
use crate::support::program::Program;

const OUTAGE_MINUTES: i64 = 20;

/// The state of each minute of `ingest-minute`.
async fn minutes(base: &Base) -> BTreeMap<Minute, JobRunState> {
    let rows = job_runs::Entity::find()
        .all(&base.database().await)
        .await
        .unwrap();
    let ingest = rows.into_iter().filter(|row| row.job == "ingest-minute");
    ingest.map(|row| (row.slot.minute(), row.state)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn after_an_outage_every_missing_minute_is_ingested_and_evaluated() {
    on_both(async |base: Base| {
        let program = Program::on(&base).with("MARKETLAKE_FEEDS", "[{kind=\"simulated\"}]");
        let before = Millis::from(Utc::now()).minute().plus(-OUTAGE_MINUTES);
        program
            .ok(&["run", "ingest-minute", "--slot", &before.to_string()])
            .await;
        let mut server = program.up(&["--role", "scheduler,api"]).await;
        let minutes = eventually("the outage to be caught up", async || {
            let minutes = minutes(&base).await;
            let whole = minutes.len() > usize::try_from(OUTAGE_MINUTES).unwrap();
            (whole && minutes.values().all(|state| *state == JobRunState::Done)).then_some(minutes)
        })
        .await;
        let numbers: Vec<i64> = minutes.keys().map(|minute| minute.number()).collect();
        assert!(
            numbers.windows(2).all(|pair| pair[1] == pair[0] + 1),
            "{numbers:?}"
        );
        let series = server.json("/v1/metric/hottry/timeseries").await;
        assert!(series["data"].as_array().unwrap().len() >= numbers.len());
        server.interrupt().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_minute_that_a_live_feed_was_not_asked_for_is_missed_and_never_made_up() {
    on_both(async |base: Base| {
        let exchange = Exchange::with([Answer::ok(r#"[{"symbol":"A","price":"1"}]"#)]).await;
        let simulated = Program::on(&base).with("MARKETLAKE_FEEDS", "[{kind=\"simulated\"}]");
        let before = Millis::from(Utc::now()).minute().plus(-OUTAGE_MINUTES);
        simulated
            .ok(&["run", "ingest-minute", "--slot", &before.to_string()])
            .await;
        let feeds = format!("[{{kind=\"binance\",base_url=\"{}\"}}]", exchange.url);
        let mut server = Program::on(&base)
            .with("MARKETLAKE_FEEDS", feeds)
            .up(&[])
            .await;
        let minutes = eventually("a live minute", async || {
            let minutes = minutes(&base).await;
            let done = minutes
                .values()
                .filter(|state| **state == JobRunState::Done)
                .count();
            (done >= 2).then_some(minutes)
        })
        .await;
        server.interrupt().await;
        let missed = minutes
            .values()
            .filter(|state| **state == JobRunState::Missed)
            .count();
        assert!(
            missed >= usize::try_from(OUTAGE_MINUTES).unwrap() - 1,
            "{minutes:?}"
        );
        assert!(exchange.requests().len() <= 2, "{:?}", exchange.requests());
    })
    .await;
}
