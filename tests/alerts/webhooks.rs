//! Webhooks and chats: signed, over https, and never into our own network.

use std::net::IpAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use hmac::{Hmac, Mac};
use marketlake_alerts::delivery::channels::webhook::Lookup;
use marketlake_alerts::delivery::channels::{
    Channel, FileChannel, Guard, OutgoingMessage, SendOutcome, WebhookChannel,
};
use marketlake_alerts::delivery::outbox::{self, Sender};
use marketlake_alerts::subscriptions::Access;
use marketlake_alerts::subscriptions::check_endpoint;
use marketlake_alerts::{Subscription, SubscriptionSpec, subscriptions};
use marketlake_entities::records::deliveries::DeliveryState;
use sha2::Sha256;

use crate::support::alerting::{Alerting, wants};
use crate::support::base::Base;
use crate::support::hook::{Hook, OK};
use crate::support::samples::series;
use crate::support::skew::true_now;

const ID: &str = "binance:hottry:volume";

fn loopback() -> Guard {
    Guard {
        allowed: vec!["127.0.0.0/8".parse().unwrap()],
    }
}

async fn send(channel: &dyn Channel, address: &str) -> SendOutcome {
    let parcel = OutgoingMessage {
        message_id: "d".to_owned(),
        return_path: String::new(),
        address: address.to_owned(),
        secret: Some("secret".to_owned()),
        bytes: Arc::from(&b"{}"[..]),
    };
    let mut transport = channel.transport();
    match transport.prepare(&parcel).await {
        Ok(()) => transport.transmit(&parcel, true_now()).await,
        Err(sending) => sending,
    }
}

fn sender(alerting: &Alerting, base: &Base, hook: &Hook) -> Sender {
    let webhook =
        WebhookChannel::new(loopback(), std::slice::from_ref(&hook.certificate), None).unwrap();
    let mail = FileChannel::new(base.path().join("outbox")).unwrap();
    alerting.sender_over(Arc::new(mail), Arc::new(webhook), None)
}

async fn hooked(base: &Base, hook: &Hook, channel: &str) -> (Alerting, Subscription) {
    let alerting = Alerting::on(base).await;
    alerting.calm(&[ID]).await;
    let new = SubscriptionSpec {
        channel: Some(channel.to_owned()),
        endpoint: Some(hook.url("localhost")),
        ..wants("hottry:volume")
    };
    let subscription = alerting.subscribe(new).await;
    (alerting, subscription)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_is_signed_with_its_time_and_proves_the_jump() {
    let base = Base::local().await;
    let hook = Hook::open(OK).await;
    let (alerting, subscription) = hooked(&base, &hook, "webhook").await;
    alerting.play(ID, 0, &["340"]).await;
    assert_eq!(
        sender(&alerting, &base, &hook)
            .send_due(|| false)
            .await
            .unwrap()
            .sent,
        1
    );
    let heard = hook.heard().remove(0);
    let (head, body) = heard.split_once("\r\n\r\n").unwrap();
    let header = |name: &str| {
        head.lines()
            .find_map(|line| line.strip_prefix(&format!("{name}: ")))
            .unwrap()
            .to_owned()
    };
    let signature = header("marketlake-signature");
    let (time, signed) = signature
        .strip_prefix("t=")
        .unwrap()
        .split_once(",v1=")
        .unwrap();
    let mut mac = Hmac::<Sha256>::new_from_slice(subscription.secret.unwrap().as_bytes()).unwrap();
    mac.update(format!("{time}.{body}").as_bytes());
    let expected: String = mac
        .finalize()
        .into_bytes()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    assert_eq!(signed, expected);
    let age = chrono::Utc::now().timestamp() - time.parse::<i64>().unwrap();
    assert!((0..10).contains(&age), "{age}");
    let identity = alerting.delivery().await.message_id;
    assert_eq!(Some(header("marketlake-delivery")), identity);
    let body: serde_json::Value = serde_json::from_str(body).unwrap();
    assert_eq!(
        (
            body["alerts"][0]["metric"].as_str(),
            body["alerts"][0]["ratio"].as_f64()
        ),
        (Some(ID), Some(3.4))
    );
    assert_eq!(body["alerts"][0]["samples"].as_array().unwrap().len(), 61);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chat_gets_a_line_and_the_button_sends_a_test_once_a_minute() {
    let base = Base::local().await;
    let hook = Hook::open(OK).await;
    let (alerting, subscription) = hooked(&base, &hook, "slack").await;
    let now = alerting.now().await;
    assert!(
        subscriptions::test(&alerting.database, &subscription.id, Access::All, now)
            .await
            .unwrap()
    );
    assert!(
        !subscriptions::test(&alerting.database, &subscription.id, Access::All, now)
            .await
            .unwrap()
    );
    alerting.commit(series(ID, 0, &["340"])).await;
    alerting.evaluate(crate::support::samples::start()).await;
    assert_eq!(
        sender(&alerting, &base, &hook)
            .send_due(|| false)
            .await
            .unwrap()
            .sent,
        2
    );
    let mut texts: Vec<String> = hook
        .heard()
        .iter()
        .map(|heard| {
            serde_json::from_str::<serde_json::Value>(heard.split_once("\r\n\r\n").unwrap().1)
                .unwrap()["text"]
                .as_str()
                .unwrap()
                .to_owned()
        })
        .collect();
    texts.sort();
    assert_eq!(
        texts[0],
        "*HOT/TRY volume* 3.4x its last hour: 340 at 2026-11-24 10:00 UTC (above 3 times the mean \
         of the 60 minutes before, of at least 45 samples)"
    );
    assert!(
        texts[1].contains("[test] *HOT/TRY volume* 3.3"),
        "{texts:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receivers_answers_have_their_outcomes() {
    for (answer, expected) in [
        (OK, DeliveryState::Sent),
        (
            "HTTP/1.1 500 Oh\r\ncontent-length: 0\r\nconnection: close\r\n\r\n",
            DeliveryState::Retry,
        ),
        (
            "HTTP/1.1 429 Slow\r\ncontent-length: 0\r\nconnection: close\r\n\r\n",
            DeliveryState::Retry,
        ),
        (
            "HTTP/1.1 410 Gone\r\ncontent-length: 0\r\nconnection: close\r\n\r\n",
            DeliveryState::Dead,
        ),
        (
            "HTTP/1.1 302 Found\r\nlocation: https://127.0.0.1/\r\ncontent-length: \
             0\r\nconnection: close\r\n\r\n",
            DeliveryState::Dead,
        ),
        ("", DeliveryState::Unknown),
    ] {
        let base = Base::local().await;
        let hook = Hook::open(answer).await;
        let (alerting, _) = hooked(&base, &hook, "webhook").await;
        alerting.play(ID, 0, &["340"]).await;
        sender(&alerting, &base, &hook)
            .send_due(|| false)
            .await
            .unwrap();
        let delivery = alerting.delivery().await;
        assert_eq!(delivery.state, expected, "{answer:?}: {:?}", delivery.error);
        assert_eq!(hook.heard().len(), 1, "a redirect was followed");
        // A receiver that fails slows nobody else.
        let now = alerting.now().await;
        let held = outbox::list_throttles(&alerting.database, now)
            .await
            .unwrap();
        let own = ["***".to_owned(), format!("webhook:localhost:{}", hook.port)];
        assert!(held.iter().all(|one| own.contains(&one.name)), "{held:?}");
    }
}

#[test]
fn only_addresses_of_the_public_internet_may_be_dialled() {
    let guard = Guard::default();
    let forbidden = [
        "127.0.0.1",
        "127.255.255.254",
        "0.0.0.0",
        "10.0.0.1",
        "172.16.0.1",
        "172.31.255.255",
        "192.168.1.1",
        "169.254.169.254",
        "100.64.0.1",
        "192.0.0.1",
        "192.0.2.1",
        "198.18.0.1",
        "198.51.100.1",
        "203.0.113.1",
        "224.0.0.1",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "::ffff:127.0.0.1",
        "::ffff:10.0.0.1",
        "::ffff:a9fe:a9fe",
        "::127.0.0.1",
        "64:ff9b::7f00:1",
        "64:ff9b::a00:1",
        "2002:7f00:1::",
        "2002:a00:1::",
        "2001:0:7f00:1::",
        "2001:db8::1",
        "3fff::1",
        "fc00::1",
        "fd12:3456::1",
        "fe80::1",
        "fec0::1",
        "ff02::1",
        "100::1",
    ];
    for ip in forbidden {
        assert!(!guard.permits(ip.parse().unwrap()), "{ip}");
    }
    for ip in [
        "93.184.216.34",
        "1.1.1.1",
        "2606:4700:4700::1111",
        "2002:5db8:d822::",
        "64:ff9b::5db8:d822",
        "::ffff:1.1.1.1",
    ] {
        assert!(guard.permits(ip.parse().unwrap()), "{ip}");
    }
    assert!(loopback().permits("::ffff:127.0.0.1".parse().unwrap()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_never_reaches_our_own_network_by_number_by_name_or_by_a_name_that_changes() {
    let hook = Hook::open(OK).await;
    let certificates = [hook.certificate.clone()];
    let closed = WebhookChannel::new(Guard::default(), &certificates, None).unwrap();
    let port = hook.port;
    for host in [
        "127.0.0.1",
        "localhost",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "2130706433",
        "0x7f.1",
        "017700000001",
        "127.1",
        "127.0.0.1.",
    ] {
        let address = format!("https://{host}:{port}/");
        let sending = match check_endpoint(&address) {
            Err(_) => continue,
            Ok(url) => send(&closed, url.as_str()).await,
        };
        assert!(
            matches!(sending, SendOutcome::Permanent(_)),
            "{host}: {sending:?}"
        );
    }
    // A name that resolves to a public address when it is looked at, and to loopback when it is
    // dialled.
    let looks = Arc::new(Mutex::new(0));
    let counted = Arc::clone(&looks);
    let lookup: Lookup = Arc::new(move |_| {
        let mut looks = counted.lock().unwrap();
        *looks += 1;
        let ip: IpAddr = if *looks % 2 == 1 {
            "192.0.66.1"
        } else {
            "127.0.0.1"
        }
        .parse()
        .unwrap();
        Box::pin(async move { Ok(vec![ip]) })
    });
    let rebound = WebhookChannel::new(Guard::default(), &certificates, Some(lookup)).unwrap();
    let first = tokio::time::timeout(
        Duration::from_secs(8),
        send(&rebound, "https://hook.example:8443/"),
    )
    .await
    .unwrap();
    assert!(!matches!(first, SendOutcome::Sent), "{first:?}");
    let second = send(&rebound, "https://hook.example:8443/").await;
    assert!(
        matches!(&second, SendOutcome::Permanent(reason) if reason.contains("hook.example leads \
            to 127.0.0.1")),
        "{second:?}"
    );
    // One forbidden address among good ones is enough.
    let both: Lookup = Arc::new(|_| {
        Box::pin(async {
            Ok(vec![
                "1.1.1.1".parse().unwrap(),
                "10.0.0.1".parse().unwrap(),
            ])
        })
    });
    let mixed = WebhookChannel::new(Guard::default(), &certificates, Some(both)).unwrap();
    let sending = send(&mixed, "https://hook.example:8443/").await;
    assert!(
        matches!(&sending, SendOutcome::Permanent(reason) if reason.contains("10.0.0.1")),
        "{sending:?}"
    );
    assert_eq!(hook.heard().len(), 0);
    // With leave, the same hook is reached.
    let open = WebhookChannel::new(loopback(), &certificates, None).unwrap();
    assert_eq!(send(&open, &hook.url("localhost")).await, SendOutcome::Sent);
    assert_eq!(
        send(&open, "http://localhost/").await,
        SendOutcome::Permanent(
            "expected an \
        address like https://example.com/hook, https only, got \"http://localhost/\""
                .to_owned()
        )
    );
}
