//! Evaluates all rules for one minute.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use marketlake_entities::records::rule_states;
use marketlake_lake::{Lake, Point, QueryEngine, RuleInput, RuleInputQuery, Span};
use marketlake_model::{Jump, Metric, Minute, RollingSum};
use sea_orm::EntityTrait;

use super::index::{Group, Names, groups};
use super::limits::Limits;
use super::{Evaluation, FiringRule, JumpCandidate, StateChange, history};
use crate::error::AlertError;
use crate::rules::evaluation::in_force;
use crate::rules::evidence::Evidence;
use crate::rules::state_machine::RuleState;
use crate::subscriptions::Subscription;

/// Evaluates a minute by every rule in force. Changes nothing.
///
/// # Errors
/// If the database or the lake fails.
pub async fn evaluate(lake: &Lake, minute: Minute) -> Result<Evaluation, AlertError> {
    let database = lake.database();
    let subscriptions: Vec<Arc<Subscription>> = Subscription::all(database)
        .await?
        .into_iter()
        .filter(|subscription| in_force(subscription.rule(), minute))
        .map(Arc::new)
        .collect();
    let spans = history::changes(database, &subscriptions, minute).await?;
    let mut known = known(lake).await?;
    for subscription_id in &spans.forgotten {
        known.remove(subscription_id);
    }
    let directory = lake.directory();
    let names = Names::of(directory.metrics());
    let mut run = EvaluationRun {
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
        run.evaluate_group(&group, &names).await?;
    }
    let jumps = run.jumps.len();
    let mut evaluation = Evaluation {
        minute,
        spans,
        watches: run.changes,
        alerts: Vec::new(),
        evidence: Vec::new(),
        spent: Vec::new(),
        jumps,
        rules,
    };
    admit(lake, &mut evaluation, run.jumps, run.series).await?;
    Ok(evaluation)
}

/// States that the minutes before left, by subscription.
type Known = HashMap<String, BTreeMap<Metric, RuleState>>;

async fn known(lake: &Lake) -> Result<Known, AlertError> {
    let rows = rule_states::Entity::find().all(lake.database()).await?;
    let mut known = Known::new();
    for row in rows {
        let metric = AlertError::parsed("rule_states", &row.subscription_id, &row.metric)?;
        let watch = RuleState::from_row(row.state, row.resume_state, row.streak);
        known
            .entry(row.subscription_id)
            .or_default()
            .insert(metric, watch);
    }
    Ok(known)
}

struct EvaluationRun<'a> {
    lake: &'a Lake,
    minute: Minute,
    known: Known,
    changes: Vec<StateChange>,
    jumps: Vec<JumpCandidate>,
    /// The rows of what jumped, by metric and window.
    series: BTreeMap<(Metric, u32), Vec<Point>>,
}

impl EvaluationRun<'_> {
    async fn evaluate_group(&mut self, group: &Group, names: &Names<'_>) -> Result<(), AlertError> {
        let mut pairs: Vec<(Arc<Subscription>, Metric)> = Vec::new();
        for subscription in &group.exact {
            for metric in names.named(subscription) {
                pairs.push((Arc::clone(subscription), metric.clone()));
            }
        }
        let metrics = group.globs.is_empty().then(|| {
            let named: HashSet<&Metric> = pairs.iter().map(|(_, metric)| metric).collect();
            named.into_iter().cloned().collect()
        });
        let query = RuleInputQuery {
            at: self.minute,
            window: group.window,
            metrics,
        };
        let trails = self.lake.engine().rule_inputs(&query).await?;
        let nothing_known = BTreeMap::new();
        for subscription in &group.globs {
            let known = self.known.get(&subscription.id).unwrap_or(&nothing_known);
            let tracked = known.keys();
            pairs.extend(tracked.map(|metric| (Arc::clone(subscription), metric.clone())));
        }
        for trail in trails.iter().filter(|trail| group.concerns_globs(trail)) {
            for subscription in &group.globs {
                let known = self.known.get(&subscription.id).unwrap_or(&nothing_known);
                if subscription.scoped_rule.pattern.matches(&trail.metric)
                    && !known.contains_key(&trail.metric)
                {
                    pairs.push((Arc::clone(subscription), trail.metric.clone()));
                }
            }
        }
        for (subscription, metric) in pairs {
            let at = trails.binary_search_by(|trail| trail.metric.cmp(&metric));
            let nothing = RuleInput::from_points(&metric, self.minute, &[]);
            let trail = at.map_or(&nothing, |at| &trails[at]);
            self.step(&subscription, trail).await?;
        }
        Ok(())
    }

    async fn step(
        &mut self,
        subscription: &Arc<Subscription>,
        trail: &RuleInput,
    ) -> Result<(), AlertError> {
        let known = self.known.get(&subscription.id);
        let watch = known.and_then(|known| known.get(&trail.metric)).copied();
        let watch = watch.unwrap_or_default();
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
        self.changes.push(StateChange {
            subscription_id: subscription.id.clone(),
            metric: trail.metric.clone(),
            from: watch.state,
            to: step.watch,
            reason: step.reason,
            ratio: step.ratio,
        });
        if let (true, Some(value)) = (step.fires, trail.value) {
            let points = self.series(&trail.metric, rule.jump.window).await?;
            let before = sum(&points, self.minute);
            let jump = Jump::of(&trail.metric, self.minute, value, &before);
            let subscription = Arc::clone(subscription);
            self.jumps.push(JumpCandidate {
                fired: FiringRule { subscription, jump },
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
        let span = Span::lookback(self.minute, window);
        let points = self.lake.engine().timeseries(metric, span).await?;
        self.series.insert(key, points.clone());
        Ok(points)
    }
}

fn sum(points: &[Point], minute: Minute) -> RollingSum {
    let before = points.iter().take_while(|point| point.ts < minute);
    before.map(|point| point.value).collect()
}

/// Turns the jumps that the subscriptions' limits allow into alerts, with their evidence.
async fn admit(
    lake: &Lake,
    evaluation: &mut Evaluation,
    mut jumps: Vec<JumpCandidate>,
    mut series: BTreeMap<(Metric, u32), Vec<Point>>,
) -> Result<(), AlertError> {
    if jumps.is_empty() {
        return Ok(());
    }
    // In an order that does not depend on how they were found: limits admit the first.
    jumps.sort_by(|a, b| {
        let (a, b) = (&a.fired, &b.fired);
        let by_subscription = a.subscription.id.cmp(&b.subscription.id);
        by_subscription.then_with(|| a.jump.metric.cmp(&b.jump.metric))
    });
    let minute = evaluation.minute;
    let mut limits = Limits::read(lake.database(), &jumps, minute).await?;
    for JumpCandidate { fired, change } in jumps {
        match limits.admit(&fired) {
            Ok(()) => evaluation.alerts.push(fired),
            Err(held) => {
                let words = held.in_words(fired.subscription.rule());
                if let Some(reason) = &mut evaluation.watches[change].reason {
                    *reason += "; ";
                    *reason += &words;
                }
            }
        }
    }
    evaluation.spent = limits.spent();
    let longest = evaluation
        .alerts
        .iter()
        .map(|f| f.subscription.rule().jump.window);
    let Some(longest) = longest.max() else {
        return Ok(());
    };
    let segments = lake.segment_ids(Span::lookback(minute, longest)).await?;
    let needed: HashSet<(Metric, u32)> = evaluation
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
    evaluation.evidence = evidence.collect();
    Ok(())
}
