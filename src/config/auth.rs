//! Settings of authentication.

use std::net::{IpAddr, SocketAddr};

use marketlake_http::auth::oidc::settings::OidcSettings;
use marketlake_http::auth::options::{AnonymousAccess, AuthMode, AuthOptions};
use serde::{Deserialize, Serialize};
use url::Url;

use super::{ConfigError, Settings};
use crate::operator_key;

/// Authentication.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Auth {
    /// open: reachable from this machine only; keys: reachable from others. Operators need a key in
    /// both.
    pub(crate) mode: AuthMode,
    /// Access of requests without a key or token.
    pub(crate) anonymous: AnonymousAccess,
    pub(crate) oidc: OidcProvider,
}

/// The identity provider whose tokens are taken.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct OidcProvider {
    pub(crate) issuer: Option<String>,
    pub(crate) audience: Option<String>,
    /// URL of its keys; found by discovery by default.
    pub(crate) jwks_url: Option<String>,
}

impl Auth {
    /// Converts the settings to options. A server that others can reach must not be open.
    pub(crate) fn options(
        &self,
        settings: &Settings,
        listen: SocketAddr,
    ) -> Result<AuthOptions, ConfigError> {
        if self.mode == AuthMode::Open {
            check_open(settings, listen)?;
        }
        Ok(AuthOptions {
            mode: self.mode,
            anonymous: self.anonymous,
            oidc: self.oidc.settings()?,
            operator_key: Some(operator_key::path(settings)),
        })
    }

    /// Notice for operators who expect that `keys` denies anonymous access.
    pub(crate) fn public_notice(&self) -> Option<&'static str> {
        match (self.mode, self.anonymous) {
            (AuthMode::Open, _) | (_, AnonymousAccess::None) => None,
            (AuthMode::Keys, AnonymousAccess::Read) => Some(
                "anyone can read prices without a key: set auth.anonymous = \"none\" to prevent it",
            ),
            (AuthMode::Keys, AnonymousAccess::Subscribe) => Some(
                "anyone can read prices and request subscriptions without a key: set auth.anonymous = \"none\" to prevent it",
            ),
        }
    }
}

/// Checks that an open server is reachable from this machine only, and not through a proxy.
fn check_open(settings: &Settings, listen: SocketAddr) -> Result<(), ConfigError> {
    let first = "create a first key with: marketlake keys create --scopes admin NAME";
    let refused = |problem: String| Err(ConfigError::setting("auth.mode", "open", problem));
    if !listen.ip().to_canonical().is_loopback() {
        return refused(format!(
            "expected \"keys\", because other machines can reach {listen}; {first}"
        ));
    }
    let proxies = settings.server.trusted_proxies;
    if proxies > 0 {
        return refused(format!(
            "expected \"keys\", because other machines can reach the server through server.trusted_proxies = {proxies}; {first}"
        ));
    }
    let public = settings.public_url()?;
    if settings.server.public_url.is_some() && !leads_here(&public) {
        return refused(format!(
            "expected keys with server.public_url = {public:?}, which is not this machine; {first}"
        ));
    }
    Ok(())
}

/// Whether a URL's host is this machine.
fn leads_here(url: &str) -> bool {
    let url = Url::parse(url).ok();
    url.as_ref().is_some_and(is_loopback)
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(url::Host::Domain(name)) => name == "localhost",
        Some(url::Host::Ipv4(ip)) => ip.is_loopback(),
        Some(url::Host::Ipv6(ip)) => IpAddr::from(ip).to_canonical().is_loopback(),
        None => false,
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
                    let problem = "expected auth.oidc.issuer too";
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
            let problem = "expected the audience of tokens, in addition to auth.oidc.issuer";
            ConfigError::setting("auth.oidc.audience", "", problem)
        })?;
        Ok(Some(OidcSettings {
            issuer: issuer.clone(),
            audience,
            jwks_url: self.jwks_url.clone(),
        }))
    }
}

/// Checks that keys are fetched over https, or from this machine.
fn check_url(name: &str, text: &str) -> Result<(), ConfigError> {
    let url = Url::parse(text).ok();
    let fits = url.is_some_and(|url| {
        url.scheme() == "https" || (url.scheme() == "http" && is_loopback(&url))
    });
    if fits {
        return Ok(());
    }
    let problem = "expected an address that begins with https://";
    Err(ConfigError::setting(name, text, problem))
}
