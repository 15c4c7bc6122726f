//! Minutes that are old when they are evaluated: their alerts are recorded, and not sent.

use std::sync::Arc;
use std::time::Duration;

use marketlake_alerts::delivery::outbox::{self, EnqueueOptions};
use marketlake_entities::database;
use marketlake_entities::records::deliveries::DeliveryState;
use marketlake_entities::records::job_runs;
use marketlake_jobs::{DetectJumps, DetectOptions, RunOnce, Runner};
use sea_orm::{ColumnTrait, EntityTrait, PaginatorTrait, QueryFilter};
use tokio_util::sync::CancellationToken;

use crate::support::alerting::{Alerting, wants};
use crate::support::base::{Base, on_both};
use crate::support::samples::series;
use marketlake_model::Sample;

const ID: &str = "binance:hottry:volume";

fn options(is_live: bool) -> DetectOptions {
    DetectOptions {
        max_mails_per_day: EnqueueOptions::default().max_mails_per_day,
        max_age: Duration::from_secs(600),
        is_live,
    }
}

/// A jump `minutes_ago` minutes ago, evaluated by the job.
async fn evaluated(base: &Base, minutes_ago: i64, is_live: bool) -> Alerting {
    let alerting = Alerting::on(base).await;
    let minute = alerting.now().await.minute().plus(-minutes_ago);
    let mut values = vec!["100"; 60];
    values.push("340");
    let samples = series(ID, -60, &values).into_iter().zip(-60..);
    let samples = samples.map(|(sample, offset)| Sample {
        ts: minute.plus(offset),
        ..sample
    });
    alerting.commit(samples.collect()).await;
    alerting.subscribe(wants("hottry:volume")).await;
    let job = DetectJumps::new(Arc::clone(&alerting.lake), options(is_live));
    let stop = CancellationToken::new();
    let runner = Runner::new(alerting.database.clone(), "one".to_owned(), stop);
    let ran = runner
        .run_once(&job, minute.start(), 0, false)
        .await
        .unwrap();
    assert!(matches!(ran, RunOnce::Done(_)), "{ran:?}");
    assert_eq!(
        alerting.alerts().await.len(),
        1,
        "it is recorded in any case"
    );
    alerting
}

async fn slots_of_delivery(alerting: &Alerting) -> u64 {
    use job_runs::Column;
    let slots = job_runs::Entity::find().filter(Column::Job.eq("deliver-alerts"));
    slots.count(&alerting.database).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_minute_that_is_healed_or_imported_late_makes_alerts_and_no_mail() {
    on_both(async |base: Base| {
        let alerting = evaluated(&base, 12, true).await;
        let delivery = alerting.delivery().await;
        assert_eq!(delivery.state, DeliveryState::Dead);
        let error = delivery.error.unwrap();
        let expected =
            "expired: older than alerts.max_age: evaluated 11 minutes after its minute ended";
        assert_eq!(error, expected);
        assert_eq!(slots_of_delivery(&alerting).await, 0);
        assert!(
            !outbox::is_due(&alerting.database, alerting.now().await)
                .await
                .unwrap()
        );
        let list = outbox::list(&alerting.database, Some(DeliveryState::Dead), 10).await;
        assert_eq!(list.unwrap().len(), 1, "an operator sees why");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_minute_of_the_present_is_mailed_and_so_is_a_replays() {
    for (minutes_ago, is_live) in [(2, true), (9, true), (3 * 1_440, false)] {
        let base = Base::local().await;
        let alerting = evaluated(&base, minutes_ago, is_live).await;
        assert_eq!(
            alerting.states().await,
            [DeliveryState::Pending],
            "{minutes_ago}"
        );
        assert_eq!(slots_of_delivery(&alerting).await, 1);
        let now = database::clock(&alerting.database).await.unwrap();
        assert!(alerting.delivery().await.not_before <= now);
    }
}
