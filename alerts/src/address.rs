//! Validates mail addresses and webhook URLs, and brings them into their canonical form.

use lettre::Address;
use marketlake_common::excerpt;
use url::{Host, Url};

/// The longest address that SMTP carries (RFC 5321, 4.5.3.1.3, less the brackets).
const MAX_ADDRESS_LEN: usize = 254;
/// The longest part before the `@` (RFC 5321, 4.5.3.1.1).
const MAX_LOCAL_PART_LEN: usize = 64;
/// The longest URL of a webhook.
const MAX_URL_LEN: usize = 2_000;

/// Returns the stored form of an address: an internationalised domain in its ASCII form (RFC 5891),
/// in lower case.
///
/// Refused, though mail standards know them: quoted local parts, IP addresses and single words as
/// domains, local parts that are not ASCII (few servers take them, RFC 6531): all of them serve to
/// confuse filters.
///
/// # Errors
/// The expected form.
pub fn check_address(text: &str) -> Result<String, String> {
    let shown = excerpt(text);
    let wrong = || format!("expected a mail address like name@example.com, got {shown:?}");
    let text = text.trim();
    let (local, domain) = text.rsplit_once('@').ok_or_else(wrong)?;
    let good_local = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-/=?^_`{|}~.".contains(c);
    if local.is_empty() || local.len() > MAX_LOCAL_PART_LEN || !local.chars().all(good_local) {
        return Err(wrong());
    }
    let domain = idna::domain_to_ascii_strict(domain).map_err(|_| wrong())?;
    let last = domain.rsplit('.').next().unwrap_or_default();
    let is_a_name = domain.contains('.') && !last.chars().all(|c| c.is_ascii_digit());
    let address = format!("{local}@{domain}");
    if !is_a_name || address.len() > MAX_ADDRESS_LEN || address.parse::<Address>().is_err() {
        return Err(wrong());
    }
    Ok(address)
}

/// `a***@example.com`: for logs and for pages that others may see.
#[must_use]
pub fn masked(address: &str) -> String {
    match address.split_once('@') {
        Some((local, domain)) => {
            let first: String = local.chars().take(1).collect();
            format!("{first}***@{domain}")
        }
        None => "***".to_owned(),
    }
}

/// Checks a URL that a user typed.
///
/// # Errors
/// The expected form.
pub fn check_endpoint(text: &str) -> Result<Url, String> {
    let shown = excerpt(text);
    let wrong = |why: &str| {
        format!("expected an address like https://example.com/hook, {why}, got {shown:?}")
    };
    let url = Url::parse(text).map_err(|_| wrong("which can be parsed"))?;
    if url.scheme() != "https" {
        return Err(wrong("https only"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(wrong("without a user"));
    }
    if url.port().is_some_and(|port| port != 8443) && !is_loopback(&url) {
        return Err(wrong("on port 443 or 8443"));
    }
    if text.len() > MAX_URL_LEN {
        return Err(wrong("of at most 2000 characters"));
    }
    Ok(url)
}

/// An operator's own networks are allowed by the webhook channel only; there any port will do.
fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback(),
        None => false,
    }
}
