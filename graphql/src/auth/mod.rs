//! Who may do what.
//!
//! A request comes with an API key ([`ApiKey`]), with a token of an identity provider ([`oidc`]), or with neither. What it may do is its
//! [`Grant`]. In [`Mode::Open`], which is for the server's own machine, its people need neither.

mod grant;
mod key;
mod oidc;

use std::sync::Arc;
use std::time::Duration;

use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use marketlake_entities::records::api_keys;
use marketlake_entities::{Millis, database};
use marketlake_lake::Lake;
use moka::future::Cache;

pub(crate) use grant::Grant;
pub use grant::{ParseScopeError, Scope, Scopes};
pub use key::ApiKey;
use oidc::Oidc;
pub use oidc::OidcSettings;

/// How long a key that was found good is not looked up again: so late a revocation may be noticed.
const KEPT: Duration = Duration::from_secs(1);
const MOST_KEPT: u64 = 10_000;
/// The last use is noted this often at most.
const NOTED: Duration = Duration::from_secs(60);

/// What those may do who come with nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Anonymous {
    /// Nothing but use the links of their mails.
    None,
    /// Read.
    Read,
    /// Read, and ask for subscriptions, which the address's owner confirms by mail.
    #[default]
    Subscribe,
}

/// Who needs a key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// Who asks on the server's own machine may do everything.
    #[default]
    Open,
    /// Everybody who wants more than [`Anonymous`] may.
    Keys,
}

/// How the face tells people apart.
#[derive(Clone, Debug, Default)]
pub struct AuthOptions {
    /// Who needs a key.
    pub mode: Mode,
    /// What those may do who come with nothing.
    pub anonymous: Anonymous,
    /// The identity provider whose tokens are taken.
    pub oidc: Option<OidcSettings>,
}

/// Why a request is not let in.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AuthError {
    /// What it came with is not good.
    #[error("{0}")]
    Refused(String),
    /// Nobody can say at the moment.
    #[error("{0}")]
    Unavailable(String),
}

/// Tells who somebody is.
pub(crate) struct Gate {
    lake: Arc<Lake>,
    options: AuthOptions,
    oidc: Option<Oidc>,
    known: Cache<String, Arc<api_keys::Model>>,
}

impl Gate {
    pub(crate) fn new(lake: Arc<Lake>, options: AuthOptions) -> Self {
        Self {
            lake,
            oidc: options.oidc.clone().map(Oidc::new),
            options,
            known: Cache::builder()
                .max_capacity(MOST_KEPT)
                .time_to_live(KEPT)
                .build(),
        }
    }

    /// What a request may do, by its headers and by whether it comes from this machine.
    pub(crate) async fn grant(
        &self,
        headers: &HeaderMap,
        is_local: bool,
    ) -> Result<Grant, AuthError> {
        match credential(headers)? {
            Some(text) => self.of_credential(&text).await,
            None if is_local && self.options.mode == Mode::Open => Ok(Grant::operator()),
            None => Ok(Grant::anonymous(self.options.anonymous)),
        }
    }

    /// What a key or token may do.
    pub(crate) async fn of_credential(&self, text: &str) -> Result<Grant, AuthError> {
        if ApiKey::is_like(text) {
            return self.of_key(text).await;
        }
        let Some(oidc) = &self.oidc else {
            let refused =
                "expected an API key that begins with ml_; this server takes no other tokens";
            return Err(AuthError::Refused(refused.to_owned()));
        };
        oidc.grant(text, self.now().await?).await
    }

    async fn of_key(&self, text: &str) -> Result<Grant, AuthError> {
        let unknown = || AuthError::Refused("this API key is not known".to_owned());
        let key: ApiKey = text.parse().map_err(|()| unknown())?;
        let row = match self.known.get(text).await {
            Some(row) => row,
            None => {
                let database = self.lake.database();
                let row = api_keys::find(database, key.id()).await;
                let row = row.map_err(|error| unavailable(&error))?;
                let row = Arc::new(row.filter(|row| key.fits(&row.hash)).ok_or_else(unknown)?);
                let now = self.now().await?;
                check(&row, now)?;
                if row.last_used_at.is_none_or(|at| at < now.minus(NOTED)) {
                    let noted = api_keys::used(database, &row.id, now).await;
                    noted.map_err(|error| unavailable(&error))?;
                }
                self.known.insert(text.to_owned(), Arc::clone(&row)).await;
                row
            }
        };
        let scopes = row.scopes.parse().unwrap_or(Scopes::NONE);
        Ok(Grant::of(scopes, format!("key:{}", row.id)))
    }

    async fn now(&self) -> Result<Millis, AuthError> {
        let now = database::clock(self.lake.database()).await;
        now.map_err(|error| unavailable(&error))
    }
}

fn check(row: &api_keys::Model, now: Millis) -> Result<(), AuthError> {
    if row.revoked_at.is_some() {
        return Err(AuthError::Refused("this API key is revoked".to_owned()));
    }
    if row.expires_at.is_some_and(|end| end <= now) {
        return Err(AuthError::Refused("this API key has expired".to_owned()));
    }
    Ok(())
}

fn unavailable(error: &dyn std::error::Error) -> AuthError {
    AuthError::Unavailable(error.to_string())
}

/// `Authorization: Bearer ..`, or `X-API-Key: ..`.
fn credential(headers: &HeaderMap) -> Result<Option<String>, AuthError> {
    let wrong = |expected: &str| AuthError::Refused(expected.to_owned());
    if let Some(value) = headers.get("x-api-key") {
        let text = value
            .to_str()
            .map_err(|_| wrong("x-api-key: expected an API key"))?;
        return Ok(Some(text.trim().to_owned()));
    }
    let Some(value) = headers.get(AUTHORIZATION) else {
        return Ok(None);
    };
    let bearer = value.to_str().ok().and_then(|text| {
        let (scheme, token) = text.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
    });
    let token = bearer.ok_or_else(|| wrong("authorization: expected Bearer and a key or token"))?;
    Ok(Some(token.to_owned()))
}
