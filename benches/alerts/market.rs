//! Ten thousand metrics, and their subscriptions.

use std::sync::Arc;

use marketlake_alerts::{Subscription, SubscriptionSpec};
use marketlake_entities::database;
use marketlake_entities::records::subscriptions;
use marketlake_lake::Lake;
use marketlake_model::{Exact, Metric, Minute, Sample};
use sea_orm::EntityTrait;

pub const METRICS: usize = 10_000;

pub fn metric(number: usize) -> anyhow::Result<Metric> {
    Ok(Metric::new(
        "bench",
        &format!("m{number:05}usdt"),
        "volume",
    )?)
}

/// A minute of every metric; `jumps` of them at four times their mean.
pub fn minute(ts: Minute, metrics: usize, jumps: usize) -> anyhow::Result<Vec<Sample>> {
    (0..metrics)
        .map(|number| {
            let wave = (ts.number() * 37 + i64::try_from(number)? * 101).rem_euclid(2_000);
            let value = if number < jumps {
                440_000
            } else {
                100_000 + wave
            };
            let value = Exact::new(value, 3).ok_or_else(|| anyhow::anyhow!("no value"))?;
            let metric = metric(number)?;
            Ok(Sample { metric, ts, value })
        })
        .collect()
}

/// An hour of calm up to a minute, that one left out.
pub async fn calm(lake: &Arc<Lake>, to: Minute, metrics: usize) -> anyhow::Result<()> {
    let mut samples = Vec::new();
    for back in 1..=60 {
        samples.extend(minute(to.plus(-back), metrics, 0)?);
    }
    let now = database::clock(lake.database()).await?;
    lake.import(samples, now).await?;
    Ok(())
}

/// So many subscriptions in force: nine tenths name a metric each, a tenth are patterns of a
/// hundred metrics, each with a factor of its own.
pub async fn subscribe(lake: &Arc<Lake>, count: usize, only_named: bool) -> anyhow::Result<()> {
    let now = database::clock(lake.database()).await?;
    let first = SubscriptionSpec {
        metric: "x".to_owned(),
        address: "x@example.com".to_owned(),
        ..SubscriptionSpec::default()
    };
    // One by the front door; the others are its copies, since ten thousand commits are not what is
    // measured.
    let made = Subscription::create(lake.database(), &first, now).await?;
    let made = made.map_err(|errors| anyhow::anyhow!("{errors:?}"))?;
    let row = subscriptions::Entity::find_by_id(&made.id)
        .one(lake.database())
        .await?;
    let row = row.ok_or_else(|| anyhow::anyhow!("no subscription"))?;
    let mut rows = Vec::new();
    for number in 0..count {
        let glob = !only_named && number % 10 == 0;
        let factor = format!("3.{:04}", number % 10_000);
        let pattern = if glob {
            format!("m{:02}*:volume", number % 100)
        } else {
            metric(number % METRICS)?.id().to_owned()
        };
        let rule = row.rule.clone().unwrap_or_default();
        let mut row: subscriptions::ActiveModel = row.clone().into();
        row.id = sea_orm::Set(uuid::Uuid::new_v4().to_string());
        row.pattern = sea_orm::Set(pattern);
        row.address = sea_orm::Set(format!("reader{number}@example.com"));
        row.rule = sea_orm::Set(Some(
            rule.replace("\"factor\":\"3\"", &format!("\"factor\":\"{factor}\"")),
        ));
        rows.push(row);
    }
    database::insert_all(lake.database(), rows, None).await?;
    let first = subscriptions::Entity::delete_by_id(&made.id);
    first.exec(lake.database()).await?;
    Ok(())
}
