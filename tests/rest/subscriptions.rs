//! Subscriptions over REST, with an API key.

use reqwest::Method;
use serde_json::{Value, json};

use super::{HISTORY, serve_with};
use crate::support::base::{Base, on_both};
use crate::support::client::{Client, key};
use crate::support::program::Program;

#[tokio::test(flavor = "multi_thread")]
async fn a_subscription_lives_and_ends_and_is_nobody_elses() {
    on_both(async |base: Base| {
        let program = Program::on(&base).with("MARKETLAKE_AUTH__MODE", "keys");
        let server = serve_with(&program, &base, HISTORY).await;
        let nobody = Client::of(&server);
        let own = nobody.with_key(&key(&program, "read,alerts").await);
        let other = nobody.with_key(&key(&program, "read,alerts").await);
        let wanted = json!({"metric": "tie", "address": "a@example.com", "factor": 2.5});
        let keyed = own.with("idempotency-key", "one");
        let made = keyed.json(Method::POST, "/v1/subscriptions", &wanted).await;
        assert_eq!(made.status.as_u16(), 201, "{made:?}");
        let place = made.header("location").to_owned();
        let subscription = made.value();
        assert_eq!(
            (&subscription["state"], &subscription["factor"]),
            (&json!("pending"), &json!("2.5"))
        );
        let again = keyed.json(Method::POST, "/v1/subscriptions", &wanted).await;
        assert_eq!(again.value()["id"], subscription["id"]);
        assert_eq!(
            own.get("/v1/subscriptions").await.value(),
            json!({"data": [subscription], "next": null})
        );
        assert_eq!(own.get(&place).await.value(), subscription);
        // Another's answers as one that never was, whatever is done to it.
        assert_eq!(
            other.get("/v1/subscriptions").await.value()["data"],
            json!([])
        );
        let unknown = other.get(&place).await;
        assert_eq!(unknown.status.as_u16(), 404);
        let never = other
            .get("/v1/subscriptions/00000000-0000-4000-8000-000000000000")
            .await;
        assert_eq!(never.value()["title"], unknown.value()["title"]);
        for (method, path, body) in [
            (Method::PUT, place.clone(), wanted.clone()),
            (Method::PATCH, place.clone(), json!({"state": "paused"})),
            (Method::DELETE, place.clone(), Value::Null),
            (Method::POST, format!("{place}/test"), Value::Null),
        ] {
            let theirs = other.json(method.clone(), &path, &body).await;
            assert_eq!(theirs.status.as_u16(), 404, "{method}");
            let nobodys = nobody.json(method.clone(), &path, &body).await;
            assert_eq!(nobodys.status.as_u16(), 401, "{method}");
        }
        let nothing = own
            .json(Method::PUT, &place, &json!({"metric": "nosuch"}))
            .await;
        assert_eq!(nothing.status.as_u16(), 422);
        assert_eq!(nothing.value()["errors"][0]["code"], "MATCHES_NOTHING");
        let edited = own
            .json(Method::PUT, &place, &json!({"metric": "hottry"}))
            .await
            .value();
        assert_eq!(
            (&edited["metric"], &edited["factor"]),
            (&json!("hottry"), &json!("3"))
        );
        let paused = own
            .json(Method::PATCH, &place, &json!({"state": "paused"}))
            .await;
        assert_eq!(paused.status.as_u16(), 409, "it is pending: {paused:?}");
        assert_eq!(
            own.send(Method::DELETE, &place, None).await.status.as_u16(),
            204
        );
        assert_eq!(own.get(&place).await.status.as_u16(), 404);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_cannot_be_used_names_the_fields() {
    let base = Base::local().await;
    let server = Client::owning(super::serve(&base, HISTORY).await);
    let create = async |body: Value| server.json(Method::POST, "/v1/subscriptions", &body).await;
    let wrong =
        create(json!({"metric": "", "address": "x", "window_minutes": 0, "factor": 1})).await;
    assert_eq!(wrong.status.as_u16(), 422);
    assert_eq!(wrong.header("content-type"), "application/problem+json");
    let fields: Vec<String> = wrong.value()["errors"]
        .as_array()
        .unwrap()
        .iter()
        .map(|e| e["field"].as_str().unwrap().to_owned())
        .collect();
    for field in ["metric", "address", "window_minutes", "factor"] {
        assert!(fields.iter().any(|own| own == field), "{field}: {fields:?}");
    }
    for (body, field, message) in [
        (
            json!({"metric": "tie", "nonsense": 1}),
            "nonsense",
            "unknown, expected metric, address",
        ),
        (
            json!({"metric": "tie", "window_minutes": 1.5}),
            "window_minutes",
            "expected a whole number, got 1.5",
        ),
        (
            json!({"metric": "tie", "factor": [3]}),
            "factor",
            "expected a number, or a text",
        ),
        (json!({"metric": 7}), "metric", "expected a text, got 7"),
        (json!({}), "metric", "expected a value, got none"),
        (
            json!({"metric": []}),
            "metric",
            "expected a text, got a list",
        ),
        (json!([]), "body", "expected an object, got a list"),
        (json!("x"), "body", "expected an object, got \"x\""),
    ] {
        let refused = create(body.clone()).await;
        assert_eq!(refused.status.as_u16(), 422, "{body}: {refused:?}");
        let error = &refused.value()["errors"][0];
        assert_eq!(error["field"], field, "{body}: {error}");
        let text = error["message"].as_str().unwrap();
        assert!(text.starts_with(message), "{body}: {text}");
    }
    let untyped = server
        .send(Method::POST, "/v1/subscriptions", Some("{}".to_owned()))
        .await;
    assert_eq!(untyped.status.as_u16(), 415);
    for bad in ["noon", "2018-01-21T00:00:00Z"] {
        let new = json!({"metric": "tie", "address": "a@example.com", "expires_at": bad});
        let refused = create(new).await;
        let text = refused.text();
        assert!(
            text.contains("expires_at") && text.contains("expected"),
            "{text}"
        );
    }
}
