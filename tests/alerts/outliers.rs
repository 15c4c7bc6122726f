//! Recipients at which the mail server breaks off: only they wait.

use std::time::{Duration, Instant};

use marketlake_alerts::delivery::outbox::{self, NewDelivery, Sender};
use marketlake_alerts::subscriptions::ChannelKind;
use marketlake_entities::database;
use marketlake_entities::records::deliveries::{DeliveryKind, DeliveryState};
use marketlake_entities::records::delivery_throttles::{self, ThrottleScope};
use reqwest::Method;
use sea_orm::{ConnectionTrait, DatabaseConnection, EntityTrait};
use serde_json::json;

use crate::support::alerting::Alerting;
use crate::support::base::{Base, on_both};
use crate::support::client::Client;
use crate::support::eventually;
use crate::support::mailbox::{CLOSE, Fault, Mailbox};
use crate::support::program::{Program, Running};

/// Has everything that waits, and every throttle, tried now.
async fn make_due(database: &DatabaseConnection) {
    for sql in [
        "update deliveries set not_before = 0 where not_before < 9000000000000000",
        "update delivery_throttles set until = 0",
    ] {
        database.execute_unprepared(sql).await.unwrap();
    }
}

async fn post(alerting: &Alerting, addresses: impl IntoIterator<Item = String>) {
    let transaction = database::begin_write(&alerting.database).await.unwrap();
    let now = database::clock(&transaction).await.unwrap();
    for address in addresses {
        let delivery = NewDelivery::new(DeliveryKind::Manage, ChannelKind::Mail, &address);
        outbox::enqueue(&transaction, delivery, now).await.unwrap();
    }
    transaction.commit().await.unwrap();
}

/// Sends until a number of mails has arrived.
async fn until_arrived(sender: &Sender, mailbox: &Mailbox, count: usize) {
    eventually("all mails", async || {
        sender.send_due(|| false).await.unwrap();
        (mailbox.mails().len() >= count).then_some(())
    })
    .await;
    assert_eq!(mailbox.mails().len(), count);
}

async fn holds_all_mail(database: &DatabaseConnection) -> bool {
    let rows = delivery_throttles::Entity::find().all(database).await;
    rows.unwrap()
        .iter()
        .any(|row| row.scope == ThrottleScope::Channel)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_at_which_the_server_breaks_off_delays_nobody_at_any_retry() {
    on_both(async |base: Base| {
        for (fault, ends) in [
            (Fault::Refuse("closes", CLOSE), DeliveryState::Retry),
            (
                Fault::Refuse("closes", "421 4.7.0 closing"),
                DeliveryState::Retry,
            ),
            (Fault::RefuseData("closes", CLOSE), DeliveryState::Unknown),
            (
                Fault::RefuseData("closes", "451 local error"),
                DeliveryState::Retry,
            ),
            (
                Fault::RefuseData("closes", "421 closing"),
                DeliveryState::Retry,
            ),
        ] {
            let base = base.again().await;
            let alerting = Alerting::on(&base).await;
            let mailbox = Mailbox::open(fault).await;
            let sender = alerting.sender(&mailbox.url, None);
            post(&alerting, ["closes@bad.example".to_owned()]).await;
            for round in 1..=4 {
                let good = ["good.example", "bad.example"];
                let good = good.map(|name| (0..3).map(move |one| format!("{round}-{one}@{name}")));
                post(&alerting, good.into_iter().flatten()).await;
                let begun = Instant::now();
                until_arrived(&sender, &mailbox, 6 * round).await;
                let took = begun.elapsed();
                assert!(took < Duration::from_secs(20), "{fault:?}: {took:?}");
                assert!(!holds_all_mail(&alerting.database).await, "{fault:?}");
                let rows = delivery_throttles::Entity::find();
                let rows = rows.all(&alerting.database).await.unwrap();
                let of_domain =
                    |row: &delivery_throttles::Model| row.scope == ThrottleScope::Destination;
                // Once others of its domain got their mails, it waits alone.
                assert!(
                    round < 3 || !rows.iter().any(of_domain),
                    "{fault:?}: {rows:?}"
                );
                make_due(&alerting.database).await;
            }
            let all = alerting.deliveries().await;
            let bad = all.iter().find(|row| row.address.starts_with("closes"));
            let bad = bad.unwrap();
            assert_eq!(bad.state, ends, "{fault:?}: {bad:?}");
            assert!(bad.attempts >= 2, "{fault:?}: {bad:?}");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_breaks_off_at_every_recipient_is_an_outage_of_all_mail_and_ends_soon() {
    on_both(async |base: Base| {
        let alerting = Alerting::on(&base).await;
        let mailbox = Mailbox::open(Fault::Refuse("", CLOSE)).await;
        let sender = alerting.sender(&mailbox.url, None);
        let readers = (0..30).map(|number| format!("reader@d{number}.example"));
        post(&alerting, readers).await;
        let round = sender.send_due(|| false).await.unwrap();
        // Not every domain has to find out.
        assert!(round.sent == 0 && round.retry <= 16, "{round:?}");
        let now = alerting.now().await;
        let held = outbox::list_throttles(&alerting.database, now)
            .await
            .unwrap();
        assert_eq!(held[0].name, "mail", "{held:?}");
        assert!(held[0].until.0 - now.0 <= 5_000, "{held:?}");
        mailbox.set(Fault::None);
        until_arrived(&sender, &mailbox, 30).await;
        assert!(!holds_all_mail(&alerting.database).await);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn many_domains_that_break_off_do_not_stop_the_mail_of_others() {
    let base = Base::local().await;
    let alerting = Alerting::on(&base).await;
    let mailbox = Mailbox::open(Fault::Refuse("closes", CLOSE)).await;
    let sender = alerting.sender(&mailbox.url, None);
    let bad = (0..40).map(|number| format!("closes@d{number}.example"));
    post(&alerting, bad).await;
    for round in 1..=3 {
        let good = (0..6).map(|number| format!("{round}-{number}@good.example"));
        post(&alerting, good).await;
        let begun = Instant::now();
        until_arrived(&sender, &mailbox, 6 * round).await;
        let took = begun.elapsed();
        assert!(took < Duration::from_secs(50), "{round}: {took:?}");
        make_due(&alerting.database).await;
    }
    // They failed while others did not: however often they are tried, the server is well.
    sender.send_due(|| false).await.unwrap();
    assert!(!holds_all_mail(&alerting.database).await);
}

async fn sign_up(server: &Running, address: &str) {
    let wanted = json!({"metric": "*", "address": address});
    let client = Client::of(server);
    let made = client
        .json(Method::POST, "/v1/subscriptions", &wanted)
        .await;
    assert!(made.status.is_success(), "{}", made.text());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_domain_that_breaks_off_is_two_lines_of_the_log_whatever_others_get_meanwhile() {
    let base = Base::local().await;
    let mailbox = Mailbox::open(Fault::Refuse("closes", CLOSE)).await;
    let database = base.database().await;
    let program = Program::on(&base)
        .with("MARKETLAKE_FEEDS", "[{kind=\"simulated\"}]")
        .with("MARKETLAKE_MAIL__URL", &mailbox.url);
    let mut server = program.up(&[]).await;
    sign_up(&server, "closes@bad.example").await;
    for round in 1..=3 {
        eventually("another failure", async || {
            let row = delivery_throttles::Entity::find().one(&database).await;
            row.unwrap().filter(|row| row.failures >= round)
        })
        .await;
        sign_up(&server, &format!("{round}@good.example")).await;
        eventually("the mail of another domain", async || {
            (mailbox.counts().len() == usize::try_from(round).unwrap()).then_some(())
        })
        .await;
        make_due(&database).await;
    }
    mailbox.set(Fault::None);
    eventually("the end to be logged", async || {
        make_due(&database).await;
        let log = server.log();
        log.contains("outage of a receiver ended").then_some(())
    })
    .await;
    let log = server.end_log();
    let lines = |words: &str| log.lines().filter(|line| line.contains(words)).count();
    assert_eq!(lines("outage of a receiver begins"), 1, "{log}");
    assert_eq!(lines("outage of a receiver ended"), 1, "{log}");
    assert_eq!(lines("mail:bad.example"), 2, "{log}");
}
