//! Settings of authentication.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::oidc::settings::OidcSettings;

/// Permissions of requests without a key or token.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum AnonymousAccess {
    /// Nothing but use the links of their mails.
    None,
    /// Read.
    Read,
    /// Read, and request subscriptions, which the address's owner confirms by mail.
    #[default]
    Subscribe,
}

/// Authentication mode, which decides from where the server may be reached.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum AuthMode {
    /// Only from the server's own machine, by its own names.
    #[default]
    Open,
    /// From anywhere.
    Keys,
}

/// Settings of authentication.
#[derive(Clone, Debug, Default)]
pub struct AuthOptions {
    /// Authentication mode.
    pub mode: AuthMode,
    /// Permissions of requests without a key or token.
    pub anonymous: AnonymousAccess,
    /// The identity provider whose tokens are taken.
    pub oidc: Option<OidcSettings>,
    /// File of the operator key.
    pub operator_key: Option<PathBuf>,
}
