//! Objects by their ids alone, for clients that refetch (the GraphQL Global Object Identification
//! Specification).

use std::sync::Arc;

use async_graphql::{Context, ID, Interface, Object, Result};
use marketlake_alerts::Subscription as Record;
use marketlake_alerts::delivery::outbox;
use marketlake_alerts::subscriptions::history;
use marketlake_entities::records::{gaps, job_runs};
use marketlake_http::auth::scope::Scope;
use marketlake_http::caller::Caller;
use marketlake_lake::Lake;

use super::alert_subscriptions::{Alert, Subscription};
use super::deliveries::Delivery;
use super::errors;
use super::gaps::{GAP, Gap};
use super::job_runs::{JOB_RUN, JobRun};
use super::lake::{SEGMENT, Segment};
use super::metrics::Metric;

/// Object with a global id, by which it can be refetched.
#[derive(Interface)]
#[graphql(field(name = "id", ty = "&ID", desc = "Its key, unique among all objects."))]
pub(super) enum Node {
    Metric(Metric),
    JobRun(JobRun),
    AlertSubscription(Subscription),
    Alert(Alert),
    Delivery(Delivery),
    Segment(Segment),
    Gap(Gap),
}

#[derive(Default)]
pub(super) struct NodeQuery;

#[Object]
impl NodeQuery {
    /// The object of an id; null where no object has it, or where it belongs to someone else.
    async fn node(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "The id of any object: binance:hottry.")] id: ID,
    ) -> Result<Option<Node>> {
        let lake = context.data::<Arc<Lake>>()?;
        find(lake, context.data::<Caller>()?, &id).await
    }

    /// The objects of some ids, in their order; null where no object has it, or where it belongs to
    /// someone else.
    #[graphql(complexity = "ids.len() * child_complexity")]
    async fn nodes(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "Ids of any objects, at most 100.")] ids: Vec<ID>,
    ) -> Result<Vec<Option<Node>>> {
        if ids.len() > 100 {
            let problem = format!("expected at most 100, got {}", ids.len());
            return Err(errors::bad_argument("ids", &problem));
        }
        let (lake, caller) = (context.data::<Arc<Lake>>()?, context.data::<Caller>()?);
        let mut nodes = Vec::with_capacity(ids.len());
        for id in &ids {
            nodes.push(find(lake, caller, id).await?);
        }
        Ok(nodes)
    }
}

async fn find(lake: &Arc<Lake>, caller: &Caller, id: &str) -> Result<Option<Node>> {
    if id.contains(':') {
        let known = id
            .parse()
            .ok()
            .filter(|metric| lake.directory().contains(metric));
        let metric = known.filter(|_| caller.permissions.allows(Scope::Read));
        return Ok(metric.map(|metric| Node::Metric(lake.queries().named_metric(metric).into())));
    }
    let is_admin = caller.permissions.allows(Scope::Admin);
    let number = |kind: &str| {
        id.strip_prefix(kind)
            .and_then(|number| number.parse::<i64>().ok())
    };
    if let Some(number) = number(JOB_RUN) {
        if !is_admin {
            return Ok(None);
        }
        let run = job_runs::find(lake.database(), number).await;
        let run = run.map_err(|error| errors::unavailable(&error))?;
        return Ok(run.map(|run| Node::JobRun(run.into())));
    }
    if let Some(number) = number(SEGMENT) {
        if !is_admin {
            return Ok(None);
        }
        let segment = lake.segment(number).await.map_err(errors::lake)?;
        return Ok(segment.map(|segment| Node::Segment(segment.into())));
    }
    if let Some(number) = number(GAP) {
        if !caller.permissions.allows(Scope::Read) {
            return Ok(None);
        }
        let gap = gaps::find(lake.database(), number).await;
        let gap = gap.map_err(|error| errors::unavailable(&error))?;
        return Ok(gap.map(|gap| Node::Gap(Gap::new(gap, caller))));
    }
    of_alerts(lake, caller, id).await
}

/// Subscriptions and alerts are their owners', deliveries the operators'.
async fn of_alerts(lake: &Lake, caller: &Caller, id: &str) -> Result<Option<Node>> {
    let database = lake.database();
    if let Some(whose) = caller.subscription_access() {
        let found = Record::find_of(database, id, whose).await;
        if let Some(found) = found.map_err(|error| errors::unavailable(&error))? {
            return Ok(Some(Node::AlertSubscription(found.into())));
        }
        let alert = history::alert(database, id).await;
        if let Some((of, alert)) = alert.map_err(|error| errors::unavailable(&error))? {
            let own = Record::find_of(database, &of, whose).await;
            let own = own.map_err(|error| errors::unavailable(&error))?;
            return Ok(own.map(|_| Node::Alert(alert.into())));
        }
    }
    if caller.permissions.allows(Scope::Admin) {
        let found = outbox::find(database, id).await;
        let found = found.map_err(|error| errors::unavailable(&error))?;
        return Ok(found.map(|found| Node::Delivery(found.into())));
    }
    Ok(None)
}
