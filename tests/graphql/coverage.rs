//! Coverage and gaps: what is missing of a metric and of markets, and what was filled.

use serde_json::{Value, json};

use crate::rest::coverage::{WITH_MISSING, insert_gaps};
use crate::rest::{HISTORY, serve};
use crate::support::base::{Base, on_both};
use crate::support::client::Client;

#[tokio::test(flavor = "multi_thread")]
async fn coverage_names_what_is_missing_and_details_are_for_operators() {
    on_both(async |base: Base| {
        let server = serve(&base, WITH_MISSING).await;
        insert_gaps(&base).await;
        let query = r#"{ coverage(metric: "hottry") { metric { id } from to expected recorded filled display
            missing { from to minutes reason state detail } missingLeftOut } }"#;
        let answer = server.graphql(query).await;
        assert_eq!(answer["data"]["coverage"], json!({
            "metric": {"id": "binance:hottry"}, "from": "2026-11-24T10:00:00Z", "to": "2026-11-24T10:06:00Z",
            "expected": 7, "recorded": 4, "filled": 1, "display": "4 of 7",
            "missing": [
                {"from": "2026-11-24T10:03:00Z", "to": "2026-11-24T10:04:00Z", "minutes": 2, "reason": "MISSED", "state": "OPEN", "detail": null},
                {"from": "2026-11-24T10:02:00Z", "to": "2026-11-24T10:02:00Z", "minutes": 1, "reason": "NOT_RECORDED", "state": null, "detail": null},
            ],
            "missingLeftOut": 0,
        }));
        let answer = server.graphql_as_operator(query).await;
        assert_eq!(answer["data"]["coverage"]["missing"][0]["detail"], "no process ran");
        for (arguments, code) in [
            (r#"metric: "nope""#, "UNKNOWN_METRIC"),
            (r#"metric: "hottry", from: "2020-01-01T00:00:00Z""#, "BAD_ARGUMENT"),
            (r#"metric: "hottry", from: "2027-01-01T00:00:00Z""#, "BAD_ARGUMENT"),
        ] {
            let wrong = server.graphql(&format!("{{ coverage({arguments}) {{ display }} }}")).await;
            assert_eq!(wrong["errors"][0]["extensions"]["code"], code, "{arguments}: {wrong}");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_series_says_how_many_of_its_minutes_are_recorded() {
    on_both(async |base: Base| {
        let server = serve(&base, HISTORY).await;
        for (arguments, display) in [
            (r#"metrics: ["hottry"]"#, "3 of 4"),
            // Samples count, not intervals or what transforms leave.
            (r#"metrics: ["hottry"], interval: "1h""#, "3 of 4"),
            (r#"metrics: ["hottry"], transforms: [{kind: CHANGE}]"#, "3 of 4"),
            (r#"metrics: ["tie"], from: "2026-11-24T10:01:00Z""#, "1 of 3"),
            (r#"metrics: ["tie"], from: "2026-11-24T10:01:00Z", interval: "1h""#, "1 of 3"),
            // Expected from its first sample.
            (r#"metrics: ["single"]"#, "1 of 2"),
            (r#"metrics: ["single"], interval: "1d""#, "1 of 2"),
            (r#"metrics: ["single"], transforms: [{kind: MOVING_AVERAGE, minutes: 5}]"#, "1 of 2"),
            (r#"metrics: ["single"], to: "2026-11-24T10:01:00Z", interval: "1h""#, "0 of 0"),
        ] {
            let query = format!("{{ timeseries({arguments}) {{ values coverage {{ expected recorded display }} }} }}");
            let answer = server.graphql(&query).await;
            let coverage = &answer["data"]["timeseries"][0]["coverage"];
            assert_eq!(coverage["display"], display, "{arguments}: {answer}");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn gaps_are_filtered_and_paged_newest_first() {
    on_both(async |base: Base| {
        let server = Client::owning(serve(&base, WITH_MISSING).await);
        insert_gaps(&base).await;
        let minutes = async |arguments: &str| -> Vec<String> {
            let query = format!("{{ gaps({arguments}) {{ nodes {{ market timestamp }} }} }}");
            let answer = server.graphql(&query).await;
            let nodes = answer["data"]["gaps"]["nodes"].as_array();
            let nodes = nodes.unwrap_or_else(|| panic!("{arguments}: {answer}"));
            let text = |node: &Value, name: &str| node[name].as_str().unwrap().to_owned();
            let shown = nodes.iter().map(|node| {
                format!("{} {}", text(node, "market"), &text(node, "timestamp")[11..16])
            });
            shown.collect()
        };
        let all = ["kraken 10:05", "binance 10:04", "binance 10:03", "binance 10:01"];
        assert_eq!(minutes("first: 10").await, all);
        assert_eq!(minutes("last: 2").await, all[2..]);
        assert_eq!(minutes(r#"market: "binance""#).await, all[1..]);
        assert_eq!(minutes("state: OPEN").await, all[1..3]);
        assert_eq!(minutes(r#"from: "2026-11-24T10:02:30Z", to: "2026-11-24T10:03:00Z""#).await, all[2..3]);
        let (mut forward, mut arguments) = (Vec::new(), "first: 3".to_owned());
        loop {
            let query = format!("{{ gaps({arguments}) {{ nodes {{ id }} pageInfo {{ hasNextPage endCursor }} }} }}");
            let page = server.graphql(&query).await["data"]["gaps"].clone();
            forward.extend(page["nodes"].as_array().unwrap().clone());
            if page["pageInfo"]["hasNextPage"] == false {
                break;
            }
            arguments = format!("first: 3, after: {}", page["pageInfo"]["endCursor"]);
        }
        assert_eq!(forward.len(), all.len());
        let id = forward[0]["id"].as_str().unwrap();
        let query = format!(r#"{{ node(id: "{id}") {{ __typename ... on Gap {{
            market reason state attempts samples detail nextAttemptAt closedAt }} }} }}"#);
        let lost = json!({
            "__typename": "Gap", "market": "kraken", "reason": "FEED_FAILED", "state": "LOST", "attempts": 0,
            "samples": 0, "detail": "kraken: answered\n500", "nextAttemptAt": null, "closedAt": "2026-11-24T10:05:00Z",
        });
        assert_eq!(server.graphql(&query).await["data"]["node"], lost);
        let wrong = server.graphql(r#"{ gaps(after: "bm9wZQ") { nodes { id } } }"#).await;
        assert_eq!(wrong["errors"][0]["extensions"]["code"], "BAD_ARGUMENT", "{wrong}");
    })
    .await;
}
