//! From the form to the unsubscribe link, through the server, the outbox and the mails.

use marketlake_alerts::Keyring;
use marketlake_entities::records::subscriptions;
use marketlake_entities::records::subscriptions::SubscriptionState;
use sea_orm::{ConnectionTrait, EntityTrait};
use serde_json::{Value, json};

use crate::support::alerting::{Alerting, link, wants};
use crate::support::base::{Base, on_both};
use crate::support::mailbox::{Fault, Mailbox};
use crate::support::program::{Program, Running};
use crate::support::samples::start;

pub(super) const ID: &str = "binance:hottry:volume";

/// A server over a lake with an hour of one metric.
pub(super) async fn serve(base: &Base) -> (Alerting, Running) {
    let alerting = Alerting::on(base).await;
    alerting.calm(&[ID]).await;
    let server = Program::on(base)
        .with("MARKETLAKE_ALERTS__MAX_SUBSCRIPTIONS_PER_IP_PER_DAY", 1_000)
        .up(&["--role", "api"])
        .await;
    (alerting, server)
}

pub(super) async fn create(server: &Running, metric: &str, address: &str) -> Value {
    let mutation = format!(
        r#"mutation {{ createSubscription(input: {{metric: "{metric}", address: "{address}"}}) {{ subscription {{ id state metric }} userErrors {{ field code message }} }} }}"#
    );
    server.graphql(&mutation).await["data"]["createSubscription"].clone()
}

pub(super) async fn states(alerting: &Alerting) -> Vec<SubscriptionState> {
    let rows = subscriptions::Entity::find()
        .all(&alerting.database)
        .await
        .unwrap();
    rows.into_iter().map(|row| row.state).collect()
}

/// The mails that were written, newest last.
pub(super) async fn mails(alerting: &Alerting, mailbox: &Mailbox) -> Vec<String> {
    alerting.send(&mailbox.url).await;
    mailbox.mails()
}

pub(super) async fn post(server: &Running, path: &str, form: &str) -> reqwest::Response {
    let client = reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .unwrap();
    let request = client
        .post(server.url(path))
        .header("content-type", "application/x-www-form-urlencoded");
    request.body(form.to_owned()).send().await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subscription_lives_from_pending_to_unsubscribed_and_only_posts_change_it() {
    on_both(async |base: Base| {
        let (alerting, server) = serve(&base).await;
        let mailbox = Mailbox::open(Fault::None).await;
        let made = create(&server, "hottry:volume", "trader@example.com").await;
        assert_eq!((made["subscription"]["state"].as_str(), &made["userErrors"]), (Some("pending"), &json!([])));
        // Nothing is sent but the question.
        alerting.play(ID, 0, &["340", "100"]).await;
        assert_eq!(alerting.alerts().await.len(), 0);
        let confirmation = mails(&alerting, &mailbox).await.remove(0);
        assert!(confirmation.contains("Subject: Please confirm your marketlake subscription"), "{confirmation}");
        let confirm = link(&confirmation, "confirm");
        // Scanners open links; HEAD and GET change nothing, however often.
        for _ in 0..3 {
            let page = server.get(&confirm).await;
            assert_eq!(page.status(), 200);
            assert!(page.headers()["content-security-policy"].to_str().unwrap().contains("default-src 'none'"));
            assert!(page.text().await.unwrap().contains("<button type=\"submit\">Confirm</button>"));
        }
        assert_eq!(states(&alerting).await, [SubscriptionState::Pending]);
        for _ in 0..2 {
            assert_eq!(post(&server, &confirm, "").await.status(), 200);
            assert_eq!(states(&alerting).await, [SubscriptionState::Active]);
        }
        alerting.play(ID, 2, &["350", "100"]).await;
        let told = mails(&alerting, &mailbox).await.remove(1);
        let (unsubscribe, snooze, manage) = (link(&told, "unsubscribe"), link(&told, "snooze"), link(&told, "manage"));
        assert_eq!(server.get(&snooze).await.status(), 200);
        assert_eq!(post(&server, &snooze, "hours=2").await.status(), 200);
        let page = server.text(&manage).await;
        for expected in ["hottry:volume", "quiet until", "Changes of state", "beyond 3x", "confirmed by the link in the mail"] {
            assert!(page.contains(expected), "{expected} is not in\n{page}");
        }
        let id = made["subscription"]["id"].as_str().unwrap();
        for (action, state) in [("resume", SubscriptionState::Active), ("pause", SubscriptionState::Paused), ("resume", SubscriptionState::Active)] {
            let done = post(&server, &manage, &format!("id={id}&action={action}")).await;
            assert_eq!((done.status().as_u16(), done.headers()["location"].to_str().unwrap()), (303, manage.as_str()));
            assert_eq!(states(&alerting).await, [state]);
        }
        let edit = format!("id={id}&action=edit&metric=hottry:volume&factor=5&cooldown_minutes=0");
        assert_eq!(post(&server, &manage, &edit).await.status(), 303);
        let token = manage.trim_start_matches("/manage/");
        let query = format!(r#"{{ subscriptions(token: "{token}") {{ id state factor cooldownMinutes alerts {{ metric ratio delivery }} transitions {{ reason }} }} }}"#);
        let own = &server.graphql(&query).await["data"]["subscriptions"][0];
        assert_eq!((own["factor"].as_str(), own["cooldownMinutes"].as_i64()), (Some("5"), Some(0)));
        assert_eq!(own["alerts"][0]["delivery"], "sent");
        // One click: a POST with the body of RFC 8058, no cookie, no second step.
        assert_eq!(server.get(&unsubscribe).await.status(), 200);
        assert_eq!(states(&alerting).await, [SubscriptionState::Active]);
        for _ in 0..2 {
            let done = post(&server, &unsubscribe, "List-Unsubscribe=One-Click").await;
            assert_eq!(done.status(), 200);
            assert_eq!(states(&alerting).await, [SubscriptionState::Deleted]);
        }
        alerting.play(ID, 4, &["9000"]).await;
        assert_eq!(alerting.alerts().await.len(), 1);
        assert_eq!(post(&server, &confirm, "").await.status(), 410);
        assert_eq!(states(&alerting).await, [SubscriptionState::Deleted]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_nobody_confirms_is_deleted_after_seven_days_and_what_has_run_out_ends() {
    on_both(async |base: Base| {
        let (alerting, server) = serve(&base).await;
        create(&server, "hottry:volume", "a@example.com").await;
        create(&server, "hottry:volume", "b@example.com").await;
        let now = alerting.now().await;
        let old = format!(
            "update subscriptions set created_at = {} where address = 'a@example.com'",
            now.0 - 7 * 86_400_000 - 1
        );
        alerting.database.execute_unprepared(&old).await.unwrap();
        let mut ended = wants("hottry:volume");
        ended.expires_at = Some(start().start());
        alerting.subscribe(ended).await;
        let slot = now.minute().hour().start().to_string();
        let said = Program::on(&base)
            .ok(&["run", "expire-subscriptions", "--slot", &slot])
            .await;
        assert!(
            said.contains(r#"{"expired":1,"gaps":0,"messages":0,"throttles":0,"unconfirmed":1}"#),
            "{said}"
        );
        let mut left = states(&alerting).await;
        left.sort();
        assert_eq!(
            left,
            [SubscriptionState::Pending, SubscriptionState::Expired]
        );
    })
    .await;
}

/// Tokens that are no good do nothing, on every page and in GraphQL; another's subscription answers
/// as one that never was.
#[tokio::test(flavor = "multi_thread")]
async fn bad_links_do_nothing_and_say_why() {
    let base = Base::local().await;
    let (alerting, server) = serve(&base).await;
    let mine = alerting.subscribe(wants("hottry:volume")).await;
    let mut other = wants("hottry:volume");
    other.address = "other@example.com".to_owned();
    let others = alerting.subscribe(other).await;
    let now = alerting.now().await;
    let keys = Keyring::load(&alerting.database, now).await.unwrap();
    let manage = keys
        .sign(
            marketlake_alerts::Purpose::Manage,
            "trader@example.com",
            now,
        )
        .unwrap();
    let old = marketlake_model::Millis(now.0 - 40 * 86_400_000);
    let expired = keys
        .sign(
            marketlake_alerts::Purpose::Manage,
            "trader@example.com",
            old,
        )
        .unwrap();
    let mut refused = 0;
    for (token, status) in [
        (&manage[..50], 400),
        (&expired, 410),
        ("x", 400),
        ("%00", 400),
        ("a.b.c", 400),
    ] {
        for page in ["confirm", "unsubscribe", "snooze", "manage"] {
            let path = format!("/{page}/{token}");
            let (got, posted) = (
                server.get(&path).await,
                post(&server, &path, "id=x&action=pause").await,
            );
            // The expired one is for one page only; to the others it is of another purpose.
            let expected = if status == 410 && page != "manage" {
                400
            } else {
                status
            };
            assert_eq!(
                (got.status().as_u16(), posted.status().as_u16()),
                (expected, expected),
                "{path}"
            );
            refused += 2;
        }
    }
    let foreign = post(
        &server,
        &format!("/manage/{manage}"),
        &format!("id={}&action=unsubscribe", others.id),
    )
    .await;
    let never = post(
        &server,
        &format!("/manage/{manage}"),
        "id=00000000-0000-4000-8000-000000000000&action=unsubscribe",
    )
    .await;
    assert_eq!(
        (foreign.status(), never.status()),
        (never.status(), reqwest::StatusCode::GONE)
    );
    let pause = |token: &str, id: &str| {
        format!(
            r#"mutation {{ pauseSubscription(input: {{token: "{token}", id: "{id}"}}) {{ subscription {{ state }} userErrors {{ field code }} }} }}"#
        )
    };
    for (token, id, code) in [
        (manage.as_str(), others.id.as_str(), "UNKNOWN_SUBSCRIPTION"),
        (&manage[..50], &mine.id, "MALFORMED_TOKEN"),
        (&expired, &mine.id, "EXPIRED_TOKEN"),
        (
            &keys
                .sign(marketlake_alerts::Purpose::Confirm, &mine.id, now)
                .unwrap(),
            &mine.id,
            "WRONG_PURPOSE",
        ),
    ] {
        let answer = server.graphql(&pause(token, id)).await;
        assert_eq!(
            answer["data"]["pauseSubscription"]["userErrors"][0]["code"], code,
            "{answer}"
        );
        refused += 1;
    }
    assert_eq!(
        states(&alerting).await,
        [SubscriptionState::Active, SubscriptionState::Active]
    );
    assert!(refused >= 44, "{refused}");
    assert_eq!(
        server.graphql(&pause(&manage, &mine.id)).await["data"]["pauseSubscription"]["subscription"]
            ["state"],
        "paused"
    );
}
