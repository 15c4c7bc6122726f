//! Fields of a rule: each interface and document has all of them, under the same word.

use marketlake_model::rule_fields::RULE_FIELDS;
use serde_json::Value;

use super::read;
use crate::support::program::Program;

/// `window_minutes` as `windowMinutes`.
fn camel(name: &str) -> String {
    let mut words = name.split('_');
    let first = words.next().unwrap().to_owned();
    words.fold(first, |name, word| {
        name + &word[..1].to_uppercase() + &word[1..]
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn each_interface_has_each_field_of_a_rule() {
    let program = Program::bare();
    let openapi = program.ok(&["openapi"]).await;
    let openapi: Value = serde_json::from_str(&openapi).unwrap();
    let body = &openapi["components"]["schemas"]["SubscriptionInput"]["properties"];
    let help = program.ok(&["subscriptions", "create", "--help"]).await;
    let schema = read("schema.graphql");
    let input = schema
        .split("input CreateSubscriptionInput {")
        .nth(1)
        .unwrap();
    let input = input.split("\n}").next().unwrap();
    let form = read("web/templates/fields.html");
    let guide = read("docs/alerts.md");
    for (name, description) in RULE_FIELDS {
        let (camel, flag) = (camel(name), format!("--{}", name.replace('_', "-")));
        assert!(body[name].is_object(), "OpenAPI: {name}");
        assert!(help.contains(&flag), "command line: {flag}");
        assert!(input.contains(&format!("\t{camel}: ")), "GraphQL: {camel}");
        assert!(form.contains(&format!("\"{name}\"")), "form: {name}");
        assert!(
            guide.contains(&format!("`{camel}`")),
            "docs/alerts.md: {camel}"
        );
        let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(
            words(&schema).contains(&words(description)),
            "GraphQL describes {camel}"
        );
        assert!(
            words(&openapi.to_string().replace("\\n", " ")).contains(&words(description)),
            "OpenAPI describes {name}"
        );
    }
}
