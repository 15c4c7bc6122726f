//! Four outcomes: sent, to be tried again, dead, unknown.

use std::time::Duration;

use marketlake_alerts::{NewSubscription, SmtpChannel, Subscription, detector, outbox};
use marketlake_entities::records::deliveries::{self, State};
use marketlake_entities::{Jump, Millis, database};
use sea_orm::{ConnectionTrait, DatabaseConnection, EntityTrait};

use crate::support::base::{Base, on_both};
use crate::support::mailbox::{Fault, Mailbox};
use crate::support::samples::{metric, start};

const PATIENCE: Option<Duration> = Some(Duration::from_secs(2));

/// One subscription and one jump: one delivery.
async fn one_delivery(database: &DatabaseConnection) {
    let new = NewSubscription {
        metric: "hottry:volume".to_owned(),
        factor: None,
        window_minutes: None,
        min_samples: None,
        address: "trader@example.com".to_owned(),
    };
    let now = database::clock(database).await.unwrap();
    let subscription = Subscription::create(database, &new, now)
        .await
        .unwrap()
        .unwrap();
    let jump = |ts| Jump {
        metric: metric("binance:hottry:volume"),
        ts,
        value: "340".parse().unwrap(),
        mean: 100.0,
        ratio: 3.4,
        samples: 60,
    };
    let transaction = database::begin_write(database).await.unwrap();
    let rule = subscription.rule;
    for _ in 0..2 {
        // The second time nothing is new.
        detector::record(
            &transaction,
            std::slice::from_ref(&subscription),
            &rule,
            &[jump(start())],
            now,
        )
        .await
        .unwrap();
    }
    transaction.commit().await.unwrap();
    assert_eq!(
        deliveries::Entity::find()
            .all(database)
            .await
            .unwrap()
            .len(),
        1
    );
}

async fn send(database: &DatabaseConnection, mailbox: &Mailbox) -> deliveries::Model {
    let channel = SmtpChannel::new(&mailbox.url, PATIENCE).unwrap();
    let from = "marketlake <alerts@lake.example>".parse().unwrap();
    outbox::send_due(database, &channel, &from, || false)
        .await
        .unwrap();
    deliveries::Entity::find()
        .one(database)
        .await
        .unwrap()
        .unwrap()
}

async fn make_due(database: &DatabaseConnection) {
    database
        .execute_unprepared(
            "update deliveries set not_before = 0 where not_before < 9000000000000000",
        )
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_taken_mail_is_sent_once_and_says_what_happened() {
    on_both(async |base: Base| {
        let database = base.database().await;
        one_delivery(&database).await;
        let mailbox = Mailbox::open(Fault::None).await;
        let delivery = send(&database, &mailbox).await;
        assert_eq!(
            (delivery.state, delivery.attempts, delivery.error),
            (State::Sent, 1, None)
        );
        send(&database, &mailbox).await;
        let mails = mailbox.mails();
        assert_eq!(mails.len(), 1);
        for expected in [
            "To: trader@example.com",
            "From: marketlake <alerts@lake.example>",
            "Subject: binance:hottry:volume 3.4x its last hour",
            &format!("Message-ID: <{}@lake.example>", delivery.id),
            "Auto-Submitted: auto-generated",
            "binance:hottry:volume jumped at 2026-11-24T10:00:00Z.",
            "Value    340",
        ] {
            assert!(
                mails[0].contains(expected),
                "{expected:?} is not in\n{}",
                mails[0]
            );
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_fault_of_a_mail_server_has_its_outcome() {
    let cases = [
        (Fault::Greeting(421), State::Retry),
        (Fault::Recipient(451), State::Retry),
        (Fault::Data(451), State::Retry),
        (Fault::Recipient(550), State::Dead),
        (Fault::Data(552), State::Dead),
        (Fault::DropAfterData, State::Unknown),
        (Fault::MuteAfterData, State::Unknown),
        (
            Fault::SlowAfterData(Duration::from_millis(100)),
            State::Sent,
        ),
    ];
    for (fault, expected) in cases {
        let base = Base::local().await;
        let database = base.database().await;
        one_delivery(&database).await;
        let mailbox = Mailbox::open(fault).await;
        let delivery = send(&database, &mailbox).await;
        assert_eq!(delivery.state, expected, "{fault:?}: {delivery:?}");
        assert_eq!(
            delivery.error.is_none(),
            expected == State::Sent,
            "{delivery:?}"
        );
    }
    let base = Base::local().await;
    let database = base.database().await;
    one_delivery(&database).await;
    let mut nobody = Mailbox::open(Fault::None).await;
    nobody.url = "smtp://127.0.0.1:1".to_owned();
    let delivery = send(&database, &nobody).await;
    assert_eq!(delivery.state, State::Retry, "{delivery:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retry_waits_and_an_unknown_outcome_is_tried_once_more_under_the_same_id() {
    let base = Base::local().await;
    let database = base.database().await;
    one_delivery(&database).await;
    let mailbox = Mailbox::open(Fault::Data(451)).await;
    let delivery = send(&database, &mailbox).await;
    let now = database::clock(&database).await.unwrap();
    assert!(delivery.not_before <= Millis(now.0 + 30_000));
    mailbox.set(Fault::DropAfterData);
    for _ in 0..4 {
        make_due(&database).await;
        send(&database, &mailbox).await;
    }
    let delivery = deliveries::Entity::find()
        .one(&database)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(delivery.state, State::Unknown);
    let ids: Vec<String> = mailbox
        .mails()
        .iter()
        .map(|mail| {
            mail.lines()
                .find(|line| line.starts_with("Message-ID"))
                .unwrap()
                .to_owned()
        })
        .collect();
    assert!(
        !ids.is_empty() && ids.len() <= 2 && ids.iter().all(|id| *id == ids[0]),
        "{ids:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mail_whose_worker_died_is_taken_over_after_its_lease() {
    on_both(async |base: Base| {
        let database = base.database().await;
        one_delivery(&database).await;
        let mailbox = Mailbox::open(Fault::None).await;
        database.execute_unprepared("update deliveries set state = 'sending', token = 1, attempts = 1, lease_until = 9000000000000000").await.unwrap();
        assert_eq!(send(&database, &mailbox).await.state, State::Sending);
        database.execute_unprepared("update deliveries set lease_until = 1").await.unwrap();
        let delivery = send(&database, &mailbox).await;
        assert_eq!((delivery.state, delivery.attempts, mailbox.mails().len()), (State::Sent, 2, 1));
    })
    .await;
}
