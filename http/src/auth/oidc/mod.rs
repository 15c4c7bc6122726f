//! Tokens of an identity provider: JWTs (RFC 7519), signed by keys that the provider publishes
//! (JWKS, RFC 7517), whose address is found by `OpenID` Connect Discovery 1.0.
//!
//! A token is verified against keys in memory only. They are fetched in the background
//! (`provider`); a request waits for that for a moment at most, and only where its key is not
//! known.

mod claims;
mod keys;
mod provider;
pub mod settings;

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, Validation, decode};
use marketlake_model::Millis;
use serde::Deserialize;
use tokio_util::sync::CancellationToken;

use super::error::AuthError;
use super::permissions::Permissions;
use claims::Claims;
use provider::Provider;
use settings::OidcSettings;

const MAX_TOKEN_BYTES: usize = 8_192;
const MAX_KEY_ID_CHARS: usize = 256;
/// Types of tokens that say who may do what (RFC 7519, RFC 9068).
const TYPES: [&str; 2] = ["jwt", "at+jwt"];
/// Signatures by public keys only: with a shared secret, a verifier could sign.
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

/// Verifies the tokens of a provider.
pub(crate) struct Oidc {
    settings: OidcSettings,
    provider: Arc<Provider>,
}

/// The part of a token's header that decides (RFC 7515, 4.1).
#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: Option<String>,
    typ: Option<String>,
    /// Extensions that a verifier must understand. There are none that this one does.
    crit: Option<serde_json::Value>,
}

impl Oidc {
    pub(crate) fn new(settings: OidcSettings) -> Self {
        Self {
            provider: Arc::new(Provider::new(settings.clone())),
            settings,
        }
    }

    /// Keeps the provider's keys fresh until it is stopped.
    pub(crate) async fn refresh(&self, stop: CancellationToken) {
        self.provider.refresh(stop).await;
    }

    /// Permissions of a token.
    pub(crate) async fn permissions(
        &self,
        token: &str,
        now: Millis,
    ) -> Result<Permissions, AuthError> {
        let (algorithm, id) = read_header(token)?;
        let keys = self.provider.find(&id).await?;
        let fitting = keys.iter().filter(|key| key.allows(algorithm));
        let mut validation = Validation::new(algorithm);
        validation.set_issuer(&[&self.settings.issuer]);
        validation.set_audience(&[&self.settings.audience]);
        validation.set_required_spec_claims(&["iss", "aud", "sub"]);
        // By the database's clock, below, and not by this machine's.
        validation.validate_exp = false;
        let mut problem = format!("its key is not for {algorithm:?}");
        for key in fitting {
            match decode::<Claims>(token, key.decoding(), &validation) {
                Ok(decoded) => return decoded.claims.permissions(&self.settings.issuer, now),
                Err(error) => problem = error.to_string(),
            }
        }
        Err(AuthError::invalid_token(&problem))
    }
}

/// The algorithm and the key that a token is said to be signed by.
fn read_header(token: &str) -> Result<(Algorithm, String), AuthError> {
    if token.len() > MAX_TOKEN_BYTES {
        return Err(AuthError::invalid_token("it is too long"));
    }
    let mut parts = token.split('.');
    let (Some(header), Some(_), Some(_), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(AuthError::invalid_token(
            "expected three parts with dots between them",
        ));
    };
    let header = URL_SAFE_NO_PAD.decode(header).ok();
    let header: Option<Header> = header.and_then(|bytes| serde_json::from_slice(&bytes).ok());
    let header = header.ok_or_else(|| AuthError::invalid_token("its header cannot be read"))?;
    if header.crit.is_some() {
        return Err(AuthError::invalid_token("its header has crit extensions"));
    }
    let algorithm: Option<Algorithm> = header.alg.parse().ok();
    let algorithm = algorithm
        .filter(|algorithm| ALGORITHMS.contains(algorithm))
        .ok_or_else(|| AuthError::invalid_token("expected a public-key algorithm"))?;
    if let Some(typ) = header.typ {
        let name = typ.to_ascii_lowercase();
        let name = name.strip_prefix("application/").unwrap_or(&name);
        if !TYPES.contains(&name) {
            return Err(AuthError::invalid_token("expected the type JWT or at+jwt"));
        }
    }
    let id = header
        .kid
        .ok_or_else(|| AuthError::invalid_token("it names no key"))?;
    if id.chars().count() > MAX_KEY_ID_CHARS {
        return Err(AuthError::invalid_token("the name of its key is too long"));
    }
    Ok((algorithm, id))
}
