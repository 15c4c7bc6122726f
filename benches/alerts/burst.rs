//! Ten thousand jumps of as many metrics to as many addresses: a mail each, with its own picture
//! and proof.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use marketlake_alerts::delivery::channels::{Guard, SmtpChannel, WebhookChannel};
use marketlake_alerts::delivery::mail::{Templates, Writer, WriterOptions};
use marketlake_alerts::delivery::outbox::{EnqueueOptions, SendRate, Sender};
use marketlake_alerts::{Channels, detection};
use marketlake_entities::database;
use sea_orm::DatabaseConnection;

use crate::market::{self, METRICS};
use crate::measure::{Place, figure, millis};
use crate::sink::Sink;

pub fn sender(database: &DatabaseConnection, url: &str, lines: usize) -> anyhow::Result<Sender> {
    let writer = Writer::new(WriterOptions {
        from: "marketlake <alerts@lake.example>".parse()?,
        public_url: "https://lake.example".to_owned(),
        bounce_domain: None,
        templates: Templates::new(None)?,
        dkim: None,
    });
    let channels = Channels {
        mail: Arc::new(SmtpChannel::new(url, "lake.example", None)?),
        webhook: Arc::new(WebhookChannel::new(Guard::default(), &[], None)?),
    };
    let pace = SendRate {
        lines,
        per_second: 100_000,
        webhooks: 1,
        webhooks_per_host: 1,
        retry_for: Duration::from_secs(6 * 3_600),
    };
    Ok(Sender::new(
        database.clone(),
        channels,
        Arc::new(writer),
        pace,
    ))
}

pub async fn run(place: &Place) -> anyhow::Result<()> {
    for lines in [8, 32] {
        let lake = place.lake(&format!("burst-{lines}")).await?;
        let now = database::clock(lake.database()).await?.minute();
        market::calm(&lake, now, METRICS).await?;
        market::subscribe(&lake, METRICS, true).await?;
        let at = database::clock(lake.database()).await?;
        lake.import(market::minute(now, METRICS, METRICS)?, at)
            .await?;
        lake.queries().follow(0).await?;
        let verdict = detection::evaluate(&lake, now).await?;
        let transaction = database::begin_write(lake.database()).await?;
        let recorded = verdict
            .record(&transaction, at, EnqueueOptions::default())
            .await?;
        transaction.commit().await?;
        let sink = Sink::open().await?;
        let sender = sender(lake.database(), &sink.url, lines)?;
        let begun = Instant::now();
        let round = sender.send_due(|| false).await?;
        let took = millis(begun);
        anyhow::ensure!(
            round.sent == recorded.deliveries,
            "{round:?} of {recorded:?}"
        );
        let taken = sink.taken.load(Ordering::Relaxed);
        #[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
        let each = sink.bytes.load(Ordering::Relaxed) as f64 / taken as f64 / 1e3;
        figure(
            &format!("{taken} mails over {lines} connections"),
            took / 1e3,
            "s",
        );
        figure("  a mail, with picture and proof", each, "kB");
    }
    Ok(())
}
