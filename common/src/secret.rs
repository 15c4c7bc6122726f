//! Text that must not be shown, and addresses that may hold a password.

use std::fmt;

use serde::{Deserialize, Serialize, Serializer};

/// Stands for what is not shown.
pub const REDACTED: &str = "***";
/// Parameters of an address whose values hold no secret.
const SHOWN_PARAMETERS: [&str; 7] = [
    "dbname",
    "host",
    "mode",
    "port",
    "sslmode",
    "sslrootcert",
    "tls",
];

/// Text that is never shown: `Debug`, `Display` and `Serialize` give `***`.
#[derive(Clone, Default, Deserialize, Eq, PartialEq)]
#[serde(transparent)]
pub struct Secret(String);

/// An address of which users, passwords and parameters are never shown: `Debug`, `Display` and
/// `Serialize` give it without them, and next to nothing of one that cannot be parsed.
#[derive(Clone, Default, Deserialize, Eq, PartialEq)]
#[serde(transparent)]
pub struct SecretUrl(String);

impl Secret {
    /// Exposes the text itself.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_empty() { "" } else { REDACTED })
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl SecretUrl {
    /// Exposes the address itself.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Its password (or user, where there is none) and its values of parameters, as they are
    /// written: what no message may contain.
    #[must_use]
    pub fn secrets(&self) -> Vec<&str> {
        let (_, rest) = split_scheme(&self.0);
        let (user, rest) = rest.rsplit_once('@').unwrap_or(("", rest));
        let query = rest.split_once('?').map_or("", |(_, query)| query);
        let values = query.split('&').filter_map(|item| {
            let (name, value) = item.split_once('=').unwrap_or(("", item));
            (!SHOWN_PARAMETERS.contains(&name)).then_some(value)
        });
        let password = user.split_once(':').map_or(user, |(_, password)| password);
        std::iter::once(password)
            .chain(values)
            .filter(|text| !text.is_empty())
            .collect()
    }
}

impl From<String> for SecretUrl {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl fmt::Display for SecretUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (scheme, rest) = split_scheme(&self.0);
        if self.0.is_empty() || !scheme.is_empty() {
            return f.write_str(&redact_url(&self.0));
        }
        let is_path = rest.starts_with('/') || rest.starts_with('.');
        f.write_str(if is_path { rest } else { REDACTED })
    }
}

impl fmt::Debug for SecretUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.to_string())
    }
}

impl Serialize for SecretUrl {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Text that may be an address, without user, password, parameters' values and fragment. Works on
/// text that cannot be parsed too, of which the scheme stays. Other text stays as it is.
#[must_use]
pub fn redact_url(text: &str) -> String {
    let (scheme, rest) = split_scheme(text);
    if scheme.is_empty() {
        return match text.rsplit_once('@') {
            Some((user, host)) if user.contains(':') => format!("{REDACTED}@{host}"),
            _ => text.to_owned(),
        };
    }
    // Text before the last @ may be a password with any characters.
    let (user, rest) = match rest.rsplit_once('@') {
        Some((user, host)) => (Some(user), host),
        None => (None, rest),
    };
    let (rest, fragment) = cut(rest, '#');
    let (before, query) = cut(rest, '?');
    let is_local = scheme.starts_with("file") || scheme.starts_with("sqlite");
    let authority = before.split('/').next().unwrap_or_default();
    if !is_local && !is_authority(authority) {
        return format!("{scheme}{REDACTED}");
    }
    let user = match user {
        Some(_) if is_local => return redact_local(text),
        Some(user) => redact_user(scheme, user),
        None => String::new(),
    };
    let query = query.map(redact_query).unwrap_or_default();
    let fragment = fragment.map(|_| format!("#{REDACTED}"));
    format!(
        "{scheme}{user}{before}{query}{}",
        fragment.unwrap_or_default()
    )
}

/// Text without any of some secrets, as they are written and percent-decoded.
#[must_use]
pub fn scrub<'a>(text: &str, secrets: impl IntoIterator<Item = &'a str>) -> String {
    let mut shown = text.to_owned();
    for secret in secrets {
        let decoded = percent_encoding::percent_decode_str(secret).decode_utf8_lossy();
        for secret in [secret, &decoded] {
            // Shorter ones would garble what has nothing to do with them.
            if secret.len() >= 4 {
                shown = shown.replace(secret, REDACTED);
            }
        }
    }
    shown
}

fn split_scheme(text: &str) -> (&str, &str) {
    let end = text.find("://").map_or(0, |at| at + "://".len());
    text.split_at(end)
}

fn cut(text: &str, mark: char) -> (&str, Option<&str>) {
    match text.split_once(mark) {
        Some((before, after)) => (before, Some(after)),
        None => (text, None),
    }
}

/// A database's user is no secret; elsewhere it may be a token.
fn redact_user(scheme: &str, user: &str) -> String {
    if !scheme.starts_with("postgres") {
        return format!("{REDACTED}@");
    }
    match cut(user, ':') {
        (name, Some(_)) => format!("{name}:{REDACTED}@"),
        (name, None) => format!("{name}@"),
    }
}

/// A path on this machine may hold an @.
fn redact_local(text: &str) -> String {
    let (path, query) = cut(text, '?');
    format!("{path}{}", query.map(redact_query).unwrap_or_default())
}

/// Whether it is a host, or a host and a port.
fn is_authority(text: &str) -> bool {
    let is_of_name = |c: char| c.is_alphanumeric() || "-._~%*".contains(c);
    if let Some(ip) = text.strip_prefix('[') {
        let Some((ip, port)) = ip.split_once(']') else {
            return false;
        };
        let is_ip = ip
            .chars()
            .all(|c| c.is_ascii_hexdigit() || ":.%".contains(c));
        return is_ip && is_port(port);
    }
    let (host, port) = text.split_at(text.find(':').unwrap_or(text.len()));
    host.chars().all(is_of_name) && is_port(port)
}

fn is_port(text: &str) -> bool {
    let port = text.strip_prefix(':').unwrap_or(text);
    port.is_empty() || port.parse::<u16>().is_ok()
}

fn redact_query(query: &str) -> String {
    let items = query.split('&').map(|item| match item.split_once('=') {
        Some((name, _)) if SHOWN_PARAMETERS.contains(&name) => item.to_owned(),
        Some((name, _)) => format!("{name}={REDACTED}"),
        None if item.is_empty() => String::new(),
        None => REDACTED.to_owned(),
    });
    format!("?{}", items.collect::<Vec<_>>().join("&"))
}

#[cfg(test)]
mod tests {
    use super::{Secret, SecretUrl, redact_url, scrub};

    #[test]
    fn what_identifies_a_server_is_shown_and_what_lets_in_is_not() {
        let cases = [
            (
                "postgres://u:pw@db:5432/x?sslmode=require",
                "postgres://u:***@db:5432/x?sslmode=require",
            ),
            (
                "https://pw@api.example.com/v1?key=pw&host=a",
                "https://***@api.example.com/v1?key=***&host=a",
            ),
            (
                "https://api.example.com/v1?pw#pw",
                "https://api.example.com/v1?***#***",
            ),
            (
                "smtp://u:p/w?p#w@mail.example.com:25?tls=required",
                "smtp://***@mail.example.com:25?tls=required",
            ),
            ("smtp://user:pw", "smtp://***"),
            ("smtp://u:pw@mail example.com", "smtp://***"),
            ("smtp://u:pw@mail:99999", "smtp://***"),
            (
                "postgres://u:pw@[::1]:5432/x",
                "postgres://u:***@[::1]:5432/x",
            ),
            ("smtp:user:pw@mail", "***@mail"),
            (
                "sqlite:///home/me@work/market.db",
                "sqlite:///home/me@work/market.db",
            ),
            ("file:///srv/lake", "file:///srv/lake"),
            (
                "marketlake <alerts@example.com>",
                "marketlake <alerts@example.com>",
            ),
            ("127.0.0.1:8080", "127.0.0.1:8080"),
        ];
        for (text, shown) in cases {
            assert_eq!(redact_url(text), shown, "{text}");
            assert_eq!(redact_url(shown), shown, "{text}, twice");
        }
    }

    #[test]
    fn no_form_of_a_secret_shows_it() {
        let (secret, url) = (
            Secret::from("hunter2".to_owned()),
            SecretUrl::from("u:hunter2@mail".to_owned()),
        );
        let shown = format!("{secret} {secret:?} {url} {url:?}");
        assert_eq!(shown, "*** *** *** \"***\"");
        let url = SecretUrl::from("https://me:hun%20ter2@a/b?key=abcd&tls=none".to_owned());
        let said = scrub("hun ter2, hun%20ter2, abcd or none", url.secrets());
        assert_eq!(said, "***, ***, *** or none");
    }
}
