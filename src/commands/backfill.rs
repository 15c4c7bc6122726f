//! `marketlake backfill`.

use std::process::ExitCode;
use std::sync::Arc;

use clap::{Args, ValueEnum};
use marketlake_entities::database;
use marketlake_feeds::Binance;
use marketlake_jobs::{Backfill as Job, RunOnce, Runner};
use marketlake_lake::{EARLIEST_MINUTE, Span};
use marketlake_model::Minute;

use super::Usage;
use super::query_args::minute;
use crate::config::{Feed, Settings};
use crate::progress::Progress;
use crate::{output, service, wiring};

/// Downloads minute-by-minute history from an exchange: closing prices and traded volumes.
///
/// Works day by day and resumes where it was stopped or killed. Keeps to the exchange's rate
/// limits. Example: marketlake backfill --feed binance --from 2026-11-01T00:00:00Z --to
/// 2026-11-08T00:00:00Z --pairs btcusdt,hottry
#[derive(Args)]
pub(super) struct Backfill {
    /// Exchange.
    #[arg(long, value_enum)]
    feed: Source,
    /// First minute, RFC 3339.
    #[arg(long, value_name = "TS")]
    from: String,
    /// Last minute; by default the newest completed one.
    #[arg(long, value_name = "TS")]
    to: Option<String>,
    /// Pairs to download; by default all that are traded.
    #[arg(long, value_delimiter = ',', value_name = "PAIR,..")]
    pairs: Vec<String>,
}

/// Exchanges with history.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Source {
    Binance,
}

impl Backfill {
    pub(super) async fn execute(self, settings: &Settings) -> anyhow::Result<ExitCode> {
        let lake = wiring::lake::open_to_write(settings).await?;
        let now = database::clock(lake.database()).await?.minute();
        let span = self.span(now)?;
        let feed = Arc::new(self.exchange(settings)?);
        let symbols = if self.pairs.is_empty() {
            feed.symbols().await?
        } else {
            self.pairs.iter().map(|pair| pair.to_lowercase()).collect()
        };
        let stop = wiring::shutdown::stop_on_signal()?;
        let runner = Runner::new(lake.database().clone(), service::worker(), stop.clone());
        let days: Vec<Minute> = (0..)
            .map(|day| span.from.day().plus(day * 1_440))
            .take_while(|day| *day <= span.to)
            .collect();
        let progress = Arc::new(Progress::new(
            "backfill",
            "symbol-days",
            days.len() * symbols.len(),
        ));
        let seen = Arc::clone(&progress);
        let on_symbol = Box::new(move |samples| seen.step(samples));
        let job = Job::new(Arc::clone(&lake), feed, symbols.clone(), span, on_symbol);
        let (mut done, mut before) = (0, 0);
        for day in days.iter().map(|day| Span::day(*day)) {
            let slot = day.from.start();
            let ran = runner.run_once(&job, slot, job.shard(day), false).await?;
            match ran {
                RunOnce::Done(_) => done += 1,
                RunOnce::AlreadyDone(_) => {
                    before += 1;
                    progress.skip(symbols.len());
                }
                RunOnce::Held => {
                    anyhow::bail!(
                        "{}: another process works on it; its lease ends within 30 s if that \
                         process has stopped",
                        day.from.date()
                    );
                }
                RunOnce::Failed(error) => {
                    progress.end();
                    anyhow::bail!(
                        "{}: {error}; run the same command again to continue",
                        day.from.date()
                    );
                }
            }
            progress.line(&format!("{} is in", day.from.date()));
            if stop.is_cancelled() {
                anyhow::bail!("stopped; run the same command again to continue");
            }
        }
        progress.end();
        let figures = lake.stats().await?;
        output::line(&format!(
            "backfill: {done} days of {} symbols, {before} were there before; the lake holds {} \
             samples in {} segments",
            symbols.len(),
            figures.samples,
            figures.segments
        ))?;
        Ok(ExitCode::SUCCESS)
    }

    fn span(&self, now: Minute) -> Result<Span, Usage> {
        let from = minute("--from", Some(&self.from))?.unwrap_or(now);
        let last = now.plus(-1);
        let to = minute("--to", self.to.as_deref())?.map_or(last, |to| to.min(last));
        if from < EARLIEST_MINUTE {
            return Err(Usage(format!(
                "--from: expected {EARLIEST_MINUTE} or later, got {from}"
            )));
        }
        let span = Span { from, to };
        span.validate()
            .map_err(|reason| Usage(format!("--from: {reason}")))
    }

    /// At the address that is configured for it, else at its usual one.
    fn exchange(&self, settings: &Settings) -> anyhow::Result<Binance> {
        let Source::Binance = self.feed;
        let mut feeds = settings.feeds.iter();
        let configured = feeds.find(|feed| feed.kind().name() == "binance");
        let options = configured.map(Feed::exchange_options).unwrap_or_default();
        let base = match options.base_url {
            Some(url) => url,
            None => Binance::DEFAULT_URL.parse()?,
        };
        let contact = options.contact.as_deref();
        Ok(Binance::with_contact(base, None, contact)?)
    }
}
