//! Sign-up: the response never reveals which addresses are known, and its limits hold.

use marketlake_entities::records::subscriptions::SubscriptionState;
use serde_json::{Value, json};

use crate::support::alerting::{Alerting, wants};
use crate::support::base::Base;
use crate::support::program::Program;
use crate::support::samples::series;

use super::lifecycle::{ID, create, post, serve, states};

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
            page.contains("If this address has subscriptions, we have mailed it a link to them.")
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
        .with("MARKETLAKE_ALERTS__MAX_SUBSCRIPTIONS_PER_IP_PER_DAY", 4)
        .with("MARKETLAKE_AUTH__MODE", "keys")
        .with("MARKETLAKE_SERVER__TRUSTED_PROXIES", 1)
        .up(&["--role", "api"])
        .await;
    let sign_up = async |forwarded: &str, number: usize| {
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
        // Entries that a client sends left of the proxy's own are ignored.
        assert_eq!(
            sign_up(&format!("10.9.9.{number}, 203.0.113.7"), number).await,
            Value::Null
        );
    }
    assert_eq!(sign_up("10.9.9.9, 203.0.113.7", 5).await, "TOO_MANY");
    assert_eq!(sign_up("203.0.113.8", 6).await, Value::Null);
    // A household's IPv6 addresses are one source.
    for number in 10..14 {
        assert_eq!(
            sign_up(&format!("2001:db9:1:2::{number}"), number).await,
            Value::Null
        );
    }
    assert_eq!(sign_up("2001:db9:1:2:ffff::1", 15).await, "TOO_MANY");
    let before = states(&alerting).await.len();
    let strict = Program::on(&base)
        .with("MARKETLAKE_ALERTS__MAX_CONFIRMATIONS_PER_DAY", 1)
        .up(&["--role", "api"])
        .await;
    assert_eq!(
        create(&strict, "hottry:volume", "z@example.com").await["userErrors"][0]["code"],
        "TOO_MANY"
    );
    assert_eq!(states(&alerting).await.len(), before);
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
        page.contains("<strong>1 mail</strong> about 1 metric,"),
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
    assert_eq!(states(&alerting).await, [SubscriptionState::Pending]);
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
