//! Responses that are much larger than their requests.

use std::fmt::Write;

use reqwest::Method;
use serde_json::json;

use super::server;
use crate::rest::serve_with;
use crate::support::base::Base;
use crate::support::client::{Client, key};
use crate::support::program::Program;

/// The query that code generators and browsers of schemas send.
const INTROSPECTION: &str = "query IntrospectionQuery { __schema { description queryType { name kind } mutationType { name kind } subscriptionType { name kind } types { ...FullType } directives { name description isRepeatable locations args(includeDeprecated: true) { ...InputValue } } } }
fragment FullType on __Type { kind name description specifiedByURL isOneOf fields(includeDeprecated: true) { name description args(includeDeprecated: true) { ...InputValue } type { ...TypeRef } isDeprecated deprecationReason } inputFields(includeDeprecated: true) { ...InputValue } interfaces { ...TypeRef } enumValues(includeDeprecated: true) { name description isDeprecated deprecationReason } possibleTypes { ...TypeRef } }
fragment InputValue on __InputValue { name description type { ...TypeRef } defaultValue isDeprecated deprecationReason }
fragment TypeRef on __Type { kind name ofType { kind name ofType { kind name ofType { kind name ofType { kind name ofType { kind name ofType { kind name ofType { kind name ofType { kind name } } } } } } } } }";

#[tokio::test(flavor = "multi_thread")]
async fn tools_introspect_the_schema_and_nothing_multiplies_it() {
    let base = Base::local().await;
    let running = server(&base, &[]).await;
    let server = Client::of(&running);
    let whole = server
        .json(Method::POST, "/graphql", &json!({"query": INTROSPECTION}))
        .await;
    let size = whole.body.len();
    let whole = whole.value();
    assert!(whole.get("errors").is_none(), "{whole}");
    let points = whole["extensions"]["cost"]["requested"].as_u64().unwrap();
    // A minute's points are 6,000.
    assert!(
        (20..1_500).contains(&points),
        "{points} points, {size} bytes"
    );
    let around = |levels: usize, open: &str| {
        format!(
            "{{ __type(name: \"Node\") {{ {} name {} }} }}",
            open.repeat(levels),
            "}".repeat(levels * (open.matches('{').count() - open.matches('}').count()))
        )
    };
    for query in [
        around(6, "possibleTypes { interfaces { "),
        around(6, "possibleTypes { a: interfaces { name } interfaces { "),
        format!(
            "query($n: String!) {{ __type(name: $n) {{ {} name {} }} }}",
            "possibleTypes { interfaces { ".repeat(6),
            "} }".repeat(6)
        ),
        "{ __type(name: \"Node\") { ...A } } \
         fragment A on __Type { possibleTypes { interfaces { ...B } } } \
         fragment B on __Type { possibleTypes { interfaces { ...C } } } \
         fragment C on __Type { possibleTypes { interfaces { ...D } } } \
         fragment D on __Type { possibleTypes { interfaces { ...E } } } \
         fragment E on __Type { possibleTypes { interfaces { ...F } } } \
         fragment F on __Type { possibleTypes { interfaces { name } } }"
            .to_owned(),
        {
            let many: String = (0..100).fold(String::new(), |mut all, n| {
                let _ = write!(
                    all,
                    "a{n}: __schema {{ types {{ fields {{ args {{ name }} type {{ \
                    fields {{ name }} }} }} }} }} "
                );
                all
            });
            format!("{{ {many} }}")
        },
    ] {
        let body = json!({"query": query, "variables": {"n": "Node"}});
        let answer = server.json(Method::POST, "/graphql", &body).await;
        let text = answer.text();
        assert!(
            text.contains("\"TOO_COMPLEX\""),
            "{query}: {} bytes",
            text.len()
        );
        assert!(text.len() < 1_000, "{query}: {} bytes", text.len());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_not_read_may_not_introspect() {
    let base = Base::local().await;
    let program = Program::on(&base)
        .with("MARKETLAKE_AUTH__MODE", "keys")
        .with("MARKETLAKE_AUTH__ANONYMOUS", "none");
    let reader = key(&program, "read").await;
    let running = serve_with(&program, &base, crate::rest::HISTORY).await;
    let server = Client::of(&running);
    for query in [
        "{ __schema { types { name } } }",
        "{ __type(name: \"Query\") { name } }",
        "{ ...A } fragment A on Query { ... { x: __schema { types { name } } } }",
    ] {
        let refused = server.graphql(query).await;
        assert_eq!(
            refused["errors"][0]["extensions"]["code"], "UNAUTHENTICATED",
            "{query}: {refused}"
        );
        assert!(refused["data"]["__schema"].is_null(), "{query}: {refused}");
        let allowed = server.with_key(&reader).graphql(query).await;
        assert!(allowed.get("errors").is_none(), "{query}: {allowed}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_are_only_so_large_and_cost_by_their_size() {
    let base = Base::local().await;
    let mut history = "metric,ts,value\n".to_owned();
    for minute in 0..40_000 {
        let ts = 1_764_000_000_000_i64 + minute * 60_000;
        writeln!(history, "binance:hottry,{ts},{minute}.5").unwrap();
    }
    let program = Program::on(&base)
        .with("MARKETLAKE_AUTH__MODE", "keys")
        .with("MARKETLAKE_SERVER__RATE_LIMIT_PER_MINUTE", "120")
        .with("MARKETLAKE_SERVER__MAX_RESPONSE_MEGABYTES", "1");
    let running = serve_with(&program, &base, &history).await;
    let server = Client::of(&running);
    let span = "from=2025-11-24T16:00:00Z&to=2025-12-22T10:39:00Z";
    for format in ["columns", "csv", "ndjson"] {
        let path = format!("/v1/metric/hottry/timeseries?{span}&format={format}");
        let answer = server.get(&path).await;
        assert_eq!(
            answer.status.as_u16(),
            422,
            "{format}: {}",
            answer.body.len()
        );
        let said = answer.value();
        let detail = said["detail"].as_str().unwrap();
        assert!(detail.contains("larger than 1048576 bytes"), "{detail}");
    }
    let pages = format!("/v1/metric/hottry/timeseries?{span}&limit=5000");
    let page = server.get(&pages).await;
    assert_eq!(page.status.as_u16(), 200);
    let header = page.header("ratelimit");
    let left = header.split("r=").nth(1).unwrap().split(';').next();
    let left: u64 = left.unwrap().parse().unwrap();
    // Two points for the request and one a 16 KiB; two come back a second.
    let bytes = u64::try_from(page.body.len()).unwrap();
    assert!(bytes > 300_000, "{bytes} bytes");
    assert!(left <= 120 - 2 - bytes / 16_384 + 10, "{left} points left");
    let all = json!({"query": "{ timeseries(metrics: [\"hottry\"], from: \
        \"2025-11-24T16:00:00Z\", to: \"2025-12-22T10:39:00Z\") { times values } }"});
    let answer = server.json(Method::POST, "/graphql", &all).await.value();
    assert_eq!(
        answer["errors"][0]["extensions"]["code"], "TOO_LARGE",
        "{answer}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_document_that_is_wrong_everywhere_is_told_a_hundred_times_at_most() {
    let base = Base::local().await;
    let running = server(&base, &[]).await;
    let server = Client::of(&running);
    let fields: String = (0..2_000).fold(String::new(), |mut all, n| {
        let _ = write!(all, "nothing{n} ");
        all
    });
    let answer = server.graphql(&format!("{{ {fields} }}")).await;
    let errors = answer["errors"].as_array().unwrap();
    assert_eq!(errors.len(), 100);
    let last = errors.last().unwrap()["message"].as_str().unwrap();
    assert!(last.ends_with("1900 more errors are left out"), "{last}");
}
