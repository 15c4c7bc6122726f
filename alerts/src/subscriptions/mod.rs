//! Subscriptions to alerts.

pub(crate) mod access;
pub mod history;
pub(crate) mod lifecycle;
mod links;
mod signup;
pub(crate) mod spec;
mod state_words;

use chrono_tz::Tz;
use marketlake_entities::records::subscription_events;
use marketlake_entities::records::subscriptions::{Column, Entity, Model};
use marketlake_model::Millis;
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder};

pub use crate::address::{check_address, check_endpoint, masked};
pub use access::Access;
pub use lifecycle::{LifecycleError, Transition};
pub use links::{test, unsubscribe};
pub use marketlake_entities::records::subscriptions::{ChannelKind, SubscriptionState};
pub use signup::{
    SignupLimits, SignupRequester, delete_unconfirmed, expire, request, request_manage_link,
};
pub use spec::{SubscriptionSpec, ValidSubscription, check_matches};
pub use state_words::in_words;

use crate::error::AlertError;
use crate::rules::rule::{Rule, ScopedRule};

/// A subscription.
#[derive(Clone, Debug, PartialEq)]
pub struct Subscription {
    /// A random UUID.
    pub id: String,
    /// State of its lifecycle.
    pub state: SubscriptionState,
    /// Rises with each change of what is evaluated.
    pub revision: i32,
    /// The metrics, the rule, and whether it is mute.
    pub scoped_rule: ScopedRule,
    /// Mail address of its owner.
    pub address: String,
    /// Channel of its alerts.
    pub channel: ChannelKind,
    /// URL, for channels other than mail.
    pub endpoint: Option<String>,
    /// With which its webhooks are signed.
    pub secret: Option<String>,
    /// The reader's zone.
    pub time_zone: Tz,
    /// Time of creation.
    pub created_at: Millis,
    /// Reason of its state, if that was not its owner's wish.
    pub reason: Option<String>,
    /// Key or identity-provider user that created it.
    pub owner: Option<String>,
}

impl Subscription {
    /// Specification that describes it in full, with no field left to its default.
    #[must_use]
    pub fn spec(&self) -> SubscriptionSpec {
        let Rule {
            jump,
            for_minutes,
            resolve_factor,
            cooldown,
            max_per_day,
            expires_at,
            max_alerts,
        } = *self.rule();
        SubscriptionSpec {
            metric: self.scoped_rule.pattern.to_string(),
            factor: Some(jump.factor.to_string()),
            direction: Some(jump.direction.to_string()),
            window_minutes: Some(jump.window.into()),
            min_samples: Some(jump.min_samples.into()),
            for_minutes: Some(for_minutes.into()),
            resolve_factor: resolve_factor.map(|factor| factor.to_string()),
            cooldown_minutes: Some(cooldown.into()),
            max_per_day: max_per_day.map(Into::into),
            expires_at,
            max_alerts: max_alerts.map(Into::into),
            address: self.address.clone(),
            time_zone: Some(self.time_zone.name().to_owned()),
            channel: Some(self.channel.to_string()),
            endpoint: self.endpoint.clone(),
        }
    }

    /// All subscriptions in force, oldest first.
    ///
    /// # Errors
    /// If the database fails or holds what no code of ours writes.
    pub async fn all(connection: &impl ConnectionTrait) -> Result<Vec<Self>, AlertError> {
        let rows = Entity::find()
            .filter(Column::State.eq(SubscriptionState::Active))
            .order_by_asc(Column::CreatedAt)
            .order_by_asc(Column::Id)
            .all(connection)
            .await?;
        rows.into_iter().map(Self::from_row).collect()
    }

    /// One subscription, in whatever state.
    ///
    /// # Errors
    /// If the database fails or holds what no code of ours writes.
    pub async fn find(
        connection: &impl ConnectionTrait,
        id: &str,
    ) -> Result<Option<Self>, AlertError> {
        let row = Entity::find_by_id(id).one(connection).await?;
        row.map(Self::from_row).transpose()
    }

    /// The steps of its life, oldest first: what happened, the details, and when.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn history(
        connection: &impl ConnectionTrait,
        id: &str,
    ) -> Result<Vec<(String, String, Millis)>, AlertError> {
        let rows = subscription_events::Entity::find()
            .filter(subscription_events::Column::SubscriptionId.eq(id))
            .order_by_asc(subscription_events::Column::Id)
            .all(connection)
            .await?;
        let rows = rows.into_iter();
        Ok(rows
            .map(|row| (row.kind, row.detail, row.created_at))
            .collect())
    }

    /// Recipient of its alerts.
    #[must_use]
    pub fn target(&self) -> &str {
        self.endpoint.as_deref().unwrap_or(&self.address)
    }

    /// The rule.
    #[must_use]
    pub fn rule(&self) -> &Rule {
        &self.scoped_rule.rule
    }

    pub(crate) fn from_row(row: Model) -> Result<Self, AlertError> {
        let rule = Rule::from_row(&row)?;
        let pattern = AlertError::parsed("subscriptions", &row.id, &row.pattern)?;
        let time_zone = AlertError::parsed("subscriptions", &row.id, &row.time_zone)?;
        Ok(Self {
            state: row.state,
            revision: row.revision,
            scoped_rule: ScopedRule {
                pattern,
                rule,
                muted_until: row.muted_until,
            },
            address: row.address,
            channel: row.channel,
            endpoint: row.endpoint,
            secret: row.secret,
            time_zone,
            created_at: row.created_at,
            reason: row.reason,
            owner: row.owner,
            id: row.id,
        })
    }
}
