//! Protection against cross-site requests (CSRF).
//!
//! A page may send some requests to any server without the user's consent (CORS' simple requests,
//! WebSockets). A request that needs no key must not be usable in a visitor's name, so such
//! requests are refused by `Origin` and `Sec-Fetch-Site`, which a page cannot forge.

use axum::http::HeaderMap;
use axum::http::header::ORIGIN;

use crate::authority::RequestAuthority;

/// Pages that may send requests which change something.
#[derive(Clone, Debug, Default)]
pub struct TrustedOrigins {
    /// Origin of the server's public address, where one is configured.
    pub own: Option<String>,
    /// Origins of others; `*` stands for all.
    pub allowed: Vec<String>,
}

impl TrustedOrigins {
    /// Whether a browser sent a request on behalf of a page of another site.
    pub fn is_cross_site(&self, headers: &HeaderMap, authority: &RequestAuthority) -> bool {
        let text = |name: &str| {
            headers
                .get(name)
                .map(|value| value.to_str().unwrap_or("null"))
        };
        let origin = text(ORIGIN.as_str());
        match text("sec-fetch-site") {
            Some("same-origin" | "none") => false,
            Some(_) => !origin.is_some_and(|origin| self.are_trusted(origin)),
            None => origin
                .is_some_and(|origin| !self.are_trusted(origin) && !self.is_own(origin, authority)),
        }
    }

    fn are_trusted(&self, origin: &str) -> bool {
        let is_own = self.own.as_deref() == Some(origin);
        is_own || self.allowed.iter().any(|one| one == origin || one == "*")
    }

    /// A server with a public address knows its own name; a page by another name is a foreign one
    /// whose name leads here.
    fn is_own(&self, origin: &str, authority: &RequestAuthority) -> bool {
        authority.is_of_origin(origin) && (self.own.is_none() || authority.is_fixed())
    }
}
