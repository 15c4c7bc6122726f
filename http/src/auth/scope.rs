//! Scopes of API keys and tokens.

use std::fmt;
use std::str::FromStr;

use marketlake_common::excerpt;

/// Scope of an API key or token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Reading prices and what is computed from them.
    Read,
    /// Requesting a subscription in the name of a mail address, whose owner must confirm it.
    Subscribe,
    /// Creating, reading and changing the owner's subscriptions.
    Alerts,
    /// Reading `/metrics`.
    Metrics,
    /// Everything: the outbox, the jobs, all subscriptions.
    Admin,
}

/// Some of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scopes(u8);

/// Error of a text that names no scopes.
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

    pub(crate) fn hold(self, scope: Scope) -> bool {
        self.0 & scope.bit() != 0
    }
}

/// Words separated by spaces or commas.
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
