//! One mail for many jumps.

use marketlake_alerts::SubscriptionSpec;
use marketlake_entities::records::deliveries::{DeliveryKind, DeliveryState};
use sea_orm::ConnectionTrait;

use crate::support::alerting::{Alerting, link, wants};
use crate::support::base::{Base, on_both};
use crate::support::mailbox::{Fault, Mailbox};
use crate::support::samples::{series, start};

async fn many(alerting: &Alerting, count: usize, offset: i64) {
    for number in 0..count {
        let id = format!("x:m{number}:volume");
        alerting.commit(series(&id, offset, &["900"])).await;
    }
}

async fn calm(alerting: &Alerting, count: usize) {
    let ids: Vec<String> = (0..count)
        .map(|number| format!("x:m{number}:volume"))
        .collect();
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    alerting.calm(&ids).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn many_jumps_at_one_minute_are_one_mail_to_each_address() {
    on_both(async |base: Base| {
        let alerting = Alerting::on(&base).await;
        calm(&alerting, 60).await;
        alerting.subscribe(wants("*:volume")).await;
        let other = SubscriptionSpec {
            address: "other@example.com".to_owned(),
            ..wants("m1:volume, m2:volume, m3:volume")
        };
        alerting.subscribe(other).await;
        many(&alerting, 60, 0).await;
        let recorded = alerting.evaluate(start()).await;
        assert_eq!((recorded.alerts, recorded.deliveries), (63, 4));
        let mailbox = Mailbox::open(Fault::None).await;
        assert_eq!(alerting.send(&mailbox.url).await.sent, 4);
        let mails = mailbox.mails();
        let digest = mails.iter().find(|mail| mail.contains("60 jumps")).unwrap();
        assert!(
            digest.contains("Subject: 60 jumps: M0 volume 9.0x and 59 more"),
            "{digest}"
        );
        assert!(
            digest.contains(
                "and 10 more. proof.json lists all of them, and the samples of those above."
            ),
            "{digest}"
        );
        assert_eq!(digest.matches("its last hour:").count(), 50);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_that_has_had_its_mails_for_the_day_gets_hourly_digests() {
    on_both(async |base: Base| {
        let alerting = Alerting::on(&base).await;
        calm(&alerting, 33).await;
        let subscription = alerting.subscribe(wants("*:volume")).await;
        // Three at a time are three mails, until there were thirty.
        for minute in 0..11 {
            for number in 0..3 {
                let id = format!("x:m{}:volume", minute * 3 + number);
                alerting.commit(series(&id, minute, &["900"])).await;
            }
            alerting.evaluate(start().plus(minute)).await;
        }
        let kinds: Vec<DeliveryKind> = alerting
            .deliveries()
            .await
            .into_iter()
            .map(|row| row.kind)
            .collect();
        assert_eq!(
            kinds
                .iter()
                .filter(|kind| **kind == DeliveryKind::Alert)
                .count(),
            30
        );
        assert_eq!(
            kinds
                .iter()
                .filter(|kind| **kind == DeliveryKind::Digest)
                .count(),
            1
        );
        // Alerts within the hour join the waiting digest.
        alerting.calm(&["x:later:volume"]).await;
        alerting
            .commit(series("x:later:volume", 12, &["900"]))
            .await;
        alerting.evaluate(start().plus(12)).await;
        assert_eq!(alerting.deliveries().await.len(), 31);
        let mailbox = Mailbox::open(Fault::None).await;
        assert_eq!(alerting.send(&mailbox.url).await.sent, 30);
        alerting.make_due().await;
        assert_eq!(alerting.send(&mailbox.url).await.sent, 1);
        let digest = mailbox.mails().pop().unwrap();
        assert!(digest.contains("Subject: 4 jumps:"), "{digest}");
        assert!(link(&digest, "unsubscribe").len() > 100);
        let _ = subscription;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_unsubscribed_meanwhile_is_not_sent() {
    let base = Base::local().await;
    let alerting = Alerting::on(&base).await;
    calm(&alerting, 1).await;
    alerting.subscribe(wants("*:volume")).await;
    many(&alerting, 1, 0).await;
    alerting.evaluate(start()).await;
    alerting
        .database
        .execute_unprepared("update subscriptions set state = 'deleted'")
        .await
        .unwrap();
    let mailbox = Mailbox::open(Fault::None).await;
    alerting.send(&mailbox.url).await;
    let delivery = alerting.delivery().await;
    assert_eq!(
        (delivery.state, mailbox.mails().len()),
        (DeliveryState::Dead, 0)
    );
    assert_eq!(
        delivery.error.unwrap(),
        "not wanted any more: its subscription has ended"
    );
}
