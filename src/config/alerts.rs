//! Settings of mails, alerts and webhooks.

use std::path::PathBuf;
use std::time::Duration;

use marketlake_alerts::delivery::outbox::{DEFAULT_MAX_MAILS_PER_DAY, SendRate};
use marketlake_alerts::subscriptions::{SignupLimits, check_address};
use marketlake_common::SecretUrl;
use serde::{Deserialize, Serialize};

use super::ConfigError;
use super::times::{AGES, duration};

/// How mails leave.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Mail {
    /// `smtp://`, `smtps://` or `file:///folder`; below `data` where there is none.
    pub(crate) url: Option<SecretUrl>,
    pub(crate) from: String,
    /// The name by which we greet the server; the sender's domain where there is none.
    pub(crate) hello: Option<String>,
    /// A folder with templates that replace those that are built in, by their names.
    pub(crate) templates: Option<PathBuf>,
    /// The domain to which notices about mails come back; the sender's where there is none.
    pub(crate) bounce_domain: Option<String>,
    /// Connections at once.
    pub(crate) connections: usize,
    /// Mails a second, of one process.
    pub(crate) rate: u32,
    /// How long the server may take for a step, like 30s.
    pub(crate) patience: String,
    pub(crate) dkim: Dkim,
}

/// With what mails are signed; all three, or none.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Dkim {
    pub(crate) domain: Option<String>,
    pub(crate) selector: Option<String>,
    /// An RSA key as PKCS#1 PEM, or the base64 of an Ed25519 key.
    pub(crate) key_file: Option<PathBuf>,
}

/// How alerts behave.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Alerts {
    /// Who is told when something is wrong.
    pub(crate) operator: Option<String>,
    /// How old the newest minute may be.
    pub(crate) feed_stale_after: String,
    /// Age of a minute, when it is judged, up to which its alerts are sent, like 10m.
    pub(crate) max_age: String,
    /// How long an alert that was fresh then may wait until it is delivered, like 6h.
    pub(crate) retry_for: String,
    /// The most metrics that one subscription may mean.
    pub(crate) most_metrics: usize,
    /// Mails about alerts to one address a day; the rest goes into hourly digests.
    pub(crate) mails_per_address: u64,
    /// Mails that ask one address to confirm, or bring it its link, a day.
    pub(crate) confirmations_per_address: u64,
    /// Subscriptions asked for from one network address a day.
    pub(crate) subscriptions_per_source: u64,
    /// Mails that ask to confirm, in all, a day.
    pub(crate) confirmations_per_day: u64,
}

/// Where webhooks may lead, and how many leave at once.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Webhooks {
    /// Networks of one's own that may be called, like 10.0.0.0/8; none, unless said.
    pub(crate) allow_networks: Vec<String>,
    /// Certificates that are trusted beside the system's, as PEM.
    pub(crate) ca_file: Option<PathBuf>,
    /// Webhooks that are called at once, by one process.
    pub(crate) connections: usize,
    /// Webhooks of one host that are called at once.
    pub(crate) connections_per_host: usize,
}

impl Default for Webhooks {
    fn default() -> Self {
        let pace = SendRate::default();
        Self {
            allow_networks: Vec::new(),
            ca_file: None,
            connections: pace.webhooks,
            connections_per_host: pace.webhooks_per_host,
        }
    }
}

impl Default for Mail {
    fn default() -> Self {
        Self {
            url: None,
            from: "marketlake <marketlake@localhost>".to_owned(),
            hello: None,
            templates: None,
            bounce_domain: None,
            connections: 8,
            rate: 500,
            patience: "30s".to_owned(),
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
            most_metrics: 10_000,
            mails_per_address: DEFAULT_MAX_MAILS_PER_DAY,
            confirmations_per_address: caps.max_mails_per_address,
            subscriptions_per_source: caps.max_per_source,
            confirmations_per_day: caps.max_confirmations,
        }
    }
}

impl Alerts {
    pub(crate) fn caps(&self) -> SignupLimits {
        SignupLimits {
            max_mails_per_address: self.confirmations_per_address,
            max_per_source: self.subscriptions_per_source,
            max_confirmations: self.confirmations_per_day,
        }
    }

    /// How old the newest minute may be.
    pub(crate) fn stale_after(&self) -> Result<Duration, ConfigError> {
        let text = &self.feed_stale_after;
        duration("alerts.feed_stale_after", text, &AGES)
    }

    /// Age of a minute up to which its alerts are sent.
    pub(crate) fn max_age(&self) -> Result<Duration, ConfigError> {
        within("alerts.max_age", &self.max_age, MIN_AGE, MAX_AGE)
    }

    /// How long an alert may wait until it is delivered.
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

/// A time as people write it, within limits.
pub(crate) fn within(
    name: &str,
    text: &str,
    min: Duration,
    max: Duration,
) -> Result<Duration, ConfigError> {
    duration(name, text, &(min..=max))
}
