//! Rankings and lists of metrics from rollups. Hours that the span cuts, or that have no rollups
//! yet, are read sample by sample.

use std::collections::{BTreeSet, HashMap};

use bytes::Bytes;
use marketlake_entities::records::segments::{Model, Tier};
use marketlake_model::{Metric, Minute};

use super::session::DataFusionEngine;
use crate::catalog::segments::overlaps;
use crate::error::LakeError;
use crate::query::ranking::Ranking;
use crate::query::statistic::{Statistic, Summary, VOLUMES, traded, volumes_of};
use crate::segment::codec::{for_each_rollup, read_hours};
use crate::segment::rollup::Rollup;
use crate::span::Span;
use crate::storage::object::Object;

/// Each metric's hours.
type Hours = HashMap<Metric, Vec<Rollup>>;

/// Scan of a ranking: engine, segments, span.
#[derive(Clone, Copy)]
struct RankingScan<'a> {
    engine: &'a DataFusionEngine,
    segments: &'a [Model],
    span: Span,
    /// Whether count, mean and m2 are enough.
    moments_only: bool,
}

pub(super) async fn ranking(
    engine: &DataFusionEngine,
    segments: &[Model],
    measure: &str,
    statistic: Statistic,
    span: Span,
) -> Result<Ranking, LakeError> {
    let scan = RankingScan {
        engine,
        segments,
        span,
        moments_only: statistic.is_of_moments(),
    };
    let [daily, minutes] = if statistic == Statistic::Volume {
        let [daily, minutes] = VOLUMES;
        [scan.summaries(daily).await?, scan.summaries(minutes).await?]
    } else {
        Default::default()
    };
    let summaries = scan.summaries(measure).await?;
    let values = summaries.into_iter().filter_map(|(metric, all)| {
        let of_pair = || {
            let (day, minute) = volumes_of(&metric)?;
            traded(daily.get(&day), minutes.get(&minute))
        };
        let value = statistic.compute(&all, of_pair)?;
        Some((metric, value))
    });
    Ok(Ranking::new(values.collect()))
}

impl RankingScan<'_> {
    /// Summarises each metric's samples.
    async fn summaries(self, measure: &str) -> Result<HashMap<Metric, Summary>, LakeError> {
        let mut hours = Hours::new();
        let by_sample = hours_without_rollups(self.segments, self.span);
        self.read_rollups(measure, &by_sample, &mut hours).await?;
        for part in runs_of_hours(&by_sample, self.span) {
            self.read_samples(measure, part, &mut hours).await?;
        }
        let summaries = hours.into_iter().filter_map(|(metric, mut hours)| {
            hours.sort_by_key(|hour| hour.hour);
            let mut hours = hours.into_iter();
            let mut all = hours.next()?;
            if self.moments_only {
                // Least and greatest were not read; comparing them would take as long as all the
                // rest.
                hours.for_each(|hour| all.moments.merge(&hour.moments));
            } else {
                hours.for_each(|hour| all.merge(&hour));
            }
            Some((metric, Summary::from(&all)))
        });
        Ok(summaries.collect())
    }

    async fn read_rollups(
        self,
        measure: &str,
        by_sample: &BTreeSet<Minute>,
        hours: &mut Hours,
    ) -> Result<(), LakeError> {
        let read = fetch_rollups(self.engine, self.segments, by_sample).await?;
        for (object, bytes) in read {
            for_each_rollup(&object, bytes, self.moments_only, |metric, rows| {
                if metric.measure() == measure {
                    let wanted = |row: &&Rollup| {
                        self.span.contains(row.hour) && !by_sample.contains(&row.hour)
                    };
                    let known = hours.entry(metric.clone()).or_default();
                    known.extend(rows.iter().filter(wanted));
                }
            })?;
        }
        Ok(())
    }

    async fn read_samples(
        self,
        measure: &str,
        part: Span,
        hours: &mut Hours,
    ) -> Result<(), LakeError> {
        let overlapping = overlapping(self.segments, part);
        let mut found = Hours::new();
        // Within a metric the samples come in the order of time, so that equal series have equal
        // spreads.
        self.engine
            .for_each_sample(overlapping, Some(measure), part, |metric, point| {
                let known = match found.get_mut(metric) {
                    Some(known) => known,
                    None => found.entry(metric.clone()).or_default(),
                };
                match known.last_mut() {
                    Some(last) if last.hour == point.ts.hour() => last.push(point),
                    _ => known.push(Rollup::from_point(point)),
                }
            })
            .await?;
        for (metric, mut rollups) in found {
            hours.entry(metric).or_default().append(&mut rollups);
        }
        Ok(())
    }
}

/// The hours of a span that must be read sample by sample.
fn hours_without_rollups(segments: &[Model], span: Span) -> BTreeSet<Minute> {
    let cut = [span.from, span.to]
        .into_iter()
        .map(Minute::hour)
        .filter(|hour| !(span.contains(*hour) && span.contains(hour.plus(59))));
    let mut hours: BTreeSet<Minute> = cut.collect();
    for segment in segments
        .iter()
        .filter(|segment| segment.rollup_path.is_none())
    {
        let first = segment.min_ts.minute().max(span.from).hour();
        let last = segment.max_ts.minute().min(span.to);
        let each = (0..).map(|hour| first.plus(60 * hour));
        hours.extend(each.take_while(|hour| *hour <= last));
    }
    hours
}

/// Hours side by side as one span, each cut to the whole.
fn runs_of_hours(hours: &BTreeSet<Minute>, whole: Span) -> Vec<Span> {
    let mut runs: Vec<Span> = Vec::new();
    for hour in hours {
        match runs.last_mut() {
            Some(run) if run.to.plus(1) == *hour => run.to = hour.plus(59),
            _ => runs.push(Span::hour(*hour)),
        }
    }
    let cut = runs.into_iter().map(|run| Span {
        from: run.from.max(whole.from),
        to: run.to.min(whole.to),
    });
    cut.collect()
}

/// The metrics that have a sample in a span, by the same ways.
pub(super) async fn metrics(
    engine: &DataFusionEngine,
    segments: &[Model],
    span: Span,
) -> Result<BTreeSet<Metric>, LakeError> {
    let by_sample = hours_without_rollups(segments, span);
    let mut metrics = BTreeSet::new();
    for (object, bytes) in fetch_rollups(engine, segments, &by_sample).await? {
        read_hours(&object, bytes, |metric, hours| {
            let wanted = |hour: &Minute| span.contains(*hour) && !by_sample.contains(hour);
            if hours.iter().any(wanted) {
                metrics.insert(metric.clone());
            }
        })?;
    }
    for part in runs_of_hours(&by_sample, span) {
        let overlapping = overlapping(segments, part);
        metrics.extend(engine.present(overlapping, part).await?);
    }
    Ok(metrics)
}

fn overlapping(segments: &[Model], part: Span) -> Vec<Model> {
    let within = segments.iter().filter(|segment| overlaps(segment, part));
    within.cloned().collect()
}

async fn fetch_rollups(
    engine: &DataFusionEngine,
    segments: &[Model],
    by_sample: &BTreeSet<Minute>,
) -> Result<Vec<(Object, Bytes)>, LakeError> {
    let objects: Vec<Object> = segments
        .iter()
        .filter(|segment| !is_by_sample_only(segment, by_sample))
        .filter_map(Object::rollups)
        .collect();
    engine.store().read_all(objects).await
}

/// Returns whether a segment's only hour is read sample by sample.
fn is_by_sample_only(segment: &Model, by_sample: &BTreeSet<Minute>) -> bool {
    segment.tier != Tier::Day && by_sample.contains(&segment.hour.minute())
}
