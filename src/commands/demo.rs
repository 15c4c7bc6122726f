//! `marketlake demo`.

use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use marketlake_alerts::{Subscription, SubscriptionSpec};
use marketlake_entities::database;
use marketlake_entities::records::job_runs::{self, JobRunState};
use marketlake_entities::records::{alerts, deliveries};
use marketlake_feeds::Simulated;
use marketlake_jobs::{IngestMinute, PlannedSlot, slots};
use marketlake_lake::{Lake, LakeStats};
use marketlake_model::{Millis, Minute};
use sea_orm::{ColumnTrait, EntityTrait, PaginatorTrait, QueryFilter};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::Usage;
use crate::config::{Feed, FeedKind, Settings};
use crate::service::{Role, Service};
use crate::{greeting, output, wiring};

const DAY_MINUTES: i64 = 1_440;
const PATTERN: &str = "*:volume";
const ADDRESS: &str = "you@example.com";

/// Shows the whole product on a simulated market: a day of history, one subscription, all roles.
///
/// Every second minute the volume of a pair jumps, and a mail about it appears in the outbox
/// folder. Example: marketlake demo --for 3m
#[derive(Args)]
pub(super) struct Demo {
    /// Duration, after which it ends with a summary; by default until Ctrl-C.
    #[arg(long = "for", value_name = "TIME", value_parser = crate::config::times::flag)]
    duration: Option<Duration>,
}

impl Demo {
    pub(super) async fn execute(self, mut settings: Settings) -> anyhow::Result<()> {
        settings.feeds = vec![Feed::new(FeedKind::Simulated)];
        let stop = wiring::shutdown::stop_on_signal()?;
        let prepare = prepare(&settings, stop.clone());
        let Some((lake, begun, service)) = wiring::shutdown::unless_stopped(&stop, prepare).await?
        else {
            return Ok(());
        };
        if let Some(address) = service.address() {
            welcome(&address.to_string(), settings.mail_url().expose())?;
        }
        greeting::print(&service, &settings, &Role::ALL)?;
        if let Some(duration) = self.duration {
            tokio::spawn(async move {
                sleep(duration).await;
                stop.cancel();
            });
        }
        service.run().await?;
        output::line(&summary(&lake, begun).await?)
    }
}

/// The lake with its history, when that was written, and what is about to run on it.
async fn prepare(
    settings: &Settings,
    stop: CancellationToken,
) -> anyhow::Result<(Arc<Lake>, Millis, Service)> {
    let lake = wiring::lake::open_to_write(settings).await?;
    refuse_real_data(&lake, settings)?;
    let begun = database::clock(lake.database()).await?;
    write_history(&lake, begun).await?;
    subscribe(&lake, begun).await?;
    let service = Service::prepare(settings, Arc::clone(&lake), &Role::ALL, stop).await?;
    Ok((lake, begun, service))
}

/// Made-up prices must never lie among real ones.
fn refuse_real_data(lake: &Lake, settings: &Settings) -> Result<(), Usage> {
    match lake
        .directory()
        .metrics()
        .find(|metric| !metric.is_simulated())
    {
        Some(metric) => Err(Usage(format!(
            "demo: {} holds real data ({metric}); choose another folder with --data",
            settings.data.display()
        ))),
        None => Ok(()),
    }
}

/// The minutes of the last day that are not there yet, up to the last one that is over: with that
/// one ingestion begins, however long this takes.
async fn write_history(lake: &Arc<Lake>, now: Millis) -> anyhow::Result<()> {
    let ingested = now.minute().plus(-1);
    let first = match lake.newest().await? {
        Some(newest) => newest.plus(1).max(ingested.plus(-DAY_MINUTES)),
        None => ingested.plus(-DAY_MINUTES),
    };
    let feed = Simulated::new(0);
    let minutes = (first.number()..ingested.number()).map(Minute::from_number);
    let samples: Vec<_> = minutes.flat_map(|minute| feed.at(minute)).collect();
    if !samples.is_empty() {
        tracing::info!(
            samples = samples.len(),
            "writing a day of simulated history"
        );
        lake.import(samples, now).await?;
    }
    let slot = PlannedSlot::pending(ingested.start());
    slots::enqueue(lake.database(), IngestMinute::NAME, &[slot], now).await?;
    Ok(())
}

async fn subscribe(lake: &Lake, now: Millis) -> anyhow::Result<()> {
    let existing = Subscription::all(lake.database()).await?;
    if existing
        .iter()
        .any(|s| s.address == ADDRESS && s.scoped_rule.pattern.to_string() == PATTERN)
    {
        return Ok(());
    }
    let new = SubscriptionSpec {
        metric: PATTERN.to_owned(),
        address: ADDRESS.to_owned(),
        ..SubscriptionSpec::default()
    };
    let created = Subscription::create(lake.database(), &new, now).await?;
    created
        .map(drop)
        .map_err(|errors| anyhow::anyhow!("the demo's subscription: {errors:?}"))
}

fn welcome(address: &str, mail: &str) -> anyhow::Result<()> {
    output::line(&format!(
        "marketlake demo, on a SIMULATED market, answers at http://{address}\n\n  \
         curl 'http://{address}/v1/metrics?limit=5'\n  \
         curl 'http://{address}/v1/metric/hottry/timeseries?limit=5'\n  \
         curl 'http://{address}/v1/metric/hottry/rank'\n  \
         curl 'http://{address}/graphql' -H 'content-type: application/json' \\\n    \
         -d '{{\"query\":\"{{ ranking(first: 3) {{ nodes {{ display value \
         metric {{ id simulated }} }} }} }}\"}}'\n\n\
         Every second minute one volume jumps; its mail goes to {mail}\n\
         Ctrl-C ends it."
    ))
}

async fn summary(lake: &Lake, begun: Millis) -> anyhow::Result<String> {
    let database = lake.database();
    let slots = job_runs::Entity::find()
        .filter(job_runs::Column::State.eq(JobRunState::Done))
        .filter(job_runs::Column::FinishedAt.gte(begun))
        .count(database)
        .await?;
    let jumps = alerts::Entity::find()
        .filter(alerts::Column::CreatedAt.gte(begun))
        .count(database)
        .await?;
    let mails = deliveries::Entity::find()
        .filter(deliveries::Column::State.eq(deliveries::DeliveryState::Sent))
        .filter(deliveries::Column::FinishedAt.gte(begun))
        .count(database)
        .await?;
    let LakeStats {
        segments,
        samples,
        bytes,
        metrics,
        rollup_bytes: _,
    } = lake.stats().await?;
    Ok(format!(
        "demo: {slots} slots run, {samples} samples of {metrics} metrics, {segments} segments, \
         {:.2} bytes a sample, {jumps} jumps, {mails} mails",
        ratio(bytes, samples)
    ))
}

#[expect(clippy::cast_precision_loss, reason = "a figure for people")]
fn ratio(part: i64, whole: i64) -> f64 {
    part as f64 / whole.max(1) as f64
}
