//! Who wants to hear of which jumps.

use std::fmt;

use sea_orm::entity::prelude::*;

use marketlake_model::Millis;

/// Where a subscription's life stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, EnumIter, DeriveActiveEnum)]
#[sea_orm(
    rs_type = "String",
    db_type = "String(StringLen::None)",
    rename_all = "snake_case"
)]
pub enum State {
    /// Its owner has not confirmed it.
    Pending,
    /// Each jump makes an alert.
    Active,
    /// Its owner has stopped it for a while: nothing is judged.
    Paused,
    /// Its address does not take mail.
    Suspended,
    /// Its last day or its last mail is over.
    Expired,
    /// Ended by its owner; kept for its history.
    Deleted,
}

/// How alerts travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, EnumIter, DeriveActiveEnum)]
#[sea_orm(
    rs_type = "String",
    db_type = "String(StringLen::None)",
    rename_all = "snake_case"
)]
pub enum Channel {
    /// By mail.
    Mail,
    /// As signed JSON to an address of the web.
    Webhook,
    /// As a message to a chat that takes Slack's webhooks.
    Slack,
}

impl fmt::Display for Channel {
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
    /// Where its life stands.
    pub state: State,
    /// The metrics that it is about.
    pub pattern: String,
    /// Times the mean, as decimal text.
    pub factor: String,
    /// Length of the time that the mean is of, in minutes.
    pub window_minutes: i32,
    /// The fewest samples in that time.
    pub min_samples: i32,
    /// Mail address of its owner.
    pub address: String,
    /// When it was made.
    pub created_at: Millis,
    /// When it was deleted.
    pub deleted_at: Option<Millis>,
    /// Rises with each change of what is judged.
    pub revision: i32,
    /// The whole rule, as JSON; the default around the three columns above where there is none.
    pub rule: Option<String>,
    /// How its alerts travel.
    pub channel: Channel,
    /// Where to, for channels other than mail.
    pub endpoint: Option<String>,
    /// With which its webhooks are signed.
    pub secret: Option<String>,
    /// The reader's zone, by its IANA name.
    pub time_zone: String,
    /// Who asked for it, until it is confirmed: the asker's network address.
    pub source: Option<String>,
    /// When its owner said yes.
    pub confirmed_at: Option<Millis>,
    /// Until when it is judged without a word.
    pub muted_until: Option<Millis>,
    /// Why it is in its state, where that was not its owner's wish.
    pub reason: Option<String>,
    /// Who asked for it with a key or as a user of an identity provider.
    pub owner: Option<String>,
}

/// It has none.
#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
