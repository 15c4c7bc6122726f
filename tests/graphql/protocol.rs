//! GraphQL over HTTP: media types, statuses, persisted queries, batches, cost, codes.

use reqwest::Method;
use serde_json::{Value, json};

use crate::rest::{HISTORY, serve, serve_with};
use crate::support::base::{Base, on_both};
use crate::support::client::Client;
use crate::support::program::Program;

const NEW: &str = "application/graphql-response+json";

#[tokio::test(flavor = "multi_thread")]
async fn statuses_and_media_types_are_those_of_the_specification() {
    let base = Base::local().await;
    let server = Client::owning(serve(&base, HISTORY).await);
    let send = async |accept: &str, query: &str| {
        let client = server.with("accept", accept);
        let answer = client
            .json(Method::POST, "/graphql", &json!({"query": query}))
            .await;
        let media_type = answer
            .header("content-type")
            .split(';')
            .next()
            .unwrap()
            .to_owned();
        (answer.status.as_u16(), media_type, answer.value())
    };
    let good = "{ __typename }";
    for (accept, status, media_type) in [
        (NEW, 200, NEW),
        ("application/json", 200, "application/json"),
        ("*/*", 200, "application/json"),
        (
            "application/json;q=0.5, application/graphql-response+json",
            200,
            NEW,
        ),
        ("text/html", 406, "application/json"),
    ] {
        let (got, own, _) = send(accept, good).await;
        assert_eq!((got, own.as_str()), (status, media_type), "{accept}");
    }
    for wrong in [
        "{",
        "{ nope }",
        "query($x: Int!) { __typename }",
        "subscription { slots { timestamp } }",
    ] {
        let (status, _, body) = send(NEW, wrong).await;
        assert_eq!(status, 400, "{wrong}");
        assert!(body.get("data").is_none(), "{wrong}: {body}");
        assert!(
            body["errors"][0]["extensions"]["code"].is_string(),
            "{wrong}: {body}"
        );
    }
    // An execution error is a 200.
    let (status, _, body) = send(NEW, r#"{ lake { samples } rank(metric: "nope") { of } }"#).await;
    assert_eq!((status, &body["data"]), (200, &Value::Null));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_is_no_request_names_the_field() {
    let base = Base::local().await;
    let server = Client::owning(serve(&base, HISTORY).await);
    for (body, message) in [
        ("3", "expected an object"),
        (r#"{"query": 3}"#, "query: expected a text, got 3"),
        (
            r#"{"query": "{ __typename }", "variables": []}"#,
            "variables: expected an object, got []",
        ),
        (
            r#"{"query": "{ __typename }", "operationName": {}}"#,
            "operationName: expected a text",
        ),
        (
            r#"{"query": "{ __typename }", "extensions": "x"}"#,
            "extensions: expected an object",
        ),
        (
            r#"{"query": "query A { __typename } query B { __typename }"}"#,
            "operationName: expected one",
        ),
        (
            r#"{"query": "query A { __typename }", "operationName": "C"}"#,
            "no operation \"C\"",
        ),
        ("{}", "query: expected a GraphQL document"),
        ("[]", "the body is a batch: expected one request"),
        (
            r#"[{"query": "{ __typename }"}]"#,
            "the body is a batch: expected one request",
        ),
        ("\u{feff}{}", "the body is not JSON"),
    ] {
        let client = server
            .with("content-type", "application/json")
            .with("accept", NEW);
        let answer = client
            .send(Method::POST, "/graphql", Some(body.to_owned()))
            .await;
        assert_eq!(answer.status.as_u16(), 400, "{body}");
        let said = answer.value()["errors"][0]["message"].to_string();
        assert!(
            said.contains(&message.replace('"', "\\\"")),
            "{body}: {said}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_query_that_was_sent_once_is_known_by_its_hash() {
    let base = Base::local().await;
    let server = Client::owning(serve(&base, HISTORY).await);
    let query = r#"{ metric(name: "tie") { id } }"#;
    let hash = {
        use sha2::{Digest, Sha256};
        Sha256::digest(query)
            .iter()
            .map(|b| format!("{b:02x}"))
            .collect::<String>()
    };
    let extensions = json!({"persistedQuery": {"version": 1, "sha256Hash": hash}});
    let send = async |body: Value| server.json(Method::POST, "/graphql", &body).await.value();
    let unknown = send(json!({"extensions": extensions})).await;
    assert_eq!(unknown["errors"][0]["message"], "PersistedQueryNotFound");
    assert_eq!(
        unknown["errors"][0]["extensions"]["code"],
        "PERSISTED_QUERY_NOT_FOUND"
    );
    let wrong = send(json!({"query": "{ __typename }", "extensions": extensions})).await;
    assert!(
        wrong["errors"][0]["message"]
            .as_str()
            .unwrap()
            .contains("expected the hash"),
        "{wrong}"
    );
    let sent = send(json!({"query": query, "extensions": extensions})).await;
    let again = send(json!({"extensions": extensions})).await;
    assert_eq!(sent["data"], json!({"metric": {"id": "kraken:tie"}}));
    assert_eq!(again["data"], sent["data"]);
    let address = format!(
        "/graphql?extensions={}",
        percent_encoding::utf8_percent_encode(
            &extensions.to_string(),
            percent_encoding::NON_ALPHANUMERIC
        )
    );
    assert_eq!(server.get(&address).await.value()["data"], sent["data"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn operations_of_one_document_are_told_apart_however_often_it_is_sent() {
    let base = Base::local().await;
    let server = Client::owning(serve(&base, HISTORY).await);
    let document = r#"
        query One { metric(name: "tie") { id } }
        query Many { ranking(first: 5) { nodes { display metric { id } } } }
        mutation Change { deleteSubscription(input: {id: "x"}) { deletedId } }"#;
    let by_get = async |operation: &str| {
        let encode = |text: &str| {
            percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC)
                .to_string()
        };
        let (query, name) = (encode(document), encode(operation));
        let address = format!("/graphql?query={query}&operationName={name}");
        server.get(&address).await
    };
    let cost = |answer: &Value| answer["extensions"]["cost"]["requested"].as_u64().unwrap();
    let mut costs = Vec::new();
    // Twice each, so that the second answer comes after both were analyzed.
    for _ in 0..2 {
        let one = by_get("One").await.value();
        assert_eq!(one["data"], json!({"metric": {"id": "kraken:tie"}}));
        let many = by_get("Many").await.value();
        assert!(many["data"]["ranking"]["nodes"].is_array(), "{many}");
        costs.push((cost(&one), cost(&many)));
        let change = by_get("Change").await;
        assert_eq!(
            (change.status.as_u16(), change.header("allow")),
            (405, "POST")
        );
        let unknown = by_get("Other").await;
        assert!(
            unknown.text().contains("no operation"),
            "{}",
            unknown.text()
        );
        let none = server
            .json(Method::POST, "/graphql", &json!({"query": document}))
            .await
            .text();
        assert!(none.contains("operationName: expected one"), "{none}");
    }
    assert_eq!(costs[0], costs[1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn batches_are_taken_where_they_are_configured() {
    let base = Base::local().await;
    let program = Program::on(&base).with("MARKETLAKE_SERVER__MAX_BATCH", "2");
    let server = Client::owning(serve_with(&program, &base, HISTORY).await);
    let one = json!({"query": "{ __typename }"});
    let two = server
        .json(
            Method::POST,
            "/graphql",
            &json!([one, {"query": "{ nope }"}]),
        )
        .await
        .value();
    assert_eq!(two[0]["data"]["__typename"], "Query");
    assert!(two[1]["errors"].is_array(), "{two}");
    let three = server
        .json(Method::POST, "/graphql", &json!([one, one, one]))
        .await;
    assert_eq!(three.status.as_u16(), 400);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_create_sent_twice_makes_one_subscription() {
    on_both(async |base: Base| {
        let server = Client::owning(serve(&base, HISTORY).await);
        let create = |metric: &str| json!({"query": format!(r#"mutation {{ createSubscription(input: {{metric: "{metric}", address: "a@example.com"}}) {{ subscription {{ id }} userErrors {{ code field }} }} }}"#)});
        let keyed = server.with("idempotency-key", "order-66");
        let send = async |metric: &str| {
            let answer = keyed.json(Method::POST, "/graphql", &create(metric)).await.value();
            answer["data"]["createSubscription"].clone()
        };
        let (first, second) = (send("tie").await, send("tie").await);
        assert!(first["subscription"]["id"].is_string(), "{first}");
        assert_eq!(first, second);
        let other = send("hottry").await;
        assert_eq!(other["userErrors"], json!([{"code": "IDEMPOTENCY_KEY_REUSED", "field": "Idempotency-Key"}]));
        let without = server.json(Method::POST, "/graphql", &create("tie")).await.value();
        assert_ne!(without["data"]["createSubscription"], first);
        let all = server.graphql("{ subscriptions { id } }").await;
        assert_eq!(all["data"]["subscriptions"].as_array().unwrap().len(), 2);
        let bad = server.with("idempotency-key", "two words").json(Method::POST, "/graphql", &create("tie")).await;
        assert_eq!(bad.status.as_u16(), 400);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_of_foreign_origins_may_ask_where_they_are_allowed_to() {
    let base = Base::local().await;
    let program = Program::on(&base).with(
        "MARKETLAKE_SERVER__CORS_ORIGINS",
        r#"["https://app.example.com"]"#,
    );
    let server = Client::owning(serve_with(&program, &base, HISTORY).await);
    let from = |origin: &str| server.with("origin", origin);
    let preflight = |client: Client| async move {
        let client = client.with("access-control-request-method", "POST").with(
            "access-control-request-headers",
            "content-type,authorization",
        );
        client.send(Method::OPTIONS, "/graphql", None).await
    };
    let allowed = preflight(from("https://app.example.com")).await;
    assert_eq!(
        allowed.header("access-control-allow-origin"),
        "https://app.example.com"
    );
    assert_eq!(allowed.header("x-content-type-options"), "nosniff");
    let foreign = preflight(from("https://evil.example")).await;
    assert!(
        !foreign.headers.contains_key("access-control-allow-origin"),
        "{foreign:?}"
    );
    let answer = from("https://app.example.com").get("/v1/metrics").await;
    assert_eq!(answer.header("x-content-type-options"), "nosniff");
    assert_eq!(answer.header("x-frame-options"), "DENY");
    let exposed = answer.header("access-control-expose-headers");
    assert!(exposed.contains("etag") && exposed.contains("marketlake-engine"));
    // What is refused before any route too.
    let refused = from("https://app.example.com")
        .get("/v1/metrics?search=%00")
        .await;
    assert_eq!(refused.status.as_u16(), 400);
    assert_eq!(refused.header("x-content-type-options"), "nosniff");
    let allowed = refused.header("access-control-allow-origin");
    assert_eq!(allowed, "https://app.example.com");
    let said = Program::on(&base)
        .with("MARKETLAKE_SERVER__CORS_ORIGINS", r#"["app.example.com"]"#)
        .run(&["up"])
        .await;
    assert_eq!(said.code, 2);
    assert!(said.err.contains("server.cors_origins"), "{said:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_for_programmers_come_whole_from_here() {
    let base = Base::local().await;
    let server = Client::owning(serve(&base, HISTORY).await);
    let graphiql = server.get("/graphiql").await.text();
    let docs = server.get("/docs/").await.text();
    for page in [&graphiql, &docs] {
        assert!(
            !page.contains("http://") && !page.contains("https://"),
            "{page}"
        );
    }
    for file in [
        "react.js",
        "react-dom.js",
        "graphiql.js",
        "graphiql.css",
        "start.js",
        "start.css",
    ] {
        assert!(graphiql.contains(&format!("/graphiql/{file}")), "{file}");
        let answer = server.get(&format!("/graphiql/{file}")).await;
        assert_eq!(answer.status.as_u16(), 200, "{file}");
        assert!(
            answer
                .header("content-security-policy")
                .contains("default-src 'self'")
        );
    }
    assert_eq!(
        server
            .get("/docs/swagger-ui-bundle.js")
            .await
            .status
            .as_u16(),
        200
    );
    assert_eq!(server.get("/docs/../Cargo.toml").await.status.as_u16(), 404);
    let described = server.get("/openapi.json").await.value();
    assert_eq!(described["openapi"], "3.1.0");
    assert!(described["paths"]["/v1/metric/{name}/rank"]["get"].is_object());
}
