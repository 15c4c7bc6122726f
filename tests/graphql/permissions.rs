//! Permissions: every query and mutation with no key, a read key, another owner's key, the owner's
//! and an operator's.

use reqwest::Method;
use serde_json::{Value, json};

use crate::rest::{HISTORY, serve_with};
use crate::support::base::{Base, on_both};
use crate::support::client::{Client, key};
use crate::support::eventually;
use crate::support::program::Program;

/// Outcome of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Got {
    Yes,
    /// `FORBIDDEN`: the key is not for this.
    No,
    /// `UNAUTHENTICATED`: there is no key.
    Who,
    /// As if it were not there.
    Unknown,
}

use Got::{No, Unknown, Who, Yes};

/// Of nobody, a read key, another owner's, the owner's, an admin key. The operator key gets what
/// the last one does.
const TABLE: [(&str, [Got; 5]); 32] = [
    ("{ metrics { nodes { id } } }", [Yes, Yes, Yes, Yes, Yes]),
    (
        r#"{ metric(name: "tie") { id latest { value } rank { of } } }"#,
        [Yes, Yes, Yes, Yes, Yes],
    ),
    (
        r#"{ latest(metrics: ["tie"]) { sample { value } } }"#,
        [Yes, Yes, Yes, Yes, Yes],
    ),
    (
        r#"{ timeseries(metrics: ["tie"]) { values } }"#,
        [Yes, Yes, Yes, Yes, Yes],
    ),
    (
        r#"{ rank(metric: "tie") { of } }"#,
        [Yes, Yes, Yes, Yes, Yes],
    ),
    ("{ ranking { nodes { of } } }", [Yes, Yes, Yes, Yes, Yes]),
    ("{ jumps { nodes { ratio } } }", [Yes, Yes, Yes, Yes, Yes]),
    ("{ lake { samples } }", [Yes, Yes, Yes, Yes, Yes]),
    (
        r#"{ coverage(metric: "tie") { display } }"#,
        [Yes, Yes, Yes, Yes, Yes],
    ),
    ("{ gaps { nodes { id } } }", [Yes, Yes, Yes, Yes, Yes]),
    (
        r#"{ backtest(input: {metric: "tie"}, days: 1) { userErrors { code } } }"#,
        [Yes, Yes, Yes, Yes, Yes],
    ),
    ("{ segments { nodes { id } } }", [Who, No, No, No, Yes]),
    ("{ jobRuns { nodes { id } } }", [Who, No, No, No, Yes]),
    ("{ deliveries { id } }", [Who, No, No, No, Yes]),
    ("{ deliveryThrottles { name } }", [Who, No, No, No, Yes]),
    ("{ subscriptions { id } }", [Who, Who, Yes, Yes, Yes]),
    (
        r#"{ subscriptions(token: "x") { id } }"#,
        [Unknown, Unknown, Unknown, Unknown, Unknown],
    ),
    (
        r#"{ node(id: "kraken:tie") { id } }"#,
        [Yes, Yes, Yes, Yes, Yes],
    ),
    (
        r#"{ node(id: "OWN") { id } }"#,
        [Unknown, Unknown, Unknown, Yes, Yes],
    ),
    (
        r#"{ nodes(ids: ["segment/1"]) { id } }"#,
        [Unknown, Unknown, Unknown, Unknown, Yes],
    ),
    (
        r#"{ nodes(ids: ["gap/1"]) { id } }"#,
        [Unknown, Unknown, Unknown, Unknown, Unknown],
    ),
    (
        r#"mutation { testSubscription(input: {id: "OWN"}) { userErrors { code } } }"#,
        [Who, Who, Unknown, Yes, Yes],
    ),
    (
        r#"mutation { editSubscription(input: {id: "OWN", metric: "tie"}) { userErrors { code } } }"#,
        [Who, Who, Unknown, Yes, Yes],
    ),
    (
        r#"mutation { pauseSubscription(input: {id: "OWN"}) { userErrors { code } } }"#,
        [Who, Who, Unknown, Yes, Yes],
    ),
    (
        r#"mutation { resumeSubscription(input: {id: "OWN"}) { userErrors { code } } }"#,
        [Who, Who, Unknown, Yes, Yes],
    ),
    (
        r#"mutation { snoozeSubscription(input: {id: "OWN", until: "2099-01-01T00:00:00Z"}) { userErrors { code } } }"#,
        [Who, Who, Unknown, Yes, Yes],
    ),
    (
        r#"mutation { confirmSubscription(input: {token: "x"}) { userErrors { code } } }"#,
        [Unknown, Unknown, Unknown, Unknown, Unknown],
    ),
    (
        r#"mutation { requestManageLink(input: {address: "a@example.com"}) { userErrors { code } } }"#,
        [Yes, Yes, Yes, Yes, Yes],
    ),
    (
        r#"mutation { requeueDelivery(input: {id: "x"}) { userErrors { code } } }"#,
        [Who, No, No, No, Unknown],
    ),
    (
        r#"mutation { stopDeliveries(input: {reason: "x"}) { userErrors { code } } }"#,
        [Who, No, No, No, Yes],
    ),
    (
        "mutation { resumeDeliveries { userErrors { code } } }",
        [Who, No, No, No, Yes],
    ),
    (
        r#"mutation { deleteSubscription(input: {id: "OWN"}) { userErrors { code } } }"#,
        [Who, Who, Unknown, Yes, Unknown],
    ),
];

fn got(answer: &Value) -> Got {
    let error = &answer["errors"][0]["extensions"]["code"];
    let payload = answer["data"]
        .as_object()
        .and_then(|data| data.values().next());
    let user_error = payload.map_or(&Value::Null, |payload| &payload["userErrors"][0]["code"]);
    let code = if error.is_null() { user_error } else { error };
    let code = code.as_str();
    if code.is_none() && is_null(payload) {
        return Unknown;
    }
    match code {
        Some("FORBIDDEN") => No,
        Some("UNAUTHENTICATED") => Who,
        Some("UNKNOWN_SUBSCRIPTION" | "UNKNOWN_DELIVERY" | "MALFORMED_TOKEN") => Unknown,
        // An error about the object itself shows that access was granted.
        Some("WRONG_STATE") | None => Yes,
        Some(other) => panic!("{other}: {answer}"),
    }
}

fn is_null(payload: Option<&Value>) -> bool {
    match payload {
        None | Some(Value::Null) => true,
        Some(Value::Array(items)) => items.iter().any(Value::is_null),
        Some(_) => false,
    }
}

fn with_keys(base: &Base) -> Program {
    Program::on(base).with("MARKETLAKE_AUTH__MODE", "keys")
}

#[tokio::test(flavor = "multi_thread")]
async fn each_gets_what_is_theirs() {
    on_both(async |base: Base| {
        let program = with_keys(&base);
        let server = serve_with(&program, &base, HISTORY).await;
        let nobody = Client::of(&server);
        let operator = server.operator();
        let mut clients = vec![nobody.clone()];
        for scopes in ["read", "read,alerts", "read,alerts", "admin"] {
            clients.push(nobody.with_key(&key(&program, scopes).await));
        }
        let create = r#"mutation { createSubscription(input: {metric: "tie", address: "a@example.com"}) { subscription { id state } userErrors { code } } }"#;
        let refused = clients[1].graphql(create).await;
        assert_eq!(refused["errors"][0]["extensions"]["code"], "FORBIDDEN");
        let made = clients[3].graphql(create).await;
        let own = made["data"]["createSubscription"]["subscription"]["id"].as_str().unwrap().to_owned();
        for (query, expected) in TABLE {
            // Each change is tried by those who may not before it is by those who may.
            for (client, expected) in clients.iter().zip(expected) {
                let answer = client.graphql(&query.replace("OWN", &own)).await;
                assert_eq!(got(&answer), expected, "{query}: {answer}");
            }
            if !query.starts_with("mutation") {
                let answer = operator.graphql(&query.replace("OWN", &own)).await;
                assert_eq!(got(&answer), expected[4], "{query}: {answer}");
            }
        }
        let theirs = clients[2].graphql("{ subscriptions { id } }").await;
        assert_eq!(theirs["data"]["subscriptions"], json!([]));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_is_not_good_is_refused_everywhere() {
    let base = Base::local().await;
    let program = with_keys(&base);
    let server = serve_with(&program, &base, HISTORY).await;
    let nobody = Client::of(&server);
    let good = key(&program, "read").await;
    let expired = program
        .ok(&["keys", "create", "--expires", "1ms", "x"])
        .await;
    let mut forged = good.clone();
    forged.replace_range(
        forged.len() - 1..,
        if good.ends_with('A') { "B" } else { "A" },
    );
    let paths = [
        "/v1/metrics",
        "/graphql?query={__typename}",
        "/prometheus/api/v1/labels",
        "/metrics",
    ];
    for bad in [
        forged.as_str(),
        expired.trim(),
        "ml_0000000000_x",
        "ml_",
        "ml__",
        "eyJhbGciOiJub25lIn0.e30.",
        "",
    ] {
        for path in paths {
            let answer = nobody.with_key(bad).get(path).await;
            assert_eq!(answer.status.as_u16(), 401, "{bad} {path}");
            assert!(
                answer.header("www-authenticate").starts_with("Bearer"),
                "{path}"
            );
        }
    }
    let basic = nobody
        .with("authorization", "Basic eDp5")
        .get("/v1/metrics")
        .await;
    assert_eq!(basic.status.as_u16(), 401);
    let named = nobody.with("x-api-key", &good).get("/v1/metrics").await;
    assert_eq!(named.status.as_u16(), 200);
    let operations = Client::of_operations(&server);
    for (key, expected) in [(&good, 403), (&forged, 401)] {
        let answer = operations.with_key(key).get("/metrics").await;
        assert_eq!(answer.status.as_u16(), expected);
    }
    // Revoked, it is refused within a second or two; and its use was noted.
    let id = good.split('_').nth(1).unwrap();
    let keys = program.json(&["keys", "list"]).await;
    let row = keys
        .as_array()
        .unwrap()
        .iter()
        .find(|row| row["id"] == id)
        .unwrap()
        .clone();
    assert!(row["last_used"].is_string(), "{row}");
    assert!(
        !keys.to_string().contains(good.split('_').nth(2).unwrap()),
        "a secret is listed"
    );
    program.ok(&["keys", "revoke", id]).await;
    let client = nobody.with_key(&good);
    eventually("the key to be refused", async || {
        (client.get("/v1/metrics").await.status.as_u16() == 401).then_some(())
    })
    .await;
    assert_eq!(program.run(&["keys", "revoke", id]).await.code, 1);
    assert_eq!(
        program
            .run(&["keys", "create", "--scopes", "write", "x"])
            .await
            .code,
        2
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn without_anonymous_read_nothing_is_told() {
    let base = Base::local().await;
    let program = with_keys(&base).with("MARKETLAKE_AUTH__ANONYMOUS", "none");
    let server = serve_with(&program, &base, HISTORY).await;
    let nobody = Client::of(&server);
    for path in [
        "/v1/metrics",
        "/v1/metric/tie/rank",
        "/v1/jumps",
        "/v1/coverage?metric=tie",
        "/prometheus/api/v1/labels",
    ] {
        assert_eq!(nobody.get(path).await.status.as_u16(), 401, "{path}");
    }
    let answer = nobody.graphql("{ metrics { nodes { id } } }").await;
    assert_eq!(got(&answer), Who);
    let form = nobody.with("content-type", "application/x-www-form-urlencoded");
    let response = form
        .send(
            Method::POST,
            "/subscribe",
            Some("metric=tie&address=a%40example.com".to_owned()),
        )
        .await;
    assert_eq!(response.status.as_u16(), 422, "{}", response.text());
    assert_eq!(nobody.get("/healthz").await.status.as_u16(), 200);
    let reader = nobody.with_key(&key(&program, "read").await);
    assert_eq!(reader.get("/v1/metric/tie/rank").await.status.as_u16(), 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn points_are_used_up_by_each_asker_alone() {
    let base = Base::local().await;
    let program = with_keys(&base)
        .with("MARKETLAKE_SERVER__RATE_LIMIT_PER_MINUTE", "20")
        .with("MARKETLAKE_SERVER__TRUSTED_PROXIES", "1");
    let server = serve_with(&program, &base, HISTORY).await;
    let from = |address: &str| Client::of(&server).with("x-forwarded-for", address);
    let first = from("2001:db8:1:2::1");
    let answer = first.get("/v1/metrics").await;
    assert_eq!(answer.header("ratelimit-policy"), "\"points\";q=20;w=60");
    assert!(
        answer.header("ratelimit").starts_with("\"points\";r=19;"),
        "{answer:?}"
    );
    let dear = first
        .graphql("{ ranking(first: 1000) { nodes { rank } } }")
        .await;
    assert_eq!(dear["extensions"]["cost"]["requested"], 20, "{dear}");
    assert_eq!(dear["extensions"]["cost"]["remaining"], 0);
    let refused = first.get("/v1/metrics").await;
    assert_eq!(refused.status.as_u16(), 429);
    assert!((1..=60).contains(&refused.header("retry-after").parse::<u32>().unwrap()));
    let by_graphql = first
        .json(
            Method::POST,
            "/graphql",
            &json!({"query": "{ __typename }"}),
        )
        .await;
    assert_eq!(by_graphql.status.as_u16(), 429);
    assert_eq!(
        by_graphql.value()["errors"][0]["extensions"]["code"],
        "RATE_LIMITED"
    );
    // The same household has no more; another one has, and so has a key.
    assert_eq!(
        from("2001:db8:1:2:ffff::9")
            .get("/v1/metrics")
            .await
            .status
            .as_u16(),
        429
    );
    assert_eq!(
        from("2001:db8:1:3::1")
            .get("/v1/metrics")
            .await
            .status
            .as_u16(),
        200
    );
    let keyed = first.with_key(&key(&program, "read").await);
    assert_eq!(keyed.get("/v1/metrics").await.status.as_u16(), 200);
}
