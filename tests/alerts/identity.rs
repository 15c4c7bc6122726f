//! A message that is repeated after a restore is the same message: same Message-ID, same return
//! address, same webhook id.

use std::collections::BTreeSet;
use std::sync::Arc;

use marketlake_alerts::delivery::channels::{FileChannel, Guard, WebhookChannel};
use marketlake_alerts::delivery::outbox::{self, NewDelivery};
use marketlake_alerts::subscriptions::ChannelKind;
use marketlake_alerts::{Keyring, SubscriptionSpec, subscriptions};
use marketlake_entities::database;
use marketlake_entities::records::deliveries::DeliveryKind;
use marketlake_lake::{Lake, Store};
use marketlake_model::Millis;
use sea_orm::ConnectionTrait;

use crate::support::alerting::{Alerting, link, wants};
use crate::support::base::{Base, on_both};
use crate::support::dump::dump;
use crate::support::hook::{Hook, OK};
use crate::support::mailbox::{Fault, Mailbox};
use crate::support::samples::{series, start};

const IDS: [&str; 5] = [
    "x:a:volume",
    "x:b:volume",
    "x:c:volume",
    "x:d:volume",
    "x:e:volume",
];

/// The lake over another copy of its database.
async fn restored(base: &Base, url: &str) -> Alerting {
    let database = database::connect(url).await.unwrap();
    let store = Store::open(&base.store).await.unwrap();
    let lake = Lake::open(database, store, Vec::new()).await.unwrap();
    Alerting {
        database: lake.database().clone(),
        lake,
    }
}

/// Evaluates a minute with five jumps and one with one, which are a digest and a mail, and sends
/// them.
async fn evaluate_and_send(alerting: &Alerting, mailbox: &Mailbox) -> BTreeSet<String> {
    assert_eq!(alerting.evaluate(start()).await.deliveries, 1);
    assert_eq!(alerting.evaluate(start().plus(1)).await.deliveries, 1);
    assert_eq!(alerting.send(&mailbox.url).await.sent, 2);
    mailbox.counts().into_keys().collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mail_that_is_evaluated_and_sent_again_after_a_restore_has_the_same_message_id() {
    on_both(async |base: Base| {
        let alerting = Alerting::on(&base).await;
        alerting.calm(&IDS).await;
        alerting.calm(&["x:f:volume"]).await;
        alerting.subscribe(wants("*:volume")).await;
        for id in IDS {
            alerting.commit(series(id, 0, &["340"])).await;
        }
        alerting.commit(series("x:f:volume", 1, &["340"])).await;
        Keyring::load(&alerting.database, alerting.now().await)
            .await
            .unwrap();
        let copy = dump(&base, &alerting.database).await;
        let before = Mailbox::open(Fault::None).await;
        let sent = evaluate_and_send(&alerting, &before).await;
        assert_eq!(sent.len(), 2);
        // A new key signs new links; what is said stays what it is.
        let restored = restored(&base, &copy).await;
        let now = restored.now().await;
        Keyring::rotate(&restored.database, now).await.unwrap();
        let after = Mailbox::open(Fault::None).await;
        assert_eq!(evaluate_and_send(&restored, &after).await, sent);
        // The id tells nothing of whom the mail is for, and no key of a row is in it.
        let rows = alerting.deliveries().await;
        let copies = restored.deliveries().await;
        for row in &rows {
            let identity = row.message_id.as_deref().unwrap();
            assert_ne!(row.id, identity);
            let copy = copies.iter().find(|copy| copy.message_id == row.message_id);
            let copy = copy.unwrap();
            assert_ne!(row.id, copy.id, "evaluated again it is another row");
        }
        // The link in the first digest ends what the second told of.
        let mails = before.mails();
        let digest = mails.iter().find(|mail| mail.contains("5 jumps")).unwrap();
        let token = link(digest, "unsubscribe");
        let token = token.rsplit('/').next().unwrap();
        let keys = Keyring::load(&restored.database, now).await.unwrap();
        let subject = keys.verify(marketlake_alerts::Purpose::Unsubscribe, token, now);
        let ended = subscriptions::unsubscribe(&restored.database, &subject.unwrap(), now).await;
        assert_eq!(ended.unwrap(), 1);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_that_is_repeated_after_a_restore_has_the_same_id_and_names_the_same_alert() {
    on_both(async |base: Base| {
        let alerting = Alerting::on(&base).await;
        alerting.calm(&["x:a:volume"]).await;
        let hook = Hook::open(OK).await;
        let new = SubscriptionSpec {
            channel: Some("webhook".to_owned()),
            endpoint: Some(hook.url("localhost")),
            ..wants("*:volume")
        };
        alerting.subscribe(new).await;
        alerting.commit(series("x:a:volume", 0, &["340"])).await;
        Keyring::load(&alerting.database, alerting.now().await)
            .await
            .unwrap();
        let copy = dump(&base, &alerting.database).await;
        let restored = restored(&base, &copy).await;
        for (number, alerting) in [alerting, restored].iter().enumerate() {
            alerting.evaluate(start()).await;
            let guard = Guard {
                allowed: vec!["127.0.0.0/8".parse().unwrap()],
            };
            let certificates = std::slice::from_ref(&hook.certificate);
            let webhook = WebhookChannel::new(guard, certificates, None).unwrap();
            let mail = FileChannel::new(base.path().join(number.to_string())).unwrap();
            let sender = alerting.sender_over(Arc::new(mail), Arc::new(webhook), None);
            assert_eq!(sender.send_due(|| false).await.unwrap().sent, 1);
        }
        let named: Vec<_> = hook
            .heard()
            .iter()
            .map(|heard| {
                let (head, body) = heard.split_once("\r\n\r\n").unwrap();
                let header = |line: &str| {
                    line.strip_prefix("marketlake-delivery: ")
                        .map(str::to_owned)
                };
                let body: serde_json::Value = serde_json::from_str(body).unwrap();
                (
                    head.lines().find_map(header).unwrap(),
                    body["delivery"].clone(),
                    body["alerts"][0]["alert"].clone(),
                )
            })
            .collect();
        assert_eq!(named.len(), 2);
        assert_eq!(named[0], named[1]);
        assert_eq!(named[0].1, named[0].0);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_kind_of_message_in_a_restored_outbox_has_its_id_again_and_two_requests_have_two() {
    on_both(async |base: Base| {
        let alerting = Alerting::on(&base).await;
        let subscription = alerting.subscribe(wants("*:volume")).await;
        alerting
            .database
            .execute_unprepared("update subscriptions set state = 'suspended'")
            .await
            .unwrap();
        let now = alerting.now().await;
        Keyring::load(&alerting.database, now).await.unwrap();
        let post = async |kind, content: Option<&str>, at: Millis| {
            let delivery = NewDelivery {
                subscription_id: Some(subscription.id.clone()),
                content: content.map(str::to_owned),
                ..NewDelivery::new(kind, ChannelKind::Mail, "trader@example.com")
            };
            outbox::enqueue(&alerting.database, delivery, at)
                .await
                .unwrap();
        };
        let incident = r#"{"title":"a","detail":"b","since":"c","over":null,"advice":"d"}"#;
        post(DeliveryKind::Confirmation, None, now).await;
        post(DeliveryKind::Manage, None, now).await;
        post(DeliveryKind::Manage, None, Millis(now.0 - 1)).await;
        post(DeliveryKind::Test, None, now).await;
        post(DeliveryKind::Incident, Some(incident), now).await;
        let copy = dump(&base, &alerting.database).await;
        let restored = restored(&base, &copy).await;
        let (before, after) = (
            Mailbox::open(Fault::None).await,
            Mailbox::open(Fault::None).await,
        );
        assert_eq!(alerting.send(&before.url).await.sent, 5);
        assert_eq!(restored.send(&after.url).await.sent, 5);
        assert_eq!(before.counts().len(), 5);
        assert_eq!(before.counts(), after.counts());
        let mut paths = [before.return_paths(), after.return_paths()];
        paths.iter_mut().for_each(|paths| paths.sort());
        assert_eq!(paths[0], paths[1], "a notice about either finds the mail");
    })
    .await;
}
