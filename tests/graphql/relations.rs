//! Types reach each other, pages go both ways, ids lead back, values are transformed.

use std::fmt::Write;

use serde_json::{Value, json};

use crate::rest::{HISTORY, serve};
use crate::support::base::{Base, on_both};
use crate::support::client::Client;

#[tokio::test(flavor = "multi_thread")]
async fn a_metric_leads_to_its_value_its_place_its_samples_and_back() {
    on_both(async |base: Base| {
        let server = Client::owning(serve(&base, HISTORY).await);
        let answer = server.graphql(r#"{ metrics(measure: "price") { nodes { name latest { timestamp value } rank { display metric { id } } change: rank(statistic: CHANGE) { display value } timeseries { values samples(last: 1) { nodes { value } } } jumps { nodes { ratio } } } } }"#).await;
        let nodes = answer["data"]["metrics"]["nodes"].as_array().unwrap();
        assert_eq!(nodes[0], json!({
            "name": "hottry", "latest": {"timestamp": "2026-11-24T10:03:00Z", "value": "0.0000001"},
            "rank": {"display": "3/3", "metric": {"id": "binance:hottry"}},
            "change": {"display": "3/3", "value": 0.000_000_1_f64 - 0.06076},
            "timeseries": {"values": ["0.06076", "0.0608", "0.0000001"], "samples": {"nodes": [{"value": "0.0000001"}]}},
            "jumps": {"nodes": []},
        }));
        let single = nodes.iter().find(|node| node["name"] == "single").unwrap();
        assert_eq!(single["rank"]["display"], "-/3");
        // Each stands for the requested minute.
        let early = server.graphql(r#"{ metrics(at: "2026-11-24T10:00:00Z") { nodes { name latest { value } rank { of } } } }"#).await;
        assert_eq!(early["data"]["metrics"]["nodes"][0], json!({"name": "hottry", "latest": {"value": "0.06076"}, "rank": {"of": 0}}));
        let latest = server.graphql(r#"{ latest(metrics: ["tie", "hottry"]) { metric { name } sample { value } } }"#).await;
        assert_eq!(latest["data"]["latest"], json!([{"metric": {"name": "tie"}, "sample": {"value": "7"}}, {"metric": {"name": "hottry"}, "sample": {"value": "0.0000001"}}]));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn places_are_by_any_statistic() {
    let base = Base::local().await;
    let server = Client::owning(serve(&base, HISTORY).await);
    let ids = async |statistic: &str| -> Vec<String> {
        let query = format!(
            "{{ ranking(statistic: {statistic}) {{ nodes {{ metric {{ id }} statistic }} }} }}"
        );
        let answer = server.graphql(&query).await;
        let nodes = answer["data"]["ranking"]["nodes"]
            .as_array()
            .unwrap()
            .clone();
        assert!(nodes.iter().all(|node| node["statistic"] == statistic));
        nodes
            .iter()
            .map(|node| node["metric"]["id"].as_str().unwrap().to_owned())
            .collect()
    };
    for statistic in ["STDDEV", "MEAN", "RANGE", "CHANGE", "PERCENT_CHANGE"] {
        assert_eq!(
            ids(statistic).await,
            ["gateio:hottry", "kraken:tie", "binance:hottry"],
            "{statistic}"
        );
    }
    assert_eq!(ids("VOLUME").await, ["binance:hottry"]);
    assert_eq!(ids("RELATIVE_STDDEV").await[0], "binance:hottry");
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_go_forward_and_backward_and_lose_nothing() {
    on_both(async |base: Base| {
        let mut history = HISTORY.to_owned();
        for minute in 10..30 {
            writeln!(history, "binance:long,2026-11-24T10:{minute}:00Z,{minute}").unwrap();
        }
        let server = Client::owning(serve(&base, &history).await);
        for (field, order) in [
            ("metrics", ""),
            ("metrics", "orderBy: NAME, "),
            ("metrics", "orderBy: RANK, "),
            ("ranking", ""),
            ("segments", ""),
        ] {
            let page = async |arguments: &str| {
                let node = if field == "ranking" {
                    "metric { id }"
                } else {
                    "id"
                };
                let query = format!(
                    "{{ {field}({order}{arguments}) {{ edges {{ cursor node {{ \
                    {node} }} }} pageInfo {{ hasNextPage hasPreviousPage startCursor endCursor }} \
                    }} }}"
                );
                let answer = server.graphql(&query).await;
                assert!(answer.get("errors").is_none(), "{query}: {answer}");
                answer["data"][field].clone()
            };
            let all = page("first: 100").await["edges"]
                .as_array()
                .unwrap()
                .clone();
            let (mut forward, mut arguments) = (Vec::new(), "first: 2".to_owned());
            loop {
                let next = page(&arguments).await;
                forward.extend(next["edges"].as_array().unwrap().clone());
                if next["pageInfo"]["hasNextPage"] == false {
                    break;
                }
                arguments = format!("first: 2, after: {}", next["pageInfo"]["endCursor"]);
            }
            assert_eq!(forward, all, "{field} {order}");
            let (mut backward, mut arguments) = (Vec::new(), "last: 2".to_owned());
            loop {
                let before = page(&arguments).await;
                backward.splice(0..0, before["edges"].as_array().unwrap().clone());
                if before["pageInfo"]["hasPreviousPage"] == false {
                    break;
                }
                arguments = format!("last: 2, before: {}", before["pageInfo"]["startCursor"]);
            }
            assert_eq!(backward, all, "{field} {order}");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_entity_is_found_again_by_its_id() {
    on_both(async |base: Base| {
        let server = Client::owning(serve(&base, HISTORY).await);
        server.graphql(r#"mutation { createSubscription(input: {metric: "tie", address: "a@example.com"}) { subscription { id } } }"#).await;
        let ids = server.graphql("{ segments { nodes { id } } subscriptions { id } deliveries { \
            id } }").await;
        let data = &ids["data"];
        let mut wanted = vec![
            ("Metric", "kraken:tie"),
            ("Segment", data["segments"]["nodes"][0]["id"].as_str().unwrap()),
            ("AlertSubscription", data["subscriptions"][0]["id"].as_str().unwrap()),
            ("Delivery", data["deliveries"][0]["id"].as_str().unwrap()),
        ];
        for (kind, id) in wanted.drain(..) {
            let answer = server.graphql(&format!(r#"{{ node(id: "{id}") {{ __typename id }} }}"#)).await;
            assert_eq!(answer["data"]["node"], json!({"__typename": kind, "id": id}));
        }
        let none = server.graphql(r#"{ nodes(ids: ["x", "no:such", "job-run/99", "segment/x", ""]) { id } }"#).await;
        assert_eq!(none["data"]["nodes"], json!([null, null, null, null, null]));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn values_are_transformed_as_asked() {
    on_both(async |base: Base| {
        let history = "metric,ts,value\n\
            a:one,2026-11-24T10:00:00Z,10\na:one,2026-11-24T10:01:00Z,10.1\n\
            a:one,2026-11-24T10:02:00Z,0\na:one,2026-11-24T10:03:00Z,4\n";
        let server = Client::owning(serve(&base, history).await);
        let values = async |transforms: &str| -> Value {
            let query = format!(r#"{{ metric(name: "one") {{ timeseries(from: "2026-11-24T10:01:00Z", transforms: [{transforms}]) {{ values times }} }} }}"#);
            let answer = server.graphql(&query).await;
            assert!(answer.get("errors").is_none(), "{answer}");
            answer["data"]["metric"]["timeseries"]["values"].clone()
        };
        assert_eq!(values("").await, json!(["10.1", "0", "4"]));
        // Behind a zero there is no percentage.
        assert_eq!(values("{kind: CHANGE}").await, json!(["-10.1", "4"]));
        assert_eq!(values("{kind: PERCENT_CHANGE}").await, json!(["-100"]));
        // It looks back over what was before the first minute that is shown.
        assert_eq!(values("{kind: MOVING_AVERAGE, minutes: 2}").await, json!(["10.05", "5.05", "2"]));
        let scores = values("{kind: Z_SCORE, minutes: 2}").await;
        for (score, sign) in scores.as_array().unwrap().iter().zip([1.0, -1.0, 1.0]) {
            let score: f64 = score.as_str().unwrap().parse().unwrap();
            assert!((score - sign / 2.0_f64.sqrt()).abs() < 1e-12, "{scores}");
        }
        assert_eq!(values("{kind: MOVING_AVERAGE, minutes: 2}, {kind: CHANGE}").await, json!(["0.05", "-5", "-3.05"]));
        for (transforms, message) in [
            ("{kind: CHANGE, minutes: 5}", "transforms.minutes: expected none"),
            ("{kind: Z_SCORE, minutes: 0}", "transforms.minutes: expected a number from 1 to \
                10080, got 0"),
        ] {
            let query = format!(r#"{{ timeseries(metrics: ["one"], transforms: [{transforms}]) {{ values }} }}"#);
            let answer = server.graphql(&query).await;
            assert!(answer["errors"][0]["message"].as_str().unwrap().contains(message), "{answer}");
        }
    })
    .await;
}
