//! `marketlake backfill`.

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context;
use clap::Args;
use clap::builder::PossibleValuesParser;
use marketlake_common::excerpt;
use marketlake_entities::database;
use marketlake_feeds::stream::Listing;
use marketlake_feeds::{EXCHANGES, Exchange, HistoryFeed};
use marketlake_jobs::{Backfill as Job, RunOnce, Runner};
use marketlake_lake::{EARLIEST_MINUTE, Span};
use marketlake_model::Minute;

use super::Usage;
use super::query_args::minute;
use crate::config::{Feed, Settings};
use crate::progress::Progress;
use crate::{output, service, wiring};

/// Skipped symbols that the last line names.
const MAX_NAMED_SKIPS: usize = 20;

/// Downloads minute-by-minute history from an exchange: closing prices, traded volumes, highs, lows
/// and, where the exchange counts them, trades.
///
/// Works day by day and resumes where it was stopped or killed. Keeps to the exchange's rate
/// limits. Skips symbols that the exchange does not know, and names them at the end. Example:
/// marketlake backfill --feed binance --from 2026-11-01T00:00:00Z --to 2026-11-08T00:00:00Z --pairs
/// btcusdt,hottry
#[derive(Args)]
pub(super) struct Backfill {
    /// Exchange.
    #[arg(long, value_name = "NAME", value_parser = exchanges())]
    feed: String,
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

/// Names of the exchanges with history.
fn exchanges() -> PossibleValuesParser {
    let with_history = EXCHANGES.iter().filter(|exchange| exchange.has_history());
    PossibleValuesParser::new(with_history.map(|exchange| exchange.name))
}

impl Backfill {
    pub(super) async fn execute(self, settings: &Settings) -> anyhow::Result<ExitCode> {
        let lake = wiring::lake::open_to_write(settings).await?;
        let now = database::clock(lake.database()).await?.minute();
        let span = self.span(now)?;
        let feed = self.history(settings)?;
        let pairs = self.chosen(feed.pairs().await?);
        let symbols = pairs.len();
        let stop = wiring::shutdown::stop_on_signal()?;
        let runner = Runner::new(lake.database().clone(), service::worker(), stop.clone());
        let days: Vec<Minute> = (0..)
            .map(|day| span.from.day().plus(day * 1_440))
            .take_while(|day| *day <= span.to)
            .collect();
        let progress = Arc::new(Progress::new(
            "backfill",
            "symbol-days",
            days.len() * symbols,
        ));
        let seen = Arc::clone(&progress);
        let on_symbol = Box::new(move |samples| seen.step(samples));
        let job = Job::new(Arc::clone(&lake), feed, pairs, span, on_symbol);
        let (mut done, mut before) = (0, 0);
        for day in days.iter().map(|day| Span::day(*day)) {
            let slot = day.from.start();
            let ran = runner.run_once(&job, slot, job.shard(day), false).await?;
            match ran {
                RunOnce::Done(_) => done += 1,
                RunOnce::AlreadyDone(_) => {
                    before += 1;
                    progress.skip(symbols);
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
            "backfill: {done} days of {symbols} symbols, {before} were there before; the lake \
             holds {} samples in {} segments",
            figures.samples, figures.segments
        ))?;
        if let Some(line) = skipped_line(&job.skipped()) {
            output::line(&line)?;
        }
        Ok(ExitCode::SUCCESS)
    }

    /// Pairs to download, of all that the exchange lists. One that it does not list is requested
    /// all the same: it may have a history.
    fn chosen(&self, listed: Vec<Listing>) -> Vec<Listing> {
        if self.pairs.is_empty() {
            return listed;
        }
        let chosen = |name: &String| {
            let pair = name.to_lowercase();
            let is_it = |listing: &&Listing| {
                let symbol = listing.symbol.to_lowercase();
                listing.pair == pair || symbol == pair
            };
            let found = listed.iter().find(is_it).cloned();
            found.unwrap_or_else(|| Listing {
                symbol: name.to_uppercase(),
                pair,
            })
        };
        self.pairs.iter().map(chosen).collect()
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

    /// The history at the address that is configured for the exchange, else at its usual one.
    fn history(&self, settings: &Settings) -> anyhow::Result<Arc<HistoryFeed>> {
        let mut feeds = settings.feeds.iter();
        let configured = feeds.find(|feed| feed.kind().name() == self.feed);
        let options = configured.map(Feed::exchange_options).unwrap_or_default();
        let exchange = Exchange::by_name(&self.feed);
        let history = exchange.map(|exchange| exchange.history(&options));
        let no_history = || format!("--feed: {} has no history", self.feed);
        history.transpose()?.flatten().with_context(no_history)
    }
}

/// Line that names skipped symbols and the exchange's messages, if there are any.
fn skipped_line(skipped: &BTreeMap<String, String>) -> Option<String> {
    let named = |(symbol, message): (&String, &String)| {
        format!("{} ({})", excerpt(symbol), excerpt(message))
    };
    let first = skipped.iter().take(MAX_NAMED_SKIPS).map(named);
    let named = first.collect::<Vec<_>>().join(", ");
    let rest = match skipped.len().saturating_sub(MAX_NAMED_SKIPS) {
        0 => String::new(),
        count => format!(" and {count} more"),
    };
    (!skipped.is_empty()).then(|| format!("skipped: {named}{rest}"))
}
