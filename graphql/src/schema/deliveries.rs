//! Deliveries: the outbox, for operators.

use std::sync::Arc;

use async_graphql::{Context, Enum, ID, InputObject, Object, Result, SimpleObject};
use marketlake_alerts::delivery::outbox;
use marketlake_common::excerpt;
use marketlake_entities::records::deliveries;
use marketlake_http::auth::scope::Scope;
use marketlake_lake::Lake;

use super::alert_subscriptions::UserError;
use super::errors::{self, bad_argument};
use super::guard::RequireScope;
use super::scalars::DateTime;

const DEFAULT_ROWS: i32 = 100;
const MAX_ROWS: i32 = 1_000;

/// State of a delivery.
#[derive(Clone, Copy, Enum, PartialEq, Eq)]
#[graphql(remote = "deliveries::DeliveryState")]
enum DeliveryState {
    /// Not attempted yet.
    Pending,
    /// Being sent by a worker.
    Sending,
    /// Accepted by the receiver.
    Sent,
    /// Not sent; waits for its retry.
    Retry,
    /// Given up.
    Dead,
    /// Outcome unknown: it may have arrived.
    Unknown,
}

/// Message to one recipient.
#[derive(SimpleObject)]
pub(super) struct Delivery {
    /// Id of the delivery.
    pub(super) id: ID,
    /// alert, digest, confirmation, manage, test or incident.
    kind: String,
    /// Channel that carries it.
    channel: String,
    /// Recipient, masked.
    to: String,
    /// State of the delivery.
    state: DeliveryState,
    /// Number of attempts.
    attempts: i32,
    /// Number of attempts of unknown outcome: the message may have arrived.
    unknowns: i32,
    /// Error of the last failed attempt.
    error: Option<String>,
    /// Time at which it was created.
    created_at: DateTime,
    /// Time at which it ended.
    finished_at: Option<DateTime>,
    /// Local part of its Message-ID, and the id that a webhook gets; null until it is rendered.
    message_id: Option<String>,
}

impl From<outbox::DeliverySummary> for Delivery {
    fn from(row: outbox::DeliverySummary) -> Self {
        Self {
            id: row.id.into(),
            kind: row.kind.to_string(),
            channel: row.channel.to_string(),
            to: row.to,
            state: row.state.into(),
            attempts: row.attempts,
            unknowns: row.unknowns,
            error: row.error,
            created_at: row.created_at.into(),
            finished_at: row.finished_at.map(DateTime::from),
            message_id: row.message_id,
        }
    }
}

/// Throttle that holds deliveries back.
#[derive(SimpleObject)]
struct DeliveryThrottle {
    /// Name of the throttle: all, a channel (mail, webhook), a destination (mail:example.com,
    /// webhook:example.com:443), or a masked address.
    name: String,
    /// End of the throttle; null where it lasts until it is released.
    until: Option<DateTime>,
    /// Reason for the throttle.
    reason: String,
}

/// Key of the requeued delivery, or errors.
#[derive(SimpleObject)]
struct RequeueDeliveryPayload {
    /// Id of the requeued delivery; null if no dead or unknown delivery has it.
    requeued_id: Option<ID>,
    /// Errors in the input; empty where it is valid.
    user_errors: Vec<UserError>,
}

/// Input that requeues a delivery.
#[derive(InputObject)]
struct RequeueDeliveryInput {
    /// Id of the delivery.
    id: ID,
}

/// All throttles now in force, or errors.
#[derive(SimpleObject)]
struct DeliveryThrottlesPayload {
    /// Throttles now in force.
    throttles: Vec<DeliveryThrottle>,
    /// Errors in the input; empty where it is valid.
    user_errors: Vec<UserError>,
}

/// Input that stops all deliveries.
#[derive(InputObject)]
struct StopDeliveriesInput {
    /// Reason, for operators who look later.
    reason: String,
}

async fn throttles(context: &Context<'_>) -> Result<Vec<DeliveryThrottle>> {
    let lake = context.data::<Arc<Lake>>()?;
    let failed = |error| errors::unavailable(&error);
    let now = errors::now(context).await?;
    let held = outbox::list_throttles(lake.database(), now)
        .await
        .map_err(failed)?;
    let throttles = held.into_iter().map(|row| DeliveryThrottle {
        until: (row.until.0 < i64::MAX).then(|| row.until.into()),
        name: row.name,
        reason: row.reason,
    });
    Ok(throttles.collect())
}

#[derive(Default)]
pub(super) struct DeliveriesQuery;

#[Object]
impl DeliveriesQuery {
    /// The newest deliveries, in one state or in all. Needs the scope admin.
    #[graphql(
        guard = "RequireScope(Scope::Admin)",
        complexity = "100 * child_complexity"
    )]
    async fn deliveries(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "Only deliveries in this state.")] state: Option<DeliveryState>,
        #[graphql(desc = "Number of deliveries, 1 to 1,000; 100 by default.")] first: Option<i32>,
    ) -> Result<Vec<Delivery>> {
        let first = first.unwrap_or(DEFAULT_ROWS);
        if !(1..=MAX_ROWS).contains(&first) {
            let reason = format!("expected a number from 1 to {MAX_ROWS}, got {first}");
            return Err(bad_argument("first", &reason));
        }
        let lake = context.data::<Arc<Lake>>()?;
        let max = u64::try_from(first).unwrap_or_default();
        let rows = outbox::list(
            lake.database(),
            state.map(deliveries::DeliveryState::from),
            max,
        )
        .await;
        let rows = rows.map_err(|error| errors::unavailable(&error))?;
        let deliveries = rows.into_iter().map(Delivery::from);
        Ok(deliveries.collect())
    }

    /// Throttles now in force on deliveries. Needs the scope admin.
    #[graphql(guard = "RequireScope(Scope::Admin)")]
    async fn delivery_throttles(&self, context: &Context<'_>) -> Result<Vec<DeliveryThrottle>> {
        throttles(context).await
    }
}

#[derive(Default)]
pub(super) struct DeliveriesMutation;

#[Object]
impl DeliveriesMutation {
    /// Requeues a delivery that was given up, or whose outcome is unknown. It keeps its age: one
    /// that is too old expires anew. Needs the scope admin.
    #[graphql(guard = "RequireScope(Scope::Admin)")]
    async fn requeue_delivery(
        &self,
        context: &Context<'_>,
        input: RequeueDeliveryInput,
    ) -> Result<RequeueDeliveryPayload> {
        let lake = context.data::<Arc<Lake>>()?;
        let database = lake.database();
        let failed = |error| errors::unavailable(&error);
        let now = errors::now(context).await?;
        let done = outbox::requeue(database, &input.id, now)
            .await
            .map_err(failed)?;
        let unknown = || {
            let shown = excerpt(&input.id);
            UserError {
                field: "id".to_owned(),
                message: format!(
                    "expected a delivery that was given up or is unknown, got {shown:?}"
                ),
                code: "UNKNOWN_DELIVERY".to_owned(),
            }
        };
        Ok(RequeueDeliveryPayload {
            user_errors: if done { Vec::new() } else { vec![unknown()] },
            requeued_id: done.then_some(input.id),
        })
    }

    /// Stops all deliveries until they are resumed; none is lost. Needs the scope admin.
    #[graphql(guard = "RequireScope(Scope::Admin)")]
    async fn stop_deliveries(
        &self,
        context: &Context<'_>,
        input: StopDeliveriesInput,
    ) -> Result<DeliveryThrottlesPayload> {
        let lake = context.data::<Arc<Lake>>()?;
        let failed = |error| errors::unavailable(&error);
        let now = errors::now(context).await?;
        let stopped = outbox::pause_sending(lake.database(), &input.reason, now).await;
        stopped.map_err(failed)?;
        Ok(DeliveryThrottlesPayload {
            throttles: throttles(context).await?,
            user_errors: Vec::new(),
        })
    }

    /// Resumes all deliveries. Needs the scope admin.
    #[graphql(guard = "RequireScope(Scope::Admin)")]
    async fn resume_deliveries(&self, context: &Context<'_>) -> Result<DeliveryThrottlesPayload> {
        let lake = context.data::<Arc<Lake>>()?;
        let released = outbox::resume_sending(lake.database()).await;
        released.map_err(|error| errors::unavailable(&error))?;
        Ok(DeliveryThrottlesPayload {
            throttles: throttles(context).await?,
            user_errors: Vec::new(),
        })
    }
}
