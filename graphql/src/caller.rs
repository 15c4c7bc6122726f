//! Who asks: as far as the network tells, and by the key that comes along.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use axum::extract::{ConnectInfo, Request, State};
use axum::http::HeaderMap;
use axum::http::header::HOST;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use marketlake_alerts::subscription::{Asker, Whose};

use crate::auth::{Gate, Grant, Scope};
use crate::rest::Problem;

const FORWARDED: &str = "x-forwarded-for";

/// Who asks. In each request's extensions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Caller {
    /// By what askers are counted: an IPv4 address, or the /64 of an IPv6 address, which is one household's.
    pub(crate) source: String,
    /// What they may do.
    pub(crate) grant: Grant,
    /// Whether it is this machine itself, with no proxy between.
    pub(crate) is_local: bool,
}

impl Caller {
    /// Whether it is counted how much they ask for; the server's own people are not.
    pub(crate) fn is_limited(&self) -> bool {
        self.grant.is_anonymous() || self.grant.owner().is_some()
    }

    /// Whose subscriptions they may see and change by who they are; nobody's without a key that says so.
    pub(crate) fn whose(&self) -> Option<Whose<'_>> {
        if self.grant.may(Scope::Admin) {
            return Some(Whose::Anybodys);
        }
        let owner = self.grant.owner()?;
        self.grant.may(Scope::Alerts).then_some(Whose::Owner(owner))
    }

    /// As one who asks for a subscription.
    pub(crate) fn asker(&self) -> Asker<'_> {
        Asker {
            source: &self.source,
            owner: self.grant.owner(),
            idempotency_key: None,
        }
    }

    /// On whose account it goes.
    pub(crate) fn account(&self) -> &str {
        self.grant.owner().unwrap_or(&self.source)
    }
}

/// What it takes to know who asks.
#[derive(Clone)]
pub(crate) struct Door {
    pub(crate) gate: Arc<Gate>,
    /// So many proxies of our own stand before us.
    pub(crate) trusted_proxies: usize,
}

/// Finds out who asks: the peer, or behind proxies of our own the address that the outermost of them saw. A key or token that is not good
/// is refused, whatever is asked for.
pub(crate) async fn know(State(door): State<Door>, mut request: Request, next: Next) -> Response {
    let peer = request.extensions().get::<ConnectInfo<SocketAddr>>();
    let peer = peer.map(|ConnectInfo(address)| address.ip().to_canonical());
    let headers = request.headers();
    let forwarded = forwarded(headers);
    let is_local = forwarded.is_empty()
        && peer.is_some_and(|ip| ip.is_loopback())
        && names_this_machine(headers);
    let grant = match door.gate.grant(headers, is_local).await {
        Ok(grant) => grant,
        Err(error) => return Problem::from(error).into_response(),
    };
    // What stands left of the proxies' own entries anybody may have written.
    let seen = door
        .trusted_proxies
        .checked_sub(1)
        .and_then(|nth| forwarded.iter().rev().nth(nth));
    let ip = seen.copied().or(peer);
    request.extensions_mut().insert(Caller {
        source: ip.map_or_else(|| "unknown".to_owned(), household),
        grant,
        is_local,
    });
    next.run(request).await
}

/// Whether a request was addressed to this machine by a name that only this machine has: a foreign page, whose host's address was
/// turned to ours, names its own.
fn names_this_machine(headers: &HeaderMap) -> bool {
    let host = headers.get(HOST).and_then(|value| value.to_str().ok());
    let Some(host) = host else { return true };
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => name,
        _ => host,
    };
    let name = name.trim_start_matches('[').trim_end_matches(']');
    name.eq_ignore_ascii_case("localhost")
        || name.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

fn forwarded(headers: &HeaderMap) -> Vec<IpAddr> {
    let values = headers.get_all(FORWARDED).iter();
    let texts = values.filter_map(|value| value.to_str().ok());
    texts
        .flat_map(|text| text.split(','))
        .filter_map(|text| text.trim().parse().ok())
        .collect()
}

fn household(ip: IpAddr) -> String {
    match ip {
        IpAddr::V4(ip) => ip.to_string(),
        IpAddr::V6(ip) => {
            let s = ip.segments();
            format!("{}/64", Ipv6Addr::new(s[0], s[1], s[2], s[3], 0, 0, 0, 0))
        }
    }
}
