//! Who hears of which jumps.

use std::sync::Arc;

use async_graphql::{Context, ID, InputObject, Object, Result, SimpleObject};
use marketlake_alerts::{FieldError, NewSubscription, Subscription as Record};
use marketlake_entities::database;
use marketlake_lake::Lake;

use super::errors;
use super::scalars::{DateTime, Decimal};

/// Who wants to hear of which jumps.
#[derive(SimpleObject)]
pub(super) struct Subscription {
    /// Its key, by which it can be deleted.
    id: ID,
    /// The metrics that it is about.
    metric: String,
    /// A sample is a jump when it is strictly above so many times the mean before it.
    factor: Decimal,
    /// Length of the time that the mean is of, in minutes.
    window_minutes: i64,
    /// The fewest samples in that time with which the rule speaks at all.
    min_samples: i64,
    /// Mail address.
    address: String,
    /// When it was made.
    created_at: DateTime,
}

/// What is subscribed to.
#[derive(InputObject)]
pub(super) struct CreateSubscriptionInput {
    /// A metric or a pattern: binance:hottry, *usdt, binance:*:volume. Without a market it is about that pair on every market.
    metric: String,
    /// Times the mean; 3, if none is given.
    factor: Option<Decimal>,
    /// Length of the time that the mean is of, in minutes, 1 to 1,440; 60, if none is given.
    window_minutes: Option<i64>,
    /// The fewest samples in that time; three quarters of it, if none is given.
    min_samples: Option<i64>,
    /// Mail address.
    address: String,
}

/// Which subscription ends.
#[derive(InputObject)]
pub(super) struct DeleteSubscriptionInput {
    /// Its key.
    id: ID,
}

/// One thing that is wrong with the input.
#[derive(SimpleObject)]
pub(super) struct UserError {
    /// The input's field.
    field: String,
    /// What was expected and what was there.
    message: String,
    /// A stable word for programs.
    code: String,
}

/// What came of it: the subscription, or errors.
#[derive(SimpleObject)]
pub(super) struct CreateSubscriptionPayload {
    /// The new subscription; null where there are errors.
    subscription: Option<Subscription>,
    /// What is wrong with the input; empty where nothing is.
    user_errors: Vec<UserError>,
}

/// What came of it.
#[derive(SimpleObject)]
pub(super) struct DeleteSubscriptionPayload {
    /// The key of the subscription that ended; null where there are errors.
    deleted_id: Option<ID>,
    /// What is wrong with the input; empty where nothing is.
    user_errors: Vec<UserError>,
}

impl From<Record> for Subscription {
    fn from(record: Record) -> Self {
        Self {
            id: record.id.into(),
            metric: record.pattern.to_string(),
            factor: Decimal(record.rule.factor),
            window_minutes: record.rule.window.into(),
            min_samples: record.rule.min_samples.into(),
            address: record.address,
            created_at: record.created_at.into(),
        }
    }
}

impl From<FieldError> for UserError {
    fn from(error: FieldError) -> Self {
        Self {
            field: error.field.to_owned(),
            message: error.message,
            code: error.code.to_owned(),
        }
    }
}

#[derive(Default)]
pub(super) struct SubscriptionsMutation;

#[Object]
impl SubscriptionsMutation {
    /// Subscribes an address to jumps: one mail a jump.
    async fn create_subscription(
        &self,
        context: &Context<'_>,
        input: CreateSubscriptionInput,
    ) -> Result<CreateSubscriptionPayload> {
        let database = context.data::<Arc<Lake>>()?.database();
        let new = NewSubscription {
            metric: input.metric,
            factor: input.factor.map(|factor| factor.0.to_string()),
            window_minutes: input.window_minutes,
            min_samples: input.min_samples,
            address: input.address,
        };
        let now = database::clock(database)
            .await
            .map_err(|error| errors::unavailable(&error))?;
        let created = Record::create(database, &new, now)
            .await
            .map_err(|error| errors::unavailable(&error))?;
        Ok(match created {
            Ok(record) => CreateSubscriptionPayload {
                subscription: Some(record.into()),
                user_errors: Vec::new(),
            },
            Err(wrong) => CreateSubscriptionPayload {
                subscription: None,
                user_errors: wrong.into_iter().map(UserError::from).collect(),
            },
        })
    }

    /// Ends a subscription; no mail of it is begun any more.
    async fn delete_subscription(
        &self,
        context: &Context<'_>,
        input: DeleteSubscriptionInput,
    ) -> Result<DeleteSubscriptionPayload> {
        let database = context.data::<Arc<Lake>>()?.database();
        let now = database::clock(database)
            .await
            .map_err(|error| errors::unavailable(&error))?;
        let deleted = Record::delete(database, &input.id, now).await;
        if deleted.map_err(|error| errors::unavailable(&error))? {
            return Ok(DeleteSubscriptionPayload {
                deleted_id: Some(input.id),
                user_errors: Vec::new(),
            });
        }
        let unknown = UserError {
            field: "id".to_owned(),
            message: format!("no subscription {:?} is in force", input.id.as_str()),
            code: "UNKNOWN_SUBSCRIPTION".to_owned(),
        };
        Ok(DeleteSubscriptionPayload {
            deleted_id: None,
            user_errors: vec![unknown],
        })
    }
}
