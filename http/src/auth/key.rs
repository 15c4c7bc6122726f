//! API keys: `ml_ID_SECRET`. The id is public, the secret 256 random bits. Only a hash of the whole
//! is kept of most, so that they are shown once; the operator's own, `ml_operator_SECRET`, lies in
//! a file.

use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use marketlake_common::hex;
use marketlake_entities::records::api_keys::Model;
use marketlake_model::Millis;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::scope::Scopes;

/// Prefix by which a leaked key is recognised, in logs and by scanners of repositories.
const MARK: &str = "ml_";
const ID_BYTES: usize = 5;
const SECRET_BYTES: usize = 32;
/// The id of keys that lie in a file; all others are hexadecimal.
const OPERATOR: &str = "operator";
/// Maximum length of a key: the mark, an id, a secret.
const MAX_KEY_BYTES: usize = 128;

/// A key in full.
#[derive(Clone)]
pub struct ApiKey {
    id: String,
    text: String,
}

impl ApiKey {
    /// A new key.
    #[must_use]
    pub fn random() -> Self {
        Self::with_id(hex(&rand::random::<[u8; ID_BYTES]>()))
    }

    /// A new key of the operator.
    #[must_use]
    pub fn random_operators() -> Self {
        Self::with_id(OPERATOR.to_owned())
    }

    fn with_id(id: String) -> Self {
        let secret = URL_SAFE_NO_PAD.encode(rand::random::<[u8; SECRET_BYTES]>());
        Self {
            text: format!("{MARK}{id}_{secret}"),
            id,
        }
    }

    /// The row that is kept of it.
    #[must_use]
    pub fn row(
        &self,
        name: &str,
        scopes: Scopes,
        expires_at: Option<Millis>,
        now: Millis,
    ) -> Model {
        Model {
            id: self.id.clone(),
            hash: self.hash(),
            name: name.to_owned(),
            scopes: scopes.to_string(),
            created_at: now,
            expires_at,
            revoked_at: None,
            last_used_at: None,
        }
    }

    /// The part that is no secret.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The whole key, to be shown once.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.text
    }

    pub(crate) fn is_like(text: &str) -> bool {
        text.starts_with(MARK)
    }

    /// Whether it is one that lies in a file.
    pub(crate) fn is_operators(&self) -> bool {
        self.id == OPERATOR
    }

    /// Whether another one is the same; takes as long whether or not it is.
    pub(crate) fn equals(&self, other: &Self) -> bool {
        other.fits(&self.hash())
    }

    /// Whether a hash is its own; takes as long whether or not it is.
    pub(crate) fn fits(&self, hash: &str) -> bool {
        self.hash().as_bytes().ct_eq(hash.as_bytes()).into()
    }

    pub(crate) fn hash(&self) -> String {
        hex(&Sha256::digest(&self.text))
    }
}

impl FromStr for ApiKey {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (id, secret) = text
            .strip_prefix(MARK)
            .and_then(|rest| rest.split_once('_'))
            .filter(|_| text.len() <= MAX_KEY_BYTES)
            .ok_or(())?;
        let is_id =
            |id: &str| id.len() == 2 * ID_BYTES && id.bytes().all(|b| b.is_ascii_hexdigit());
        let secret = URL_SAFE_NO_PAD.decode(secret).map_err(|_| ())?;
        if !(id == OPERATOR || is_id(id)) || secret.len() != SECRET_BYTES {
            return Err(());
        }
        Ok(Self {
            id: id.to_owned(),
            text: text.to_owned(),
        })
    }
}
