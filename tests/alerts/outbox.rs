//! Twelve ways of a mail server to behave, and what the outbox makes of each: sent, to be tried
//! again, dead, unknown.

use std::time::Duration;

use marketlake_alerts::delivery::outbox;
use marketlake_entities::records::deliveries::DeliveryState;
use sea_orm::ConnectionTrait;

use crate::support::alerting::{Alerting, wants};
use crate::support::base::{Base, on_both};
use crate::support::mailbox::{Fault, Mailbox};
use crate::support::samples::start;

const ID: &str = "binance:hottry:volume";

/// One subscription and one jump: one delivery.
async fn one_delivery(base: &Base) -> Alerting {
    let alerting = Alerting::on(base).await;
    alerting.calm(&[ID]).await;
    alerting.subscribe(wants("hottry:volume")).await;
    alerting.play(ID, 0, &["340"]).await;
    alerting
}

/// Many jumps at one minute: one digest.
async fn one_digest(base: &Base) -> Alerting {
    let alerting = Alerting::on(base).await;
    let ids = [
        "x:a:volume",
        "x:b:volume",
        "x:c:volume",
        "x:d:volume",
        "x:e:volume",
    ];
    alerting.calm(&ids).await;
    alerting.subscribe(wants("*:volume")).await;
    for id in ids {
        alerting
            .commit(crate::support::samples::series(id, 0, &["340"]))
            .await;
    }
    assert_eq!(alerting.evaluate(start()).await.deliveries, 1);
    alerting
}

/// A first mail, a mail that was refused once, a digest.
#[derive(Clone, Copy, Debug)]
enum Stage {
    First,
    Retry,
    Digest,
}

/// Fault of a server; resulting state of the delivery; number of times the mail arrived.
fn modes() -> [(&'static str, Option<Fault>, DeliveryState, usize); 12] {
    let late = Duration::from_millis(100);
    [
        ("ok", Some(Fault::None), DeliveryState::Sent, 1),
        (
            "slow 250",
            Some(Fault::SlowAfterData(late)),
            DeliveryState::Sent,
            1,
        ),
        (
            "drop after DATA",
            Some(Fault::DropAfterData),
            DeliveryState::Unknown,
            1,
        ),
        (
            "mute after DATA",
            Some(Fault::MuteAfterData),
            DeliveryState::Unknown,
            1,
        ),
        (
            "slow banner",
            Some(Fault::SlowBanner(Duration::from_secs(60))),
            DeliveryState::Retry,
            0,
        ),
        ("refused", None, DeliveryState::Retry, 0),
        ("421", Some(Fault::Greeting(421)), DeliveryState::Retry, 0),
        ("451", Some(Fault::Data(451)), DeliveryState::Retry, 0),
        ("550", Some(Fault::Recipient(550)), DeliveryState::Dead, 0),
        ("552", Some(Fault::Data(552)), DeliveryState::Dead, 0),
        (
            "a byte a second",
            Some(Fault::ByteASecond),
            DeliveryState::Retry,
            0,
        ),
        (
            "STARTTLS stripped",
            Some(Fault::None),
            DeliveryState::Retry,
            0,
        ),
    ]
}

async fn meet(
    name: &str,
    fault: Option<Fault>,
    stage: Stage,
) -> (DeliveryState, usize, Alerting, Base) {
    let base = Base::local().await;
    let alerting = match stage {
        Stage::First | Stage::Retry => one_delivery(&base).await,
        Stage::Digest => one_digest(&base).await,
    };
    if matches!(stage, Stage::Retry) {
        let refusing = Mailbox::open(Fault::Data(451)).await;
        alerting.send(&refusing.url).await;
        assert_eq!(alerting.states().await, [DeliveryState::Retry]);
        alerting.make_due().await;
    }
    let mailbox = Mailbox::open(fault.unwrap_or(Fault::None)).await;
    let url = match (name, fault) {
        (_, None) => "smtp://127.0.0.1:1".to_owned(),
        ("STARTTLS stripped", _) => format!("{}?tls=required", mailbox.url),
        _ => mailbox.url.clone(),
    };
    alerting.send(&url).await;
    let delivery = alerting.delivery().await;
    assert_eq!(
        delivery.error.is_none(),
        delivery.state == DeliveryState::Sent,
        "{delivery:?}"
    );
    assert_eq!(
        delivery.unknowns,
        i32::from(delivery.state == DeliveryState::Unknown),
        "{delivery:?}"
    );
    let identity = delivery.message_id.clone().unwrap_or_default();
    let id = format!("{identity}@lake.example");
    let count = mailbox.counts().get(&id).copied().unwrap_or(0);
    assert_eq!(
        mailbox.mails().len(),
        count,
        "other mails than this one arrived"
    );
    (delivery.state, count, alerting, base)
}

#[tokio::test(flavor = "multi_thread")]
async fn twelve_ways_of_a_mail_server_have_their_outcome_for_first_mails_retries_and_digests() {
    let mut met = Vec::new();
    // Few at a time: a mail server's timeout is short, and goes on on a busy machine.
    let slots = std::sync::Arc::new(tokio::sync::Semaphore::new(6));
    let mut running = tokio::task::JoinSet::new();
    for stage in [Stage::First, Stage::Retry, Stage::Digest] {
        for (name, fault, state, count) in modes() {
            let slots = std::sync::Arc::clone(&slots);
            running.spawn(async move {
                let _slot = slots.acquire_owned().await.unwrap();
                let (is, came, ..) = meet(name, fault, stage).await;
                (format!("{name}, {stage:?}"), (is, came), (state, count))
            });
        }
    }
    while let Some(done) = running.join_next().await {
        let (name, is, expected) = done.unwrap();
        assert_eq!(is, expected, "{name}");
        met.push(name);
    }
    assert_eq!(met.len(), 36);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_server_asks_for_slows_the_server_and_not_the_row_alone() {
    on_both(async |base: Base| {
        let alerting = one_delivery(&base).await;
        let mailbox = Mailbox::open(Fault::Greeting(421)).await;
        alerting.send(&mailbox.url).await;
        let now = alerting.now().await;
        let held = outbox::list_throttles(&alerting.database, now)
            .await
            .unwrap();
        // A pause of no length is no pause: jitter goes down to nothing.
        assert!(
            held.iter()
                .all(|brake| brake.name == "mail" && brake.failures == 1),
            "{held:?}"
        );
        alerting
            .database
            .execute_unprepared("update delivery_throttles set until = 9000000000000000")
            .await
            .unwrap();
        // Another mail, due now, is not begun while the server wants to be left alone.
        alerting.subscribe(wants("other:volume")).await;
        alerting
            .database
            .execute_unprepared("update deliveries set not_before = 0")
            .await
            .unwrap();
        mailbox.set(Fault::None);
        assert_eq!(alerting.send(&mailbox.url).await.sent, 0);
        assert_eq!(mailbox.mails().len(), 0);
        alerting
            .database
            .execute_unprepared("update delivery_throttles set until = 0")
            .await
            .unwrap();
        assert_eq!(alerting.send(&mailbox.url).await.sent, 1);
        // A mail that was taken ends it.
        let left = "select 1 as n from delivery_throttles";
        let backend = alerting.database.get_database_backend();
        let row = alerting
            .database
            .query_one_raw(sea_orm::Statement::from_string(backend, left))
            .await
            .unwrap();
        assert!(row.is_none());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_switch_stops_everything_and_loses_nothing() {
    let base = Base::local().await;
    let alerting = one_delivery(&base).await;
    let mailbox = Mailbox::open(Fault::None).await;
    let now = alerting.now().await;
    outbox::pause_sending(&alerting.database, "wrong prices", now)
        .await
        .unwrap();
    assert_eq!(alerting.send(&mailbox.url).await.sent, 0);
    assert!(!outbox::is_due(&alerting.database, now).await.unwrap());
    assert!(outbox::resume_sending(&alerting.database).await.unwrap());
    assert_eq!(alerting.send(&mailbox.url).await.sent, 1);
    assert_eq!(mailbox.mails().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_outcome_is_tried_once_more_with_the_same_bytes_and_counted() {
    let base = Base::local().await;
    let alerting = one_delivery(&base).await;
    let mailbox = Mailbox::open(Fault::DropAfterData).await;
    for _ in 0..4 {
        alerting.send(&mailbox.url).await;
        alerting.make_due().await;
    }
    let delivery = alerting.delivery().await;
    assert_eq!(
        (delivery.state, delivery.unknowns),
        (DeliveryState::Unknown, 2)
    );
    let mails = mailbox.mails();
    assert_eq!((mails.len(), mailbox.counts().len()), (2, 1));
    assert_eq!(mails[0], mails[1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_died_before_it_handed_over_is_no_doubt_and_one_that_died_after_is() {
    on_both(async |base: Base| {
        let alerting = one_delivery(&base).await;
        let mailbox = Mailbox::open(Fault::None).await;
        let held = "update deliveries set state = 'sending', token = 1, attempts = 1, lease_until \
            = 9000000000000000";
        alerting.database.execute_unprepared(held).await.unwrap();
        assert_eq!(alerting.send(&mailbox.url).await.sent, 0);
        alerting
            .database
            .execute_unprepared("update deliveries set lease_until = null")
            .await
            .unwrap();
        alerting.send(&mailbox.url).await;
        let delivery = alerting.delivery().await;
        assert_eq!(
            (delivery.state, delivery.attempts, delivery.unknowns),
            (DeliveryState::Sent, 2, 0)
        );
        let again = "update deliveries set state = 'sending', lease_until = null, \
            transmit_started_at = 1, not_before = 0";
        alerting.database.execute_unprepared(again).await.unwrap();
        alerting.send(&mailbox.url).await;
        let delivery = alerting.delivery().await;
        assert_eq!(
            (delivery.state, delivery.unknowns),
            (DeliveryState::Sent, 1)
        );
        assert_eq!(mailbox.counts().into_values().collect::<Vec<_>>(), [2]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_given_up_is_listed_and_goes_out_again_when_an_operator_says_so() {
    let base = Base::local().await;
    let alerting = one_delivery(&base).await;
    let mailbox = Mailbox::open(Fault::Recipient(550)).await;
    alerting.send(&mailbox.url).await;
    let listed = outbox::list(&alerting.database, Some(DeliveryState::Dead), 10)
        .await
        .unwrap();
    assert_eq!(
        (listed.len(), listed[0].to.as_str()),
        (1, "t***@example.com")
    );
    assert!(
        listed[0].error.as_deref().unwrap().contains("550"),
        "{listed:?}"
    );
    let now = alerting.now().await;
    assert!(
        !outbox::requeue(&alerting.database, "another", now)
            .await
            .unwrap()
    );
    assert!(
        outbox::requeue(&alerting.database, &listed[0].id, now)
            .await
            .unwrap()
    );
    mailbox.set(Fault::None);
    alerting.send(&mailbox.url).await;
    assert_eq!(alerting.states().await, [DeliveryState::Sent]);
    assert!(
        !outbox::requeue(&alerting.database, &listed[0].id, now)
            .await
            .unwrap()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn stale_news_is_given_up() {
    let base = Base::local().await;
    let alerting = one_delivery(&base).await;
    let old = "update deliveries set created_at = created_at - 22000000";
    alerting.database.execute_unprepared(old).await.unwrap();
    let mailbox = Mailbox::open(Fault::Data(451)).await;
    alerting.send(&mailbox.url).await;
    let delivery = alerting.delivery().await;
    assert_eq!(delivery.state, DeliveryState::Dead);
    assert!(
        delivery
            .error
            .unwrap()
            .starts_with("expired: not delivered within alerts.retry_for")
    );
}
