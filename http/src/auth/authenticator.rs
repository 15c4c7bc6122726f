//! Authentication of requests by API key or token.

use std::sync::Arc;
use std::time::Duration;

use axum::http::HeaderMap;
use axum::http::header::{AUTHORIZATION, HeaderName};
use marketlake_entities::database::outage::with_cause;
use marketlake_entities::records::api_keys;
use marketlake_lake::Lake;
use marketlake_model::Millis;
use moka::future::Cache;
use tokio::sync::Semaphore;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::error::AuthError;
use super::key::ApiKey;
use super::oidc::Oidc;
use super::operator::OperatorKey;
use super::options::{AuthMode, AuthOptions};
use super::permissions::{Credential, Permissions};
use super::scope::Scopes;
use super::sessions::{Session, Sessions};
use super::verified::VerifiedKeys;
use crate::clock::RequestClock;

/// Time for which a valid key is not looked up again, and after which a revocation is noticed.
const KEY_TTL: Duration = Duration::from_secs(1);
const MAX_CACHED_KEYS: u64 = 10_000;
/// Maximum number of keys in one database query.
const KEY_BATCH_SIZE: usize = 500;
/// Keys looked up at once.
const MAX_LOOKUPS: usize = 64;
/// Interval between checks of the keys of open sessions.
const REVOCATION_INTERVAL: Duration = Duration::from_secs(2);
/// The last use is noted this often at most.
const LAST_USED_INTERVAL: Duration = Duration::from_secs(60);

/// Authenticates requests.
pub struct Authenticator {
    lake: Arc<Lake>,
    options: AuthOptions,
    oidc: Option<Oidc>,
    operator: Option<OperatorKey>,
    clock: Arc<RequestClock>,
    sessions: Arc<Sessions>,
    lookups: Semaphore,
    known: Cache<String, Arc<api_keys::Model>>,
    verified: VerifiedKeys,
}

impl Authenticator {
    /// Builds it over the API keys of a lake's database.
    #[must_use]
    pub fn new(lake: Arc<Lake>, options: AuthOptions) -> Self {
        Self {
            lake,
            oidc: options.oidc.clone().map(Oidc::new),
            operator: options.operator_key.clone().map(OperatorKey::new),
            options,
            clock: Arc::default(),
            sessions: Arc::default(),
            lookups: Semaphore::new(MAX_LOOKUPS),
            known: Cache::builder()
                .max_capacity(MAX_CACHED_KEYS)
                .time_to_live(KEY_TTL)
                .build(),
            verified: VerifiedKeys::default(),
        }
    }

    /// Authentication mode.
    #[must_use]
    pub fn mode(&self) -> AuthMode {
        self.options.mode
    }

    /// Permissions of a request, by its headers.
    ///
    /// # Errors
    /// Fails if the key or token is not valid, or cannot be checked.
    pub async fn permissions(&self, headers: &HeaderMap) -> Result<Permissions, AuthError> {
        match credential(headers)? {
            Some(text) => self.of_credential(&text).await,
            None => Ok(Permissions::anonymous(self.options.anonymous)),
        }
    }

    /// Permissions of a key or token.
    ///
    /// # Errors
    /// Fails if the key or token is not valid, or cannot be checked.
    pub async fn of_credential(&self, text: &str) -> Result<Permissions, AuthError> {
        if ApiKey::is_like(text) {
            return self.of_key(text).await;
        }
        let Some(oidc) = &self.oidc else {
            let refused =
                "expected an API key that begins with ml_; this server takes no other tokens";
            return Err(AuthError::Refused(refused.to_owned()));
        };
        oidc.permissions(text, self.now().await?).await
    }

    async fn of_key(&self, text: &str) -> Result<Permissions, AuthError> {
        let key: ApiKey = text.parse().map_err(|()| unknown())?;
        if key.is_operators() {
            let own = self.operator_key().await.filter(|own| own.equals(&key));
            let own = own.ok_or_else(unknown)?;
            return Ok(Permissions::of_operator(own.hash()));
        }
        if let Some(row) = self.known.get(text).await {
            return Ok(granted(&row));
        }
        if self.verified.has_just_failed()
            && let Some(row) = self.verified.reader(&key).await
        {
            return self.reading(&row).await;
        }
        let error = match self.look_up(&key).await {
            Ok(row) => {
                self.verified.remember(&key, &row).await;
                self.known.insert(text.to_owned(), Arc::clone(&row)).await;
                return Ok(granted(&row));
            }
            Err(error) => error,
        };
        match &error {
            AuthError::Refused(_) => self.verified.forget(&key).await,
            AuthError::Unavailable(_) => {
                self.verified.fail();
                if let Some(row) = self.verified.reader(&key).await {
                    return self.reading(&row).await;
                }
            }
            AuthError::Busy => (),
        }
        Err(error)
    }

    /// The operator key at present.
    async fn operator_key(&self) -> Option<ApiKey> {
        match &self.operator {
            Some(operator) => operator.current().await,
            None => None,
        }
    }

    /// Looks a key up in the database.
    async fn look_up(&self, key: &ApiKey) -> Result<Arc<api_keys::Model>, AuthError> {
        let lookup = self.lookups.try_acquire();
        let _permit = lookup.map_err(|_| AuthError::Busy)?;
        let database = self.lake.database();
        let row = api_keys::find(database, key.id()).await;
        let row = row.map_err(|error| unavailable(&error))?;
        let row = row.filter(|row| key.fits(&row.hash));
        let row = Arc::new(row.ok_or_else(unknown)?);
        let now = self.now().await?;
        check(&row, now)?;
        if row
            .last_used_at
            .is_none_or(|at| at < now.minus(LAST_USED_INTERVAL))
            && let Err(error) = api_keys::used(database, &row.id, now).await
        {
            // A full disk does not invalidate keys.
            tracing::debug!(%error, "cannot record the last use of a key");
        }
        Ok(row)
    }

    /// Permissions of a key that was good lately, while the database cannot say whether it still
    /// is.
    async fn reading(&self, row: &api_keys::Model) -> Result<Permissions, AuthError> {
        check(row, self.now().await?)?;
        Ok(granted(row).unverified())
    }

    async fn now(&self) -> Result<Millis, AuthError> {
        let now = self.clock.now(&self.lake).await;
        now.ok_or_else(|| AuthError::Unavailable("the database's clock".to_owned()))
    }

    /// Begins what is to end with the key or token of permissions.
    pub fn session(&self, permissions: &Permissions) -> Session {
        self.sessions.open(permissions, &self.clock, &self.lake)
    }

    /// Keeps the provider's keys fresh, and ends what is open by keys that were revoked, until it
    /// is stopped.
    pub async fn run(&self, stop: &CancellationToken) {
        let refresh = async {
            match &self.oidc {
                Some(oidc) => oidc.refresh(stop.clone()).await,
                None => stop.cancelled().await,
            }
        };
        tokio::join!(refresh, self.watch(stop));
    }

    async fn watch(&self, stop: &CancellationToken) {
        let mut is_blind = false;
        while !stop.is_cancelled() {
            let checked = self.end_revoked().await;
            if let Err(error) = &checked
                && !is_blind
            {
                tracing::warn!(%error, "it cannot be checked whether keys in use were revoked, \
                    trying again");
            }
            is_blind = checked.is_err();
            tokio::select! {
                () = sleep(REVOCATION_INTERVAL) => (),
                () = stop.cancelled() => (),
            }
        }
    }

    async fn end_revoked(&self) -> Result<(), AuthError> {
        let mut ids = Vec::new();
        let operator = self.operator_key().await.map(|key| key.hash());
        for credential in self.sessions.credentials() {
            match &credential {
                Credential::Key(id) => ids.push(id.clone()),
                Credential::Operator(hash) => {
                    if operator.as_ref() != Some(hash) {
                        self.sessions.revoke(&credential);
                    }
                }
                Credential::None | Credential::Token => (),
            }
        }
        for some in ids.chunks(KEY_BATCH_SIZE) {
            let good = api_keys::unrevoked(self.lake.database(), some).await;
            let good = good.map_err(|error| unavailable(&error))?;
            for id in some.iter().filter(|id| !good.contains(*id)) {
                self.sessions.revoke(&Credential::Key(id.clone()));
            }
        }
        Ok(())
    }
}

fn unknown() -> AuthError {
    AuthError::Refused("this API key is not known".to_owned())
}

fn granted(row: &api_keys::Model) -> Permissions {
    let scopes = row.scopes.parse().unwrap_or(Scopes::NONE);
    Permissions::of_key(scopes, &row.id, row.expires_at)
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

fn unavailable(error: &(dyn std::error::Error + 'static)) -> AuthError {
    AuthError::Unavailable(with_cause(error))
}

/// `Authorization: Bearer ..`, or `X-API-Key: ..`; one of them, once.
fn credential(headers: &HeaderMap) -> Result<Option<String>, AuthError> {
    let wrong = |expected: &str| AuthError::Refused(expected.to_owned());
    let given = |name: HeaderName| headers.get_all(name).iter().count();
    if given(HeaderName::from_static("x-api-key")) + given(AUTHORIZATION) > 1 {
        return Err(wrong("expected one key or token, got several"));
    }
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
