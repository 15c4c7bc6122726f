//! `marketlake coverage`.

use std::collections::BTreeMap;

use clap::Args;
use marketlake_entities::records::gaps::{self, GapPage, GapReason, GapState, Model};
use marketlake_lake::MissingSpan;
use marketlake_model::Minute;
use sea_orm::{ActiveEnum, DatabaseConnection};

use super::Usage;
use super::query_args::{QueryArgs, QuerySession, minute};
use crate::config::Settings;
use crate::output::{self, Cell};

/// Minutes of gaps that are listed of one market.
const MAX_GAPS: u64 = 10_000;

/// Lists the minutes without a sample of a metric and their reasons, or the gaps of all markets.
///
/// Without a name the output has the gaps of each market, newest first: minutes that were not
/// recorded or not completely, and whether the exchange's history filled them.
/// Example: marketlake coverage hottry --from 2026-11-24T00:00:00Z
#[derive(Args)]
pub(super) struct Coverage {
    /// Name or id of a metric; by default the gaps of all markets.
    name: Option<String>,
    /// First minute; by default 24 hours before the last.
    #[arg(long, value_name = "TS")]
    from: Option<String>,
    /// Last minute; by default the newest.
    #[arg(long, visible_alias = "at", value_name = "TS")]
    to: Option<String>,
    #[command(flatten)]
    query: QueryArgs,
}

impl Coverage {
    pub(super) async fn execute(self, settings: &Settings) -> anyhow::Result<()> {
        let from = minute("--from", self.from.as_deref())?;
        let to = minute("--to", self.to.as_deref())?;
        let session = self.query.open(settings).await?;
        match &self.name {
            Some(name) => self.of_metric(&session, name, from, to).await,
            None => self.of_markets(&session, from, to).await,
        }
    }

    async fn of_metric(
        &self,
        session: &QuerySession,
        name: &str,
        from: Option<Minute>,
        to: Option<Minute>,
    ) -> anyhow::Result<()> {
        let metric = session.resolve_with_note(name).await?;
        let queries = session.lake.queries();
        let span = queries.coverage_span(from, to).await?;
        let span = span.map_err(|reason| Usage(format!("--from: {reason}")))?;
        let engine = session.engine.as_ref();
        let mut found = queries.coverage(engine, &metric, span).await?;
        queries.load_details(&mut found.missing).await?;
        output::note_simulated([&metric]);
        let rows: Vec<Vec<Cell>> = found.missing.iter().map(missing_row).collect();
        let columns = ["from", "to", "minutes", "reason", "state", "detail"];
        output::print(self.query.format, &columns, &rows)?;
        let left_out = match found.missing_left_out {
            0 => String::new(),
            spans => format!("; {spans} older spans are not listed"),
        };
        output::note(&format!(
            "coverage: {}: {} minutes from {} to {}, {} filled from the exchange's history; {} \
             missing{left_out}",
            found.named.name,
            found.display(),
            found.span.from,
            found.span.to,
            found.filled,
            found.expected.saturating_sub(found.recorded),
        ));
        Ok(())
    }

    async fn of_markets(
        &self,
        session: &QuerySession,
        from: Option<Minute>,
        to: Option<Minute>,
    ) -> anyhow::Result<()> {
        let database = session.lake.database();
        let default = session.lake.queries().default_span(from, to).await?;
        // Without `to` up to now: the newest gap may be newer than the newest sample.
        let from = from.or(default.map(|span| span.from));
        if let Some((from, to)) = from.zip(to).filter(|(from, to)| from > to) {
            let problem = format!("--from: expected a time up to {to}, got {from}");
            return Err(Usage(problem).into());
        }
        let (mut rows, mut totals) = (Vec::new(), Totals::default());
        for market in markets(database).await? {
            let page = GapPage {
                market: Some(market.clone()),
                from,
                to,
                limit: MAX_GAPS + 1,
                ..GapPage::default()
            };
            let mut found = gaps::page(database, &page).await?;
            if found.len() as u64 > MAX_GAPS {
                found.truncate(usize::try_from(MAX_GAPS)?);
                output::note(&format!(
                    "note: {market} has more than {MAX_GAPS} gaps; --to shows older ones"
                ));
            }
            totals.add(&found);
            rows.extend(joined(found).iter().map(|span| span.row(&market)));
        }
        let columns = [
            "market", "from", "to", "minutes", "reason", "state", "samples", "detail",
        ];
        output::print(self.query.format, &columns, &rows)?;
        output::note(&totals.line());
        Ok(())
    }
}

/// Markets that have gaps, by name.
async fn markets(database: &DatabaseConnection) -> anyhow::Result<Vec<String>> {
    let counts = gaps::counts(database).await?;
    let mut markets: Vec<String> = counts.into_iter().map(|count| count.market).collect();
    markets.sort();
    markets.dedup();
    Ok(markets)
}

/// Number of gaps by state.
#[derive(Default)]
struct Totals(BTreeMap<String, usize>);

impl Totals {
    fn add(&mut self, found: &[Model]) {
        for gap in found {
            *self.0.entry(gap.state.to_value()).or_default() += 1;
        }
    }

    fn line(&self) -> String {
        let count = |state: GapState| self.0.get(&state.to_value()).copied().unwrap_or(0);
        format!(
            "coverage: {} gaps: {} open, {} filled, {} lost",
            self.0.values().sum::<usize>(),
            count(GapState::Open),
            count(GapState::Filled),
            count(GapState::Lost),
        )
    }
}

/// Consecutive gaps of a market that are alike.
struct GapSpan {
    from: Minute,
    to: Minute,
    reason: GapReason,
    state: GapState,
    samples: i64,
    detail: String,
}

impl GapSpan {
    fn row(&self, market: &str) -> Vec<Cell> {
        let minutes = self.to.number() - self.from.number() + 1;
        vec![
            Cell::text(market),
            Cell::text(self.from),
            Cell::text(self.to),
            Cell::number(minutes),
            Cell::text(self.reason.to_value()),
            Cell::text(self.state.to_value()),
            Cell::number(self.samples),
            detail_cell(Some(&self.detail)),
        ]
    }
}

/// Joins consecutive gaps, newest first, of the same reason, state and detail.
fn joined(found: Vec<Model>) -> Vec<GapSpan> {
    let mut spans: Vec<GapSpan> = Vec::new();
    for gap in found {
        let minute = gap.minute.minute();
        if let Some(last) = spans.last_mut()
            && last.from == minute.plus(1)
            && (last.reason, last.state) == (gap.reason, gap.state)
            && last.detail == gap.detail
        {
            last.from = minute;
            last.samples = last.samples.saturating_add(gap.samples);
            continue;
        }
        spans.push(GapSpan {
            from: minute,
            to: minute,
            reason: gap.reason,
            state: gap.state,
            samples: gap.samples,
            detail: gap.detail,
        });
    }
    spans
}

fn missing_row(span: &MissingSpan) -> Vec<Cell> {
    let reason = span.reason.map(|reason| reason.to_value());
    let state = span.state.map(|state| state.to_value());
    vec![
        Cell::text(span.from),
        Cell::text(span.to),
        Cell::number(span.minutes()),
        Cell::text(reason.unwrap_or_else(|| "not_recorded".to_owned())),
        state.map_or(Cell::Null, Cell::text),
        detail_cell(span.detail.as_deref()),
    ]
}

/// Cell of a detail, which may quote what an exchange sent: without control characters.
fn detail_cell(detail: Option<&str>) -> Cell {
    match detail {
        None | Some("") => Cell::Null,
        Some(text) => Cell::text(text.replace(char::is_control, " ")),
    }
}
