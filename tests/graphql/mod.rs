//! GraphQL, as frontends call it.

mod abuse;
mod coverage;
pub mod live;
mod permissions;
mod protocol;
mod relations;
mod tokens;

use serde_json::{Value, json};

use crate::rest::{HISTORY, serve};
use crate::support::base::{Base, on_both};

#[tokio::test(flavor = "multi_thread")]
async fn metrics_are_searched_filtered_and_paged() {
    on_both(async |base: Base| {
        let server = serve(&base, HISTORY).await;
        let first = server.graphql(r#"{ metrics(first: 2, measure: "price") { nodes { id name market pair measure simulated } pageInfo { hasNextPage endCursor } } }"#).await;
        let page = &first["data"]["metrics"];
        assert_eq!(page["nodes"][0], json!({"id": "binance:hottry", "name": "hottry", "market": "binance", "pair": "hottry", "measure": "price", "simulated": false}));
        assert_eq!(page["pageInfo"]["hasNextPage"], true);
        let after = page["pageInfo"]["endCursor"].as_str().unwrap();
        let rest = server.graphql(&format!(r#"{{ metrics(after: "{after}", measure: "price") {{ nodes {{ id }} pageInfo {{ hasNextPage hasPreviousPage }} }} }}"#)).await;
        assert_eq!(rest["data"]["metrics"], json!({"nodes": [{"id": "gateio:hottry"}, {"id": "kraken:tie"}], "pageInfo": {"hasNextPage": false, "hasPreviousPage": true}}));
        let found = server.graphql(r#"{ metrics(search: "HOT", market: "gateio") { nodes { id } } metric(name: "hottry:volume") { id } }"#).await;
        assert_eq!(found["data"], json!({"metrics": {"nodes": [{"id": "gateio:hottry"}]}, "metric": {"id": "binance:hottry:volume"}}));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn timeseries_comes_as_columns_and_as_rows() {
    on_both(async |base: Base| {
        let server = serve(&base, HISTORY).await;
        let answer = server.graphql(r#"{ timeseries(metrics: ["hottry", "kraken:tie"], from: "2026-11-24T10:01:00Z") {
            metric { name } from to times values samples(first: 1) { nodes { timestamp value } pageInfo { hasNextPage } } } }"#).await;
        assert_eq!(answer["data"]["timeseries"], json!([
            {"metric": {"name": "hottry"}, "from": "2026-11-24T10:01:00Z", "to": "2026-11-24T10:03:00Z",
             "times": ["2026-11-24T10:01:00Z", "2026-11-24T10:03:00Z"], "values": ["0.0608", "0.0000001"],
             "samples": {"nodes": [{"timestamp": "2026-11-24T10:01:00Z", "value": "0.0608"}], "pageInfo": {"hasNextPage": true}}},
            {"metric": {"name": "tie"}, "from": "2026-11-24T10:01:00Z", "to": "2026-11-24T10:03:00Z",
             "times": ["2026-11-24T10:01:00Z"], "values": ["7"],
             "samples": {"nodes": [{"timestamp": "2026-11-24T10:01:00Z", "value": "7"}], "pageInfo": {"hasNextPage": false}}},
        ]));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rank_and_ranking_agree() {
    on_both(async |base: Base| {
        let server = serve(&base, HISTORY).await;
        let answer = server.graphql(r#"{ rank(metric: "tie") { rank of display statistic } single: rank(metric: "single") { rank value of display }
            ranking(first: 2) { nodes { rank metric { id } } pageInfo { endCursor hasNextPage } } }"#).await;
        let data = &answer["data"];
        assert_eq!(data["rank"], json!({"rank": 1, "of": 3, "display": "1/3", "statistic": "STDDEV"}));
        assert_eq!(data["single"], json!({"rank": null, "value": null, "of": 3, "display": "-/3"}));
        assert_eq!(data["ranking"]["nodes"], json!([
            {"rank": 1, "metric": {"id": "gateio:hottry"}}, {"rank": 1, "metric": {"id": "kraken:tie"}},
        ]));
        let after = data["ranking"]["pageInfo"]["endCursor"].as_str().unwrap();
        let rest = server.graphql(&format!(r#"{{ ranking(after: "{after}") {{ nodes {{ rank metric {{ id }} }} pageInfo {{ hasNextPage }} }} }}"#)).await;
        assert_eq!(rest["data"]["ranking"], json!({"nodes": [{"rank": 3, "metric": {"id": "binance:hottry"}}], "pageInfo": {"hasNextPage": false}}));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_have_a_code() {
    let base = Base::local().await;
    let server = serve(&base, HISTORY).await;
    for (query, code) in [
        (r#"{ metric(name: "nope") { id } }"#, "UNKNOWN_METRIC"),
        (r#"{ rank(metric: "nope") { of } }"#, "UNKNOWN_METRIC"),
        (
            r#"{ timeseries(metrics: ["hottry", "nope"]) { times } }"#,
            "UNKNOWN_METRIC",
        ),
        (r#"{ metrics(first: 0) { nodes { id } } }"#, "BAD_ARGUMENT"),
        (
            r#"{ metrics(after: "!") { nodes { id } } }"#,
            "BAD_ARGUMENT",
        ),
        (
            r#"{ timeseries(metrics: ["hottry"], from: "2027-01-01T00:00:00Z") { times } }"#,
            "BAD_ARGUMENT",
        ),
    ] {
        let answer = server.graphql(query).await;
        assert_eq!(
            answer["errors"][0]["extensions"]["code"], code,
            "{query}: {answer}"
        );
    }
    let bad_time = server
        .graphql(r#"{ metrics(at: "noon") { nodes { id } } }"#)
        .await;
    assert!(
        bad_time["errors"][0]["message"]
            .as_str()
            .unwrap()
            .contains("expected a time as RFC 3339"),
        "{bad_time}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subscription_is_made_and_deleted() {
    on_both(async |base: Base| {
        let server = serve(&base, HISTORY).await;
        let made = server.graphql_as_operator(r#"mutation { createSubscription(input: {metric: "*try", factor: "2.5", address: "a@example.com"}) {
            subscription { id metric factor windowMinutes minSamples address } userErrors { field code } } }"#).await;
        let payload = &made["data"]["createSubscription"];
        assert_eq!(payload["userErrors"], json!([]));
        let id = payload["subscription"]["id"].as_str().unwrap().to_owned();
        assert_eq!(payload["subscription"], json!({"id": id, "metric": "*try", "factor": "2.5", "windowMinutes": 60, "minSamples": 45, "address": "a@example.com"}));
        let delete = format!(r#"mutation {{ deleteSubscription(input: {{id: "{id}"}}) {{ deletedId userErrors {{ code }} }} }}"#);
        assert_eq!(server.graphql_as_operator(&delete).await["data"]["deleteSubscription"], json!({"deletedId": id, "userErrors": []}));
        assert_eq!(server.graphql_as_operator(&delete).await["data"]["deleteSubscription"], json!({"deletedId": null, "userErrors": [{"code": "UNKNOWN_SUBSCRIPTION"}]}));
        let bad = server.graphql_as_operator(r#"mutation { createSubscription(input: {metric: "", factor: 1, address: "x"}) { subscription { id } userErrors { field code } } }"#).await;
        let fields: Vec<&Value> = bad["data"]["createSubscription"]["userErrors"].as_array().unwrap().iter().map(|e| &e["field"]).collect();
        assert_eq!(fields, ["metric", "factor", "address"]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mutations_come_by_post_and_json_only() {
    let base = Base::local().await;
    let server = serve(&base, HISTORY).await;
    let client = reqwest::Client::new();
    let mutation = r#"mutation { deleteSubscription(input: {id: "x"}) { deletedId } }"#;
    let by_get = client
        .get(server.url("/graphql"))
        .query(&[("query", mutation)])
        .send()
        .await
        .unwrap();
    assert_eq!(
        (
            by_get.status().as_u16(),
            by_get.headers()["allow"].to_str().unwrap()
        ),
        (405, "POST")
    );
    for content_type in [
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
    ] {
        let body = json!({"query": mutation}).to_string();
        let sent = client
            .post(server.url("/graphql"))
            .header("content-type", content_type)
            .body(body)
            .send()
            .await
            .unwrap();
        assert_eq!(sent.status().as_u16(), 415, "{content_type}");
    }
    let query = client.get(server.url("/graphql")).query(&[
        ("query", "query Q($n: String!) { metric(name: $n) { id } }"),
        ("variables", r#"{"n":"tie"}"#),
    ]);
    assert_eq!(
        query
            .bearer_auth(server.operator_key())
            .send()
            .await
            .unwrap()
            .text()
            .await
            .unwrap(),
        r#"{"data":{"metric":{"id":"kraken:tie"}},"extensions":{"cost":{"requested":1,"remaining":null,"resetAt":null}}}"#
    );
    let nonsense = client
        .post(server.url("/graphql"))
        .header("content-type", "application/json")
        .body("{")
        .send()
        .await
        .unwrap();
    assert_eq!(nonsense.status().as_u16(), 400);
    let expensive = server
        .graphql(
            "{ a: ranking(first: 10000) { nodes { metric { id name pair market measure } } } }",
        )
        .await;
    assert!(
        expensive["errors"][0]["message"]
            .as_str()
            .unwrap()
            .contains("complex"),
        "{expensive}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn tools_can_read_the_schema_and_nothing_nests_deeper() {
    let base = Base::local().await;
    let server = serve(&base, HISTORY).await;
    let wrapped = |levels: usize| {
        format!(
            "{} kind name {}",
            "ofType { kind name ".repeat(levels),
            "}".repeat(levels)
        )
    };
    let query = |levels| {
        format!(
            "{{ __schema {{ queryType {{ name }} mutationType {{ name }} directives {{ name locations }} \
             types {{ kind name description fields(includeDeprecated: true) {{ name type {{ {wrapped} }} \
             args {{ name defaultValue type {{ {wrapped} }} }} }} inputFields {{ name type {{ {wrapped} }} }} \
             enumValues {{ name }} possibleTypes {{ name }} }} }} }}",
            wrapped = wrapped(levels)
        )
    };
    let answer = server.graphql(&query(9)).await;
    assert_eq!(answer["errors"], Value::Null);
    let types = answer["data"]["__schema"]["types"].as_array().unwrap();
    assert!(types.iter().any(|t| t["name"] == "MetricConnection"));
    let deeper = server.graphql(&query(12)).await;
    assert_eq!(deeper["errors"][0]["message"], "Query is nested too deep.");
}
