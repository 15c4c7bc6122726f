//! Tokens of an identity provider: valid and invalid ones, and a provider that hangs.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::Algorithm;
use serde_json::{Value, json};

use crate::rest::{HISTORY, serve_with};
use crate::support::base::Base;
use crate::support::client::Client;
use crate::support::eventually;
use crate::support::provider::{Provider, Signer};

/// Time limit of an answer while other requests are made to wait.
const SOON: Duration = Duration::from_secs(5);

async fn status(client: &Client, token: &str) -> u16 {
    let answer = client.with_key(token).get("/v1/metrics").await;
    answer.status.as_u16()
}

#[tokio::test(flavor = "multi_thread")]
async fn claims_are_read_as_the_standards_and_the_large_providers_write_them() {
    let base = Base::local().await;
    let provider = Provider::open().await;
    let signer = Signer::new("one");
    provider.keys.lock().push(signer.public());
    let program = provider
        .trusted_by(&base)
        .with("MARKETLAKE_AUTH__ANONYMOUS", "none");
    let server = serve_with(&program, &base, HISTORY).await;
    let nobody = Client::of(&server);
    let now = chrono::Utc::now().timestamp();
    let changed = |changes: Value| {
        let mut claims = provider.claims("anna", "read");
        for (name, value) in changes.as_object().unwrap() {
            claims[name] = value.clone();
        }
        claims
    };
    let half = f64::from(u32::try_from(now).unwrap()) + 300.5;
    for (expected, changes) in [
        (200, json!({})),
        (200, json!({"scope": "", "scp": "openid read"})),
        (
            200,
            json!({"scope": "", "scp": ["openid", "marketlake:read"]}),
        ),
        (200, json!({"scope": ["read"]})),
        (200, json!({"scope": "", "roles": ["marketlake:read"]})),
        (
            200,
            json!({"exp": half, "nbf": half - 400.0, "iat": half - 400.0}),
        ),
        (200, json!({"nbf": now + 30})),
        (200, json!({"aud": ["other", "marketlake"]})),
        // A company's role of the same name is not ours.
        (403, json!({"scope": "", "roles": ["read", "admin"]})),
        (403, json!({"scope": "READ reads"})),
        (401, json!({"aud": ["other"]})),
        (401, json!({"aud": []})),
        (401, json!({"iss": [provider.issuer]})),
        (401, json!({"iss": format!("{}/", provider.issuer)})),
        (401, json!({"sub": ""})),
        (401, json!({"sub": "a\u{0}b"})),
        (401, json!({"sub": "x".repeat(256)})),
        (401, json!({"sub": 7})),
        (401, json!({"exp": half - 400.0})),
        (401, json!({"exp": 1e300})),
        (401, json!({"exp": -1})),
        (401, json!({"exp": 18_446_744_073_709_551_615_u64})),
        (401, json!({"exp": "4000000000"})),
        (401, json!({"exp": null})),
        (401, json!({"nbf": 1e300})),
        (401, json!({"nbf": now + 300})),
        (401, json!({"iat": 1e300})),
    ] {
        let token = signer.token(&changed(changes.clone()));
        assert_eq!(status(&nobody, &token).await, expected, "{changes}");
    }
    assert_eq!(provider.fetched.load(Ordering::SeqCst), 1, "keys are kept");
}

#[tokio::test(flavor = "multi_thread")]
async fn headers_and_keys_that_are_for_something_else_are_refused() {
    let base = Base::local().await;
    let provider = Provider::open().await;
    let named = |id: &str, changes: Value| {
        let signer = Signer::new(id);
        let mut public = signer.public();
        for (name, value) in changes.as_object().unwrap() {
            public[name] = value.clone();
        }
        provider.keys.lock().push(public);
        signer
    };
    // Keys of a kind that is not known here make no others useless.
    provider
        .keys
        .lock()
        .push(json!({"kty": "new", "kid": "new"}));
    provider.keys.lock().push(json!("nonsense"));
    let good = named("good", json!({}));
    let plain = named("plain", json!({"use": null, "alg": null}));
    let operations = named("operations", json!({"key_ops": ["verify"]}));
    let encrypts = named("encrypts", json!({"use": "enc"}));
    let derives = named("derives", json!({"key_ops": ["deriveKey"]}));
    let other = named("other", json!({"alg": "ES384"}));
    let server = serve_with(&provider.trusted_by(&base), &base, HISTORY).await;
    let nobody = Client::of(&server);
    let claims = provider.claims("anna", "read");
    for (signer, expected) in [
        (&good, 200),
        (&plain, 200),
        (&operations, 200),
        (&encrypts, 401),
        (&derives, 401),
        (&other, 401),
    ] {
        assert_eq!(
            status(&nobody, &signer.token(&claims)).await,
            expected,
            "{}",
            signer.0
        );
    }
    let crit = |header: &mut jsonwebtoken::Header| header.crit = Some(vec!["b64".to_owned()]);
    let typed = |typ: Option<&str>| {
        let typ = typ.map(str::to_owned);
        good.token_with(&claims, |header| header.typ = typ)
    };
    for (what, token, expected) in [
        ("crit", good.token_with(&claims, crit), 401),
        ("no type", typed(None), 200),
        ("at+jwt", typed(Some("at+JWT")), 200),
        ("application/at+jwt", typed(Some("application/at+jwt")), 200),
        ("dpop+jwt", typed(Some("dpop+jwt")), 401),
        (
            "no key",
            good.token_with(&claims, |header| header.kid = None),
            401,
        ),
        (
            "key of 300",
            good.token_with(&claims, |h| h.kid = Some("x".repeat(300))),
            401,
        ),
    ] {
        assert_eq!(status(&nobody, &token).await, expected, "{what}");
    }
    let part = |text: &str| URL_SAFE_NO_PAD.encode(text);
    let claims = part(&claims.to_string());
    for header in [
        r#"{"alg":"none","kid":"good"}"#,
        r#"{"alg":"None","kid":"good"}"#,
        r#"{"alg":"HS256","kid":"good"}"#,
        r#"{"alg":"ES256","alg":"none","kid":"good"}"#,
        r#"{"alg":"ES256","kid":"good","crit":[]}"#,
        r#"{"alg":"RS256","kid":"good"}"#,
        r#"{"alg":"ES384","kid":"good"}"#,
        "[]",
    ] {
        for signature in ["", "AAAA", &"A".repeat(86)] {
            let token = format!("{}.{claims}.{signature}", part(header));
            assert_eq!(status(&nobody, &token).await, 401, "{header}");
        }
    }
    let deep = format!("{}.{claims}.AAAA", part(&"[".repeat(5_000)));
    for token in [deep.as_str(), "..", "a.b", "a.b.c.d", &".".repeat(8_000)] {
        assert_eq!(status(&nobody, token).await, 401, "{}", token.len());
    }
    let algorithms = [Algorithm::HS256, Algorithm::HS384, Algorithm::HS512];
    let key = jsonwebtoken::EncodingKey::from_secret(good.1.public_key_raw());
    for algorithm in algorithms {
        let mut header = jsonwebtoken::Header::new(algorithm);
        header.kid = Some("good".to_owned());
        let claims = provider.claims("anna", "admin");
        let token = jsonwebtoken::encode(&header, &claims, &key).unwrap();
        assert_eq!(status(&nobody, &token).await, 401, "{algorithm:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_that_hangs_holds_up_nobody_but_its_own_unknown_keys() {
    let base = Base::local().await;
    let provider = Provider::open().await;
    let signer = Signer::new("one");
    provider.keys.lock().push(signer.public());
    let server = serve_with(&provider.trusted_by(&base), &base, HISTORY).await;
    let nobody = Client::of(&server);
    let known = nobody.with_key(&signer.token(&provider.claims("anna", "read")));
    eventually("the keys to be fetched", async || {
        (known.get("/v1/metrics").await.status.as_u16() == 200).then_some(())
    })
    .await;
    provider.hangs.store(true, Ordering::SeqCst);
    let fetched = provider.fetched.load(Ordering::SeqCst);
    let strangers = (0..280).map(|number| {
        let claims = provider.claims("evil", "admin");
        let client = nobody.with_key(&Signer::new(&format!("k{number}")).token(&claims));
        tokio::spawn(async move { client.get("/v1/metrics").await.status.as_u16() })
    });
    let strangers: Vec<_> = strangers.collect();
    let begun = Instant::now();
    for _ in 0..20 {
        assert_eq!(nobody.get("/v1/metrics").await.status.as_u16(), 200);
        assert_eq!(known.get("/v1/metrics").await.status.as_u16(), 200);
    }
    assert!(begun.elapsed() < SOON, "{:?}", begun.elapsed());
    for answer in strangers {
        let status = answer.await.unwrap();
        assert!(matches!(status, 401 | 429 | 503), "{status}");
    }
    let caused = provider.fetched.load(Ordering::SeqCst) - fetched;
    assert!(caused <= 1, "280 tokens caused {caused} fetches");
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_that_are_not_good_cost_their_sender_and_no_other() {
    let base = Base::local().await;
    let provider = Provider::open().await;
    let program = provider
        .trusted_by(&base)
        .with("MARKETLAKE_SERVER__TRUSTED_PROXIES", 1)
        .with("MARKETLAKE_SERVER__RATE_LIMIT_PER_MINUTE", 100);
    let server = serve_with(&program, &base, HISTORY).await;
    let from = |address: &str| Client::of(&server).with("x-forwarded-for", address);
    let claims = provider.claims("evil", "admin");
    let token = Signer::new("nobodys").token(&claims);
    let mut statuses = Vec::new();
    for number in 0..30 {
        let bad = if number % 2 == 0 {
            "ml_0123456789_AAAA"
        } else {
            &token
        };
        let answer = from("203.0.113.7").with_key(bad).get("/v1/metrics").await;
        if answer.status.as_u16() == 429 {
            assert!(answer.header("retry-after").parse::<u32>().unwrap() > 0);
        }
        statuses.push(answer.status.as_u16());
    }
    assert_eq!(statuses[..3], [401; 3], "{statuses:?}");
    assert!(statuses.contains(&429), "{statuses:?}");
    let mut theirs = Vec::new();
    for _ in 0..20 {
        let answer = from("203.0.113.7").get("/v1/metrics").await;
        theirs.push(answer.status.as_u16());
    }
    assert!(theirs.contains(&429), "{theirs:?}");
    assert_eq!(
        from("203.0.113.8").get("/v1/metrics").await.status.as_u16(),
        200
    );
    let good = crate::support::client::key(&program, "read").await;
    let keyed = from("203.0.113.7").with_key(&good).get("/v1/metrics").await;
    assert_eq!(keyed.status.as_u16(), 200);
}
