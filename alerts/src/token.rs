//! Signed links: the holder of one may do the one action that it names, to the one subject that it
//! names, until it expires.
//!
//! `PAYLOAD.KEY.SIGNATURE`, base64url without padding. The payload is a version, the purpose, the
//! expiry (milliseconds since 1970, 8 bytes, big endian) and the subject. The signature is
//! HMAC-SHA256 (RFC 2104) over the payload and the key's id, under a key of its own for each
//! purpose, which is itself an HMAC of the purpose's name: a token of one purpose can never pass
//! for another's.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, Mac};
use marketlake_common::hex;
use marketlake_entities::records::signing_keys::{ActiveModel, Column, Entity, Model};
use marketlake_model::Millis;
use sea_orm::sea_query::Expr;
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, Set};
use sha2::Sha256;

use crate::error::AlertError;

const VERSION: u8 = 1;
/// Longer than any that is made.
const MAX_TOKEN_LEN: usize = 600;
/// Version, purpose, expiry.
const HEADER_LEN: usize = 10;
/// Bytes of a signature that an address carries.
const SHORT_MAC_LEN: usize = 10;

/// Purpose of a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Confirming one subscription.
    Confirm,
    /// Ending one subscription.
    Unsubscribe,
    /// Keeping one subscription quiet for a while.
    Snooze,
    /// Seeing and changing all subscriptions of one address.
    Manage,
}

const PURPOSES: [Purpose; 4] = [
    Purpose::Confirm,
    Purpose::Unsubscribe,
    Purpose::Snooze,
    Purpose::Manage,
];

impl Purpose {
    fn name(self) -> &'static str {
        match self {
            Self::Confirm => "confirm",
            Self::Unsubscribe => "unsubscribe",
            Self::Snooze => "snooze",
            Self::Manage => "manage",
        }
    }

    fn number(self) -> u8 {
        match self {
            Self::Confirm => 1,
            Self::Unsubscribe => 2,
            Self::Snooze => 3,
            Self::Manage => 4,
        }
    }

    /// Lifetime of its tokens in days. One that ends things must work in old mail too.
    #[must_use]
    pub fn days(self) -> i64 {
        match self {
            Self::Confirm | Self::Snooze => 7,
            Self::Manage => 30,
            Self::Unsubscribe => 730,
        }
    }
}

/// Error of a token.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// It is cut, or never was one.
    #[error("this link is not complete: copy all of it from the mail")]
    Malformed,
    /// It names a key that never was.
    #[error("this link was not created by this server")]
    UnknownKey,
    /// Its key has been retired.
    #[error("this link is no longer valid: its key was retired; request a new one")]
    RetiredKey,
    /// Its signature is wrong.
    #[error("this link was altered: its signature is not valid")]
    Forged,
    /// Its time is over.
    #[error("this link expired at {0}; request a new one")]
    Expired(Millis),
    /// It is good, for something else.
    #[error("this link has another purpose ({0})")]
    WrongPurpose(&'static str),
}

/// The keys that sign and verify.
#[derive(Clone)]
pub struct Keyring {
    /// Newest first.
    keys: Vec<Model>,
}

impl Keyring {
    /// The keys of the database; makes the first where there is none.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn load(connection: &impl ConnectionTrait, now: Millis) -> Result<Self, AlertError> {
        let keys = all(connection).await?;
        if keys.iter().any(|key| key.retired_at.is_none()) {
            return Ok(Self { keys });
        }
        Self::rotate(connection, now).await
    }

    /// Makes a new key, which signs from now on; the others still verify. It counts as newer
    /// than they do, even where the clock was set back.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn rotate(
        connection: &impl ConnectionTrait,
        now: Millis,
    ) -> Result<Self, AlertError> {
        let newest = all(connection).await?.first().map(|key| key.created_at);
        let after_newest = newest.map_or(now, |at| at.plus(Duration::from_millis(1)));
        let id: [u8; 3] = rand::random();
        let key = ActiveModel {
            id: Set(hex(&id)),
            secret: Set(URL_SAFE_NO_PAD.encode(rand::random::<[u8; 32]>())),
            created_at: Set(now.max(after_newest)),
            retired_at: Set(None),
        };
        Entity::insert(key)
            .exec_without_returning(connection)
            .await?;
        Ok(Self {
            keys: all(connection).await?,
        })
    }

    /// Retires a key: whatever it signed is refused from now on. `false` where there is none of
    /// that id.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn retire(
        connection: &impl ConnectionTrait,
        id: &str,
        now: Millis,
    ) -> Result<bool, AlertError> {
        let result = Entity::update_many()
            .col_expr(Column::RetiredAt, Expr::value(now.0))
            .filter(Column::Id.eq(id))
            .filter(Column::RetiredAt.is_null())
            .exec(connection)
            .await?;
        Ok(result.rows_affected == 1)
    }

    /// Each key's id, when it was made and when it was retired; newest first.
    pub fn list(&self) -> impl Iterator<Item = (&str, Millis, Option<Millis>)> {
        self.keys
            .iter()
            .map(|key| (key.id.as_str(), key.created_at, key.retired_at))
    }

    fn newest(&self) -> Result<&Model, AlertError> {
        self.keys
            .iter()
            .find(|key| key.retired_at.is_none())
            .ok_or_else(|| AlertError::corrupt("signing_keys", "newest", "not there".to_owned()))
    }

    fn find(&self, id: &str) -> Result<&Model, TokenError> {
        let key = self.keys.iter().find(|key| key.id == id);
        match key {
            None => Err(TokenError::UnknownKey),
            Some(key) if key.retired_at.is_some() => Err(TokenError::RetiredKey),
            Some(key) => Ok(key),
        }
    }

    /// Signs a token that is good from now on for the purpose's time.
    ///
    /// # Errors
    /// If there is no key.
    pub fn sign(&self, purpose: Purpose, subject: &str, now: Millis) -> Result<String, AlertError> {
        let key = self.newest()?;
        let expires = now.0.saturating_add(purpose.days() * 86_400_000);
        let mut payload = vec![VERSION, purpose.number()];
        payload.extend(expires.to_be_bytes());
        payload.extend(subject.as_bytes());
        let signature = mac(key, purpose.name(), &payload).finalize().into_bytes();
        Ok(format!(
            "{}.{}.{}",
            URL_SAFE_NO_PAD.encode(payload),
            key.id,
            URL_SAFE_NO_PAD.encode(signature)
        ))
    }

    /// The subject of a token, if it is good for the purpose at a time.
    ///
    /// # Errors
    /// The fault of the token.
    pub fn verify(&self, purpose: Purpose, token: &str, now: Millis) -> Result<String, TokenError> {
        let parts: Vec<&str> = token.split('.').collect();
        let [payload, id, signature] = parts[..] else {
            return Err(TokenError::Malformed);
        };
        if token.len() > MAX_TOKEN_LEN {
            return Err(TokenError::Malformed);
        }
        let decode = |text| {
            URL_SAFE_NO_PAD
                .decode(text)
                .map_err(|_| TokenError::Malformed)
        };
        let (payload, signature) = (decode(payload)?, decode(signature)?);
        if payload.len() <= HEADER_LEN || payload[0] != VERSION || signature.len() != 32 {
            return Err(TokenError::Malformed);
        }
        let is = PURPOSES.into_iter().find(|is| is.number() == payload[1]);
        let is = is.ok_or(TokenError::Malformed)?;
        let key = self.find(id)?;
        mac(key, is.name(), &payload)
            .verify_slice(&signature)
            .map_err(|_| TokenError::Forged)?;
        if is != purpose {
            return Err(TokenError::WrongPurpose(is.name()));
        }
        let mut expires = [0; 8];
        expires.copy_from_slice(&payload[2..HEADER_LEN]);
        let expires = Millis(i64::from_be_bytes(expires));
        if now >= expires {
            return Err(TokenError::Expired(expires));
        }
        String::from_utf8(payload[HEADER_LEN..].to_vec()).map_err(|_| TokenError::Malformed)
    }

    /// Identity of a message: a UUID that is the same for the same content and does not reveal it.
    /// It is signed by the oldest key, even if that was retired: a message that is repeated after a
    /// new key was made is the same message.
    ///
    /// # Errors
    /// If there is no key.
    pub(crate) fn identity<'a>(
        &self,
        parts: impl IntoIterator<Item = &'a str>,
    ) -> Result<String, AlertError> {
        let oldest = self.keys.last();
        let oldest = oldest
            .ok_or_else(|| AlertError::corrupt("signing_keys", "oldest", "not there".to_owned()))?;
        let mut payload = Vec::new();
        for part in parts {
            payload.extend((part.len() as u64).to_be_bytes());
            payload.extend(part.as_bytes());
        }
        let mac = mac(oldest, "message", &payload).finalize().into_bytes();
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&mac[..16]);
        let id = uuid::Builder::from_random_bytes(bytes).into_uuid();
        Ok(id.to_string())
    }

    /// The part before the `@` of a return address that names one message:
    /// `b-KEY-IDENTITY-SIGNATURE`.
    ///
    /// # Errors
    /// If there is no key.
    pub fn return_path(&self, identity: &str) -> Result<String, AlertError> {
        let key = self.newest()?;
        let short: String = identity.chars().filter(|c| *c != '-').collect();
        Ok(format!("b-{}-{short}-{}", key.id, short_mac(key, &short)))
    }

    /// The identity of the message that a return address of ours names.
    ///
    /// # Errors
    /// The fault of the address.
    pub fn returned(&self, local: &str) -> Result<String, TokenError> {
        let local = local.to_lowercase();
        let parts: Vec<&str> = local.split('-').collect();
        let ["b", id, short, signature] = parts[..] else {
            return Err(TokenError::Malformed);
        };
        let key = self.find(id)?;
        // Both are compared as HMACs again, so that the time it takes tells nothing.
        let twice = |text: &str| mac(key, "compare", text.as_bytes()).finalize();
        if twice(signature) != twice(&short_mac(key, short)) {
            return Err(TokenError::Forged);
        }
        let delivery = uuid::Uuid::try_parse(short).map_err(|_| TokenError::Malformed)?;
        Ok(delivery.to_string())
    }
}

async fn all(connection: &impl ConnectionTrait) -> Result<Vec<Model>, AlertError> {
    let keys = Entity::find()
        .order_by_desc(Column::CreatedAt)
        .order_by_desc(Column::Id)
        .all(connection)
        .await?;
    Ok(keys)
}

fn short_mac(key: &Model, short: &str) -> String {
    let full = mac(key, "return", short.as_bytes()).finalize().into_bytes();
    hex(&full[..SHORT_MAC_LEN])
}

/// The HMAC of a payload under the key of a purpose.
fn mac(key: &Model, purpose: &str, payload: &[u8]) -> Hmac<Sha256> {
    let mut own = keyed(key.secret.as_bytes());
    own.update(b"marketlake ");
    own.update(purpose.as_bytes());
    let mut mac = keyed(&own.finalize().into_bytes());
    mac.update(payload);
    mac.update(key.id.as_bytes());
    mac
}

/// An HMAC takes a key of any length.
pub(crate) fn keyed(key: &[u8]) -> Hmac<Sha256> {
    match Hmac::new_from_slice(key) {
        Ok(mac) => mac,
        Err(error) => unreachable!("{error}"),
    }
}
