//! Mails as a trader reads them: text, chart, evidence, headers, and a DKIM signature that others
//! can verify.

use std::process::Command;

use mail_parser::{HeaderValue, Message, MessageParser, MimeHeaders};
use marketlake_alerts::delivery::mail::{Dkim, Templates};
use marketlake_alerts::{AlertError, SubscriptionSpec};

use crate::support::alerting::{Alerting, link, wants};
use crate::support::base::{Base, on_both};
use crate::support::mailbox::{Fault, Mailbox, message_id};
use crate::support::samples::series;

const ID: &str = "binance:hottry:volume";

async fn jumped(base: &Base) -> Alerting {
    let alerting = Alerting::on(base).await;
    alerting.calm(&[ID]).await;
    let new = SubscriptionSpec {
        time_zone: Some("Europe/Istanbul".to_owned()),
        ..wants("hottry:volume")
    };
    alerting.subscribe(new).await;
    alerting.play(ID, 0, &["340"]).await;
    alerting
}

fn header(message: &Message<'_>, name: &str) -> String {
    match message.header(name) {
        Some(HeaderValue::Text(text)) => text.to_string(),
        _ => message
            .header_raw(name)
            .unwrap_or_else(|| panic!("no {name}"))
            .trim()
            .to_owned(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mail_says_what_happened_shows_it_and_proves_it() {
    on_both(async |base: Base| {
        let alerting = jumped(&base).await;
        let mailbox = Mailbox::open(Fault::None).await;
        alerting.send(&mailbox.url).await;
        let delivery = alerting.delivery().await;
        assert!(
            delivery.message.is_none(),
            "the bytes are let go of once they were taken"
        );
        let raw = mailbox.mails().remove(0);
        let identity = delivery.message_id.unwrap();
        assert_eq!(message_id(&raw), format!("{identity}@lake.example"));
        let mail = MessageParser::default().parse(raw.as_bytes()).unwrap();
        assert_eq!(mail.subject().unwrap(), "HOT/TRY volume 3.4x its last hour");
        let text = mail.body_text(0).unwrap();
        for expected in [
            "2026-11-24 13:00 +03 (Europe/Istanbul)",
            "2026-11-24 10:00 UTC",
            "Value    340",
            "Mean     100 (of 60 samples in the hour before)",
            "Ratio    3.4",
            "Rule     above 3 times the mean of the 60 minutes before, of at least 45 samples",
        ] {
            assert!(text.contains(expected), "{expected:?} is not in\n{text}");
        }
        let page = mail.body_html(0).unwrap();
        assert!(
            page.contains("HOT&#x2f;TRY volume is 3.4x its last hour")
                && page.contains("cid:chart-"),
            "{page}"
        );
        let parts: Vec<_> = mail.attachments().collect();
        let png = parts
            .iter()
            .find(|part| part.attachment_name() == Some("chart.png"))
            .unwrap();
        assert_eq!(&png.contents()[..8], b"\x89PNG\r\n\x1a\n");
        assert!(page.contains(&format!("cid:{}", png.content_id().unwrap())));
        let proof = parts
            .iter()
            .find(|part| part.attachment_name() == Some("proof.json"))
            .unwrap();
        let proof: serde_json::Value = serde_json::from_slice(proof.contents()).unwrap();
        assert_eq!(proof["samples"].as_array().unwrap().len(), 61);
        assert_eq!(
            proof["samples"][60],
            serde_json::json!(["2026-11-24T10:00:00Z", "340"])
        );
        assert_eq!(
            (
                proof["mean"].as_f64(),
                proof["ratio"].as_f64(),
                proof["count"].as_i64()
            ),
            (Some(100.0), Some(3.4), Some(60))
        );
        assert_eq!(
            (proof["detector"].as_i64(), proof["rule"]["factor"].as_str()),
            (Some(2), Some("3"))
        );
        assert!(!proof["segments"].as_array().unwrap().is_empty());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mail_can_be_threaded_and_unsubscribed_from_by_its_headers() {
    let base = Base::local().await;
    let alerting = jumped(&base).await;
    alerting.play(ID, 70, &["100", "5000"]).await;
    let mailbox = Mailbox::open(Fault::None).await;
    alerting.send(&mailbox.url).await;
    let raws = mailbox.mails();
    let mails: Vec<_> = raws
        .iter()
        .map(|raw| MessageParser::default().parse(raw.as_bytes()).unwrap())
        .collect();
    for (mail, raw) in mails.iter().zip(&raws) {
        assert_eq!(header(mail, "Auto-Submitted"), "auto-generated");
        assert_eq!(
            header(mail, "List-Unsubscribe-Post"),
            "List-Unsubscribe=One-Click"
        );
        let unsubscribe = header(mail, "List-Unsubscribe");
        assert!(
            unsubscribe.starts_with("<https://lake.example/unsubscribe/")
                && unsubscribe.ends_with('>'),
            "{unsubscribe}"
        );
        assert!(unsubscribe.contains(&link(raw, "unsubscribe")));
        assert_eq!(header(mail, "References"), header(&mails[0], "References"));
    }
}

/// Texts that inject headers into naive mails: they must come out as words of a name, or not at
/// all.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_that_a_stranger_types_becomes_a_header() {
    let base = Base::local().await;
    let alerting = Alerting::on(&base).await;
    let mut refused = 0;
    for bad in [
        "a\r\nBcc: x@y.z",
        "a\nSubject: x",
        "a\rX: y",
        "a\0b",
        "a\u{85}b",
        "a\u{2028}b",
        "*\r\n\r\n<html>",
        "a b",
        "%0d%0aBcc:x y",
    ] {
        let new = SubscriptionSpec {
            address: "trader@example.com".to_owned(),
            metric: bad.to_owned(),
            ..SubscriptionSpec::default()
        };
        let errors = new.check().unwrap_err();
        assert_eq!(errors[0].field, "metric", "{bad:?}");
        refused += 1;
    }
    assert_eq!(refused, 9);
    // The remaining characters of a metric are escaped in the page.
    let id = "x:<b>\"&'usd:volume";
    if let Ok(metric) = id.parse::<marketlake_model::Metric>() {
        alerting.calm(&[metric.id()]).await;
        alerting.subscribe(wants("*:volume")).await;
        alerting.commit(series(metric.id(), 0, &["340"])).await;
        alerting.evaluate(crate::support::samples::start()).await;
        let mailbox = Mailbox::open(Fault::None).await;
        alerting.send(&mailbox.url).await;
        let raw = mailbox.mails().remove(0);
        let mail = MessageParser::default().parse(raw.as_bytes()).unwrap();
        assert!(!mail.body_html(0).unwrap().contains("<b>"), "{raw}");
    }
}

#[test]
fn a_template_that_cannot_be_parsed_or_rendered_is_named_with_its_line() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("alert.txt");
    std::fs::write(&file, "first\n{% if %}").unwrap();
    let error = Templates::new(Some(folder.path())).unwrap_err().to_string();
    assert!(error.starts_with("template alert.txt: line 2: "), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_template_that_fails_to_render_sends_nothing_and_the_delivery_waits_for_a_person() {
    use std::sync::Arc;

    use marketlake_alerts::Channels;
    use marketlake_alerts::delivery::channels::{Guard, SmtpChannel, WebhookChannel};
    use marketlake_alerts::delivery::mail::{Writer, WriterOptions};
    use marketlake_alerts::delivery::outbox::{SendRate, Sender};

    let base = Base::local().await;
    let alerting = jumped(&base).await;
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("alert.txt"), "value: {{ valeu }}").unwrap();
    let mailbox = Mailbox::open(Fault::None).await;
    let writer = Writer::new(WriterOptions {
        from: "alerts@lake.example".parse().unwrap(),
        public_url: "https://lake.example".to_owned(),
        bounce_domain: None,
        templates: Templates::new(Some(folder.path())).unwrap(),
        dkim: None,
    });
    let channels = Channels {
        mail: Arc::new(SmtpChannel::new(&mailbox.url, "lake.example", None).unwrap()),
        webhook: Arc::new(WebhookChannel::new(Guard::default(), &[], None).unwrap()),
    };
    let sender = Sender::new(
        alerting.database.clone(),
        channels,
        Arc::new(writer),
        SendRate::default(),
    );
    assert_eq!(sender.send_due(|| false).await.unwrap().dead, 1);
    let delivery = alerting.delivery().await;
    assert!(
        delivery
            .error
            .unwrap()
            .starts_with("template alert.txt: line 1: undefined value")
    );
    assert_eq!(mailbox.mails().len(), 0);
    // Mended, it goes out when a person says so.
    let now = alerting.now().await;
    assert!(
        marketlake_alerts::delivery::outbox::requeue(&alerting.database, &delivery.id, now)
            .await
            .unwrap()
    );
    assert_eq!(alerting.send(&mailbox.url).await.sent, 1);
}

#[test]
fn a_key_that_is_none_is_refused() {
    let error = Dkim::new("lake.example", "one", "no key").err().unwrap();
    assert!(matches!(error, AlertError::Message(_)), "{error}");
}

/// `dkimpy` verifies the signature of the mail as it came over the wire, and that both unsubscribe
/// headers are under it.
#[tokio::test(flavor = "multi_thread")]
async fn the_dkim_signature_is_good_to_another_library_and_covers_the_unsubscribe_headers() {
    let python =
        std::env::var("MARKETLAKE_TEST_PYTHON").expect("run scripts/test, which makes one");
    let base = Base::local().await;
    let alerting = jumped(&base).await;
    let made = Command::new(&python).args(["-c", KEYS]).output().unwrap();
    assert!(made.status.success(), "{made:?}");
    let keys: serde_json::Value = serde_json::from_slice(&made.stdout).unwrap();
    for kind in ["rsa", "ed25519"] {
        let key = keys[kind]["key"].as_str().unwrap();
        let dkim = Dkim::new("lake.example", "one", key).unwrap();
        let mailbox = Mailbox::open(Fault::None).await;
        alerting.make_due().await;
        sea_orm::ConnectionTrait::execute_unprepared(
            &alerting.database,
            "update deliveries set state = 'pending', not_before = 0, message = null",
        )
        .await
        .unwrap();
        let round = alerting
            .sender(&mailbox.url, Some(dkim))
            .send_due(|| false)
            .await
            .unwrap();
        assert_eq!(round.sent, 1);
        let file = base.path().join("signed.eml");
        std::fs::write(&file, mailbox.mails().remove(0).replace('\n', "\r\n")).unwrap();
        let record = keys[kind]["record"].as_str().unwrap();
        let verified = Command::new(&python)
            .args(["-c", VERIFY, file.to_str().unwrap(), record])
            .output()
            .unwrap();
        assert_eq!(
            String::from_utf8_lossy(&verified.stdout).trim(),
            "good, good, bad",
            "{kind}: {verified:?}"
        );
    }
}

const KEYS: &str = r#"
import base64, json
from cryptography.hazmat.primitives.asymmetric import rsa, ed25519
from cryptography.hazmat.primitives import serialization as s
r = rsa.generate_private_key(65537, 2048)
pem = r.private_bytes(s.Encoding.PEM, s.PrivateFormat.TraditionalOpenSSL, s.NoEncryption()).decode()
pub = base64.b64encode(r.public_key().public_bytes(s.Encoding.DER, s.PublicFormat.SubjectPublicKeyInfo)).decode()
e = ed25519.Ed25519PrivateKey.generate()
raw = base64.b64encode(e.private_bytes(s.Encoding.Raw, s.PrivateFormat.Raw, s.NoEncryption())).decode()
epub = base64.b64encode(e.public_key().public_bytes(s.Encoding.Raw, s.PublicFormat.Raw)).decode()
print(json.dumps({"rsa": {"key": pem, "record": "v=DKIM1; k=rsa; p=" + pub}, "ed25519": {"key": raw, "record": "v=DKIM1; k=ed25519; p=" + epub}}))
"#;

const VERIFY: &str = r#"
import sys, dkim, re
mail = open(sys.argv[1], "rb").read()
record = sys.argv[2].encode()
def good(mail):
    return "good" if dkim.DKIM(mail).verify(dnsfunc=lambda name, timeout=5: record if name.rstrip(b".") == b"one._domainkey.lake.example" else None) else "bad"
signed = re.sub(rb"\s", b"", re.search(rb"[^b]h=([^;]*);", mail).group(1).lower()).split(b":")
covered = "good" if {b"list-unsubscribe", b"list-unsubscribe-post", b"from", b"subject", b"message-id"} <= set(signed) else "bad"
print(good(mail), covered, good(mail.replace(b"List-Unsubscribe=One-Click", b"List-Unsubscribe=Two-Clicks")), sep=", ")
"#;
