//! Delivery lanes: no delivery waits for another channel, domain or host.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use marketlake_alerts::delivery::channels::{Guard, SmtpChannel, WebhookChannel};
use marketlake_alerts::delivery::outbox::{self, NewDelivery, Sender};
use marketlake_alerts::subscriptions::ChannelKind;
use marketlake_alerts::{Subscription, SubscriptionSpec};
use marketlake_entities::database;
use marketlake_entities::records::deliveries::{DeliveryKind, DeliveryState};
use tokio::net::TcpListener;

use crate::support::alerting::{Alerting, TIMEOUT, wants};
use crate::support::base::{Base, on_both};
use crate::support::eventually;
use crate::support::mailbox::{CLOSE, Fault, Mailbox};

/// Posts a mail to each address, in their order, in one transaction.
async fn post(alerting: &Alerting, addresses: impl IntoIterator<Item = String>) {
    let transaction = database::begin_write(&alerting.database).await.unwrap();
    let mut at = database::clock(&transaction).await.unwrap();
    at.0 -= 60_000;
    for address in addresses {
        at.0 += 1;
        let delivery = NewDelivery::new(DeliveryKind::Manage, ChannelKind::Mail, &address);
        outbox::enqueue(&transaction, delivery, at).await.unwrap();
    }
    transaction.commit().await.unwrap();
}

fn recipients(mailbox: &Mailbox) -> Vec<String> {
    let mails = mailbox.mails();
    let to = |mail: &String| {
        mail.lines()
            .find_map(|line| line.strip_prefix("To: "))
            .map(str::to_owned)
    };
    mails.iter().filter_map(to).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn good_addresses_among_deferring_ones_get_their_mails_at_once() {
    on_both(async |base: Base| {
        // The reply, and the domain of the good addresses: the same one,
        // or of another one.
        for (reply, good) in [
            ("450 mailbox busy", "good.bad.example"),
            ("452 4.2.2 mailbox full", "bad.example"),
            ("450 4.7.1 try again later", "good.example"),
            ("451 4.4.1 no answer from host", "good.example"),
            ("421 4.7.0 closing", "good.example"),
            (CLOSE, "good.example"),
        ] {
            let base = base.again().await;
            let alerting = Alerting::on(&base).await;
            let bad = (0..150).map(|number| format!("deferred{number}@bad.example"));
            let good = (0..6).map(|number| format!("reader{number}@{good}"));
            post(&alerting, bad.chain(good)).await;
            let mailbox = Mailbox::open(Fault::Refuse("deferred", reply)).await;
            let begun = Instant::now();
            let round = alerting.send(&mailbox.url).await;
            assert_eq!(round.sent, 6, "{reply}: {round:?}");
            assert_eq!(recipients(&mailbox).len(), 6, "{reply}");
            assert!(
                begun.elapsed() < Duration::from_secs(20),
                "{reply}: {:?}",
                begun.elapsed()
            );
            let now = alerting.now().await;
            let held = outbox::list_throttles(&alerting.database, now)
                .await
                .unwrap();
            let of_domain = held
                .iter()
                .filter(|one| one.name == "mail:bad.example")
                .count();
            let of_address = held
                .iter()
                .filter(|one| one.name == "d***@bad.example")
                .count();
            assert_eq!(held.len(), of_domain + of_address, "{reply}: {held:?}");
            if !reply.starts_with("450 mailbox") && !reply.contains("4.2.2") {
                assert_eq!((of_domain, of_address), (1, 0), "{reply}");
                // Once it is known, no more of them are tried.
                assert!(round.retry <= 16, "{reply}: {round:?}");
            } else {
                assert_eq!((of_domain, of_address), (0, 150), "{reply}");
            }
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_domain_that_failed_is_tried_by_one_mail_first_and_then_gets_all() {
    let base = Base::local().await;
    let alerting = Alerting::on(&base).await;
    post(
        &alerting,
        (0..40).map(|number| format!("deferred{number}@bad.example")),
    )
    .await;
    let mailbox = Mailbox::open(Fault::Refuse("deferred", "451 4.7.1 later")).await;
    alerting.send(&mailbox.url).await;
    let ended = "update delivery_throttles set until = 0";
    sea_orm::ConnectionTrait::execute_unprepared(&alerting.database, ended)
        .await
        .unwrap();
    let due = "update deliveries set not_before = 0";
    sea_orm::ConnectionTrait::execute_unprepared(&alerting.database, due)
        .await
        .unwrap();
    let round = alerting.send(&mailbox.url).await;
    assert_eq!((round.sent, round.retry), (0, 1), "{round:?}");
    sea_orm::ConnectionTrait::execute_unprepared(&alerting.database, ended)
        .await
        .unwrap();
    sea_orm::ConnectionTrait::execute_unprepared(&alerting.database, due)
        .await
        .unwrap();
    mailbox.set(Fault::None);
    assert_eq!(alerting.send(&mailbox.url).await.sent, 40);
    let now = alerting.now().await;
    assert!(
        outbox::list_throttles(&alerting.database, now)
            .await
            .unwrap()
            .is_empty()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_domain_with_thousands_of_mails_does_not_starve_another_one() {
    on_both(async |base: Base| {
        let alerting = Alerting::on(&base).await;
        let many = (0..3_000).map(|number| format!("reader{number}@many.example"));
        let few = ["one@few.example".to_owned(), "two@few.example".to_owned()];
        post(&alerting, many.chain(few)).await;
        let mailbox = Arc::new(Mailbox::open(Fault::None).await);
        let stop = {
            let mailbox = Arc::clone(&mailbox);
            move || mailbox.mails().len() >= 128
        };
        alerting
            .sender(&mailbox.url, None)
            .send_due(stop)
            .await
            .unwrap();
        // The first claim holds both; a mail of it may be overtaken while its connection opens.
        let first: Vec<String> = recipients(&mailbox).into_iter().take(128).collect();
        let few = first
            .iter()
            .filter(|to| to.ends_with("few.example"))
            .count();
        assert_eq!(few, 2, "on {}: {first:?}", base.name);
    })
    .await;
}

/// Receivers that take connections and never say a word: one at each of some addresses of loopback.
async fn mute(hosts: u8) -> (Vec<String>, Arc<AtomicUsize>) {
    let most = Arc::new(AtomicUsize::new(0));
    let mut urls = Vec::new();
    for host in 1..=hosts {
        let listener = TcpListener::bind(format!("127.0.0.{host}:0"))
            .await
            .unwrap();
        let address = listener.local_addr().unwrap();
        urls.push(format!("https://{address}/in"));
        let most = Arc::clone(&most);
        tokio::spawn(async move {
            let open = Arc::new(AtomicUsize::new(0));
            loop {
                let (mut socket, _) = listener.accept().await.unwrap();
                let now = open.fetch_add(1, Ordering::SeqCst) + 1;
                most.fetch_max(now, Ordering::SeqCst);
                let open = Arc::clone(&open);
                tokio::spawn(async move {
                    let mut sink = tokio::io::sink();
                    let _ = tokio::io::copy(&mut socket, &mut sink).await;
                    open.fetch_sub(1, Ordering::SeqCst);
                });
            }
        });
    }
    (urls, most)
}

async fn webhook(alerting: &Alerting, url: &str) -> Subscription {
    let new = SubscriptionSpec {
        channel: Some("webhook".to_owned()),
        endpoint: Some(url.to_owned()),
        ..wants("*:volume")
    };
    let subscription = alerting.subscribe(new).await;
    let delivery = NewDelivery {
        subscription_id: Some(subscription.id.clone()),
        ..NewDelivery::new(DeliveryKind::Test, ChannelKind::Webhook, url)
    };
    let now = alerting.now().await;
    outbox::enqueue(&alerting.database, delivery, now)
        .await
        .unwrap();
    subscription
}

fn sender(alerting: &Alerting, mailbox: &Mailbox) -> Sender {
    let guard = Guard {
        allowed: vec!["127.0.0.0/8".parse().unwrap()],
    };
    let webhook = WebhookChannel::new(guard, &[], None).unwrap();
    let mail = SmtpChannel::new(&mailbox.url, "lake.example", Some(TIMEOUT)).unwrap();
    alerting.sender_over(Arc::new(mail), Arc::new(webhook), None)
}

#[tokio::test(flavor = "multi_thread")]
async fn webhooks_that_hang_delay_no_mail() {
    on_both(async |base: Base| {
        let alerting = Alerting::on(&base).await;
        let (urls, _) = mute(83).await;
        for url in &urls {
            webhook(&alerting, url).await;
        }
        let mailbox = Mailbox::open(Fault::None).await;
        let stopped = Arc::new(AtomicBool::new(false));
        let stop = {
            let stopped = Arc::clone(&stopped);
            move || stopped.load(Ordering::SeqCst)
        };
        let sender = sender(&alerting, &mailbox);
        let sending = tokio::spawn(async move { sender.send_due(stop).await });
        // The webhook lane is full before the mail is written.
        eventually("hanging webhooks", async || {
            let states = alerting.states().await;
            let busy = states
                .iter()
                .filter(|state| **state == DeliveryState::Sending)
                .count();
            (busy >= 32).then_some(())
        })
        .await;
        let begun = Instant::now();
        post(&alerting, ["trader@example.com".to_owned()]).await;
        eventually("the mail", async || {
            (!mailbox.mails().is_empty()).then_some(())
        })
        .await;
        let took = begun.elapsed();
        assert!(took < Duration::from_secs(3), "on {}: {took:?}", base.name);
        stopped.store(true, Ordering::SeqCst);
        sending.await.unwrap().unwrap();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_host_that_hangs_has_so_many_connections_and_is_left_alone_then() {
    let base = Base::local().await;
    let alerting = Alerting::on(&base).await;
    let (urls, most) = mute(1).await;
    for number in 0..30 {
        webhook(&alerting, &format!("{}{number}", urls[0])).await;
    }
    let mailbox = Mailbox::open(Fault::None).await;
    let round = sender(&alerting, &mailbox)
        .send_due(|| false)
        .await
        .unwrap();
    assert_eq!(
        (round.sent, most.load(Ordering::SeqCst)),
        (0, 8),
        "{round:?}"
    );
    let now = alerting.now().await;
    let held = outbox::list_throttles(&alerting.database, now)
        .await
        .unwrap();
    let name = urls[0].replace("https://", "webhook:").replace("/in", "");
    assert_eq!(held.len(), 1, "{held:?}");
    assert_eq!(
        (held[0].name.as_str(), held[0].failures),
        (name.as_str(), 1)
    );
    assert!(round.retry + round.unknown <= 16, "{round:?}");
}
