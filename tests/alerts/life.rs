//! From the form to the unsubscribe link, through the server, the outbox and the mails.

use marketlake_alerts::Keyring;
use marketlake_entities::records::subscriptions;
use marketlake_entities::records::subscriptions::State;
use sea_orm::{ConnectionTrait, EntityTrait};
use serde_json::{Value, json};

use crate::support::alerting::{Alerting, link, wants};
use crate::support::base::{Base, on_both};
use crate::support::mailbox::{Fault, Mailbox};
use crate::support::program::{Program, Running};
use crate::support::samples::{series, start};

const ID: &str = "binance:hottry:volume";

/// A server over a lake with an hour of one metric.
async fn serve(base: &Base) -> (Alerting, Running) {
    let alerting = Alerting::on(base).await;
    alerting.calm(&[ID]).await;
    let server = Program::on(base)
        .with("MARKETLAKE_ALERTS__SUBSCRIPTIONS_PER_SOURCE", 1_000)
        .up(&["--role", "api"])
        .await;
    (alerting, server)
}

async fn create(server: &Running, metric: &str, address: &str) -> Value {
    let mutation = format!(
        r#"mutation {{ createSubscription(input: {{metric: "{metric}", address: "{address}"}}) {{ subscription {{ id state metric }} userErrors {{ field code message }} }} }}"#
    );
    server.graphql(&mutation).await["data"]["createSubscription"].clone()
}

async fn states(alerting: &Alerting) -> Vec<State> {
    let rows = subscriptions::Entity::find()
        .all(&alerting.database)
        .await
        .unwrap();
    rows.into_iter().map(|row| row.state).collect()
}

/// The mails that were written, newest last.
async fn mails(alerting: &Alerting, mailbox: &Mailbox) -> Vec<String> {
    alerting.send(&mailbox.url).await;
    mailbox.mails()
}

async fn post(server: &Running, path: &str, form: &str) -> reqwest::Response {
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
        let asked = mails(&alerting, &mailbox).await.remove(0);
        assert!(asked.contains("Subject: Please confirm your marketlake subscription"), "{asked}");
        let confirm = link(&asked, "confirm");
        // Scanners open links; HEAD and GET change nothing, however often.
        for _ in 0..3 {
            let page = server.get(&confirm).await;
            assert_eq!(page.status(), 200);
            assert!(page.headers()["content-security-policy"].to_str().unwrap().contains("default-src 'none'"));
            assert!(page.text().await.unwrap().contains("<button type=\"submit\">Confirm</button>"));
        }
        assert_eq!(states(&alerting).await, [State::Pending]);
        for _ in 0..2 {
            assert_eq!(post(&server, &confirm, "").await.status(), 200);
            assert_eq!(states(&alerting).await, [State::Active]);
        }
        alerting.play(ID, 2, &["350", "100"]).await;
        let told = mails(&alerting, &mailbox).await.remove(1);
        let (unsubscribe, snooze, manage) = (link(&told, "unsubscribe"), link(&told, "snooze"), link(&told, "manage"));
        assert_eq!(server.get(&snooze).await.status(), 200);
        assert_eq!(post(&server, &snooze, "hours=2").await.status(), 200);
        let page = server.text(&manage).await;
        for expected in ["hottry:volume", "quiet until", "Why it did and did not fire", "beyond 3x", "confirmed by the link in the mail"] {
            assert!(page.contains(expected), "{expected} is not in\n{page}");
        }
        let id = made["subscription"]["id"].as_str().unwrap();
        for (action, state) in [("resume", State::Active), ("pause", State::Paused), ("resume", State::Active)] {
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
        assert_eq!(states(&alerting).await, [State::Active]);
        for _ in 0..2 {
            let done = post(&server, &unsubscribe, "List-Unsubscribe=One-Click").await;
            assert_eq!(done.status(), 200);
            assert_eq!(states(&alerting).await, [State::Deleted]);
        }
        alerting.play(ID, 4, &["9000"]).await;
        assert_eq!(alerting.alerts().await.len(), 1);
        assert_eq!(post(&server, &confirm, "").await.status(), 410);
        assert_eq!(states(&alerting).await, [State::Deleted]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_answer_is_the_same_whether_or_not_an_address_is_known_and_the_form_cannot_bomb_anybody()
 {
    let base = Base::local().await;
    let (alerting, server) = serve(&base).await;
    alerting.subscribe(wants("hottry:volume")).await;
    let shape = |made: &Value| {
        (
            made["subscription"]["state"].clone(),
            made["userErrors"].clone(),
        )
    };
    let known = create(&server, "hottry:volume", "trader@example.com").await;
    let unknown = create(&server, "hottry:volume", "nobody@example.com").await;
    assert_eq!(shape(&known), shape(&unknown));
    for _ in 0..60 {
        assert_eq!(
            shape(&create(&server, "hottry:volume", "victim@example.com").await),
            shape(&unknown)
        );
    }
    let to_victim = alerting
        .deliveries()
        .await
        .into_iter()
        .filter(|row| row.address == "victim@example.com");
    assert_eq!(to_victim.count(), 3);
    let mutation = |address: &str| {
        format!(
            r#"mutation {{ requestManageLink(input: {{address: "{address}"}}) {{ accepted userErrors {{ field }} }} }}"#
        )
    };
    let mut answers = Vec::new();
    for address in ["trader@example.com", "never-heard-of@example.com"] {
        answers.push(server.graphql(&mutation(address)).await["data"]["requestManageLink"].clone());
        let page = post(&server, "/manage", &format!("address={address}"))
            .await
            .text()
            .await
            .unwrap();
        assert!(
            page.contains("If this address has subscriptions, a link to them is on its way there.")
        );
    }
    assert_eq!(answers[0], answers[1]);
    assert_eq!(
        server.graphql(&mutation("x")).await["data"]["requestManageLink"]["userErrors"][0]["field"],
        "address"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn one_source_and_all_together_may_ask_for_so_many_a_day() {
    let base = Base::local().await;
    let alerting = Alerting::on(&base).await;
    alerting.calm(&[ID]).await;
    let server = Program::on(&base)
        .with("MARKETLAKE_ALERTS__SUBSCRIPTIONS_PER_SOURCE", 4)
        .with("MARKETLAKE_SERVER__TRUSTED_PROXIES", 1)
        .up(&["--role", "api"])
        .await;
    let ask = async |forwarded: &str, number: usize| {
        let body = json!({"query": format!(r#"mutation {{ createSubscription(input: {{metric: "hottry:volume", address: "a{number}@example.com"}}) {{ userErrors {{ code }} }} }}"#)});
        let request = reqwest::Client::new()
            .post(server.url("/graphql"))
            .header("content-type", "application/json")
            .header("x-forwarded-for", forwarded);
        let answer: Value = serde_json::from_str(
            &request
                .body(body.to_string())
                .send()
                .await
                .unwrap()
                .text()
                .await
                .unwrap(),
        )
        .unwrap();
        answer["data"]["createSubscription"]["userErrors"][0]["code"].clone()
    };
    for number in 0..4 {
        // What a client claims left of the proxy's own entry counts for nothing.
        assert_eq!(
            ask(&format!("10.9.9.{number}, 203.0.113.7"), number).await,
            Value::Null
        );
    }
    assert_eq!(ask("10.9.9.9, 203.0.113.7", 5).await, "TOO_MANY");
    assert_eq!(ask("203.0.113.8", 6).await, Value::Null);
    // A household's IPv6 addresses are one source.
    for number in 10..14 {
        assert_eq!(
            ask(&format!("2001:db9:1:2::{number}"), number).await,
            Value::Null
        );
    }
    assert_eq!(ask("2001:db9:1:2:ffff::1", 15).await, "TOO_MANY");
    let before = states(&alerting).await.len();
    let strict = Program::on(&base)
        .with("MARKETLAKE_ALERTS__CONFIRMATIONS_PER_DAY", 1)
        .up(&["--role", "api"])
        .await;
    assert_eq!(
        create(&strict, "hottry:volume", "z@example.com").await["userErrors"][0]["code"],
        "TOO_MANY"
    );
    assert_eq!(states(&alerting).await.len(), before);
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
            .ok(&["run", "tend-subscriptions", "--slot", &slot])
            .await;
        assert!(
            said.contains(r#"{"expired":1,"messages":0,"unconfirmed":1}"#),
            "{said}"
        );
        let mut left = states(&alerting).await;
        left.sort();
        assert_eq!(left, [State::Pending, State::Expired]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pattern_that_means_nothing_or_too_much_is_refused_and_nothing_is_stored() {
    let base = Base::local().await;
    let alerting = Alerting::on(&base).await;
    let samples = (0..20_000)
        .map(|number| crate::support::samples::sample(&format!("x:m{number}usdt"), 0, "1"));
    alerting.commit(samples.collect()).await;
    let server = Program::on(&base).up(&["--role", "api"]).await;
    for (metric, code) in [
        ("nothing*", "MATCHES_NOTHING"),
        ("*", "MATCHES_TOO_MANY"),
        ("*usdt", "MATCHES_TOO_MANY"),
    ] {
        let made = create(&server, metric, "a@example.com").await;
        assert_eq!(made["userErrors"][0]["code"], code, "{made}");
        assert_eq!(made["userErrors"][0]["field"], "metric");
        let test = format!(
            r#"{{ backtest(input: {{metric: "{metric}"}}) {{ backtest {{ mails }} userErrors {{ field code }} }} }}"#
        );
        assert_eq!(
            server.graphql(&test).await["data"]["backtest"]["userErrors"][0]["code"],
            code
        );
    }
    assert_eq!(
        (
            states(&alerting).await.len(),
            alerting.deliveries().await.len()
        ),
        (0, 0)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_form_shows_what_it_would_have_sent_and_asks_for_it() {
    let base = Base::local().await;
    let (alerting, server) = serve(&base).await;
    alerting.commit(series(ID, 0, &["340", "100"])).await;
    let server = {
        drop(server);
        Program::on(&base).up(&["--role", "api"]).await
    };
    let page = server
        .text("/subscribe?metric=hottry:volume&factor=3")
        .await;
    assert!(
        page.contains("<strong>1 mails</strong> about 1 metrics"),
        "{page}"
    );
    assert!(page.contains("340 is 3.40x its mean"), "{page}");
    let done = post(
        &server,
        "/subscribe",
        "metric=hottry:volume&address=a@example.com",
    )
    .await;
    assert_eq!(done.status(), 200);
    assert!(
        done.text()
            .await
            .unwrap()
            .contains("A mail is on its way to a@example.com")
    );
    assert_eq!(states(&alerting).await, [State::Pending]);
    let bad = post(
        &server,
        "/subscribe",
        "metric=hottry:volume&factor=<script>&address=x",
    )
    .await;
    assert_eq!(bad.status(), 422);
    let page = bad.text().await.unwrap();
    assert!(
        !page.contains("<script>") && page.contains("address: expected a mail address"),
        "{page}"
    );
    let test = r#"{ backtest(input: {metric: "hottry:volume"}, days: 2) { backtest { metrics mails samples quietDays warning jumps { timestamp ratio } farthest { ratio } } userErrors { field } } }"#;
    let found = server.graphql(test).await["data"]["backtest"]["backtest"].clone();
    assert_eq!(
        (found["mails"].as_i64(), found["samples"].as_i64()),
        (Some(1), Some(62)),
        "{found}"
    );
    let shell = Program::on(&base)
        .json(&["backtest", "--metric", "hottry:volume", "--days", "2"])
        .await;
    assert_eq!(shell[0]["timestamp"], "2026-11-24T10:00:00Z");
}

/// Tokens that are no good do nothing, on every page and in GraphQL; another's subscription answers as one that never was.
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
    let old = marketlake_entities::Millis(now.0 - 40 * 86_400_000);
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
    assert_eq!(states(&alerting).await, [State::Active, State::Active]);
    assert!(refused >= 44, "{refused}");
    assert_eq!(
        server.graphql(&pause(&manage, &mine.id)).await["data"]["pauseSubscription"]["subscription"]
            ["state"],
        "paused"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_outbox_is_an_operators_by_graphql_and_by_shell() {
    let base = Base::local().await;
    let (alerting, server) = serve(&base).await;
    alerting.subscribe(wants("hottry:volume")).await;
    alerting.play(ID, 0, &["340"]).await;
    let mailbox = Mailbox::open(Fault::Recipient(550)).await;
    alerting.send(&mailbox.url).await;
    let listed = server.graphql("{ deliveries(state: DEAD) { id kind to state attempts error } deliveryBrakes { name } }").await;
    let dead = &listed["data"]["deliveries"][0];
    assert_eq!(
        (dead["to"].as_str(), dead["kind"].as_str()),
        (Some("t***@example.com"), Some("alert")),
        "{listed}"
    );
    let id = dead["id"].as_str().unwrap();
    let stopped = server.graphql(r#"mutation { stopDeliveries(input: {reason: "look first"}) { brakes { name until reason } } }"#).await;
    assert_eq!(
        stopped["data"]["stopDeliveries"]["brakes"],
        json!([{"name": "all", "until": null, "reason": "look first"}])
    );
    let program = Program::on(&base);
    assert_eq!(
        program.ok(&["deliveries", "start"]).await,
        "deliveries: going on\n"
    );
    let requeue =
        format!(r#"mutation {{ requeueDelivery(input: {{id: "{id}"}}) {{ requeuedId }} }}"#);
    assert_eq!(
        server.graphql(&requeue).await["data"]["requeueDelivery"]["requeuedId"],
        id
    );
    alerting.send(&mailbox.url).await;
    let rows = program
        .json(&["deliveries", "list", "--state", "dead"])
        .await;
    assert_eq!(
        (rows[0]["id"].as_str(), rows[0]["attempts"].as_i64()),
        (Some(id), Some(1))
    );
    assert_eq!(
        program.ok(&["deliveries", "requeue", id]).await,
        format!("{id}: due again\n")
    );
    assert_eq!(
        program.run(&["deliveries", "requeue", "none"]).await.code,
        1
    );
    // A caller who came by a proxy is not the operator.
    let body = json!({"query": "{ deliveries { id } }"}).to_string();
    let request = reqwest::Client::new()
        .post(server.url("/graphql"))
        .header("content-type", "application/json")
        .header("x-forwarded-for", "203.0.113.7");
    let answer = request
        .body(body)
        .send()
        .await
        .unwrap()
        .text()
        .await
        .unwrap();
    assert!(answer.contains("FORBIDDEN"), "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn notices_come_by_the_hook() {
    let base = Base::local().await;
    let (_, server) = serve(&base).await;
    let send = async |media: &str, body: &str| {
        let request = reqwest::Client::new()
            .post(server.url("/bounces"))
            .header("content-type", media);
        request
            .body(body.to_owned())
            .send()
            .await
            .unwrap()
            .status()
            .as_u16()
    };
    assert_eq!(send("message/rfc822", "hello").await, 400);
    assert_eq!(send("text/plain; charset=UTF-8", "{}").await, 400);
    assert_eq!(
        send(
            "application/json",
            r#"{"notificationType":"Delivery","mail":{"source":"x@y.z"}}"#
        )
        .await,
        200
    );
    assert_eq!(
        send(
            "application/json",
            r#"{"notificationType":"Complaint","mail":{"source":"b-0-0-0@y.z"}}"#
        )
        .await,
        403
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_are_ruled_by_the_shell_and_mails_are_previewed() {
    let base = Base::local().await;
    let program = Program::on(&base);
    let first = program.ok(&["tokens", "list"]).await;
    let key = first
        .lines()
        .nth(1)
        .unwrap()
        .split_whitespace()
        .next()
        .unwrap()
        .to_owned();
    assert_eq!(program.ok(&["tokens", "rotate"]).await.lines().count(), 3);
    assert!(program.ok(&["tokens", "retire", &key]).await.contains(&key));
    assert_eq!(program.run(&["tokens", "retire", "nobody"]).await.code, 1);
    let out = base.path().join("previews");
    program
        .ok(&[
            "mail",
            "preview",
            "--zone",
            "Asia/Tokyo",
            "--out",
            out.to_str().unwrap(),
        ])
        .await;
    let mut names: Vec<String> = std::fs::read_dir(&out)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(
        names,
        [
            "alert.eml",
            "confirmation.eml",
            "digest.eml",
            "incident.eml",
            "manage.eml",
            "test.eml"
        ]
    );
    assert!(
        std::fs::read_to_string(out.join("alert.eml"))
            .unwrap()
            .contains("JST (Asia/Tokyo)")
    );
    let bad = program
        .clone()
        .with("MARKETLAKE_MAIL__TEMPLATES", "/nowhere")
        .run(&["mail", "preview"])
        .await;
    assert_eq!(bad.code, 2);
    assert!(
        bad.err
            .contains("setting mail.templates = \"/nowhere\": expected a folder"),
        "{}",
        bad.err
    );
}
