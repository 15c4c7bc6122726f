//! Names and spreads of all metrics from rollups; only hours that the span cuts, or that have none yet, are read sample by sample.

use std::collections::{BTreeSet, HashMap};

use bytes::Bytes;
use marketlake_entities::records::segments::{Model, Tier};
use marketlake_entities::{Metric, Minute};

use super::{Embedded, Span, Standing};
use crate::LakeError;
use crate::catalog::overlaps;
use crate::codec::{read_hours, read_moments};
use crate::moments::Moments;
use crate::object::Object;
use crate::window::place;

/// Each metric's hours.
type Hours = HashMap<Metric, Vec<(Minute, Moments)>>;

pub(super) async fn ranking(
    engine: &Embedded,
    segments: &[Model],
    measure: &str,
    span: Span,
) -> Result<Vec<Standing>, LakeError> {
    let mut hours = Hours::new();
    let by_sample = hours_without_rollups(segments, span);
    from_rollups(engine, segments, measure, span, &by_sample, &mut hours).await?;
    for part in runs_of_hours(&by_sample, span) {
        from_samples(engine, segments, measure, part, &mut hours).await?;
    }
    let spreads = hours.into_iter().filter_map(|(metric, mut hours)| {
        hours.sort_by_key(|(hour, _)| *hour);
        let mut all = Moments::default();
        for (_, moments) in &hours {
            all.merge(moments);
        }
        Some((metric, all.stddev()?))
    });
    Ok(place(spreads.collect()))
}

/// The hours of a span that must be read sample by sample.
fn hours_without_rollups(segments: &[Model], span: Span) -> BTreeSet<Minute> {
    let cut = [span.from, span.to]
        .into_iter()
        .map(Minute::hour)
        .filter(|hour| !(span.holds(*hour) && span.holds(hour.plus(59))));
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
    engine: &Embedded,
    segments: &[Model],
    span: Span,
) -> Result<BTreeSet<Metric>, LakeError> {
    let by_sample = hours_without_rollups(segments, span);
    let mut metrics = BTreeSet::new();
    for (object, bytes) in fetch_rollups(engine, segments, &by_sample).await? {
        read_hours(&object, bytes, |metric, hours| {
            let wanted = |hour: &Minute| span.holds(*hour) && !by_sample.contains(hour);
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
    engine: &Embedded,
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

async fn from_rollups(
    engine: &Embedded,
    segments: &[Model],
    measure: &str,
    span: Span,
    by_sample: &BTreeSet<Minute>,
    hours: &mut Hours,
) -> Result<(), LakeError> {
    let read = fetch_rollups(engine, segments, by_sample).await?;
    for (object, bytes) in read {
        read_moments(&object, bytes, |metric, rows| {
            if metric.measure() != measure {
                return;
            }
            let wanted =
                |(hour, _): &&(Minute, Moments)| span.holds(*hour) && !by_sample.contains(hour);
            let known = hours.entry(metric.clone()).or_default();
            known.extend(rows.iter().filter(wanted));
        })?;
    }
    Ok(())
}

/// Whether a segment's only hour is read sample by sample.
fn is_by_sample_only(segment: &Model, by_sample: &BTreeSet<Minute>) -> bool {
    segment.tier != Tier::Day && by_sample.contains(&segment.hour.minute())
}

async fn from_samples(
    engine: &Embedded,
    segments: &[Model],
    measure: &str,
    part: Span,
    hours: &mut Hours,
) -> Result<(), LakeError> {
    let overlapping = overlapping(segments, part);
    let mut found: HashMap<Metric, Vec<(Minute, Moments)>> = HashMap::new();
    // Within a metric the samples come in the order of time, so that equal series have equal spreads.
    engine
        .each_sample(overlapping, Some(measure), part, |metric, point| {
            let known = match found.get_mut(metric) {
                Some(known) => known,
                None => found.entry(metric.clone()).or_default(),
            };
            let hour = point.ts.hour();
            if known.last().is_none_or(|(last, _)| *last != hour) {
                known.push((hour, Moments::default()));
            }
            if let Some((_, moments)) = known.last_mut() {
                moments.push(point.value.to_f64());
            }
        })
        .await?;
    for (metric, mut moments) in found {
        hours.entry(metric).or_default().append(&mut moments);
    }
    Ok(())
}
