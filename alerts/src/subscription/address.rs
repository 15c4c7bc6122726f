//! Mail addresses: which are accepted, and in which one form they are kept.

use lettre::Address;
use marketlake_common::excerpt;

/// The longest address that SMTP carries (RFC 5321, 4.5.3.1.3, less the brackets).
const LONGEST: usize = 254;
/// The longest part before the `@` (RFC 5321, 4.5.3.1.1).
const LONGEST_LOCAL: usize = 64;

/// The form in which an address is kept: an internationalised domain in its ASCII form (RFC 5891), in lower case.
///
/// Refused, though mail standards know them: quoted local parts, IP addresses and single words as domains, local parts
/// that are not ASCII (few servers take them, RFC 6531), all of which serve to confuse somebody's filter.
///
/// # Errors
/// What was expected.
pub fn check_address(text: &str) -> Result<String, String> {
    let shown = excerpt(text);
    let wrong = || format!("expected a mail address like name@example.com, got {shown:?}");
    let text = text.trim();
    let (local, domain) = text.rsplit_once('@').ok_or_else(wrong)?;
    let good_local = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-/=?^_`{|}~.".contains(c);
    if local.is_empty() || local.len() > LONGEST_LOCAL || !local.chars().all(good_local) {
        return Err(wrong());
    }
    let domain = idna::domain_to_ascii_strict(domain).map_err(|_| wrong())?;
    let last = domain.rsplit('.').next().unwrap_or_default();
    let is_a_name = domain.contains('.') && !last.chars().all(|c| c.is_ascii_digit());
    let address = format!("{local}@{domain}");
    if !is_a_name || address.len() > LONGEST || address.parse::<Address>().is_err() {
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
