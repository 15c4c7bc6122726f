//! Reads what a minute is judged by, and decides.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use marketlake_entities::records::watches;
use marketlake_entities::{Metric, Minute, Trailing};
use marketlake_lake::{Lake, Point, QueryEngine, Trail, TrailQuery};
use sea_orm::EntityTrait;

use super::index::{Group, Names, groups};
use super::limits::Limits;
use super::{Fired, Verdict, WatchChange, history};
use crate::evidence::Evidence;
use crate::machine::Watch;
use crate::track::in_force;
use crate::{AlertError, Subscription};

type Key = (String, Metric);

/// Judges a minute by every rule in force. Changes nothing.
///
/// # Errors
/// Where the database or the lake fails.
pub async fn judge(lake: &Lake, minute: Minute) -> Result<Verdict, AlertError> {
    let database = lake.database();
    let subscriptions: Vec<Arc<Subscription>> = Subscription::all(database)
        .await?
        .into_iter()
        .filter(|subscription| in_force(subscription.rule(), minute))
        .map(Arc::new)
        .collect();
    let spans = history::changes(database, &subscriptions, minute).await?;
    let mut known = known(lake, &subscriptions).await?;
    let forgotten: HashSet<&String> = spans.forgotten.iter().collect();
    known.retain(|(subscription_id, _), _| !forgotten.contains(subscription_id));
    let mut round = Round {
        lake,
        minute,
        known,
        changes: Vec::new(),
        jumps: Vec::new(),
        series: BTreeMap::new(),
    };
    let mut rules = 0;
    for group in groups(&subscriptions) {
        rules += group.rules();
        round.judge_group(&group).await?;
    }
    let jumps = round.jumps.len();
    let forgotten = spans.forgotten.clone();
    let mut verdict = Verdict {
        minute,
        spans,
        forgotten,
        watches: round.changes,
        alerts: Vec::new(),
        evidence: Vec::new(),
        spent: Vec::new(),
        jumps,
        rules,
    };
    admit(lake, &mut verdict, round.jumps, round.series).await?;
    Ok(verdict)
}

/// What the minutes before left.
async fn known(
    lake: &Lake,
    subscriptions: &[Arc<Subscription>],
) -> Result<HashMap<Key, Watch>, AlertError> {
    let ids: HashSet<&str> = subscriptions.iter().map(|s| s.id.as_str()).collect();
    let rows = watches::Entity::find().all(lake.database()).await?;
    let mut known = HashMap::new();
    for row in rows {
        if !ids.contains(row.subscription_id.as_str()) {
            continue;
        }
        let metric = row.metric.parse::<Metric>();
        let metric = metric
            .map_err(|error| AlertError::corrupt("watches", &row.metric, error.to_string()))?;
        let watch = Watch {
            state: row.state,
            held: row.held,
            streak: u32::try_from(row.streak).unwrap_or(0),
        };
        known.insert((row.subscription_id, metric), watch);
    }
    Ok(known)
}

/// A jump by a rule, with what it is called in the list of changes.
pub(super) struct Found {
    pub(super) fired: Fired,
    change: usize,
}

struct Round<'a> {
    lake: &'a Lake,
    minute: Minute,
    known: HashMap<Key, Watch>,
    changes: Vec<WatchChange>,
    jumps: Vec<Found>,
    /// The rows of what jumped, by metric and window.
    series: BTreeMap<(Metric, u32), Vec<Point>>,
}

impl Round<'_> {
    async fn judge_group(&mut self, group: &Group) -> Result<(), AlertError> {
        let directory = self.lake.directory();
        let names = Names::of(directory.metrics());
        let mut pairs: Vec<(&Arc<Subscription>, Metric)> = Vec::new();
        for subscription in &group.exact {
            let named = names.named(subscription).into_iter();
            pairs.extend(named.map(|metric| (subscription, metric.clone())));
        }
        let metrics = group.globs.is_empty().then(|| {
            let named: HashSet<&Metric> = pairs.iter().map(|(_, metric)| metric).collect();
            named.into_iter().cloned().collect()
        });
        let query = TrailQuery {
            at: self.minute,
            window: group.window,
            metrics,
        };
        let trails = self.lake.engine().trails(&query).await?;
        let tracked = self.tracked(group);
        for trail in trails.iter().filter(|trail| group.concerns_globs(trail)) {
            for subscription in &group.globs {
                if subscription.judged.pattern.matches(&trail.metric)
                    && !tracked.contains(&(&subscription.id, &trail.metric))
                {
                    pairs.push((subscription, trail.metric.clone()));
                }
            }
        }
        let by_id: HashMap<&String, &Arc<Subscription>> =
            group.globs.iter().map(|s| (&s.id, s)).collect();
        for (id, metric) in tracked {
            if let Some(subscription) = by_id.get(id) {
                pairs.push((subscription, metric.clone()));
            }
        }
        drop(by_id);
        let pairs: Vec<(Arc<Subscription>, Metric)> = pairs
            .into_iter()
            .map(|(subscription, metric)| (Arc::clone(subscription), metric))
            .collect();
        for (subscription, metric) in pairs {
            let at = trails.binary_search_by(|trail| trail.metric.cmp(&metric));
            let nothing = Trail::of(&metric, self.minute, &[]);
            let trail = at.map_or(&nothing, |at| &trails[at]);
            self.step(&subscription, trail).await?;
        }
        Ok(())
    }

    /// Pairs of a glob and a metric of which something is known.
    fn tracked(&self, group: &Group) -> HashSet<(&String, &Metric)> {
        let globs: HashSet<&String> = group.globs.iter().map(|s| &s.id).collect();
        let known = self.known.keys();
        known
            .filter(|(id, _)| globs.contains(id))
            .map(|(id, metric)| (id, metric))
            .collect()
    }

    async fn step(
        &mut self,
        subscription: &Arc<Subscription>,
        trail: &Trail,
    ) -> Result<(), AlertError> {
        let key = (subscription.id.clone(), trail.metric.clone());
        let watch = self.known.get(&key).copied().unwrap_or_default();
        let rule = subscription.rule();
        let summed;
        let mut before = &trail.before;
        if !before.is_exact() {
            summed = sum(
                &self.series(&trail.metric, rule.jump.window).await?,
                self.minute,
            );
            before = &summed;
        }
        let step = rule.step(watch, trail.value, before);
        if step.watch == watch {
            return Ok(());
        }
        let change = self.changes.len();
        self.changes.push(WatchChange {
            subscription_id: key.0,
            metric: key.1,
            from: watch.state,
            to: step.watch,
            reason: step.reason,
            ratio: step.ratio,
        });
        if let (true, Some(value)) = (step.fires, trail.value) {
            let points = self.series(&trail.metric, rule.jump.window).await?;
            let before = sum(&points, self.minute);
            let jump = rule.shown(&trail.metric, self.minute, value, &before);
            let subscription = Arc::clone(subscription);
            self.jumps.push(Found {
                fired: Fired { subscription, jump },
                change,
            });
        }
        Ok(())
    }

    /// The rows of a metric from the window's begin to the minute.
    async fn series(&mut self, metric: &Metric, window: u32) -> Result<Vec<Point>, AlertError> {
        let key = (metric.clone(), window);
        if let Some(points) = self.series.get(&key) {
            return Ok(points.clone());
        }
        let query = TrailQuery {
            at: self.minute,
            window,
            metrics: None,
        };
        let points = self.lake.engine().timeseries(metric, query.reach()).await?;
        self.series.insert(key, points.clone());
        Ok(points)
    }
}

fn sum(points: &[Point], minute: Minute) -> Trailing {
    let before = points.iter().take_while(|point| point.ts < minute);
    before.map(|point| point.value).collect()
}

/// Of the jumps, those that the subscriptions' limits let become alerts, with their evidence.
async fn admit(
    lake: &Lake,
    verdict: &mut Verdict,
    mut jumps: Vec<Found>,
    mut series: BTreeMap<(Metric, u32), Vec<Point>>,
) -> Result<(), AlertError> {
    if jumps.is_empty() {
        return Ok(());
    }
    // In an order that does not depend on how they were found: limits admit the first.
    jumps.sort_by(|a, b| {
        let key = |found: &'_ Found| {
            (
                found.fired.subscription.id.clone(),
                found.fired.jump.metric.clone(),
            )
        };
        key(a).cmp(&key(b))
    });
    let minute = verdict.minute;
    let mut limits = Limits::read(lake.database(), &jumps, minute).await?;
    for Found { fired, change } in jumps {
        match limits.admit(&fired) {
            Ok(()) => verdict.alerts.push(fired),
            Err(held) => {
                let words = held.in_words(fired.subscription.rule());
                if let Some(reason) = &mut verdict.watches[change].reason {
                    *reason += "; ";
                    *reason += &words;
                }
            }
        }
    }
    verdict.spent = limits.spent();
    let longest = verdict
        .alerts
        .iter()
        .map(|f| f.subscription.rule().jump.window);
    let Some(longest) = longest.max() else {
        return Ok(());
    };
    let reach = TrailQuery {
        at: minute,
        window: longest,
        metrics: None,
    };
    let segments = lake.segment_ids(reach.reach()).await?;
    let needed: HashSet<(Metric, u32)> = verdict
        .alerts
        .iter()
        .map(|fired| {
            let window = fired.subscription.rule().jump.window;
            (fired.jump.metric.clone(), window)
        })
        .collect();
    series.retain(|key, _| needed.contains(key));
    let evidence = series
        .into_iter()
        .map(|((metric, window), points)| Evidence {
            metric,
            ts: minute,
            window,
            points,
            segments: segments.clone(),
        });
    verdict.evidence = evidence.collect();
    Ok(())
}
