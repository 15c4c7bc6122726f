//! Webhook transport. Strangers choose the URL, so: https only, a signature, and no way into
//! private networks.
//!
//! Addresses are checked when they are dialled, not before: a name that resolved to a public
//! address a moment ago may resolve to 127.0.0.1 now. Redirects are not followed, proxies not used.
//!
//! Signature: `Marketlake-Signature: t=SECONDS,v1=HEX`, HMAC-SHA256 under the subscription's secret
//! over `SECONDS.BODY`. The receiver compares it, and refuses what is older than a few minutes.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use chrono::DateTime;
use hmac::Mac;
use ipnet::IpNet;
use marketlake_common::{causes, hex, reason};
use marketlake_model::Millis;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::header::{HeaderMap, RETRY_AFTER};
use reqwest::redirect::Policy;
use reqwest::{Certificate, Client, StatusCode};
use url::{Host, Url};

use super::{Channel, ChannelError, OutgoingMessage, SendOutcome, ThrottleScope, Transport};
use crate::address::check_endpoint;
use crate::token::keyed;

/// The header with the time and the signature.
pub const SIGNATURE_HEADER: &str = "marketlake-signature";
/// The header with the delivery's identity: the same at every attempt, and after a restore.
pub const DELIVERY_HEADER: &str = "marketlake-delivery";
/// Prefix of the reason if the receiver's status refuses a delivery.
pub(crate) const STATUS_REASON_PREFIX: &str = "the receiver answered ";
const TIMEOUT: Duration = Duration::from_secs(5);

/// IP addresses that may be dialled.
#[derive(Clone, Debug, Default)]
pub struct Guard {
    /// Networks of the operator's own that are allowed all the same.
    pub allowed: Vec<IpNet>,
}

impl Guard {
    /// Whether an address may be dialled: one of the public internet, or of a network that the
    /// operator allows.
    #[must_use]
    pub fn permits(&self, ip: IpAddr) -> bool {
        let real = unmapped(ip);
        self.allowed.iter().any(|net| net.contains(&real)) || is_public(real)
    }
}

/// The IPv4 address that an IPv6 address stands for: mapped (`::ffff:0:0/96`), compatible, NAT64
/// (RFC 6052) or 6to4 (RFC 3056).
fn unmapped(ip: IpAddr) -> IpAddr {
    let IpAddr::V6(v6) = ip else { return ip };
    let s = v6.segments();
    let low = || Ipv4Addr::from((u32::from(s[6]) << 16) | u32::from(s[7]));
    let embedded = match s {
        [0, 0, 0, 0, 0, 0 | 0xffff, ..] if !v6.is_loopback() && !v6.is_unspecified() => Some(low()),
        [0x64, 0xff9b, ..] => Some(low()),
        [0x2002, high, next, ..] => Some(Ipv4Addr::from((u32::from(high) << 16) | u32::from(next))),
        _ => None,
    };
    embedded.map_or(ip, IpAddr::V4)
}

/// Whether an address is public, by the registries of special-purpose addresses (RFC 6890 and its
/// successors).
fn is_public(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(v4) => {
            let [a, b, c, _] = v4.octets();
            !(v4.is_private()
                || v4.is_loopback()
                || v4.is_link_local()
                || v4.is_broadcast()
                || v4.is_documentation()
                || v4.is_multicast()
                || a == 0
                || a >= 240
                || (a == 100 && (64..128).contains(&b))
                || (a == 192 && b == 0 && c == 0)
                || (a == 198 && (b == 18 || b == 19)))
        }
        IpAddr::V6(v6) => is_public_v6(v6),
    }
}

/// Only what is allotted for unicast (`2000::/3`), less Teredo and other special blocks of
/// `2001::/23`, and documentation.
fn is_public_v6(v6: Ipv6Addr) -> bool {
    let s = v6.segments();
    let unicast = s[0] & 0xe000 == 0x2000;
    let special = s[0] == 0x2001 && s[1] < 0x0200;
    let documentation = (s[0] == 0x2001 && s[1] == 0x0db8) || (s[0] == 0x3fff && s[1] < 0x1000);
    unicast && !special && !documentation
}

/// A name that leads where it must not. The error that reqwest carries.
#[derive(Debug, thiserror::Error)]
#[error("{name} leads to {ip}, which is not an address of the public internet")]
struct Forbidden {
    name: String,
    ip: IpAddr,
}

/// Looks names up; the system's way unless a test has its own.
pub type Lookup = Arc<
    dyn Fn(String) -> futures::future::BoxFuture<'static, std::io::Result<Vec<IpAddr>>>
        + Send
        + Sync,
>;

struct Guarded {
    guard: Guard,
    lookup: Lookup,
}

impl Resolve for Guarded {
    fn resolve(&self, name: Name) -> Resolving {
        let name = name.as_str().to_owned();
        let (guard, found) = (self.guard.clone(), (self.lookup)(name.clone()));
        Box::pin(async move {
            let ips = found.await?;
            // One forbidden address forbids the name: else the client would try them in turn.
            if let Some(ip) = ips.iter().copied().find(|ip| !guard.permits(*ip)) {
                return Err(Forbidden { name, ip }.into());
            }
            let addresses: Addrs = Box::new(ips.into_iter().map(|ip| SocketAddr::new(ip, 0)));
            Ok(addresses)
        })
    }
}

fn system_lookup() -> Lookup {
    Arc::new(|name| {
        Box::pin(async move {
            let found = tokio::net::lookup_host((name, 0)).await?;
            Ok(found.map(|address| address.ip()).collect())
        })
    })
}

/// Webhooks.
#[derive(Clone)]
pub struct WebhookChannel {
    client: Client,
    guard: Guard,
}

impl fmt::Debug for WebhookChannel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebhookChannel")
            .field("guard", &self.guard)
            .finish_non_exhaustive()
    }
}

impl WebhookChannel {
    /// The channel; with certificates that it trusts beside the system's, and a lookup of names
    /// other than the system's.
    ///
    /// # Errors
    /// If a certificate cannot be used.
    pub fn new(
        guard: Guard,
        certificates: &[Vec<u8>],
        lookup: Option<Lookup>,
    ) -> Result<Self, ChannelError> {
        let wrong = |error: reqwest::Error| ChannelError::Address(error.to_string());
        let resolver = Guarded {
            guard: guard.clone(),
            lookup: lookup.unwrap_or_else(system_lookup),
        };
        let mut builder = Client::builder()
            .https_only(true)
            .no_proxy()
            .redirect(Policy::none())
            .timeout(TIMEOUT)
            .pool_max_idle_per_host(0)
            .user_agent(concat!("marketlake/", env!("CARGO_PKG_VERSION")))
            .dns_resolver(Arc::new(resolver));
        for pem in certificates {
            for certificate in Certificate::from_pem_bundle(pem).map_err(wrong)? {
                builder = builder.add_root_certificate(certificate);
            }
        }
        Ok(Self {
            client: builder.build().map_err(wrong)?,
            guard,
        })
    }

    /// Addresses that are written as numbers never come by the resolver.
    fn literal(&self, url: &Url) -> Result<(), SendOutcome> {
        let ip = match url.host() {
            Some(Host::Ipv4(ip)) => IpAddr::V4(ip),
            Some(Host::Ipv6(ip)) => IpAddr::V6(ip),
            _ => return Ok(()),
        };
        if self.guard.permits(ip) {
            return Ok(());
        }
        let name = url.host_str().unwrap_or_default().to_owned();
        Err(SendOutcome::Permanent(Forbidden { name, ip }.to_string()))
    }
}

impl Channel for WebhookChannel {
    fn transport(&self) -> Box<dyn Transport> {
        Box::new(self.clone())
    }
}

#[async_trait]
impl Transport for WebhookChannel {
    async fn prepare(&mut self, message: &OutgoingMessage) -> Result<(), SendOutcome> {
        let url = check_endpoint(&message.address).map_err(SendOutcome::Permanent)?;
        self.literal(&url)
    }

    async fn transmit(&mut self, message: &OutgoingMessage, now: Millis) -> SendOutcome {
        let secret = message.secret.as_deref().unwrap_or_default();
        let request = self
            .client
            .post(&message.address)
            .header("content-type", "application/json")
            .header(DELIVERY_HEADER, &message.message_id)
            .header(SIGNATURE_HEADER, signature(secret, now, &message.bytes))
            .body(message.bytes.to_vec());
        match request.send().await {
            // The body is not read: it is the receiver's to say what it likes there, for as long as
            // it likes.
            Ok(response) => {
                outcome_of_status(response.status(), retry_after(response.headers(), now))
            }
            Err(error) => failed(error),
        }
    }
}

/// The signature's header.
#[must_use]
pub fn signature(secret: &str, now: Millis, body: &[u8]) -> String {
    let seconds = now.0.div_euclid(1_000);
    let mut mac = keyed(secret.as_bytes());
    mac.update(format!("{seconds}.").as_bytes());
    mac.update(body);
    format!("t={seconds},v1={}", hex(&mac.finalize().into_bytes()))
}

/// The time that a receiver requests (RFC 9110, 10.2.3): seconds, or a date.
fn retry_after(headers: &HeaderMap, now: Millis) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        // More digits than fit are a time without end, which the caller limits.
        let seconds = text.parse().unwrap_or(u64::from(u32::MAX));
        return Some(Duration::from_secs(seconds.min(u64::from(u32::MAX))));
    }
    let date = DateTime::parse_from_rfc2822(text).ok()?;
    let left = date.timestamp_millis().saturating_sub(now.0);
    Some(Duration::from_millis(u64::try_from(left).unwrap_or(0)))
}

fn outcome_of_status(status: StatusCode, retry_after: Option<Duration>) -> SendOutcome {
    if status.is_success() {
        return SendOutcome::Sent;
    }
    let reason = format!("{STATUS_REASON_PREFIX}{status}");
    if status.is_redirection() {
        return SendOutcome::Permanent(format!("{reason}, and redirects are not followed"));
    }
    let passing = status.is_server_error()
        || matches!(
            status,
            StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_EARLY | StatusCode::TOO_MANY_REQUESTS
        );
    if passing {
        // Many receivers share a host: what one of them says holds back its own deliveries.
        SendOutcome::Throttled {
            scope: ThrottleScope::Address,
            reason,
            retry_after,
        }
    } else if status == StatusCode::GONE {
        SendOutcome::Gone(reason)
    } else {
        SendOutcome::Permanent(reason)
    }
}

fn failed(error: reqwest::Error) -> SendOutcome {
    // A chat's address is its password.
    let error = error.without_url();
    let reason = reason(&error);
    let forbidden = causes(&error).any(<dyn std::error::Error>::is::<Forbidden>);
    if forbidden || error.is_builder() {
        SendOutcome::Permanent(reason)
    } else if error.is_connect() {
        SendOutcome::Throttled {
            scope: ThrottleScope::Destination,
            reason,
            retry_after: None,
        }
    } else {
        SendOutcome::Unknown(reason)
    }
}
