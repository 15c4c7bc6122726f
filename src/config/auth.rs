//! Settings of authentication.

use std::net::SocketAddr;

use marketlake_http::auth::oidc::settings::OidcSettings;
use marketlake_http::auth::options::{AnonymousAccess, AuthMode, AuthOptions};

use super::section::section;
use super::types::{Checked, ProviderUrl, is_loopback};
use super::{ConfigError, Settings};
use crate::operator_key;

section! {
    /// Authentication. Keys, scopes and tokens: [api.md](api.md#authentication-and-scopes).
    Auth {
        /// `open`: reachable from this machine only; `keys`: reachable from others. Operators need
        /// a key in both.
        mode: AuthMode = AuthMode::default(),
        /// Rights without a key: `none`, `read`, or `subscribe` (read and request subscriptions).
        anonymous: AnonymousAccess = AnonymousAccess::default(),
        /// Identity provider.
        oidc: OidcProvider = OidcProvider::default(),
    }
}

section! {
    /// The identity provider whose tokens are accepted. Its URLs begin with `https://`, or are on
    /// loopback.
    OidcProvider {
        /// Issuer of the tokens.
        issuer: Option<Checked<ProviderUrl>> = None,
        /// Audience of the tokens; required with `issuer`.
        audience: Option<String> = None,
        /// URL of its keys; found by discovery by default.
        jwks_url: Option<Checked<ProviderUrl>> = None,
    }
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
                "anyone can read prices and request subscriptions without a key: set \
                 auth.anonymous = \"none\" to prevent it",
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
            "expected \"keys\", because other machines can reach the server through \
             server.trusted_proxies = {proxies}; {first}"
        ));
    }
    if let Some(public) = &settings.server.public_url
        && !is_loopback(public)
    {
        let public = public.raw();
        return refused(format!(
            "expected \"keys\" with server.public_url = {public:?}, which is not this machine; \
             {first}"
        ));
    }
    Ok(())
}

impl OidcProvider {
    fn settings(&self) -> Result<Option<OidcSettings>, ConfigError> {
        let jwks_url = self.jwks_url.as_ref().map(|url| url.raw().clone());
        let Some(issuer) = &self.issuer else {
            let others = [
                ("auth.oidc.audience", &self.audience),
                ("auth.oidc.jwks_url", &jwks_url),
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
        let audience = self.audience.clone().filter(|text| !text.is_empty());
        let audience = audience.ok_or_else(|| {
            let problem = "expected the audience of tokens, in addition to auth.oidc.issuer";
            ConfigError::setting("auth.oidc.audience", "", problem)
        })?;
        Ok(Some(OidcSettings {
            issuer: issuer.raw().clone(),
            audience,
            jwks_url,
        }))
    }
}
