//! Subscriptions to jumps.

use std::fmt;
use std::str::FromStr;

use marketlake_common::{excerpt, one_of};
use marketlake_model::Millis;
use sea_orm::entity::prelude::*;
use sea_orm::{ActiveEnum, Iterable};

/// State of a subscription.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, EnumIter, DeriveActiveEnum)]
#[sea_orm(
    rs_type = "String",
    db_type = "String(StringLen::None)",
    rename_all = "snake_case"
)]
pub enum SubscriptionState {
    /// Not confirmed yet.
    Pending,
    /// Evaluated; jumps become alerts.
    Active,
    /// Paused by its owner; not evaluated.
    Paused,
    /// Its address is on the suppression list.
    Suspended,
    /// Past its end or its maximum number of alerts.
    Expired,
    /// Ended by its owner; kept for its history.
    Deleted,
}

/// Channel of alerts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, EnumIter, DeriveActiveEnum)]
#[sea_orm(
    rs_type = "String",
    db_type = "String(StringLen::None)",
    rename_all = "snake_case"
)]
pub enum ChannelKind {
    /// Mail.
    Mail,
    /// Signed JSON to a URL.
    Webhook,
    /// Message to a Slack-compatible webhook.
    Slack,
}

/// Error of a text that is not a channel.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected {list}, got {0:?}", list = ChannelKind::list())]
pub struct ParseChannelKindError(String);

impl ChannelKind {
    /// Names of all channels: `mail, webhook or slack`.
    #[must_use]
    pub fn list() -> String {
        let names: Vec<String> = Self::iter().map(|kind| kind.to_value()).collect();
        one_of(&names)
    }
}

impl FromStr for ChannelKind {
    type Err = ParseChannelKindError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut kinds = Self::iter();
        let found = kinds.find(|kind| kind.to_value() == text);
        found.ok_or_else(|| ParseChannelKindError(excerpt(text).into_owned()))
    }
}

impl fmt::Display for ChannelKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_value())
    }
}

/// A subscription.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "subscriptions")]
pub struct Model {
    /// A random UUID.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: String,
    /// State.
    pub state: SubscriptionState,
    /// Pattern of metrics.
    pub pattern: String,
    /// Factor of the rule, as decimal text.
    pub factor: String,
    /// Window of the mean, in minutes.
    pub window_minutes: i32,
    /// Minimum number of samples in the window.
    pub min_samples: i32,
    /// Owner's mail address.
    pub address: String,
    /// Time of creation.
    pub created_at: Millis,
    /// Time of deletion.
    pub deleted_at: Option<Millis>,
    /// Revision: rises with each change of the pattern, the rule or the mute.
    pub revision: i32,
    /// Complete rule as JSON; `None`: the default with the three columns above.
    pub rule: Option<String>,
    /// Channel of its alerts.
    pub channel: ChannelKind,
    /// URL, for channels other than mail.
    pub endpoint: Option<String>,
    /// Secret that signs its webhooks.
    pub secret: Option<String>,
    /// Recipient's time zone, by its IANA name.
    pub time_zone: String,
    /// Network address of the request, until it is confirmed.
    pub source: Option<String>,
    /// Time of confirmation.
    pub confirmed_at: Option<Millis>,
    /// End of the mute: it is evaluated, and no alert is sent.
    pub muted_until: Option<Millis>,
    /// Reason of its state, if the owner did not choose it.
    pub reason: Option<String>,
    /// API key or OIDC user that created it.
    pub owner: Option<String>,
}

/// No relations.
#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
