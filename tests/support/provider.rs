//! An identity provider on loopback.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use axum::Router;
use axum::routing::get;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::base::Base;
use super::program::Program;

/// A provider: its address, its keys, and how often they were fetched.
pub struct Provider {
    pub issuer: String,
    pub keys: Arc<Mutex<Vec<Value>>>,
    pub fetched: Arc<AtomicUsize>,
    /// Whether it takes requests and never answers.
    pub hangs: Arc<AtomicBool>,
}

/// A key with its name.
pub struct Signer(pub String, pub rcgen::KeyPair);

impl Signer {
    pub fn new(id: &str) -> Self {
        let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256);
        Self(id.to_owned(), key.unwrap())
    }

    /// As the provider publishes it.
    pub fn public(&self) -> Value {
        let point = self.1.public_key_raw();
        let (x, y) = (&point[1..33], &point[33..65]);
        json!({"kty": "EC", "crv": "P-256", "use": "sig", "alg": "ES256", "kid": self.0,
            "x": URL_SAFE_NO_PAD.encode(x), "y": URL_SAFE_NO_PAD.encode(y)})
    }

    pub fn token(&self, claims: &Value) -> String {
        self.token_with(claims, |_| ())
    }

    /// A token whose header is changed before it is signed.
    pub fn token_with(&self, claims: &Value, change: impl FnOnce(&mut Header)) -> String {
        let mut header = Header::new(Algorithm::ES256);
        header.kid = Some(self.0.clone());
        change(&mut header);
        let key = EncodingKey::from_ec_der(&self.1.serialize_der());
        encode(&header, claims, &key).unwrap()
    }
}

impl Provider {
    pub async fn open() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let issuer = format!("http://{}", listener.local_addr().unwrap());
        let provider = Self {
            issuer: issuer.clone(),
            keys: Arc::default(),
            fetched: Arc::default(),
            hangs: Arc::default(),
        };
        let discovery = json!({"issuer": issuer, "jwks_uri": format!("{issuer}/keys")}).to_string();
        let keys = Arc::clone(&provider.keys);
        let (count, hangs) = (Arc::clone(&provider.fetched), Arc::clone(&provider.hangs));
        let hung = Arc::clone(&hangs);
        let router = Router::new()
            .route(
                "/.well-known/openid-configuration",
                get(move || async move {
                    if hung.load(Ordering::SeqCst) {
                        std::future::pending::<()>().await;
                    }
                    discovery
                }),
            )
            .route(
                "/keys",
                get(move || async move {
                    count.fetch_add(1, Ordering::SeqCst);
                    if hangs.load(Ordering::SeqCst) {
                        std::future::pending::<()>().await;
                    }
                    json!({"keys": *keys.lock()}).to_string()
                }),
            );
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        provider
    }

    /// The program with this provider.
    pub fn trusted_by(&self, base: &Base) -> Program {
        Program::on(base)
            .with("MARKETLAKE_AUTH__MODE", "keys")
            .with("MARKETLAKE_AUTH__OIDC__ISSUER", &self.issuer)
            .with("MARKETLAKE_AUTH__OIDC__AUDIENCE", "marketlake")
    }

    /// Claims that are good for ten minutes.
    pub fn claims(&self, subject: &str, scope: &str) -> Value {
        let now = chrono::Utc::now().timestamp();
        json!({"iss": self.issuer, "aud": "marketlake", "sub": subject, "exp": now + 600, "scope": scope})
    }
}
