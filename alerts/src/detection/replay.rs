//! Replays a span: evaluates it again from the rows as they are now and the rules as they were
//! then.
//!
//! It reads the files, never memory, which may lag behind. Unchanged rows give the same alerts, bit
//! for bit. If rows came late or were corrected, it reports the differences; they are
//! [noted](note), and sent alerts stay as they are.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use marketlake_common::BoxError;
use marketlake_entities::records::alert_notes::{self, Verdict};
use marketlake_entities::records::rule_states::RuleStatus;
use marketlake_entities::records::{alerts, transitions};
use marketlake_lake::{JumpQuery, Lake, Point, QueryEngine, Span};
use marketlake_model::{Jump, Metric, Millis, Minute};
use sea_orm::sea_query::OnConflict;
use sea_orm::{
    ColumnTrait, ConnectionTrait, DbErr, EntityTrait, FromQueryResult, NotSet, QueryFilter,
    QueryOrder, Set, Statement,
};

use super::{RuleSpan, carries_over};
use crate::error::AlertError;
use crate::rules::evaluation::{AlertCounts, RuleEvaluator, in_force, reach};
use crate::rules::rule::ScopedRule;
use crate::rules::state_machine::RuleState;

/// An alert, by what makes it unique and what it says.
#[derive(Clone, Debug, PartialEq)]
pub struct AlertRecord {
    /// Its subscription.
    pub subscription_id: String,
    /// The jump.
    pub jump: Jump,
}

/// A stretch of time evaluated again beside what was recorded.
#[derive(Clone, Debug, Default)]
pub struct Replay {
    /// Alerts that are the same, to the last bit of every float.
    pub same: Vec<AlertRecord>,
    /// Alerts that were recorded otherwise: as recorded, and as they would be now.
    pub other: Vec<(AlertRecord, AlertRecord)>,
    /// Alerts that there would be now, and were not.
    pub would_have_fired: Vec<AlertRecord>,
    /// Alerts that were recorded, and would not be now.
    pub would_not_have_fired: Vec<AlertRecord>,
}

/// Evaluates a span again: the minutes of `evaluated` in it, which are those that were evaluated
/// before, and some before it for states that were under way.
///
/// # Errors
/// If the database or the lake fails.
pub async fn replay(
    lake: &Lake,
    span: Span,
    evaluated: &BTreeSet<Minute>,
) -> Result<Replay, AlertError> {
    let database = lake.database();
    let spans = crate::detection::spans(database, span.to).await?;
    let mut chains: BTreeMap<String, Vec<RuleSpan>> = BTreeMap::new();
    for rule_span in spans {
        let chain = chains.entry(rule_span.subscription_id.clone());
        chain.or_default().push(rule_span);
    }
    chains.retain(|_, chain| {
        let ended = |s: &RuleSpan| s.to.is_some_and(|to| to <= span.from);
        !chain.iter().all(ended)
    });
    let mut read = Read::default();
    let mut now = Vec::new();
    for (subscription_id, chain) in &chains {
        let fired = reevaluate(lake, subscription_id, chain, span, evaluated, &mut read).await?;
        now.extend(admitted(database, subscription_id, fired, span).await?);
    }
    let then = recorded(database, span).await?;
    Ok(compare(then, now))
}

/// Cache of what was read, shared by all subscriptions that need it.
#[derive(Default)]
struct Read {
    /// Metrics with a jump, by rule.
    candidates: HashMap<String, BTreeSet<Metric>>,
    /// The rows of a metric, as far back as any rule looks.
    series: HashMap<Metric, (Span, Arc<Vec<Point>>)>,
}

impl Read {
    async fn candidates(
        &mut self,
        lake: &Lake,
        scoped_rule: &ScopedRule,
        span: Span,
    ) -> Result<BTreeSet<Metric>, AlertError> {
        let rule = scoped_rule.rule.jump;
        let key = format!("{rule:?}");
        if !self.candidates.contains_key(&key) {
            let query = JumpQuery {
                rule,
                span,
                metric: None,
            };
            let jumps = lake.datafusion().jumps(&query).await?;
            let metrics = jumps.into_iter().map(|jump| jump.metric).collect();
            self.candidates.insert(key.clone(), metrics);
        }
        let all = self.candidates.get(&key).into_iter().flatten();
        Ok(all
            .filter(|metric| scoped_rule.pattern.matches(metric))
            .cloned()
            .collect())
    }

    async fn series(
        &mut self,
        lake: &Lake,
        metric: &Metric,
        span: Span,
    ) -> Result<Arc<Vec<Point>>, AlertError> {
        if let Some((read, points)) = self.series.get(metric)
            && read.from <= span.from
            && span.to <= read.to
        {
            return Ok(Arc::clone(points));
        }
        let points = Arc::new(lake.datafusion().timeseries(metric, span).await?);
        self.series
            .insert(metric.clone(), (span, Arc::clone(&points)));
        Ok(points)
    }
}

/// Each firing of a subscription in a span, by time, then metric; with the rule that it fired by.
async fn reevaluate<'a>(
    lake: &Lake,
    subscription_id: &str,
    chain: &'a [RuleSpan],
    span: Span,
    evaluated: &BTreeSet<Minute>,
    read: &mut Read,
) -> Result<Vec<(&'a ScopedRule, Jump)>, AlertError> {
    let mut fired: Vec<(&ScopedRule, Jump)> = Vec::new();
    for link in links(chain) {
        let (first, last) = (&link[0], &link[link.len() - 1]);
        if last.to.is_some_and(|to| to <= span.from) || first.from > span.to {
            continue;
        }
        let rule = &first.scoped_rule.rule;
        let under_way = under_way(lake.database(), subscription_id, first.from, span.from).await?;
        let mut metrics: BTreeSet<Metric> = if first.scoped_rule.pattern.is_exact() {
            let directory = lake.directory();
            let meant = directory
                .metrics()
                .filter(|m| first.scoped_rule.pattern.matches(m));
            meant.cloned().collect()
        } else {
            read.candidates(lake, &first.scoped_rule, span).await?
        };
        metrics.extend(under_way.keys().cloned());
        for metric in metrics {
            let (watch, since) = under_way.get(&metric).copied().unwrap_or_default();
            let begin = since.map_or(span.from, |since| since.plus(1));
            let stretch = Span {
                from: begin,
                to: span.to,
            };
            let points = read.series(lake, &metric, reach(rule, stretch)).await?;
            let mut track = RuleEvaluator::new(rule, &metric, &points, watch);
            for &minute in evaluated.range(begin..=span.to) {
                let holds = |s: &&RuleSpan| s.from <= minute && s.to.is_none_or(|to| minute < to);
                let Some(here) = link.iter().find(holds) else {
                    continue;
                };
                if !in_force(rule, minute) {
                    continue;
                }
                let moment = track.evaluate(minute);
                if minute >= span.from {
                    fired.extend(moment.jump.map(|jump| (&here.scoped_rule, jump)));
                }
            }
        }
    }
    fired.sort_by(|(_, a), (_, b)| a.ts.cmp(&b.ts).then_with(|| a.metric.cmp(&b.metric)));
    Ok(fired)
}

/// Spans that follow each other and carry what is known from one to the next.
fn links(chain: &[RuleSpan]) -> impl Iterator<Item = &[RuleSpan]> {
    chain.chunk_by(|a, b| a.to == Some(b.from) && carries_over(&a.scoped_rule, &b.scoped_rule))
}

/// Loads the states before a minute that were not ok; for pending ones, also their start.
async fn under_way(
    connection: &impl ConnectionTrait,
    subscription_id: &str,
    from: Minute,
    before: Minute,
) -> Result<HashMap<Metric, (RuleState, Option<Minute>)>, AlertError> {
    let sql = "select t.* from transitions t \
         where t.subscription_id = $1 and t.ts >= $2 \
         and t.ts = (select max(u.ts) from transitions u \
         where u.subscription_id = t.subscription_id and u.metric = t.metric and u.ts < $3)";
    let values = [
        subscription_id.into(),
        from.start().0.into(),
        before.start().0.into(),
    ];
    let backend = connection.get_database_backend();
    let rows = connection
        .query_all_raw(Statement::from_sql_and_values(backend, sql, values))
        .await?;
    let mut known = HashMap::new();
    for row in rows {
        let row = transitions::Model::from_query_result(&row, "")?;
        let watch = RuleState::from_row(row.to_state, row.resume_state, row.streak);
        if watch == RuleState::default() {
            continue;
        }
        let metric = AlertError::parsed("transitions", subscription_id, &row.metric)?;
        let pending = row.to_state == RuleStatus::Pending;
        known.insert(metric, (watch, pending.then(|| row.ts.minute())));
    }
    Ok(known)
}

/// Those firings that the limits let become alerts, which began with what was recorded before the
/// span.
async fn admitted(
    connection: &impl ConnectionTrait,
    subscription_id: &str,
    fired: Vec<(&ScopedRule, Jump)>,
    span: Span,
) -> Result<Vec<AlertRecord>, AlertError> {
    if fired.is_empty() {
        return Ok(Vec::new());
    }
    let before: Vec<alerts::Model> = alerts::Entity::find()
        .filter(alerts::Column::SubscriptionId.eq(subscription_id))
        .filter(alerts::Column::Ts.lt(span.from.start()))
        .order_by_asc(alerts::Column::Ts)
        .all(connection)
        .await?;
    let day = span.from.day();
    let today = before.iter().filter(|a| a.ts >= day.start()).count();
    let mut tally = AlertCounts {
        today: u32::try_from(today).unwrap_or(u32::MAX),
        day: Some(day),
        ever: u32::try_from(before.len()).unwrap_or(u32::MAX),
    };
    let mut last: HashMap<String, Minute> = before
        .into_iter()
        .map(|alert| (alert.metric, alert.ts.minute()))
        .collect();
    let mut records = Vec::new();
    for (scoped_rule, jump) in fired {
        let before = last.get(jump.metric.id()).copied();
        if tally.admit(scoped_rule, jump.ts, before).is_ok() {
            last.insert(jump.metric.to_string(), jump.ts);
            records.push(AlertRecord {
                subscription_id: subscription_id.to_owned(),
                jump,
            });
        }
    }
    Ok(records)
}

async fn recorded(
    connection: &impl ConnectionTrait,
    span: Span,
) -> Result<Vec<AlertRecord>, AlertError> {
    let rows = alerts::Entity::find()
        .filter(alerts::Column::Ts.between(span.from.start(), span.to.start()))
        .all(connection)
        .await?;
    let records = rows.into_iter().map(|row| {
        let corrupt = |reason: BoxError| AlertError::corrupt("alerts", &row.id, reason);
        Ok(AlertRecord {
            jump: Jump {
                metric: AlertError::parsed("alerts", &row.id, &row.metric)?,
                ts: row.ts.minute(),
                value: AlertError::parsed("alerts", &row.id, &row.value)?,
                mean: row.mean,
                ratio: row.ratio,
                samples: u32::try_from(row.samples).map_err(|error| corrupt(error.into()))?,
            },
            subscription_id: row.subscription_id,
        })
    });
    records.collect()
}

fn compare(then: Vec<AlertRecord>, now: Vec<AlertRecord>) -> Replay {
    let key = |record: &AlertRecord| {
        (
            record.jump.ts,
            record.subscription_id.clone(),
            record.jump.metric.clone(),
        )
    };
    let mut then: BTreeMap<_, AlertRecord> = then
        .into_iter()
        .map(|record| (key(&record), record))
        .collect();
    let mut replay = Replay::default();
    for record in now {
        match then.remove(&key(&record)) {
            None => replay.would_have_fired.push(record),
            Some(was) if is_equal(&was.jump, &record.jump) => replay.same.push(record),
            Some(was) => replay.other.push((was, record)),
        }
    }
    replay.would_not_have_fired = then.into_values().collect();
    replay.same.sort_by(in_order);
    replay.would_have_fired.sort_by(in_order);
    replay
}

/// Orders alerts by minute, subscription, metric.
fn in_order(a: &AlertRecord, b: &AlertRecord) -> Ordering {
    let by_minute = a.jump.ts.cmp(&b.jump.ts);
    let by_subscription = by_minute.then_with(|| a.subscription_id.cmp(&b.subscription_id));
    by_subscription.then_with(|| a.jump.metric.cmp(&b.jump.metric))
}

fn is_equal(a: &Jump, b: &Jump) -> bool {
    a.value == b.value
        && a.samples == b.samples
        && a.mean.to_bits() == b.mean.to_bits()
        && a.ratio.to_bits() == b.ratio.to_bits()
}

/// Records what would have been otherwise, once each. Returns how many notes are new.
///
/// # Errors
/// If the database fails.
pub async fn note(
    connection: &impl ConnectionTrait,
    replay: &Replay,
    now: Millis,
) -> Result<u64, DbErr> {
    let fired = replay
        .would_have_fired
        .iter()
        .map(|record| (record, Verdict::WouldHaveFired));
    let quiet = replay.would_not_have_fired.iter();
    let quiet = quiet.map(|record| (record, Verdict::WouldNotHaveFired));
    let mut written = 0;
    let once = OnConflict::columns([
        alert_notes::Column::SubscriptionId,
        alert_notes::Column::Metric,
        alert_notes::Column::Ts,
        alert_notes::Column::Verdict,
    ])
    .do_nothing()
    .to_owned();
    for (
        AlertRecord {
            subscription_id,
            jump,
        },
        verdict,
    ) in fired.chain(quiet)
    {
        let row = alert_notes::ActiveModel {
            id: NotSet,
            subscription_id: Set(subscription_id.clone()),
            metric: Set(jump.metric.to_string()),
            ts: Set(jump.ts.start()),
            verdict: Set(verdict),
            value: Set(jump.value.to_string()),
            mean: Set(jump.mean),
            ratio: Set(jump.ratio),
            samples: Set(i32::try_from(jump.samples).unwrap_or(i32::MAX)),
            created_at: Set(now),
        };
        written += alert_notes::Entity::insert_many([row])
            .on_conflict(once.clone())
            .exec_without_returning(connection)
            .await?;
    }
    Ok(written)
}
