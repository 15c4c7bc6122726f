//! Tokens of an identity provider: JWTs (RFC 7519), signed by keys that the provider publishes (JWKS, RFC 7517), whose address is found by
//! `OpenID` Connect Discovery 1.0.

use std::sync::Arc;
use std::time::Duration;

use jsonwebtoken::jwk::JwkSet;
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header};
use marketlake_entities::{Millis, backoff};
use parking_lot::Mutex;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::{AuthError, Grant, Scope, Scopes};

const CONNECT: Duration = Duration::from_secs(5);
const PATIENCE: Duration = Duration::from_secs(10);
const ATTEMPTS: u32 = 3;
/// Keys are fetched anew after so long, and at an unknown key's first sight, but not more often than each half minute.
const KEPT: Duration = Duration::from_secs(3_600);
const PAUSE: Duration = Duration::from_secs(30);
const LONGEST_TOKEN: usize = 8_192;
/// Signatures by public keys only: with a shared secret, who verifies could sign.
const ALGORITHMS: [Algorithm; 9] = [
    Algorithm::RS256,
    Algorithm::RS384,
    Algorithm::RS512,
    Algorithm::PS256,
    Algorithm::PS384,
    Algorithm::PS512,
    Algorithm::ES256,
    Algorithm::ES384,
    Algorithm::EdDSA,
];

/// Whose tokens are taken.
#[derive(Clone, Debug)]
pub struct OidcSettings {
    /// The provider, as its tokens name it.
    pub issuer: String,
    /// For whom tokens must be made.
    pub audience: String,
    /// Where its keys are; found by discovery where nothing is said.
    pub jwks_url: Option<String>,
}

/// A provider, and its keys as last fetched.
pub(super) struct Oidc {
    settings: OidcSettings,
    http: reqwest::Client,
    keys: Mutex<Option<Arc<Fetched>>>,
    fetching: tokio::sync::Mutex<()>,
}

struct Fetched {
    keys: JwkSet,
    at: Millis,
}

#[derive(Deserialize)]
struct Discovery {
    issuer: String,
    jwks_uri: String,
}

#[derive(Deserialize)]
struct Claims {
    sub: String,
    #[serde(default)]
    scope: String,
    #[serde(default)]
    scp: Vec<String>,
    exp: i64,
    nbf: Option<i64>,
}

impl Oidc {
    pub(super) fn new(settings: OidcSettings) -> Self {
        let http = reqwest::Client::builder()
            .connect_timeout(CONNECT)
            .timeout(PATIENCE)
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .unwrap_or_default();
        Self {
            settings,
            http,
            keys: Mutex::default(),
            fetching: tokio::sync::Mutex::default(),
        }
    }

    /// What a token may do.
    pub(super) async fn grant(&self, token: &str, now: Millis) -> Result<Grant, AuthError> {
        let refused =
            |reason: &str| AuthError::Refused(format!("this token is not good: {reason}"));
        if token.len() > LONGEST_TOKEN {
            return Err(refused("it is too long"));
        }
        let header = decode_header(token).map_err(|error| refused(&error.to_string()))?;
        if !ALGORITHMS.contains(&header.alg) {
            return Err(refused("it must be signed by a public key"));
        }
        let id = header.kid.ok_or_else(|| refused("it names no key"))?;
        let key = self
            .key(&id, now)
            .await?
            .ok_or_else(|| refused("its key is not known"))?;
        let mut validation = Validation::new(header.alg);
        validation.set_issuer(&[&self.settings.issuer]);
        validation.set_audience(&[&self.settings.audience]);
        validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
        // By the database's clock, below, and not by this machine's.
        validation.validate_exp = false;
        let claims = decode::<Claims>(token, &key, &validation)
            .map_err(|error| refused(&error.to_string()))?
            .claims;
        let seconds = now.0 / 1_000;
        if claims.exp <= seconds {
            return Err(refused("it has expired"));
        }
        if claims.nbf.is_some_and(|begin| begin > seconds) {
            return Err(refused("it is not valid yet"));
        }
        let owner = format!("{}|{}", self.settings.issuer, claims.sub);
        Ok(Grant::of(scopes(&claims), owner))
    }

    /// A key of the provider; fetches its keys where this one is not among them.
    async fn key(&self, id: &str, now: Millis) -> Result<Option<DecodingKey>, AuthError> {
        let known = self.keys.lock().clone();
        let is_fresh = |fetched: &Arc<Fetched>| fetched.at > now.minus(KEPT);
        if let Some(key) = known
            .filter(is_fresh)
            .and_then(|fetched| fetched.keys.find(id).cloned())
        {
            return DecodingKey::from_jwk(&key).map(Some).map_err(|error| {
                AuthError::Unavailable(format!("the identity provider's key {id:?}: {error}"))
            });
        }
        let _one = self.fetching.lock().await;
        let known = self.keys.lock().clone();
        let lately = known
            .as_ref()
            .is_some_and(|fetched| fetched.at > now.minus(PAUSE));
        let fetched = match known {
            Some(fetched) if lately => fetched,
            // Old keys are better than none while the provider is away.
            known => match (self.fetch(now).await, known) {
                (Ok(fetched), _) => fetched,
                (Err(error), Some(known)) => {
                    tracing::warn!(%error, "the identity provider's keys cannot be fetched, going on with those of before");
                    known
                }
                (Err(error), None) => return Err(error),
            },
        };
        let key = fetched.keys.find(id).map(DecodingKey::from_jwk).transpose();
        key.map_err(|error| {
            AuthError::Unavailable(format!("the identity provider's key {id:?}: {error}"))
        })
    }

    async fn fetch(&self, now: Millis) -> Result<Arc<Fetched>, AuthError> {
        let url = match &self.settings.jwks_url {
            Some(url) => url.clone(),
            None => {
                let issuer = &self.settings.issuer;
                let place = ".well-known/openid-configuration";
                let url = format!("{}/{place}", issuer.trim_end_matches('/'));
                let found: Discovery = self.get(&url).await?;
                if found.issuer != *issuer {
                    let other = found.issuer;
                    let problem = format!("{url}: expected the issuer {issuer}, got {other}");
                    return Err(AuthError::Unavailable(problem));
                }
                found.jwks_uri
            }
        };
        let keys: JwkSet = self.get(&url).await?;
        let fetched = Arc::new(Fetched { keys, at: now });
        *self.keys.lock() = Some(Arc::clone(&fetched));
        Ok(fetched)
    }

    async fn get<T: DeserializeOwned>(&self, url: &str) -> Result<T, AuthError> {
        let mut failed = 0;
        loop {
            let answer = async {
                let response = self.http.get(url).send().await?.error_for_status()?;
                response.bytes().await
            };
            match answer.await {
                Ok(body) => {
                    return serde_json::from_slice(&body).map_err(|error| {
                        AuthError::Unavailable(format!("{url}: the answer cannot be read: {error}"))
                    });
                }
                Err(error) => {
                    failed += 1;
                    if failed >= ATTEMPTS {
                        return Err(AuthError::Unavailable(format!("{url}: {error}")));
                    }
                    let (first, longest) = (Duration::from_millis(200), Duration::from_secs(2));
                    let pause = backoff(first, longest, failed, rand::random());
                    tokio::time::sleep(pause).await;
                }
            }
        }
    }
}

/// The scopes among its words that are ours, with or without `marketlake:` before them.
fn scopes(claims: &Claims) -> Scopes {
    let words = claims
        .scope
        .split(' ')
        .chain(claims.scp.iter().map(String::as_str));
    let own = words.map(|word| word.strip_prefix("marketlake:").unwrap_or(word));
    let scopes: Vec<Scope> = own.filter_map(|word| word.parse().ok()).collect();
    Scopes::of(&scopes)
}
