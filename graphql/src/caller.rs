//! Who asks, as far as the network tells.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use axum::extract::{ConnectInfo, Request, State};
use axum::http::HeaderMap;
use axum::middleware::Next;
use axum::response::Response;

const FORWARDED: &str = "x-forwarded-for";

/// Who asks. In each request's extensions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Caller {
    /// By what askers are counted: an IPv4 address, or the /64 of an IPv6 address, which is one household's.
    pub(crate) source: String,
    /// Whether it is this machine itself, with no proxy between.
    pub(crate) is_local: bool,
}

/// Finds out who asks: the peer, or behind `trusted` proxies of our own the address that the outermost of them saw.
pub(crate) async fn know(
    State(trusted): State<usize>,
    mut request: Request,
    next: Next,
) -> Response {
    let peer = request.extensions().get::<ConnectInfo<SocketAddr>>();
    let peer = peer.map(|ConnectInfo(address)| address.ip().to_canonical());
    let caller = Caller::of(peer, request.headers(), trusted);
    request.extensions_mut().insert(caller);
    next.run(request).await
}

impl Caller {
    fn of(peer: Option<IpAddr>, headers: &HeaderMap, trusted: usize) -> Self {
        let forwarded = forwarded(headers);
        let is_local = forwarded.is_empty() && peer.is_some_and(|ip| ip.is_loopback());
        // What stands left of the proxies' own entries anybody may have written.
        let seen = trusted
            .checked_sub(1)
            .and_then(|nth| forwarded.iter().rev().nth(nth));
        let ip = seen.copied().or(peer);
        Self {
            source: ip.map_or_else(|| "unknown".to_owned(), household),
            is_local,
        }
    }
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
