//! Template contexts of mails.

use chrono_tz::Tz;
use marketlake_entities::records::alerts;
use marketlake_model::{Metric, Millis};
use serde::Serialize;

use super::display_name;
use crate::error::AlertError;
use crate::subscriptions::Subscription;
use crate::token::{Keyring, Purpose};

/// Jumps that a digest shows, and whose rows are in its proof; of the rest the proof has the
/// numbers.
pub(super) const MAX_DIGEST_ROWS: usize = 50;

/// One jump, in words.
#[derive(Clone, Debug, Serialize)]
pub(super) struct JumpContext {
    pub(super) title: String,
    pub(super) metric: String,
    pub(super) value: String,
    pub(super) mean: String,
    pub(super) ratio: String,
    pub(super) ratio_exact: String,
    pub(super) samples: i32,
    pub(super) window: String,
    pub(super) rule: String,
    pub(super) time_local: String,
    pub(super) time_utc: String,
    pub(super) simulated: bool,
    pub(super) test: bool,
    pub(super) subscription: SubscriptionContext,
}

/// Its subscription.
#[derive(Clone, Debug, Serialize)]
pub(super) struct SubscriptionContext {
    pub(super) id: String,
    pub(super) pattern: String,
}

impl JumpContext {
    pub(super) fn of(
        alert: &alerts::Model,
        subscription: &Subscription,
    ) -> Result<Self, AlertError> {
        let metric: Metric = AlertError::parsed("alerts", &alert.id, &alert.metric)?;
        let rule = subscription.rule();
        Ok(Self {
            title: display_name::title(&metric),
            simulated: metric.is_simulated(),
            metric: alert.metric.clone(),
            value: alert.value.clone(),
            mean: digits(alert.mean),
            ratio: format!("{:.1}", alert.ratio),
            ratio_exact: digits(alert.ratio),
            samples: alert.samples,
            window: display_name::window(rule.jump.window),
            rule: rule.in_words(),
            time_local: local(alert.ts, subscription.time_zone),
            time_utc: utc(alert.ts),
            test: false,
            subscription: SubscriptionContext {
                id: subscription.id.clone(),
                pattern: subscription.scoped_rule.pattern.to_string(),
            },
        })
    }
}

/// A float with six digits that mean something.
fn digits(value: f64) -> String {
    match marketlake_model::Exact::rounded(value, 6) {
        Some(exact) => exact.to_string(),
        None => value.to_string(),
    }
}

pub(super) fn utc(ts: Millis) -> String {
    ts.to_utc().format("%Y-%m-%d %H:%M UTC").to_string()
}

pub(super) fn local(ts: Millis, zone: Tz) -> String {
    if zone == Tz::UTC {
        return utc(ts);
    }
    let there = ts.to_utc().with_timezone(&zone);
    format!("{} ({})", there.format("%Y-%m-%d %H:%M %Z"), zone.name())
}

/// The links of a mail.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct Links {
    pub(super) confirm: String,
    pub(super) unsubscribe: String,
    pub(super) snooze: String,
    pub(super) manage: String,
}

/// Whom a link is about.
pub(super) struct LinkBuilder<'a> {
    pub(super) keys: &'a Keyring,
    pub(super) public_url: &'a str,
    pub(super) now: Millis,
}

impl LinkBuilder<'_> {
    /// The address of a page: `PUBLIC_URL/PURPOSE/TOKEN`.
    pub(super) fn link(&self, purpose: Purpose, subject: &str) -> Result<String, AlertError> {
        let token = self.keys.sign(purpose, subject, self.now)?;
        let page = match purpose {
            Purpose::Confirm => "confirm",
            Purpose::Unsubscribe => "unsubscribe",
            Purpose::Snooze => "snooze",
            Purpose::Manage => "manage",
        };
        Ok(format!("{}/{page}/{token}", self.public_url))
    }

    /// The links of an alert about one subscription.
    pub(super) fn of(&self, subscription: &Subscription) -> Result<Links, AlertError> {
        Ok(Links {
            confirm: String::new(),
            unsubscribe: self.link(Purpose::Unsubscribe, &format!("s:{}", subscription.id))?,
            snooze: self.link(Purpose::Snooze, &subscription.id)?,
            manage: self.link(Purpose::Manage, &subscription.address)?,
        })
    }
}

/// Context of a mail about one alert.
#[derive(Serialize)]
pub(super) struct AlertContext {
    #[serde(flatten)]
    pub(super) jump: JumpContext,
    /// The picture's Content-ID, where there is one.
    pub(super) chart: Option<String>,
    pub(super) links: Links,
    /// None: it is one.
    pub(super) jumps: Option<()>,
}

/// Context of a digest.
#[derive(Serialize)]
pub(super) struct DigestContext {
    pub(super) count: usize,
    pub(super) more: usize,
    pub(super) first: JumpContext,
    pub(super) jumps: Vec<JumpContext>,
    pub(super) simulated: bool,
    pub(super) test: bool,
    pub(super) links: Links,
}

/// Context of a confirmation mail.
#[derive(Serialize)]
pub(super) struct ConfirmationContext {
    pub(super) pattern: String,
    pub(super) rule: String,
    pub(super) days: i64,
    pub(super) links: Links,
}

/// Context of a mail with the manage link.
#[derive(Serialize)]
pub(super) struct ManageContext {
    pub(super) count: usize,
    pub(super) days: i64,
    pub(super) links: Links,
}
