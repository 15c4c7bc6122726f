//! `watchdog`: checks each minute for stale feeds, failing jobs and dead deliveries, and reports
//! incidents to the operator.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use async_trait::async_trait;
use marketlake_alerts::delivery::outbox;
use marketlake_alerts::delivery::watchdog::{self, Finding, IncidentKind};
use marketlake_entities::records::job_runs::{Column, Entity, JobRunState};
use marketlake_model::Millis;
use sea_orm::{
    ColumnTrait, DatabaseConnection, DbErr, EntityTrait, QueryFilter, QueryOrder, QuerySelect,
};
use serde_json::{Value, json};

use crate::error::JobError;
use crate::job::{Job, JobContext, MINUTE, PlannedSlot, PlanningTime, Policy};
use crate::jobs::ingest_minute::IngestMinute;

/// Window in which failures count.
const FAILURE_WINDOW: Duration = Duration::from_secs(3_600);
/// Consecutive failed slots of a job, or attempts at one, that are an incident.
const MIN_FAILURES: usize = 3;
/// Window in which dead deliveries count, and the number that is an incident.
const DEAD_DELIVERY_WINDOW: Duration = Duration::from_secs(900);
const MIN_DEAD_DELIVERIES: u64 = 3;

/// Options of the watchdog.
#[derive(Clone, Debug)]
pub struct WatchdogOptions {
    /// The operator's mail address.
    pub operator: Option<String>,
    /// The newest minute may be so old.
    pub feed_stale_after: Duration,
}

/// The job. It leaves: incidents, and mails about those that began or are over.
pub struct Watchdog {
    database: DatabaseConnection,
    watch: WatchdogOptions,
    is_live: bool,
}

impl Watchdog {
    /// Its name.
    pub const NAME: &'static str = "watchdog";

    /// The job; with `is_live` the feeds are watched too.
    #[must_use]
    pub fn new(database: DatabaseConnection, watch: WatchdogOptions, is_live: bool) -> Self {
        Self {
            database,
            watch,
            is_live,
        }
    }
}

#[async_trait]
impl Job for Watchdog {
    fn name(&self) -> &'static str {
        Self::NAME
    }

    fn policy(&self) -> Policy {
        Policy {
            timeout: Duration::from_secs(30),
            attempts: 1,
            dependencies: &[],
        }
    }

    /// The running minute by the clock.
    async fn plan(&self, moment: PlanningTime) -> Result<Vec<PlannedSlot>, JobError> {
        Ok(vec![PlannedSlot::pending(moment.now.minute().start())])
    }

    fn deadline(&self, slot: Millis) -> Option<Millis> {
        Some(slot.plus(Duration::from_secs(300)))
    }

    async fn run(&self, run: &JobContext) -> Result<(), JobError> {
        let now = run.now(&self.database).await?;
        let mut findings = failing(&self.database, now).await?;
        findings.extend(dying(&self.database, now).await?);
        if self.is_live {
            let all = self.stale(now).await?;
            if all.is_none() {
                findings.extend(self.stale_feeds(now).await?);
            }
            findings.extend(all);
        }
        let operator = self.watch.operator.as_deref();
        let settled = watchdog::reconcile(&self.database, &findings, operator, now).await?;
        let outcome = json!({
            "findings": findings.len(), "opened": settled.opened, "closed": settled.closed,
        });
        run.finish(&self.database, &outcome).await?;
        Ok(())
    }
}

impl Watchdog {
    /// Whether the newest minute is too old. Before the first, the time counts from the first
    /// ingest run.
    async fn stale(&self, now: Millis) -> Result<Option<Finding>, DbErr> {
        let ingest = || Entity::find().filter(Column::Job.eq(IngestMinute::NAME));
        let newest = ingest()
            .filter(Column::State.eq(JobRunState::Done))
            .order_by_desc(Column::Slot)
            .one(&self.database)
            .await?;
        let since = match newest {
            Some(row) => Some(row.slot.plus(MINUTE)),
            None => {
                let first = ingest()
                    .order_by_asc(Column::Id)
                    .one(&self.database)
                    .await?;
                first.map(|row| row.created_at)
            }
        };
        let stale = since.filter(|since| now > since.plus(self.watch.feed_stale_after));
        Ok(stale.map(|since| Finding {
            kind: IncidentKind::FeedStale,
            subject: "all".to_owned(),
            detail: format!("the newest recorded minute ended at {since}"),
        }))
    }
}

impl Watchdog {
    /// Feeds that failed every minute for the configured time.
    async fn stale_feeds(&self, now: Millis) -> Result<Vec<Finding>, DbErr> {
        let after = self.watch.feed_stale_after;
        let since = now.minus(after);
        // A minute is requested at its end. One more than the span, so that its first minute is
        // known to have ended before it.
        let rows = Entity::find()
            .filter(Column::Job.eq(IngestMinute::NAME))
            .filter(Column::State.eq(JobRunState::Done))
            .filter(Column::Slot.gte(since.minus(2 * MINUTE)))
            .order_by_asc(Column::Slot)
            .all(&self.database)
            .await?;
        // By part: a feed may be in several, and is stale where it failed in one all the time.
        let mut failing: BTreeMap<i32, (Millis, BTreeSet<String>)> = BTreeMap::new();
        for row in rows {
            let failed = feeds_failed(row.outcome.as_deref());
            match failing.get_mut(&row.shard) {
                Some((_, feeds)) => feeds.retain(|feed| failed.contains(feed)),
                None => {
                    failing.insert(row.shard, (row.slot, failed));
                }
            }
        }
        let long_enough = failing
            .into_values()
            .filter(|(first, _)| first.plus(MINUTE) <= since);
        let feeds: BTreeSet<String> = long_enough.flat_map(|(_, feeds)| feeds).collect();
        let findings = feeds.into_iter().map(|feed| Finding {
            kind: IncidentKind::FeedStale,
            detail: format!(
                "{feed} delivered nothing for over {} minutes; other feeds did",
                after.as_secs() / 60
            ),
            subject: feed,
        });
        Ok(findings.collect())
    }
}

/// The names of the feeds that failed in a run.
fn feeds_failed(outcome: Option<&str>) -> BTreeSet<String> {
    let outcome: Value = outcome
        .and_then(|text| serde_json::from_str(text).ok())
        .unwrap_or_default();
    let failed = outcome["feeds_failed"].as_array().into_iter().flatten();
    let names = failed.filter_map(|failure| failure.as_str()?.split_once(": "));
    names.map(|(name, _)| name.to_owned()).collect()
}

/// Jobs whose last slots failed, or that try one in vain.
async fn failing(database: &DatabaseConnection, now: Millis) -> Result<Vec<Finding>, DbErr> {
    let jobs: Vec<String> = Entity::find()
        .select_only()
        .column(Column::Job)
        .filter(Column::State.eq(JobRunState::Failed))
        .filter(Column::FinishedAt.gt(now.minus(FAILURE_WINDOW)))
        .distinct()
        .into_tuple()
        .all(database)
        .await?;
    let mut findings = Vec::new();
    for job in jobs {
        let last = Entity::find()
            .filter(Column::Job.eq(job.as_str()))
            .filter(Column::State.is_in([JobRunState::Done, JobRunState::Failed]))
            .filter(Column::FinishedAt.gt(now.minus(FAILURE_WINDOW)))
            .order_by_desc(Column::FinishedAt)
            .limit(MIN_FAILURES as u64)
            .all(database)
            .await?;
        if last.len() == MIN_FAILURES && last.iter().all(|row| row.state == JobRunState::Failed) {
            findings.push(finding(&job, MIN_FAILURES, last[0].error.as_deref()));
        }
    }
    let worn = Entity::find()
        .filter(Column::State.is_in([JobRunState::Pending, JobRunState::Running]))
        .filter(Column::Attempts.gte(i32::try_from(MIN_FAILURES).unwrap_or(i32::MAX)))
        .order_by_asc(Column::Slot)
        .all(database)
        .await?;
    for row in worn {
        if !findings.iter().any(|finding| finding.subject == row.job) {
            let tried = usize::try_from(row.attempts).unwrap_or_default();
            findings.push(finding(&row.job, tried, row.error.as_deref()));
        }
    }
    Ok(findings)
}

fn finding(job: &str, times: usize, error: Option<&str>) -> Finding {
    let error: String = error.unwrap_or("no word").chars().take(500).collect();
    Finding {
        kind: IncidentKind::JobFailing,
        subject: job.to_owned(),
        detail: format!("{times} times in a row, the last time: {error}"),
    }
}

async fn dying(database: &DatabaseConnection, now: Millis) -> Result<Option<Finding>, DbErr> {
    let dead = outbox::count_dead(database, now.minus(DEAD_DELIVERY_WINDOW)).await?;
    Ok((dead >= MIN_DEAD_DELIVERIES).then(|| Finding {
        kind: IncidentKind::DeliveriesFailing,
        subject: "all".to_owned(),
        detail: format!(
            "{dead} in the last {} minutes",
            DEAD_DELIVERY_WINDOW.as_secs() / 60
        ),
    }))
}
