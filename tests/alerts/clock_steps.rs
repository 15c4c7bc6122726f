//! Clocks that are set while mails leave: none leaves twice, and none waits for a time that was
//! never meant.

use std::time::Duration;

use marketlake_alerts::delivery::outbox::{self, NewDelivery};
use marketlake_alerts::subscriptions::ChannelKind;
use marketlake_entities::records::deliveries::{DeliveryKind, DeliveryState};
use marketlake_model::Millis;
use sea_orm::ConnectionTrait;

use crate::support::alerting::Alerting;
use crate::support::base::{Base, on_both};
use crate::support::eventually;
use crate::support::mailbox::{Fault, Mailbox};
use crate::support::skew::{set, with_clock};

const HOUR: i64 = 3_600_000;
const DAY: i64 = 24 * HOUR;

async fn post(alerting: &Alerting, kind: DeliveryKind, at: Millis) {
    let delivery = NewDelivery::new(kind, ChannelKind::Mail, "trader@example.com");
    outbox::enqueue(&alerting.database, delivery, at)
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mail_that_leaves_while_the_database_clock_is_set_arrives_once() {
    let base = Base::remote().await;
    let clock = with_clock(&base).await;
    for by in ["1 day", "50 seconds", "-1 day"] {
        set(&clock, "0").await;
        let alerting = Alerting::on(&base).await;
        post(&alerting, DeliveryKind::Manage, alerting.now().await).await;
        let mailbox = Mailbox::open(Fault::SlowAfterData(Duration::from_millis(1_500))).await;
        // Another process that knows the time from before, and one that does not.
        let other = alerting.sender(&mailbox.url, None);
        assert!(other.is_due(alerting.now().await).await.unwrap());
        let sender = alerting.sender(&mailbox.url, None);
        let sending = tokio::spawn(async move { sender.send_due(|| false).await });
        eventually("the server to have the mail", async || {
            (!mailbox.mails().is_empty()).then_some(())
        })
        .await;
        set(&clock, by).await;
        let fresh = alerting.sender(&mailbox.url, None);
        while !sending.is_finished() {
            for another in [&other, &fresh] {
                let round = another.send_due(|| false).await.unwrap();
                assert_eq!((round.sent, round.unknown), (0, 0), "{by}: {round:?}");
            }
        }
        assert_eq!(sending.await.unwrap().unwrap().sent, 1, "{by}");
        assert_eq!(mailbox.mails().len(), 1, "{by}");
        let last = alerting.deliveries().await.pop().unwrap();
        assert_eq!(
            (last.state, last.attempts),
            (DeliveryState::Sent, 1),
            "{by}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_put_off_under_a_wrong_clock_is_due_and_ordinary_pauses_stay() {
    on_both(async |base: Base| {
        let alerting = Alerting::on(&base).await;
        let mailbox = Mailbox::open(Fault::None).await;
        let now = alerting.now().await;
        let at = |by: i64| Millis(now.0 + by);
        let set = async |sql: String| {
            alerting.database.execute_unprepared(&sql).await.unwrap();
        };
        let due = async || outbox::is_due(&alerting.database, now).await.unwrap();
        // Decided, refused and throttled a day ahead.
        for (state, attempts, created_at, not_before) in [
            ("pending", 0, DAY, DAY),
            ("retry", 1, 0, HOUR),
            ("retry", 9, 0, DAY),
            ("unknown", 1, 0, DAY),
        ] {
            post(&alerting, DeliveryKind::Manage, now).await;
            let (created_at, not_before) = (at(created_at).0, at(not_before).0);
            set(format!(
                "update deliveries set state = '{state}', attempts = {attempts}, \
                 created_at = {created_at}, not_before = {not_before} where state <> 'sent'"
            ))
            .await;
            assert!(!due().await, "{state}");
            assert_eq!(
                outbox::repair_backoffs(&alerting.database, now)
                    .await
                    .unwrap(),
                1
            );
            assert!(due().await, "{state}");
            let until = at(DAY + 60_000).0;
            set(format!(
                "insert into delivery_throttles (scope, name, until, failures, reason, set_at) \
                 values ('channel', 'mail', {until}, 3, 'refused', {})",
                at(DAY).0
            ))
            .await;
            assert!(!due().await, "{state}");
            assert_eq!(
                outbox::repair_backoffs(&alerting.database, now)
                    .await
                    .unwrap(),
                1
            );
            assert_eq!(alerting.send(&mailbox.url).await.sent, 1, "{state}");
        }
        // The expected state.
        post(&alerting, DeliveryKind::Manage, now).await;
        for (state, attempts, not_before) in [
            ("pending", 0, at(HOUR)),
            ("retry", 8, at(HOUR - 60_000)),
            ("retry", 1, at(30_000)),
            ("unknown", 2, Millis(i64::MAX)),
        ] {
            set(format!(
                "update deliveries set state = '{state}', attempts = {attempts}, not_before = {} \
                 where state <> 'sent'",
                not_before.0
            ))
            .await;
            assert_eq!(
                outbox::repair_backoffs(&alerting.database, now)
                    .await
                    .unwrap(),
                0
            );
        }
        outbox::pause_sending(&alerting.database, "wrong prices", at(DAY))
            .await
            .unwrap();
        assert_eq!(
            outbox::repair_backoffs(&alerting.database, now)
                .await
                .unwrap(),
            0
        );
        assert_eq!(
            outbox::list_throttles(&alerting.database, now)
                .await
                .unwrap()
                .len(),
            1
        );
    })
    .await;
}
