//! Authority of a request (RFC 9110, 7.2): the host and port that it was sent to.

use std::net::IpAddr;

use axum::http::header::HOST;
use axum::http::uri::Authority;
use axum::http::{HeaderMap, StatusCode, Uri};

use crate::problem::Problem;

/// Host and port that a request was sent to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestAuthority(Authority);

impl RequestAuthority {
    /// Reads the authority of the request's target (absolute form, HTTP/2's `:authority`), else of
    /// its one `Host`. Both must agree where both are there.
    ///
    /// # Errors
    /// Fails if there is no host, several, or a malformed one.
    pub fn of(uri: &Uri, headers: &HeaderMap) -> Result<Self, Problem> {
        let mut hosts = headers.get_all(HOST).iter();
        let host = hosts.next();
        if hosts.next().is_some() {
            return Err(refused("expected one Host header, got several"));
        }
        let host = host.map(|value| {
            let authority = value.to_str().ok().and_then(|text| text.parse().ok());
            authority.ok_or_else(|| refused("Host: expected a name or an address, and a port"))
        });
        let host: Option<Authority> = host.transpose()?;
        let authority = match (uri.authority(), host) {
            (None, None) => return Err(refused("expected a Host header")),
            (Some(target), Some(host)) if *target != host => {
                return Err(refused("expected the same host in the target and in Host"));
            }
            (Some(target), _) => target.clone(),
            (None, Some(host)) => host,
        };
        if authority.as_str().contains('@') {
            return Err(refused("Host: expected no user name"));
        }
        Ok(Self(authority))
    }

    /// Whether it is a name of the server's own machine that no other machine has. A page whose
    /// name was made to lead here (DNS rebinding) was sent to its own name.
    pub fn is_this_machine(&self) -> bool {
        self.0.host().eq_ignore_ascii_case("localhost")
            || self
                .address()
                .is_some_and(|ip| ip.to_canonical().is_loopback())
    }

    /// Whether it is found without a name server.
    pub fn is_fixed(&self) -> bool {
        self.address().is_some() || self.is_this_machine()
    }

    /// Whether an origin is of the same host and port.
    pub fn is_of_origin(&self, origin: &str) -> bool {
        let host = origin.split_once("://").map(|(_, host)| host);
        host.is_some_and(|host| host.eq_ignore_ascii_case(self.0.as_str()))
    }

    fn address(&self) -> Option<IpAddr> {
        let host = self.0.host();
        let host = host
            .strip_prefix('[')
            .and_then(|h| h.strip_suffix(']'))
            .unwrap_or(host);
        host.parse().ok()
    }
}

fn refused(detail: &str) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, "Bad host", detail)
}
