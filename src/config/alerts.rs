//! Settings of mails, alerts and webhooks.

use std::path::PathBuf;

use marketlake_alerts::delivery::outbox::{DEFAULT_MAX_MAILS_PER_DAY, SendRate};
use marketlake_alerts::subscriptions::SignupLimits;
use marketlake_common::SecretUrl;

use super::section::section;
use super::types::{Age, Checked, Count, MailAddress, Network, Period, Positive, Sender};

/// Number of connections to one receiver, or to all.
type Connections = Count<1, 256>;
/// Time of the SMTP dialogue; a worker's lease of a delivery lasts 90 seconds a step.
type MailTimeout = Period<1_000, 75_000>;
/// Life of an alert: a minute to a week.
type AlertAge = Period<60_000, { 7 * 86_400_000 }>;

section! {
    /// Mail transport.
    Mail {
        /// `smtp://host:port` (`?tls=required` for STARTTLS), `smtps://user:password@host`, or
        /// `file:///folder`; the folder `outbox` in `data` by default.
        url: Option<SecretUrl> = None,
        /// Sender.
        from: Checked<Sender> = Checked::built_in("marketlake <marketlake@localhost>"),
        /// Host name sent with EHLO; the sender's domain by default.
        ehlo_name: Option<String> = None,
        /// Folder with templates that replace the built-in ones of the same name.
        templates: Option<PathBuf> = None,
        /// Domain of return paths (VERP), to which bounces are sent; the sender's by default.
        bounce_domain: Option<String> = None,
        /// Maximum number of connections to the server, 1 to 256.
        max_connections: Connections = Connections::of(SendRate::default().lines),
        /// Maximum number of mails per second of one process.
        rate_limit_per_second: Positive = Positive::new(500),
        /// Timeout of the SMTP dialogue up to the message, and again of the message; 1s to 75s.
        timeout: MailTimeout = MailTimeout::secs(30),
        /// DKIM signature.
        dkim: Dkim = Dkim::default(),
    }
}

section! {
    /// DKIM signature of mails; all three settings, or none.
    Dkim {
        /// Domain of the signature.
        domain: Option<String> = None,
        /// Selector of the key.
        selector: Option<String> = None,
        /// File of the key: an RSA key as PKCS#1 PEM, or the base64 of an Ed25519 key.
        key_file: Option<PathBuf> = None,
    }
}

section! {
    /// Alerts and subscriptions: [alerts.md](alerts.md).
    Alerts {
        /// Mail address that incidents are sent to: a stale feed, a job that keeps failing,
        /// deliveries that failed for good.
        operator: Option<Checked<MailAddress>> = None,
        /// Age of the newest minute from which a feed counts as stale.
        feed_stale_after: Age = Age::secs(600),
        /// Maximum age of a minute, when it is evaluated, for its alerts to be sent; 1m to 7d.
        max_age: AlertAge = AlertAge::secs(600),
        /// Time for which a delivery is retried before it expires; 1m to 7d.
        retry_for: AlertAge = AlertAge::secs(6 * 3_600),
        /// Maximum number of metrics that one subscription matches.
        max_metrics: usize = 10_000,
        /// Maximum number of alert mails per address and day; more are sent as hourly digests.
        max_mails_per_address_per_day: u64 = DEFAULT_MAX_MAILS_PER_DAY,
        /// Maximum number of confirmation and manage-link mails per address and day.
        max_confirmations_per_address_per_day: u64 =
            SignupLimits::default().max_mails_per_address,
        /// Maximum number of subscription requests per IPv4 address or IPv6 /64 and day.
        max_subscriptions_per_ip_per_day: u64 = SignupLimits::default().max_per_source,
        /// Maximum number of confirmation mails per day in all.
        max_confirmations_per_day: u64 = SignupLimits::default().max_confirmations,
    }
}

section! {
    /// Webhooks and chats: [alerts.md](alerts.md).
    Webhooks {
        /// Private networks that may be called, like `10.0.0.0/8`; none by default.
        allow_networks: Vec<Checked<Network>> = Vec::new(),
        /// CA certificates that are trusted in addition to the system's, as PEM.
        ca_file: Option<PathBuf> = None,
        /// Maximum number of concurrent calls of one process, 1 to 256.
        max_connections: Connections = Connections::of(SendRate::default().webhooks),
        /// Maximum number of concurrent calls to one host, 1 to 256.
        max_connections_per_host: Connections =
            Connections::of(SendRate::default().webhooks_per_host),
    }
}

impl Alerts {
    /// Limits of sign-ups.
    pub(crate) fn signup_limits(&self) -> SignupLimits {
        SignupLimits {
            max_mails_per_address: self.max_confirmations_per_address_per_day,
            max_per_source: self.max_subscriptions_per_ip_per_day,
            max_confirmations: self.max_confirmations_per_day,
        }
    }

    /// The operator's address.
    pub(crate) fn operator(&self) -> Option<String> {
        self.operator.as_deref().cloned()
    }
}
