//! Settings of who may do what.

use std::net::SocketAddr;

use marketlake_graphql::auth::{Anonymous, AuthOptions, Mode, OidcSettings};
use serde::{Deserialize, Serialize};
use url::Url;

use super::ConfigError;

/// Who may do what.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Auth {
    /// open: who asks on this machine may do everything; keys: nobody may without a key.
    pub(crate) mode: AuthMode,
    /// What those may do who come with nothing.
    pub(crate) anonymous: AnonymousMay,
    pub(crate) oidc: OidcProvider,
}

/// Who needs a key.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum AuthMode {
    #[default]
    Open,
    Keys,
}

/// What those may do who come with nothing.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum AnonymousMay {
    None,
    Read,
    #[default]
    Subscribe,
}

/// The identity provider whose tokens are taken.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct OidcProvider {
    pub(crate) issuer: Option<String>,
    pub(crate) audience: Option<String>,
    /// Where its keys are; found by discovery where nothing is said.
    pub(crate) jwks_url: Option<String>,
}

impl Auth {
    /// The same for the HTTP face. A server that others can reach is not open.
    pub(crate) fn options(&self, listen: SocketAddr) -> Result<AuthOptions, ConfigError> {
        if self.mode == AuthMode::Open && !listen.ip().is_loopback() {
            let problem = format!(
                "expected keys where the server listens on {listen}, which others can reach; make a first key with: marketlake key create --scopes admin NAME"
            );
            return Err(ConfigError::setting("auth.mode", "open", problem));
        }
        Ok(AuthOptions {
            mode: match self.mode {
                AuthMode::Open => Mode::Open,
                AuthMode::Keys => Mode::Keys,
            },
            anonymous: match self.anonymous {
                AnonymousMay::None => Anonymous::None,
                AnonymousMay::Read => Anonymous::Read,
                AnonymousMay::Subscribe => Anonymous::Subscribe,
            },
            oidc: self.oidc.settings()?,
        })
    }
}

impl OidcProvider {
    fn settings(&self) -> Result<Option<OidcSettings>, ConfigError> {
        let Some(issuer) = &self.issuer else {
            let others = [
                ("auth.oidc.audience", &self.audience),
                ("auth.oidc.jwks_url", &self.jwks_url),
            ];
            return match others
                .iter()
                .find_map(|(name, set)| Some((name, set.as_ref()?)))
            {
                None => Ok(None),
                Some((name, value)) => {
                    let problem = "expected auth.oidc.issuer beside it";
                    Err(ConfigError::setting(name, value, problem))
                }
            };
        };
        check_url("auth.oidc.issuer", issuer)?;
        if let Some(url) = &self.jwks_url {
            check_url("auth.oidc.jwks_url", url)?;
        }
        let audience = self.audience.clone().filter(|text| !text.is_empty());
        let audience = audience.ok_or_else(|| {
            let problem = "expected for whom tokens must be made, beside auth.oidc.issuer";
            ConfigError::setting("auth.oidc.audience", "", problem)
        })?;
        Ok(Some(OidcSettings {
            issuer: issuer.clone(),
            audience,
            jwks_url: self.jwks_url.clone(),
        }))
    }
}

/// Keys that come in the clear could be anybody's.
fn check_url(name: &str, text: &str) -> Result<(), ConfigError> {
    let url = Url::parse(text).ok();
    let is_local = |url: &Url| match url.host() {
        Some(url::Host::Domain(name)) => name == "localhost",
        Some(url::Host::Ipv4(ip)) => ip.is_loopback(),
        Some(url::Host::Ipv6(ip)) => ip.is_loopback(),
        None => false,
    };
    let fits = url
        .is_some_and(|url| url.scheme() == "https" || (url.scheme() == "http" && is_local(&url)));
    if fits {
        return Ok(());
    }
    let problem = "expected an address that begins with https://";
    Err(ConfigError::setting(name, text, problem))
}
