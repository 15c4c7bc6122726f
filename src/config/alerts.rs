//! Settings of mails, alerts and webhooks.

use std::path::PathBuf;
use std::time::Duration;

use marketlake_alerts::delivery::outbox::{DEFAULT_MAX_MAILS_PER_DAY, SendRate};
use marketlake_alerts::subscriptions::{SignupLimits, check_address};
use marketlake_common::SecretUrl;
use serde::{Deserialize, Serialize};

use super::ConfigError;
use super::times::{AGES, duration};

/// Mail transport.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Mail {
    /// `smtp://`, `smtps://` or `file:///folder`; a folder below `data` by default.
    pub(crate) url: Option<SecretUrl>,
    pub(crate) from: String,
    /// Host name sent with EHLO; the sender's domain by default.
    pub(crate) ehlo_name: Option<String>,
    /// Folder with templates that replace the built-in ones of the same name.
    pub(crate) templates: Option<PathBuf>,
    /// Domain of return paths (VERP), to which bounces are sent; the sender's by default.
    pub(crate) bounce_domain: Option<String>,
    /// Maximum number of connections to the server.
    pub(crate) max_connections: usize,
    /// Maximum number of mails per second of one process.
    pub(crate) rate_limit_per_second: u32,
    /// Timeout of each step of the SMTP dialogue, like 30s.
    pub(crate) timeout: String,
    pub(crate) dkim: Dkim,
}

/// DKIM signature; all three, or none.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Dkim {
    pub(crate) domain: Option<String>,
    pub(crate) selector: Option<String>,
    /// An RSA key as PKCS#1 PEM, or the base64 of an Ed25519 key.
    pub(crate) key_file: Option<PathBuf>,
}

/// Settings of alerts.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Alerts {
    /// Mail address that incidents are sent to.
    pub(crate) operator: Option<String>,
    /// Age of the newest minute from which a feed counts as stale.
    pub(crate) feed_stale_after: String,
    /// Maximum age of a minute, when it is evaluated, for its alerts to be sent, like 10m.
    pub(crate) max_age: String,
    /// Time for which a delivery is retried before it expires, like 6h.
    pub(crate) retry_for: String,
    /// Maximum number of metrics that one subscription matches.
    pub(crate) max_metrics: usize,
    /// Maximum number of alert mails per address and day; more are sent as hourly digests.
    pub(crate) max_mails_per_address_per_day: u64,
    /// Maximum number of confirmation and manage-link mails per address and day.
    pub(crate) max_confirmations_per_address_per_day: u64,
    /// Maximum number of subscription requests per IPv4 address or IPv6 /64 and day.
    pub(crate) max_subscriptions_per_ip_per_day: u64,
    /// Maximum number of confirmation mails per day in all.
    pub(crate) max_confirmations_per_day: u64,
}

/// Webhooks.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Webhooks {
    /// Private networks that may be called, like 10.0.0.0/8; none by default.
    pub(crate) allow_networks: Vec<String>,
    /// CA certificates that are trusted in addition to the system's, as PEM.
    pub(crate) ca_file: Option<PathBuf>,
    /// Maximum number of concurrent calls of one process.
    pub(crate) max_connections: usize,
    /// Maximum number of concurrent calls to one host.
    pub(crate) max_connections_per_host: usize,
}

impl Default for Webhooks {
    fn default() -> Self {
        let pace = SendRate::default();
        Self {
            allow_networks: Vec::new(),
            ca_file: None,
            max_connections: pace.webhooks,
            max_connections_per_host: pace.webhooks_per_host,
        }
    }
}

impl Default for Mail {
    fn default() -> Self {
        Self {
            url: None,
            from: "marketlake <marketlake@localhost>".to_owned(),
            ehlo_name: None,
            templates: None,
            bounce_domain: None,
            max_connections: 8,
            rate_limit_per_second: 500,
            timeout: "30s".to_owned(),
            dkim: Dkim::default(),
        }
    }
}

impl Default for Alerts {
    fn default() -> Self {
        let caps = SignupLimits::default();
        Self {
            operator: None,
            feed_stale_after: "10m".to_owned(),
            max_age: "10m".to_owned(),
            retry_for: "6h".to_owned(),
            max_metrics: 10_000,
            max_mails_per_address_per_day: DEFAULT_MAX_MAILS_PER_DAY,
            max_confirmations_per_address_per_day: caps.max_mails_per_address,
            max_subscriptions_per_ip_per_day: caps.max_per_source,
            max_confirmations_per_day: caps.max_confirmations,
        }
    }
}

impl Alerts {
    pub(crate) fn caps(&self) -> SignupLimits {
        SignupLimits {
            max_mails_per_address: self.max_confirmations_per_address_per_day,
            max_per_source: self.max_subscriptions_per_ip_per_day,
            max_confirmations: self.max_confirmations_per_day,
        }
    }

    /// Age of the newest minute from which a feed counts as stale.
    pub(crate) fn stale_after(&self) -> Result<Duration, ConfigError> {
        let text = &self.feed_stale_after;
        duration("alerts.feed_stale_after", text, &AGES)
    }

    /// Maximum age of a minute for its alerts to be sent.
    pub(crate) fn max_age(&self) -> Result<Duration, ConfigError> {
        within("alerts.max_age", &self.max_age, MIN_AGE, MAX_AGE)
    }

    /// Time for which a delivery is retried.
    pub(crate) fn retry_for(&self) -> Result<Duration, ConfigError> {
        within("alerts.retry_for", &self.retry_for, MIN_AGE, MAX_AGE)
    }

    /// The operator's address.
    pub(crate) fn operator(&self) -> Result<Option<String>, ConfigError> {
        let checked = self.operator.as_deref().map(|text| {
            check_address(text)
                .map_err(|error| ConfigError::setting("alerts.operator", text, error))
        });
        checked.transpose()
    }
}

const MIN_AGE: Duration = Duration::from_secs(60);
const MAX_AGE: Duration = Duration::from_secs(7 * 86_400);

/// Parses a duration within bounds.
pub(crate) fn within(
    name: &str,
    text: &str,
    min: Duration,
    max: Duration,
) -> Result<Duration, ConfigError> {
    duration(name, text, &(min..=max))
}
