//! What somebody may do.

use std::fmt;
use std::str::FromStr;

use async_graphql::{Context, ErrorExtensions, Guard, Result};

use marketlake_common::excerpt;
use marketlake_model::Millis;

use super::Anonymous;
use crate::caller::Caller;

/// A thing that one may be allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Asking for prices and what is made of them.
    Read,
    /// Asking for a subscription in the name of a mail address, whose owner must confirm it.
    Subscribe,
    /// Making, seeing and changing subscriptions of one's own.
    Alerts,
    /// Reading `/metrics`.
    Metrics,
    /// Everything: the outbox, the jobs, everybody's subscriptions.
    Admin,
}

/// Some of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scopes(u8);

/// Why a text does not name scopes.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected read, alerts, metrics or admin, got {0:?}")]
pub struct ParseScopeError(String);

impl Scope {
    const ALL: [Self; 5] = [
        Self::Read,
        Self::Subscribe,
        Self::Alerts,
        Self::Metrics,
        Self::Admin,
    ];

    fn bit(self) -> u8 {
        1 << (self as u8)
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Read => "read",
            Self::Subscribe => "subscribe",
            Self::Alerts => "alerts",
            Self::Metrics => "metrics",
            Self::Admin => "admin",
        })
    }
}

impl FromStr for Scope {
    type Err = ParseScopeError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let known = Self::ALL
            .into_iter()
            .find(|scope| scope.to_string() == text);
        known.ok_or_else(|| ParseScopeError(excerpt(text).into_owned()))
    }
}

impl Scopes {
    /// None of them.
    pub const NONE: Self = Self(0);

    /// These, with what they bring along: `alerts` brings `subscribe`, `admin` brings all.
    #[must_use]
    pub fn of(scopes: &[Scope]) -> Self {
        let all = Scope::ALL.iter().fold(0, |bits, scope| bits | scope.bit());
        Self(scopes.iter().fold(0, |bits, scope| match scope {
            Scope::Admin => all,
            Scope::Alerts => bits | Scope::Alerts.bit() | Scope::Subscribe.bit(),
            scope => bits | scope.bit(),
        }))
    }

    pub(super) fn hold(self, scope: Scope) -> bool {
        self.0 & scope.bit() != 0
    }
}

/// Words parted by spaces or commas.
impl FromStr for Scopes {
    type Err = ParseScopeError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let words = text.split([' ', ',']).filter(|word| !word.is_empty());
        let scopes: Vec<Scope> = words.map(str::parse).collect::<Result<_, _>>()?;
        Ok(Self::of(&scopes))
    }
}

impl fmt::Display for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let held = Scope::ALL.into_iter().filter(|scope| self.hold(*scope));
        let words: Vec<String> = held.map(|scope| scope.to_string()).collect();
        f.write_str(&words.join(" "))
    }
}

/// By what a grant was given.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Credential {
    /// By nothing.
    None,
    /// By the operator key of this hash.
    Operator(String),
    /// By the key of this id.
    Key(String),
    /// By a token, which cannot be taken back before it expires.
    Token,
}

/// What somebody may do, and who it is where that is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Grant {
    scopes: Scopes,
    owner: Option<String>,
    credential: Credential,
    expires_at: Option<Millis>,
    /// It is a key's that may do more once the database can say so.
    is_unverified: bool,
}

impl Grant {
    /// Of an API key.
    pub(super) fn of_key(scopes: Scopes, id: &str, expires_at: Option<Millis>) -> Self {
        Self {
            scopes,
            owner: Some(format!("key:{id}")),
            credential: Credential::Key(id.to_owned()),
            expires_at,
            is_unverified: false,
        }
    }

    /// The same for reading only, while the database does not answer.
    pub(super) fn unverified(self) -> Self {
        Self {
            scopes: Scopes::of(&[Scope::Read]),
            is_unverified: true,
            ..self
        }
    }

    /// Of a token of an identity provider.
    pub(super) fn of_token(scopes: Scopes, owner: String, expires_at: Millis) -> Self {
        Self {
            scopes,
            owner: Some(owner),
            credential: Credential::Token,
            expires_at: Some(expires_at),
            is_unverified: false,
        }
    }

    /// Of the operator key.
    pub(super) fn of_operator(hash: String) -> Self {
        Self {
            scopes: Scopes::of(&[Scope::Admin]),
            owner: None,
            credential: Credential::Operator(hash),
            expires_at: None,
            is_unverified: false,
        }
    }

    pub(super) fn anonymous(allowed: Anonymous) -> Self {
        let scopes: &[Scope] = match allowed {
            Anonymous::None => &[],
            Anonymous::Read => &[Scope::Read],
            Anonymous::Subscribe => &[Scope::Read, Scope::Subscribe],
        };
        Self {
            scopes: Scopes::of(scopes),
            owner: None,
            credential: Credential::None,
            expires_at: None,
            is_unverified: false,
        }
    }

    pub(crate) fn may(&self, scope: Scope) -> bool {
        self.scopes.hold(scope)
    }

    /// Who it is, where a key or an identity provider says so.
    pub(crate) fn owner(&self) -> Option<&str> {
        self.owner.as_deref()
    }

    /// Whether it came with neither key nor token.
    pub(crate) fn is_anonymous(&self) -> bool {
        self.credential == Credential::None
    }

    pub(super) fn credential(&self) -> &Credential {
        &self.credential
    }

    /// When the key or token expires.
    pub(super) fn expires_at(&self) -> Option<Millis> {
        self.expires_at
    }

    /// Why something is not allowed, if it is not: the code and the words.
    pub(crate) fn refusal(&self, scope: Scope) -> Option<(&'static str, String)> {
        if self.may(scope) {
            return None;
        }
        let refusal = if self.is_anonymous() {
            let message = format!("expected an API key or token with the scope {scope}");
            ("UNAUTHENTICATED", message)
        } else if self.is_unverified {
            let message =
                "keys cannot be checked at the moment: until they can, this one reads only";
            ("UNAVAILABLE", message.to_owned())
        } else {
            let message = format!("expected a key with the scope {scope}, got one without");
            ("FORBIDDEN", message)
        };
        Some(refusal)
    }
}

/// A field may ask for one: `guard = "Scope::Read"`.
impl Guard for Scope {
    async fn check(&self, context: &Context<'_>) -> Result<()> {
        let caller = context.data::<Caller>()?;
        match caller.grant.refusal(*self) {
            None => Ok(()),
            Some((code, message)) => {
                let error = async_graphql::Error::new(message);
                Err(error.extend_with(|_, extensions| extensions.set("code", code)))
            }
        }
    }
}
