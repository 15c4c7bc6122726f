//! Settings of trusted reverse proxies.

use marketlake_http::client_address::{ForwardedHeader, TrustedProxies};
use serde::{Deserialize, Serialize};
use url::Url;

use super::{ConfigError, Settings};

/// Headers that carry the client's address.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum ProxyHeader {
    #[default]
    XForwardedFor,
    Forwarded,
}

impl Settings {
    /// Trusted reverse proxies.
    pub(crate) fn trusted_proxies(&self) -> TrustedProxies {
        TrustedProxies {
            count: self.server.trusted_proxies,
            header: match self.server.forwarded_header {
                ProxyHeader::XForwardedFor => ForwardedHeader::XForwardedFor,
                ProxyHeader::Forwarded => ForwardedHeader::Forwarded,
            },
        }
    }

    /// Origin of the public address, where one is configured.
    pub(crate) fn public_origin(&self) -> Result<Option<String>, ConfigError> {
        let url = Url::parse(&self.public_url()?).ok();
        let origin = url.map(|url| url.origin().ascii_serialization());
        Ok(origin.filter(|_| self.server.public_url.is_some()))
    }
}
