//! Claims of a token.

use marketlake_model::Millis;
use serde::Deserialize;

use crate::auth::error::AuthError;
use crate::auth::permissions::Permissions;
use crate::auth::scope::{Scope, Scopes};

const MAX_SUBJECT_CHARS: usize = 255;
/// Seconds by which a provider's clock may be ahead.
const LEEWAY_SECONDS: f64 = 60.0;
/// The end of the year 9999, in seconds since 1970.
const MAX_SECONDS: f64 = 253_402_300_799.0;
/// Prefix of our scopes among those of other services.
const PREFIX: &str = "marketlake:";

/// The claims that decide.
#[derive(Deserialize)]
pub(crate) struct Claims {
    iss: String,
    sub: String,
    /// `read alerts` (RFC 8693), or a list.
    #[serde(default)]
    scope: Words,
    /// The same of others: Entra ID writes a text, Okta a list.
    #[serde(default)]
    scp: Words,
    /// Application roles of Entra ID.
    #[serde(default)]
    roles: Words,
    exp: f64,
    nbf: Option<f64>,
    iat: Option<f64>,
}

/// Words separated by spaces, or a list of them.
#[derive(Deserialize)]
#[serde(untagged)]
enum Words {
    Text(String),
    List(Vec<String>),
}

impl Default for Words {
    fn default() -> Self {
        Self::List(Vec::new())
    }
}

impl Words {
    fn all(&self) -> Vec<&str> {
        match self {
            Self::Text(text) => text.split(' ').collect(),
            Self::List(words) => words.iter().map(String::as_str).collect(),
        }
    }
}

impl Claims {
    /// Permissions that the claims give now.
    pub(crate) fn permissions(&self, issuer: &str, now: Millis) -> Result<Permissions, AuthError> {
        if self.iss != issuer {
            return Err(AuthError::invalid_token("it is another issuer's"));
        }
        let length = self.sub.chars().count();
        if !(1..=MAX_SUBJECT_CHARS).contains(&length) || self.sub.chars().any(char::is_control) {
            return Err(AuthError::invalid_token(
                "sub: expected 1 to 255 characters",
            ));
        }
        for (name, time) in [
            ("exp", Some(self.exp)),
            ("nbf", self.nbf),
            ("iat", self.iat),
        ] {
            if time.is_some_and(|time| !(0.0..=MAX_SECONDS).contains(&time)) {
                let problem = format!("{name}: expected seconds since 1970, before the year 10000");
                return Err(AuthError::invalid_token(&problem));
            }
        }
        let expires_at = millis(self.exp);
        if expires_at <= now {
            return Err(AuthError::invalid_token("it has expired"));
        }
        let begins = self
            .nbf
            .map(|time| millis((time - LEEWAY_SECONDS).max(0.0)));
        if begins.is_some_and(|begin| begin > now) {
            return Err(AuthError::invalid_token("it is not valid yet"));
        }
        let owner = format!("{issuer}|{}", self.sub);
        Ok(Permissions::of_token(self.scopes(), owner, expires_at))
    }

    /// The scopes among its words that are ours, with or without the prefix `marketlake:`. Roles
    /// are often a whole company's, where `admin` may be of another system: ours need the prefix.
    fn scopes(&self) -> Scopes {
        let words = self.scope.all().into_iter().chain(self.scp.all());
        let words = words.map(|word| word.strip_prefix(PREFIX).unwrap_or(word));
        let roles = self.roles.all().into_iter();
        let roles = roles.filter_map(|word| word.strip_prefix(PREFIX));
        let scopes: Vec<Scope> = words
            .chain(roles)
            .filter_map(|word| word.parse().ok())
            .collect();
        Scopes::of(&scopes)
    }
}

/// An instant from a `NumericDate`, which may have a fraction (RFC 7519, 2), within bounds.
#[expect(
    clippy::cast_possible_truncation,
    reason = "it is within the years 1970 to 9999"
)]
fn millis(seconds: f64) -> Millis {
    Millis((seconds * 1_000.0).floor() as i64)
}
