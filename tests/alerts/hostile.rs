//! Receivers that mean no good: mute, slow, without end, or gone.

use std::sync::Arc;
use std::time::{Duration, Instant};

use marketlake_alerts::delivery::channels::{
    Channel, FileChannel, Guard, OutgoingMessage, SendOutcome, WebhookChannel,
};
use marketlake_alerts::delivery::outbox::{self, NewDelivery, Sender};
use marketlake_alerts::subscriptions::{ChannelKind as Kind, SubscriptionState};
use marketlake_alerts::{Subscription, SubscriptionSpec};
use marketlake_entities::records::deliveries::{DeliveryKind, DeliveryState};

use crate::support::alerting::{Alerting, TIMEOUT, wants};
use crate::support::base::{Base, on_both};
use crate::support::hook::{Hook, OK};
use crate::support::mailbox::{Fault, Mailbox};
use crate::support::samples::{series, start};
use crate::support::skew::true_now;

const ID: &str = "binance:hottry:volume";
const GONE: &str = "HTTP/1.1 410 Gone\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
const MISSING: &str = "HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";

#[tokio::test(flavor = "multi_thread")]
async fn a_mail_server_that_is_mute_or_talks_without_end_costs_little_time_and_no_memory() {
    let lines = "220-welcome\r\n";
    for (fault, expected) in [
        (
            Fault::MuteAt("EHLO"),
            "timed out after 3 s, at the greeting",
        ),
        (Fault::MuteAt("MAIL"), "timed out after 3 s, at MAIL FROM"),
        (Fault::MuteAt("RCPT"), "timed out after 3 s, at RCPT TO"),
        (Fault::MuteAt("DATA"), "timed out after 3 s, at DATA"),
        (
            Fault::Endless("all work and no play "),
            "the server's reply exceeds the maximum size",
        ),
        (
            Fault::Endless(lines),
            "the server's reply exceeds the maximum size",
        ),
    ] {
        let base = Base::local().await;
        let alerting = Alerting::on(&base).await;
        let delivery = NewDelivery::new(DeliveryKind::Manage, Kind::Mail, "trader@example.com");
        let now = alerting.now().await;
        outbox::enqueue(&alerting.database, delivery, now)
            .await
            .unwrap();
        let mailbox = Mailbox::open(fault).await;
        let begun = Instant::now();
        alerting.send(&mailbox.url).await;
        let delivery = alerting.delivery().await;
        let error = delivery.error.unwrap();
        assert_eq!(delivery.state, DeliveryState::Retry, "{fault:?}: {error}");
        assert!(error.contains(expected), "{fault:?}: {error}");
        assert!(begun.elapsed() < 2 * TIMEOUT, "{fault:?}");
        let held = outbox::list_throttles(&alerting.database, now)
            .await
            .unwrap();
        let name = match fault {
            Fault::MuteAt("RCPT" | "DATA") => "mail:example.com",
            _ => "mail",
        };
        assert_eq!((held.len(), held[0].name.as_str()), (1, name), "{fault:?}");
    }
}

fn channel(hook: &Hook) -> WebhookChannel {
    let guard = Guard {
        allowed: vec!["127.0.0.0/8".parse().unwrap()],
    };
    WebhookChannel::new(guard, std::slice::from_ref(&hook.certificate), None).unwrap()
}

async fn call(hook: &Hook) -> SendOutcome {
    let parcel = OutgoingMessage {
        message_id: "m".to_owned(),
        return_path: String::new(),
        address: hook.url("localhost"),
        secret: Some("secret".to_owned()),
        bytes: Arc::from(&b"{}"[..]),
    };
    let mut transport = channel(hook).transport();
    transport.prepare(&parcel).await.unwrap();
    transport.transmit(&parcel, true_now()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_that_answers_without_end_is_heard_as_far_as_its_status() {
    let ok = "HTTP/1.1 200 OK\r\n";
    let none = Duration::ZERO;
    let body = Hook::endless("HTTP/1.1 200 OK\r\n\r\n", &[b'x'; 4096], none).await;
    let begun = Instant::now();
    assert_eq!(call(&body).await, SendOutcome::Sent);
    assert!(begun.elapsed() < Duration::from_secs(4));
    for hook in [
        Hook::endless(ok, b"more: of the same\r\n", none).await,
        Hook::endless(ok, b"morewithoutanend", none).await,
        Hook::endless(ok, b"x", Duration::from_millis(500)).await,
        Hook::endless(
            "HTTP/1.1 100 Continue\r\n\r\n",
            b"HTTP/1.1 100 Continue\r\n\r\n",
            none,
        )
        .await,
    ] {
        let begun = Instant::now();
        let sending = call(&hook).await;
        assert!(matches!(sending, SendOutcome::Unknown(_)), "{sending:?}");
        assert!(
            begun.elapsed() < Duration::from_secs(9),
            "{:?}",
            begun.elapsed()
        );
    }
}

fn sender(alerting: &Alerting, base: &Base, hook: &Hook) -> Sender {
    let mail = FileChannel::new(base.path().join("outbox")).unwrap();
    alerting.sender_over(Arc::new(mail), Arc::new(channel(hook)), None)
}

fn hooked(hook: &Hook) -> SubscriptionSpec {
    SubscriptionSpec {
        channel: Some("webhook".to_owned()),
        endpoint: Some(hook.url("localhost")),
        ..wants("hottry:volume")
    }
}

async fn post_test(alerting: &Alerting, subscription: &Subscription) {
    let delivery = NewDelivery {
        subscription_id: Some(subscription.id.clone()),
        ..NewDelivery::new(DeliveryKind::Test, Kind::Webhook, subscription.target())
    };
    let now = alerting.now().await;
    outbox::enqueue(&alerting.database, delivery, now)
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_that_is_gone_ends_its_subscription_and_what_waits_for_it() {
    on_both(async |base: Base| {
        let alerting = Alerting::on(&base).await;
        alerting.calm(&[ID]).await;
        let hook = Hook::open(GONE).await;
        let subscription = alerting.subscribe(hooked(&hook)).await;
        let other = alerting.subscribe(wants("hottry:volume")).await;
        alerting.play(ID, 0, &["340"]).await;
        // A delivery that waits for its hour, or for another attempt, is closed too.
        post_test(&alerting, &subscription).await;
        let later = "update deliveries set not_before = not_before + 600000 where kind = 'test'";
        sea_orm::ConnectionTrait::execute_unprepared(&alerting.database, later)
            .await
            .unwrap();
        let round = sender(&alerting, &base, &hook)
            .send_due(|| false)
            .await
            .unwrap();
        assert_eq!((round.sent, round.dead), (1, 1));
        assert_eq!(hook.heard().len(), 1);
        let found = Subscription::find(&alerting.database, &subscription.id)
            .await
            .unwrap()
            .unwrap();
        assert_eq!(found.state, SubscriptionState::Deleted);
        assert_eq!(
            found.reason.as_deref(),
            Some("the receiver answered 410 Gone")
        );
        let history = Subscription::history(&alerting.database, &subscription.id)
            .await
            .unwrap();
        let (kind, detail, _) = history.last().unwrap();
        assert_eq!(
            (kind.as_str(), detail.as_str()),
            ("ended", "the receiver answered 410 Gone")
        );
        let waiting = outbox::list(&alerting.database, Some(DeliveryState::Dead), 10)
            .await
            .unwrap();
        let errors: Vec<_> = waiting.into_iter().filter_map(|row| row.error).collect();
        assert_eq!(errors.len(), 2, "{errors:?}");
        assert!(errors.contains(&"not wanted any more: the receiver answered 410 Gone".to_owned()));
        // Nothing is written for it any more; the mail of the other one is.
        alerting.commit(series(ID, 61, &["9000"])).await;
        alerting.commit(series(ID, 1, &["100"; 60])).await;
        alerting.evaluate(start().plus(1)).await;
        let recorded = alerting.evaluate(start().plus(61)).await;
        assert_eq!((recorded.alerts, recorded.deliveries), (1, 1));
        assert_eq!(alerting.deliveries().await.len(), 4);
        let found = Subscription::find(&alerting.database, &other.id)
            .await
            .unwrap()
            .unwrap();
        assert_eq!(found.state, SubscriptionState::Active);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_that_refuses_ten_times_in_a_row_is_suspended() {
    let base = Base::local().await;
    let alerting = Alerting::on(&base).await;
    let hook = Hook::open(MISSING).await;
    let subscription = alerting.subscribe(hooked(&hook)).await;
    for times in 1..=10 {
        post_test(&alerting, &subscription).await;
        let round = sender(&alerting, &base, &hook)
            .send_due(|| false)
            .await
            .unwrap();
        assert_eq!(round.dead, 1);
        let found = Subscription::find(&alerting.database, &subscription.id).await;
        let state = found.unwrap().unwrap().state;
        let expected = if times < 10 {
            SubscriptionState::Active
        } else {
            SubscriptionState::Suspended
        };
        assert_eq!(state, expected, "after {times}");
    }
    let history = Subscription::history(&alerting.database, &subscription.id)
        .await
        .unwrap();
    let (kind, detail, _) = history.last().unwrap();
    assert_eq!(kind, "suspended");
    assert!(
        detail.contains("10 deliveries in a row were refused"),
        "{detail}"
    );
}

macro_rules! retry_after {
    ($after:literal) => {
        concat!(
            "HTTP/1.1 429 Slow down\r\nretry-after: ",
            $after,
            "\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
        )
    };
}

#[tokio::test(flavor = "multi_thread")]
async fn the_time_that_a_webhook_asks_for_is_kept_to_within_an_hour_and_holds_back_nobody_else() {
    for (answer, least, most) in [
        (retry_after!("120"), 115, 180),
        (retry_after!("18446744073709551615"), 3_590, 3_660),
        (retry_after!("99999999999"), 3_590, 3_660),
        (
            retry_after!("99999999999999999999999999999999999"),
            3_590,
            3_660,
        ),
        (retry_after!("Fri, 31 Dec 9999 23:59:59 GMT"), 3_590, 3_660),
        (retry_after!("Sun, 06 Nov 1994 08:49:37 GMT"), 5, 60),
        (retry_after!("-1"), 5, 60),
        (retry_after!("soon"), 5, 60),
        (retry_after!(""), 5, 60),
    ] {
        let base = Base::local().await;
        let alerting = Alerting::on(&base).await;
        let hook = Hook::open(answer).await;
        let subscription = alerting.subscribe(hooked(&hook)).await;
        post_test(&alerting, &subscription).await;
        let now = alerting.now().await;
        let round = sender(&alerting, &base, &hook)
            .send_due(|| false)
            .await
            .unwrap();
        assert_eq!((round.retry, hook.heard().len()), (1, 1), "{answer}");
        let held = outbox::list_throttles(&alerting.database, now)
            .await
            .unwrap();
        assert_eq!(held.len(), 1, "{answer}: {held:?}");
        let seconds = (held[0].until.0 - now.0) / 1_000;
        assert!((least..=most).contains(&seconds), "{answer}: {seconds} s");
        // Another receiver on the same host hears at once.
        let good = Hook::open(OK).await;
        let other = SubscriptionSpec {
            endpoint: Some(good.url("localhost")),
            ..hooked(&good)
        };
        let other = alerting.subscribe(other).await;
        post_test(&alerting, &other).await;
        let round = sender(&alerting, &base, &good)
            .send_due(|| false)
            .await
            .unwrap();
        assert_eq!(round.sent, 1, "{answer}");
    }
}
