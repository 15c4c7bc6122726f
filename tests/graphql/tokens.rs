//! Tokens of an identity provider, which is served on loopback.

use std::sync::atomic::Ordering;

use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::{Value, json};

use crate::rest::{HISTORY, serve_with};
use crate::support::base::Base;
use crate::support::client::Client;
use crate::support::program::Program;
use crate::support::provider::{Provider, Signer};

#[tokio::test(flavor = "multi_thread")]
async fn a_token_of_the_provider_says_who_it_is_and_what_they_may() {
    let base = Base::local().await;
    let provider = Provider::open().await;
    let signer = Signer::new("one");
    provider.keys.lock().push(signer.public());
    let program = Program::on(&base)
        .with("MARKETLAKE_AUTH__MODE", "keys")
        .with("MARKETLAKE_AUTH__OIDC__ISSUER", &provider.issuer)
        .with("MARKETLAKE_AUTH__OIDC__AUDIENCE", "marketlake");
    let server = serve_with(&program, &base, HISTORY).await;
    let nobody = Client::of(&server);
    let now = chrono::Utc::now().timestamp();
    let claims = |sub: &str, scope: &str| json!({"iss": provider.issuer, "aud": "marketlake", "sub": sub, "exp": now + 600, "scope": scope});
    let anna =
        nobody.with_key(&signer.token(&claims("anna", "openid marketlake:read marketlake:alerts")));
    let bert = nobody.with_key(&signer.token(&claims("bert", "read alerts")));
    let made = anna.graphql(r#"mutation { createSubscription(input: {metric: "tie", address: "a@example.com"}) { subscription { id } } }"#).await;
    assert!(
        made["data"]["createSubscription"]["subscription"]["id"].is_string(),
        "{made}"
    );
    let count = async |client: &Client| {
        client.graphql("{ subscriptions { id } }").await["data"]["subscriptions"]
            .as_array()
            .map(Vec::len)
    };
    assert_eq!((count(&anna).await, count(&bert).await), (Some(1), Some(0)));
    let anna_there =
        Client::of_operations(&server).with_key(&signer.token(&claims("anna", "read")));
    assert_eq!(anna_there.get("/metrics").await.status.as_u16(), 403);
    assert_eq!(provider.fetched.load(Ordering::SeqCst), 1, "keys are kept");
    let other = Signer::new("one");
    let shared = {
        let mut header = Header::new(Algorithm::HS256);
        header.kid = Some("one".to_owned());
        encode(
            &header,
            &claims("anna", "admin"),
            &EncodingKey::from_secret(b"x"),
        )
        .unwrap()
    };
    let with = |name: &str, value: Value| {
        let mut claims = claims("anna", "admin");
        claims[name] = value;
        signer.token(&claims)
    };
    for (what, token) in [
        ("signed by another", other.token(&claims("anna", "admin"))),
        ("signed by a shared secret", shared),
        ("for others", with("aud", json!("other"))),
        (
            "of another issuer",
            with("iss", json!("https://evil.example")),
        ),
        ("expired", with("exp", json!(now - 1))),
        ("not valid yet", with("nbf", json!(now + 300))),
        (
            "cut",
            signer.token(&claims("anna", "admin"))[..80].to_owned(),
        ),
        (
            "too long",
            "x".repeat(7_000) + "." + &"y".repeat(2_000) + ".z",
        ),
    ] {
        let answer = nobody.with_key(&token).get("/v1/metrics").await;
        assert_eq!(answer.status.as_u16(), 401, "{what}: {answer:?}");
    }
    // Scopes that are not ours are none.
    let guest = nobody.with_key(&signer.token(&claims("carl", "openid email")));
    assert_eq!(guest.get("/v1/metrics").await.status.as_u16(), 403);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_that_is_away_lets_nobody_in_and_breaks_nothing() {
    let base = Base::local().await;
    let program = Program::on(&base)
        .with("MARKETLAKE_AUTH__MODE", "keys")
        .with("MARKETLAKE_AUTH__OIDC__ISSUER", "http://127.0.0.1:9")
        .with("MARKETLAKE_AUTH__OIDC__AUDIENCE", "marketlake");
    let server = serve_with(&program, &base, HISTORY).await;
    let token = Signer::new("one").token(&json!({"iss": "http://127.0.0.1:9", "aud": "marketlake", "sub": "x", "exp": 4_000_000_000_i64}));
    let nobody = Client::of(&server);
    let answer = nobody.with_key(&token).get("/v1/metrics").await;
    assert_eq!(answer.status.as_u16(), 503);
    assert_eq!(nobody.get("/v1/metrics").await.status.as_u16(), 200);
    for (name, value) in [
        ("ISSUER", "http://login.example.com"),
        ("ISSUER", "nonsense"),
        ("AUDIENCE", ""),
    ] {
        let said = program
            .clone()
            .with(&format!("MARKETLAKE_AUTH__OIDC__{name}"), value)
            .run(&["up"])
            .await;
        assert_eq!(said.code, 2, "{said:?}");
        assert!(
            said.err
                .contains(&format!("auth.oidc.{}", name.to_lowercase())),
            "{said:?}"
        );
    }
}
