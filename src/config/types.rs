//! Types of settings: a value is checked when it is loaded, and the error names what was expected.

use std::net::{IpAddr, SocketAddr};
use std::ops::Deref;
use std::time::Duration;

use lettre::message::Mailbox;
use marketlake_alerts::subscriptions::check_address;
use marketlake_common::{SecretUrl, excerpt, redact_url};
use marketlake_lake::{Encryption, ParseEncryptionError};
use marketlake_model::{Millis, Minute, parse_time};
use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use url::Url;

use super::times;

/// Time from `MIN_MS` to `MAX_MS` milliseconds, written like `30s`, `10m` or `400d`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Period<const MIN_MS: u64, const MAX_MS: u64>(Duration);

const SECOND: u64 = 1_000;
const DAY: u64 = 86_400 * SECOND;

/// Timeout of an operation.
pub(crate) type Timeout = Period<SECOND, DAY>;
/// Timeout of a connection.
pub(crate) type ConnectionTimeout = Period<1, { 3_600 * SECOND }>;
/// Age of a minute, a feed or a segment.
pub(crate) type Age = Period<SECOND, { 100 * 366 * DAY }>;

impl<const MIN_MS: u64, const MAX_MS: u64> Period<MIN_MS, MAX_MS> {
    /// A default, in seconds.
    pub(crate) const fn secs(seconds: u64) -> Self {
        Self(Duration::from_secs(seconds))
    }

    pub(crate) const fn get(self) -> Duration {
        self.0
    }
}

impl<'de, const MIN_MS: u64, const MAX_MS: u64> Deserialize<'de> for Period<MIN_MS, MAX_MS> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let bounds = Duration::from_millis(MIN_MS)..=Duration::from_millis(MAX_MS);
        times::parse(&text, &bounds)
            .map(Self)
            .map_err(D::Error::custom)
    }
}

impl<const MIN_MS: u64, const MAX_MS: u64> Serialize for Period<MIN_MS, MAX_MS> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&times::format(self.0))
    }
}

/// Number from `MIN` to `MAX`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Count<const MIN: u64, const MAX: u64>(u64);

/// Number of 1 or more.
pub(crate) type Positive = Count<1, { u64::MAX }>;

impl<const MIN: u64, const MAX: u64> Count<MIN, MAX> {
    /// A default.
    pub(crate) const fn new(number: u64) -> Self {
        Self(number)
    }

    /// A default.
    pub(crate) fn of(number: usize) -> Self {
        Self(number as u64)
    }

    pub(crate) fn get(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }

    pub(crate) fn get_u32(self) -> u32 {
        u32::try_from(self.0).unwrap_or(u32::MAX)
    }
}

impl<'de, const MIN: u64, const MAX: u64> Deserialize<'de> for Count<MIN, MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let number = i128::from(i64::deserialize(deserializer)?);
        if (i128::from(MIN)..=i128::from(MAX)).contains(&number) {
            return Ok(Self(u64::try_from(number).unwrap_or(MAX)));
        }
        Err(D::Error::custom(if MAX == u64::MAX {
            format!("expected {MIN} or more")
        } else {
            format!("expected a number from {MIN} to {MAX}")
        }))
    }
}

impl<const MIN: u64, const MAX: u64> Serialize for Count<MIN, MAX> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(self.0)
    }
}

/// A setting without a default.
#[derive(Clone, Debug)]
pub(crate) struct Required<T>(pub(super) Option<T>);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Required<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        T::deserialize(deserializer).map(|value| Self(Some(value)))
    }
}

impl<T: Serialize> Serialize for Required<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

/// Form of a setting: how it is written, and the value that it stands for.
pub(crate) trait Form {
    type Raw: Clone + DeserializeOwned + Serialize;
    type Value: Clone;

    /// Parses it, or says what was expected.
    fn parse(raw: &Self::Raw) -> Result<Self::Value, String>;
}

/// A setting of a form, with its value.
#[derive(Clone, Debug)]
pub(crate) struct Checked<F: Form> {
    raw: F::Raw,
    value: F::Value,
}

impl<F: Form> Checked<F> {
    /// A default.
    pub(crate) fn built_in(raw: impl Into<F::Raw>) -> Self {
        let raw = raw.into();
        match F::parse(&raw) {
            Ok(value) => Self { raw, value },
            Err(problem) => unreachable!("a default is valid: {problem}"),
        }
    }

    /// The setting as it is written.
    pub(crate) fn raw(&self) -> &F::Raw {
        &self.raw
    }
}

impl<F: Form> Deref for Checked<F> {
    type Target = F::Value;

    fn deref(&self) -> &F::Value {
        &self.value
    }
}

impl<'de, F: Form> Deserialize<'de> for Checked<F> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = F::Raw::deserialize(deserializer)?;
        match F::parse(&raw) {
            Ok(value) => Ok(Self { raw, value }),
            Err(problem) => Err(D::Error::custom(problem)),
        }
    }
}

impl<F: Form> Serialize for Checked<F> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.raw.serialize(serializer)
    }
}

/// Declares forms that are written as text.
macro_rules! text_forms {
    ($($(#[doc = $doc:literal])* $name:ident: $value:ty, |$text:ident| $parse:expr;)*) => {$(
        $(#[doc = $doc])*
        #[derive(Clone, Debug)]
        pub(crate) enum $name {}

        impl Form for $name {
            type Raw = String;
            type Value = $value;

            fn parse($text: &String) -> Result<Self::Value, String> {
                $parse
            }
        }
    )*};
}

pub(super) use text_forms;

text_forms! {
    /// Address to listen on.
    ListenAddress: SocketAddr, |text| text
        .parse()
        .map_err(|_| "expected address:port like 127.0.0.1:8080".to_owned());
    /// Address to listen on, or `off`.
    OptionalAddress: Option<SocketAddr>, |text| match text.as_str() {
        "off" => Ok(None),
        text => text
            .parse()
            .map(Some)
            .map_err(|_| "expected address:port like 127.0.0.1:8081, or off".to_owned()),
    };
    /// Base URL under which clients reach the server.
    PublicUrl: Url, |text| Url::parse(PlainUrl::parse(text)?.as_str())
        .ok()
        .filter(|url| matches!(url.scheme(), "http" | "https"))
        .filter(|url| url.has_host() && url.query().is_none())
        .ok_or_else(|| "expected an address like https://lake.example.com".to_owned());
    /// Origin of web pages, or `*`.
    CorsOrigin: String, |text| {
        let url = Url::parse(text).ok();
        let is_origin = url.is_some_and(|url| url.origin().ascii_serialization() == *text);
        match is_origin || text == "*" {
            true => Ok(text.clone()),
            false => Err("expected origins like https://app.example.com, or *".to_owned()),
        }
    };
    /// URL of an identity provider: https, or on this machine.
    ProviderUrl: Url, |text| Url::parse(PlainUrl::parse(text)?.as_str())
        .ok()
        .filter(|url| url.scheme() == "https" || (url.scheme() == "http" && is_loopback(url)))
        .ok_or_else(|| "expected an address that begins with https://".to_owned());
    /// Sender of mails.
    Sender: Mailbox, |text| text
        .parse()
        .map_err(|_| "expected an address like marketlake <alerts@example.com>".to_owned());
    /// Mail address.
    MailAddress: String, |text| check_address(text);
    /// Network of IP addresses.
    Network: ipnet::IpNet, |text| text
        .parse()
        .map_err(|_| "expected a network like 10.0.0.0/8".to_owned());
    /// Server-side encryption of a bucket.
    EncryptionMode: Encryption, |text| text
        .parse()
        .map_err(|error: ParseEncryptionError| error.to_string());
    /// URL without credentials, which may be shown.
    PlainUrl: String, |text| match text.starts_with("file:")
        || (redact_url(text) == *text && !text.contains(['@', '?']))
    {
        true => Ok(text.clone()),
        false => Err("expected an address without user, password and parameters".to_owned()),
    };
    /// Location in a bucket.
    S3Location: String, |text| {
        let plain = PlainUrl::parse(text)?;
        match plain.starts_with("s3://") {
            true => Ok(plain),
            false => Err("expected s3://bucket/prefix/".to_owned()),
        }
    };
    /// Name of a Glue database.
    GlueName: String, |text| {
        let is_plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
        match !text.is_empty() && text.chars().all(is_plain) {
            true => Ok(text.clone()),
            false => Err("expected a name of a to z, 0 to 9 and _".to_owned()),
        }
    };
    /// Minute, RFC 3339.
    MinuteText: Minute, |text| parse_time(text)
        .map(Millis::minute)
        .map_err(|error| error.to_string());
}

/// Price in US dollars.
#[derive(Clone, Debug)]
pub(crate) enum Dollars {}

impl Form for Dollars {
    type Raw = f64;
    type Value = f64;

    fn parse(raw: &f64) -> Result<f64, String> {
        let is_valid = raw.is_finite() && *raw >= 0.0;
        let problem = || "expected US dollars, 0 or more".to_owned();
        is_valid.then_some(*raw).ok_or_else(problem)
    }
}

/// Whether a URL's host is this machine.
pub(super) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(url::Host::Domain(name)) => name == "localhost",
        Some(url::Host::Ipv4(ip)) => ip.is_loopback(),
        Some(url::Host::Ipv6(ip)) => IpAddr::from(ip).to_canonical().is_loopback(),
        None => false,
    }
}

/// Formats a setting's value for an error: shortened, and without credentials. What should be a
/// URL, and is none, is not shown at all: it may hold a password.
pub(super) fn shown(name: &str, value: &str) -> String {
    let safe = match name.ends_with("url") {
        true => SecretUrl::from(value.to_owned()).to_string(),
        false => redact_url(value),
    };
    excerpt(&safe).into_owned()
}
