//! Settings of trusted reverse proxies.

use marketlake_http::client_address::{ForwardedHeader, TrustedProxies};
use serde::{Deserialize, Serialize};

use super::Settings;

/// Headers that carry the client's address.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum ProxyHeader {
    /// `X-Forwarded-For`.
    #[default]
    XForwardedFor,
    /// `Forwarded` of RFC 7239.
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
    pub(crate) fn public_origin(&self) -> Option<String> {
        let url = self.server.public_url.as_deref();
        url.map(|url| url.origin().ascii_serialization())
    }
}
