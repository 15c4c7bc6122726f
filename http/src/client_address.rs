//! Client address: the peer's, or behind trusted proxies the one that the outermost of them saw.
//!
//! Each proxy appends the address of its own peer, so that with N trusted proxies the N-th entry
//! from the right is the client's. Entries left of it were written by the client and are never
//! read.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use axum::extract::ConnectInfo;
use axum::http::header::{FORWARDED, HeaderName, VIA};
use axum::http::{Extensions, HeaderMap, HeaderValue};

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
/// Headers by which proxies are recognised, whether or not they are trusted.
const PROXY_HEADERS: [HeaderName; 6] = [
    X_FORWARDED_FOR,
    FORWARDED,
    VIA,
    HeaderName::from_static("x-real-ip"),
    HeaderName::from_static("x-forwarded-host"),
    HeaderName::from_static("x-forwarded-proto"),
];
/// Source of a client whose address the trusted proxies do not send.
const UNKNOWN: &str = "unknown";

/// The header in which trusted proxies name their peers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ForwardedHeader {
    /// `X-Forwarded-For: ADDRESS, ..`.
    #[default]
    XForwardedFor,
    /// `Forwarded: for=ADDRESS;.., ..` (RFC 7239).
    Forwarded,
}

/// The proxies that stand before the server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TrustedProxies {
    /// Their number. None of the headers is read where it is 0.
    pub count: usize,
    /// The header that they write. The other one is the client's own, and is never read.
    pub header: ForwardedHeader,
}

/// Whether a request came through a proxy that says so.
pub fn is_forwarded(headers: &HeaderMap) -> bool {
    PROXY_HEADERS.iter().any(|name| headers.contains_key(name))
}

/// The address of the other end of the connection.
pub fn peer(extensions: &Extensions) -> Option<IpAddr> {
    let peer = extensions.get::<ConnectInfo<SocketAddr>>();
    peer.map(|ConnectInfo(address)| address.ip().to_canonical())
}

/// Identifies the client for limits: its IPv4 address, the /64 of its IPv6 address, or `unknown`.
pub fn ip_prefix(headers: &HeaderMap, peer: Option<IpAddr>, proxies: TrustedProxies) -> String {
    let client = match counted(headers, proxies) {
        Some(entry) => entry,
        None => peer,
    };
    client.map_or_else(|| UNKNOWN.to_owned(), network)
}

/// The entry that counts, `Some(None)` where it is no address; `None` where there is no entry.
///
/// A chain that is shorter than expected came past the outer proxies: its left-most entry is still
/// one that a trusted proxy wrote.
fn counted(headers: &HeaderMap, proxies: TrustedProxies) -> Option<Option<IpAddr>> {
    match proxies.header {
        ForwardedHeader::XForwardedFor => {
            let lines = headers.get_all(X_FORWARDED_FOR).iter().rev();
            let entries = lines.flat_map(|line| line.as_bytes().rsplit(|byte| *byte == b','));
            let entries = entries.map(<[u8]>::trim_ascii).filter(|e| !e.is_empty());
            entries.take(proxies.count).last().map(parse_bytes)
        }
        ForwardedHeader::Forwarded => {
            let lines = headers.get_all(FORWARDED).iter().rev();
            let entries = lines.flat_map(|line| forwarded_for(line).into_iter().rev());
            entries.take(proxies.count).last()
        }
    }
}

fn parse_bytes(entry: &[u8]) -> Option<IpAddr> {
    parse_node(std::str::from_utf8(entry).ok()?)
}

/// An address with or without a port, an IPv6 address with or without brackets. Nothing else is
/// one: neither `unknown` nor an obfuscated `_name`.
fn parse_node(text: &str) -> Option<IpAddr> {
    if let Ok(address) = text.parse::<IpAddr>() {
        return Some(address.to_canonical());
    }
    if let Some(rest) = text.strip_prefix('[') {
        let (address, port) = rest.split_once(']')?;
        let address: Ipv6Addr = address.parse().ok()?;
        let fits = port.is_empty() || port.strip_prefix(':').is_some_and(is_port);
        return fits.then(|| IpAddr::V6(address).to_canonical());
    }
    let (address, port) = text.rsplit_once(':')?;
    let address: Ipv4Addr = address.parse().ok()?;
    is_port(port).then_some(IpAddr::V4(address))
}

/// Digits, or an obfuscated port (RFC 7239, 6.2).
fn is_port(text: &str) -> bool {
    match text.strip_prefix('_') {
        Some(rest) => rest
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-')),
        None => text.parse::<u16>().is_ok() && text.bytes().all(|b| b.is_ascii_digit()),
    }
}

/// The `for` of each element of a line, `None` where it is no address. A line that is malformed is
/// one entry without an address: a quotation mark that is never closed would hide what a proxy
/// appended.
fn forwarded_for(line: &HeaderValue) -> Vec<Option<IpAddr>> {
    let Some(elements) = line.to_str().ok().and_then(|line| split_quoted(line, ',')) else {
        return vec![None];
    };
    let filled = elements
        .into_iter()
        .map(str::trim)
        .filter(|e| !e.is_empty());
    filled.map(element_for).collect()
}

fn element_for(element: &str) -> Option<IpAddr> {
    let mut found = None;
    for pair in split_quoted(element, ';')? {
        let (name, value) = match pair.trim().split_once('=') {
            Some(pair) => pair,
            None if pair.trim().is_empty() => continue,
            None => return None,
        };
        if name.eq_ignore_ascii_case("for") && found.replace(value).is_some() {
            return None;
        }
    }
    let value = found?;
    let quoted = value.strip_prefix('"').and_then(|v| v.strip_suffix('"'));
    parse_node(quoted.unwrap_or(value))
}

/// Splits at a separator outside of quoted strings; `None` where a quoted string does not end.
fn split_quoted(text: &str, separator: char) -> Option<Vec<&str>> {
    let (mut parts, mut begin) = (Vec::new(), 0);
    let (mut is_quoted, mut is_escaped) = (false, false);
    for (at, char) in text.char_indices() {
        if is_escaped {
            is_escaped = false;
        } else if is_quoted && char == '\\' {
            is_escaped = true;
        } else if char == '"' {
            is_quoted = !is_quoted;
        } else if char == separator && !is_quoted {
            parts.push(&text[begin..at]);
            begin = at + separator.len_utf8();
        }
    }
    parts.push(&text[begin..]);
    (!is_quoted).then_some(parts)
}

/// A household's address: the /64 of an IPv6 address.
fn network(address: IpAddr) -> String {
    match address {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => {
            let s = address.segments();
            format!("{}/64", Ipv6Addr::new(s[0], s[1], s[2], s[3], 0, 0, 0, 0))
        }
    }
}
