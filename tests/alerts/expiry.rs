//! Old news is not sent: after a stop, after an outage, when it is put back, in a digest.

use std::time::Duration;

use marketlake_alerts::delivery::outbox;
use marketlake_entities::records::deliveries::{DeliveryKind, DeliveryState};
use sea_orm::ConnectionTrait;

use crate::support::alerting::{Alerting, wants};
use crate::support::base::{Base, on_both};
use crate::support::mailbox::{Fault, Mailbox};
use crate::support::samples::{series, start};

const IDS: [&str; 5] = [
    "x:a:volume",
    "x:b:volume",
    "x:c:volume",
    "x:d:volume",
    "x:e:volume",
];

/// A mail about one jump and a digest of four.
async fn two_deliveries(base: &Base) -> Alerting {
    let alerting = Alerting::on(base).await;
    alerting.calm(&IDS).await;
    alerting.subscribe(wants("*:volume")).await;
    alerting.play(IDS[0], 0, &["340"]).await;
    for id in &IDS[1..] {
        alerting.commit(series(id, 1, &["340"])).await;
    }
    alerting.evaluate(start().plus(1)).await;
    let mut kinds: Vec<DeliveryKind> = Vec::new();
    kinds.extend(alerting.deliveries().await.iter().map(|row| row.kind));
    kinds.sort();
    assert_eq!(kinds, [DeliveryKind::Alert, DeliveryKind::Digest]);
    alerting
}

async fn age(alerting: &Alerting, by: Duration) {
    let by = by.as_millis();
    let sql = format!(
        "update deliveries set created_at = created_at - {by}, not_before = not_before - {by}"
    );
    alerting.database.execute_unprepared(&sql).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waited_through_a_stop_of_two_days_expires_and_says_so() {
    on_both(async |base: Base| {
        let alerting = two_deliveries(&base).await;
        let now = alerting.now().await;
        outbox::pause_sending(&alerting.database, "wrong prices", now)
            .await
            .unwrap();
        age(&alerting, Duration::from_secs(2 * 86_400)).await;
        let mailbox = Mailbox::open(Fault::None).await;
        alerting.send(&mailbox.url).await;
        outbox::resume_sending(&alerting.database).await.unwrap();
        let round = alerting.send(&mailbox.url).await;
        assert_eq!((round.sent, round.dead), (0, 2));
        let dead = outbox::list(&alerting.database, Some(DeliveryState::Dead), 10)
            .await
            .unwrap();
        assert_eq!(dead.len(), 2);
        for one in &dead {
            let error = one.error.as_deref().unwrap();
            let expected = "expired: not delivered within alerts.retry_for: created at ";
            assert!(error.starts_with(expected), "{error}");
            // Put back it is not younger.
            assert!(
                outbox::requeue(&alerting.database, &one.id, now)
                    .await
                    .unwrap()
            );
        }
        assert_eq!(alerting.send(&mailbox.url).await.dead, 2);
        assert_eq!(mailbox.mails().len(), 0);
        // An operator is told of alerts that were lost so.
        let before = marketlake_model::Millis(0);
        assert_eq!(
            outbox::count_dead(&alerting.database, before)
                .await
                .unwrap(),
            2
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outage_of_hours_delays_mails_and_loses_none() {
    let base = Base::local().await;
    let alerting = two_deliveries(&base).await;
    let mailbox = Mailbox::open(Fault::Greeting(421)).await;
    for _ in 0..5 {
        alerting.send(&mailbox.url).await;
        age(&alerting, Duration::from_secs(3_600)).await;
        alerting.make_due().await;
    }
    mailbox.set(Fault::None);
    assert_eq!(alerting.send(&mailbox.url).await.sent, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mail_that_may_have_arrived_stays_unknown_when_it_expires() {
    let base = Base::local().await;
    let alerting = two_deliveries(&base).await;
    let mailbox = Mailbox::open(Fault::DropAfterData).await;
    alerting.send(&mailbox.url).await;
    alerting.make_due().await;
    alerting.send(&mailbox.url).await;
    let came = mailbox.mails().len();
    age(&alerting, Duration::from_secs(86_400)).await;
    let again = "update deliveries set not_before = 0, unknowns = 1";
    alerting.database.execute_unprepared(again).await.unwrap();
    alerting.make_due().await;
    let round = alerting.send(&mailbox.url).await;
    assert_eq!((round.unknown, mailbox.mails().len()), (2, came));
    for row in alerting.deliveries().await {
        assert_eq!(row.state, DeliveryState::Unknown);
        assert!(row.error.unwrap().starts_with("expired: "));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn mails_that_were_too_old_do_not_count_against_an_address() {
    use marketlake_alerts::delivery::outbox::{EnqueueOptions, TOO_OLD_REASON};
    use marketlake_alerts::detection;
    use marketlake_entities::database;

    let base = Base::local().await;
    let alerting = Alerting::on(&base).await;
    alerting.calm(&IDS).await;
    alerting.subscribe(wants("*:volume")).await;
    alerting.lake.queries().follow(0).await.unwrap();
    for (minute, stale) in [(0, Some(TOO_OLD_REASON)), (1, None)] {
        let id = IDS[usize::try_from(minute).unwrap()];
        alerting.commit(series(id, minute, &["340"])).await;
        alerting.lake.queries().follow(0).await.unwrap();
        let verdict = detection::evaluate(&alerting.lake, start().plus(minute))
            .await
            .unwrap();
        let transaction = database::begin_write(&alerting.database).await.unwrap();
        let now = database::clock(&transaction).await.unwrap();
        let telling = EnqueueOptions {
            stale,
            max_mails_per_day: 1,
        };
        verdict.record(&transaction, now, telling).await.unwrap();
        transaction.commit().await.unwrap();
    }
    let mailbox = Mailbox::open(Fault::None).await;
    assert_eq!(alerting.send(&mailbox.url).await.sent, 1);
    // It was never to be sent: nobody is to look into it.
    let before = marketlake_model::Millis(0);
    assert_eq!(
        outbox::count_dead(&alerting.database, before)
            .await
            .unwrap(),
        0
    );
}
