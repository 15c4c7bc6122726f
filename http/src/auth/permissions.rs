//! Permissions of a request: the scopes of its key or token.

use marketlake_model::Millis;

use super::options::AnonymousAccess;
use super::scope::{Scope, Scopes};

/// The credential by which permissions were given.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Credential {
    /// No key or token.
    None,
    /// The operator key of this hash.
    Operator(String),
    /// The API key of this id.
    Key(String),
    /// A token, which cannot be revoked before it expires.
    Token,
}

/// Error of a request without the scope that it needs.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct AccessDenied {
    /// Code for programs: `UNAUTHENTICATED`, `UNAVAILABLE` or `FORBIDDEN`.
    pub code: &'static str,
    /// The scope that was expected.
    pub message: String,
}

/// Scopes of a request, and the owner of its key or token where there is one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Permissions {
    scopes: Scopes,
    owner: Option<String>,
    credential: Credential,
    expires_at: Option<Millis>,
    /// It is a key's that may do more once the database can say so.
    is_unverified: bool,
}

impl Permissions {
    /// Permissions of an API key.
    pub(crate) fn of_key(scopes: Scopes, id: &str, expires_at: Option<Millis>) -> Self {
        Self {
            scopes,
            owner: Some(format!("key:{id}")),
            credential: Credential::Key(id.to_owned()),
            expires_at,
            is_unverified: false,
        }
    }

    /// The same for reading only, while the database does not answer.
    pub(crate) fn unverified(self) -> Self {
        Self {
            scopes: Scopes::of(&[Scope::Read]),
            is_unverified: true,
            ..self
        }
    }

    /// Permissions of a token of an identity provider.
    pub(crate) fn of_token(scopes: Scopes, owner: String, expires_at: Millis) -> Self {
        Self {
            scopes,
            owner: Some(owner),
            credential: Credential::Token,
            expires_at: Some(expires_at),
            is_unverified: false,
        }
    }

    /// Permissions of the operator key.
    pub(crate) fn of_operator(hash: String) -> Self {
        Self {
            scopes: Scopes::of(&[Scope::Admin]),
            owner: None,
            credential: Credential::Operator(hash),
            expires_at: None,
            is_unverified: false,
        }
    }

    pub(crate) fn anonymous(allowed: AnonymousAccess) -> Self {
        let scopes: &[Scope] = match allowed {
            AnonymousAccess::None => &[],
            AnonymousAccess::Read => &[Scope::Read],
            AnonymousAccess::Subscribe => &[Scope::Read, Scope::Subscribe],
        };
        Self {
            scopes: Scopes::of(scopes),
            owner: None,
            credential: Credential::None,
            expires_at: None,
            is_unverified: false,
        }
    }

    /// Whether a scope is among them.
    #[must_use]
    pub fn allows(&self, scope: Scope) -> bool {
        self.scopes.hold(scope)
    }

    /// Owner of the key or token.
    pub fn owner(&self) -> Option<&str> {
        self.owner.as_deref()
    }

    /// Whether it came with neither key nor token.
    pub fn is_anonymous(&self) -> bool {
        self.credential == Credential::None
    }

    pub(crate) fn credential(&self) -> &Credential {
        &self.credential
    }

    /// Time at which the key or token expires.
    pub(crate) fn expires_at(&self) -> Option<Millis> {
        self.expires_at
    }

    /// Checks that it has a scope.
    ///
    /// # Errors
    /// If it does not.
    pub fn require(&self, scope: Scope) -> Result<(), AccessDenied> {
        if self.allows(scope) {
            return Ok(());
        }
        let (code, message) = if self.is_anonymous() {
            let message = format!("expected an API key or token with the scope {scope}");
            ("UNAUTHENTICATED", message)
        } else if self.is_unverified {
            let message =
                "keys cannot be checked at the moment: until then, this one can only read";
            ("UNAVAILABLE", message.to_owned())
        } else {
            let message = format!("expected a key with the scope {scope}, got one without");
            ("FORBIDDEN", message)
        };
        Err(AccessDenied { code, message })
    }
}
