//! Bounces and complaints that mail servers send later.

use marketlake_alerts::delivery::bounces::{self, BounceError, BounceOutcome};
use marketlake_alerts::subscriptions::{
    self, Access, SignupLimits, SignupRequester, SubscriptionState,
};
use marketlake_alerts::{Keyring, Subscription};
use serde_json::json;

use crate::support::alerting::{Alerting, wants};
use crate::support::base::{Base, on_both};
use crate::support::mailbox::{Fault, Mailbox};

const ID: &str = "binance:hottry:volume";

/// A mail that was sent, and the address to which notices about it go.
async fn sent(base: &Base) -> (Alerting, Subscription, String) {
    let alerting = Alerting::on(base).await;
    alerting.calm(&[ID]).await;
    let subscription = alerting.subscribe(wants("hottry:volume")).await;
    alerting.play(ID, 0, &["340"]).await;
    let mailbox = Mailbox::open(Fault::None).await;
    alerting.send(&mailbox.url).await;
    let back = mailbox.return_paths().remove(0);
    assert!(
        back.starts_with("b-") && back.ends_with("@lake.example"),
        "{back}"
    );
    (alerting, subscription, back)
}

fn notice(to: &str, action: &str, status: &str) -> Vec<u8> {
    format!(
        "From: MAILER-DAEMON@mx.example\r\nTo: <{to}>\r\nSubject: Undelivered\r\nMIME-Version: 1.0\r\n\
         Content-Type: multipart/report; report-type=delivery-status; boundary=b\r\n\r\n\
         --b\r\nContent-Type: text/plain\r\n\r\nSorry.\r\n\
         --b\r\nContent-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; mx.example\r\n\r\n\
         Final-Recipient: rfc822; trader@example.com\r\nAction: {action}\r\nStatus: {status} (no such user)\r\n\
         Diagnostic-Code: smtp; 550 5.1.1\r\n no such user\r\n\r\n--b--\r\n"
    )
    .into_bytes()
}

fn complaint(back: &str) -> Vec<u8> {
    format!(
        "From: abuse@isp.example\r\nTo: <abuse@lake.example>\r\nMIME-Version: 1.0\r\n\
         Content-Type: multipart/report; report-type=feedback-report; boundary=b\r\n\r\n\
         --b\r\nContent-Type: text/plain\r\n\r\nSpam.\r\n\
         --b\r\nContent-Type: message/feedback-report\r\n\r\nFeedback-Type: abuse\r\nUser-Agent: x\r\nVersion: 1\r\n\
         Original-Mail-From: <{back}>\r\n\r\n--b--\r\n"
    )
    .into_bytes()
}

async fn take(alerting: &Alerting, raw: &[u8]) -> Result<BounceOutcome, BounceError> {
    let now = alerting.now().await;
    bounces::process_mail(&alerting.database, raw, now)
        .await
        .unwrap()
}

async fn state(alerting: &Alerting, subscription: &Subscription) -> SubscriptionState {
    Subscription::find(&alerting.database, &subscription.id)
        .await
        .unwrap()
        .unwrap()
        .state
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hard_notice_suspends_once_and_a_new_confirmation_lifts_it() {
    on_both(async |base: Base| {
        let (alerting, subscription, back) = sent(&base).await;
        assert_eq!(
            take(&alerting, &notice(&back, "delayed", "4.4.7")).await,
            Ok(BounceOutcome::Nothing)
        );
        assert_eq!(
            take(&alerting, &notice(&back, "failed", "5.1.1")).await,
            Ok(BounceOutcome::Recorded(1))
        );
        assert_eq!(
            take(&alerting, &notice(&back, "failed", "5.1.1")).await,
            Ok(BounceOutcome::Nothing)
        );
        let after = Subscription::find(&alerting.database, &subscription.id)
            .await
            .unwrap()
            .unwrap();
        assert_eq!(after.state, SubscriptionState::Suspended);
        assert_eq!(
            after.reason.unwrap(),
            "mail did not arrive: 5.1.1 smtp; 550 5.1.1 no such user"
        );
        let now = alerting.now().await;
        let confirm = subscriptions::Transition::Confirm;
        Subscription::change(
            &alerting.database,
            &subscription.id,
            Access::All,
            &confirm,
            now,
        )
        .await
        .unwrap()
        .unwrap();
        assert_eq!(
            state(&alerting, &subscription).await,
            SubscriptionState::Active
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn soft_notices_suspend_when_there_are_five_of_them() {
    let base = Base::local().await;
    let (alerting, subscription, back) = sent(&base).await;
    for number in 0..5 {
        assert_eq!(
            state(&alerting, &subscription).await,
            SubscriptionState::Active
        );
        take(
            &alerting,
            &notice(&back, "failed", &format!("4.2.{number}")),
        )
        .await
        .unwrap();
    }
    assert_eq!(
        state(&alerting, &subscription).await,
        SubscriptionState::Suspended
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_complaint_ends_everything_and_nothing_is_sent_there_again() {
    on_both(async |base: Base| {
        let (alerting, subscription, back) = sent(&base).await;
        assert_eq!(
            take(&alerting, &complaint(&back)).await,
            Ok(BounceOutcome::Recorded(1))
        );
        assert_eq!(
            state(&alerting, &subscription).await,
            SubscriptionState::Deleted
        );
        let before = alerting.deliveries().await.len();
        let now = alerting.now().await;
        let requested = subscriptions::request(
            &alerting.database,
            &wants("hottry:volume"),
            &SignupRequester {
                source: "10.0.0.1",
                owner: None,
                idempotency_key: None,
            },
            &SignupLimits::default(),
            now,
        )
        .await;
        // The answer is that of an address that nobody knows.
        assert_eq!(
            requested.unwrap().unwrap().state,
            SubscriptionState::Pending
        );
        assert_eq!(alerting.deliveries().await.len(), before);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn notices_that_are_no_notices_or_not_ours_change_nothing() {
    let base = Base::local().await;
    let (alerting, subscription, back) = sent(&base).await;
    for raw in [
        &b""[..],
        b"hello",
        b"\xff\xfe\0",
        b"To: x\r\n\r\nno report",
        b"{}",
    ] {
        assert!(
            matches!(take(&alerting, raw).await, Err(BounceError::Unreadable(_))),
            "{raw:?}"
        );
    }
    let forged = back.replacen("b-", "b-000000", 1);
    let key = back.split('-').nth(1).unwrap();
    let other = back.replace(key, "ffffff");
    for to in [
        "trader@example.com",
        "b-x-y-z@lake.example",
        &forged,
        &other,
    ] {
        let taken = take(&alerting, &notice(to, "failed", "5.1.1")).await;
        assert!(
            matches!(taken, Err(BounceError::NotOurs(_))),
            "{to}: {taken:?}"
        );
    }
    // A good signature over a delivery that never was.
    let keys = Keyring::load(&alerting.database, alerting.now().await)
        .await
        .unwrap();
    let nothing = keys
        .return_path("00000000-0000-4000-8000-000000000000")
        .unwrap();
    assert!(matches!(
        take(
            &alerting,
            &notice(&format!("{nothing}@lake.example"), "failed", "5.1.1")
        )
        .await,
        Err(BounceError::NotOurs(_))
    ));
    assert_eq!(
        state(&alerting, &subscription).await,
        SubscriptionState::Active
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_notifications_of_ses_are_understood_in_an_envelope_and_bare() {
    let base = Base::local().await;
    for enveloped in [true, false] {
        let (alerting, subscription, back) = sent(&base.again().await).await;
        let bounce = json!({
            "notificationType": "Bounce",
            "bounce": {"bounceType": "Permanent", "bounceSubType": "General", "bouncedRecipients": [{"emailAddress": "trader@example.com", "status": "5.1.1", "diagnosticCode": "smtp; 550 5.1.1 user unknown", "action": "failed"}], "feedbackId": "x", "timestamp": "2026-11-24T10:00:00.000Z"},
            "mail": {"source": back, "messageId": "0102", "destination": ["trader@example.com"]},
        });
        let body = if enveloped {
            json!({"Type": "Notification", "MessageId": "m", "TopicArn": "arn:aws:sns:..", "Message": bounce.to_string()}).to_string()
        } else {
            bounce.to_string()
        };
        let now = alerting.now().await;
        let taken = bounces::process_ses(&alerting.database, body.as_bytes(), now)
            .await
            .unwrap();
        assert_eq!(taken, Ok(BounceOutcome::Recorded(1)));
        assert_eq!(
            state(&alerting, &subscription).await,
            SubscriptionState::Suspended
        );
        let complaint = json!({"eventType": "Complaint", "complaint": {"complaintFeedbackType": "abuse"}, "mail": {"source": back}});
        let taken = bounces::process_ses(&alerting.database, complaint.to_string().as_bytes(), now)
            .await
            .unwrap();
        assert_eq!(taken, Ok(BounceOutcome::Recorded(1)));
        let delivered = json!({"notificationType": "Delivery", "mail": {"source": back}});
        let confirmation =
            json!({"Type": "SubscriptionConfirmation", "SubscribeURL": "https://sns.example/"});
        for quiet in [delivered, confirmation] {
            let taken = bounces::process_ses(&alerting.database, quiet.to_string().as_bytes(), now)
                .await
                .unwrap();
            assert_eq!(taken, Ok(BounceOutcome::Nothing));
        }
    }
}
