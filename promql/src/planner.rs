//! Planning of expressions: reads the samples that they need.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use marketlake_http::compute::{add_points, run_blocking};
use marketlake_lake::{Lake, QueryEngine, Span};
use marketlake_model::{Metric, Minute};
use promql_parser::parser::{AtModifier, Expr, Offset, VectorSelector};

use super::function::Function;
use super::labels::{Labels, matchers, means};
use super::plan::{Bounds, LOOKBACK, Plan, When};
use super::selectors::{minute, select};
use super::value::{PromError, Series};

/// The step of subqueries that name none.
const DEFAULT_STEP: Duration = Duration::from_secs(60);
const MAX_SAMPLES: usize = 5_000_000;
const MAX_SERIES: usize = 20_000;
/// Samples to be read that cost a point.
const SAMPLES_PER_POINT: usize = 50_000;

/// Reads what expressions need.
pub(super) struct Planner<'a> {
    lake: &'a Lake,
    deadline: Instant,
    /// Bounds of the whole query: `start()` and `end()`.
    whole: Bounds,
    samples: usize,
    /// Series that were read already: an expression may select the same several times.
    known: HashMap<(Vec<Metric>, Minute, Minute), Arc<Vec<Series>>>,
}

impl<'a> Planner<'a> {
    pub(super) fn new(lake: &'a Lake, whole: Bounds, deadline: Instant) -> Self {
        Self {
            lake,
            deadline,
            whole,
            samples: 0,
            known: HashMap::new(),
        }
    }

    /// Plans an expression that is evaluated within bounds.
    pub(super) async fn plan(
        &mut self,
        expression: &Expr,
        bounds: Bounds,
    ) -> Result<Plan, PromError> {
        Box::pin(self.plan_one(expression, bounds)).await
    }

    async fn plan_one(&mut self, expression: &Expr, bounds: Bounds) -> Result<Plan, PromError> {
        Ok(match expression {
            Expr::NumberLiteral(number) => Plan::Number(number.val),
            Expr::StringLiteral(text) => Plan::Text(text.val.clone()),
            Expr::Paren(paren) => self.plan(&paren.expr, bounds).await?,
            Expr::Unary(unary) => Plan::Negative(Box::new(self.plan(&unary.expr, bounds).await?)),
            Expr::VectorSelector(selector) => {
                let when = self.when(selector.offset.as_ref(), selector.at.as_ref())?;
                let series = self.read(selector, when, LOOKBACK, bounds).await?;
                Plan::Select { series, when }
            }
            Expr::MatrixSelector(selector) => {
                let (own, range) = (&selector.vs, millis(selector.range));
                let when = self.when(own.offset.as_ref(), own.at.as_ref())?;
                let series = self.read(own, when, range, bounds).await?;
                Plan::Range {
                    series,
                    when,
                    range,
                }
            }
            Expr::Subquery(subquery) => {
                let range = millis(subquery.range);
                let when = self.when(subquery.offset.as_ref(), subquery.at.as_ref())?;
                let shifted = moved(bounds, when);
                let inner = Bounds {
                    from: shifted.from - range,
                    to: shifted.to,
                };
                let step = millis(subquery.step.unwrap_or(DEFAULT_STEP)).max(1);
                Plan::Subquery {
                    inner: Box::new(self.plan(&subquery.expr, inner).await?),
                    when,
                    range,
                    step,
                }
            }
            Expr::Call(call) => {
                let name = call.func.name;
                let function = Function::from_name(name)
                    .ok_or_else(|| PromError::not_covered(&format!("the function {name}")))?;
                let mut arguments = Vec::with_capacity(call.args.args.len());
                for argument in &call.args.args {
                    arguments.push(self.plan(argument, bounds).await?);
                }
                Plan::Call {
                    function,
                    arguments,
                    absent: absent(call.args.args.first().map(|e| &**e)),
                }
            }
            Expr::Binary(binary) => Plan::Binary {
                operator: binary.op,
                left: Box::new(self.plan(&binary.lhs, bounds).await?),
                right: Box::new(self.plan(&binary.rhs, bounds).await?),
                modifier: binary.modifier.clone(),
            },
            Expr::Aggregate(aggregate) => Plan::Aggregate {
                operator: aggregate.op,
                inner: Box::new(self.plan(&aggregate.expr, bounds).await?),
                parameter: match &aggregate.param {
                    Some(parameter) => Some(Box::new(self.plan(parameter, bounds).await?)),
                    None => None,
                },
                by: aggregate.modifier.clone(),
            },
            Expr::Extension(_) => return Err(PromError::not_covered("this expression")),
        })
    }

    fn when(&self, offset: Option<&Offset>, at: Option<&AtModifier>) -> Result<When, PromError> {
        let offset = match offset {
            None => 0,
            Some(Offset::Pos(time)) => millis(*time),
            Some(Offset::Neg(time)) => -millis(*time),
        };
        let at = match at {
            None => None,
            Some(AtModifier::Start) => Some(self.whole.from),
            Some(AtModifier::End) => Some(self.whole.to),
            Some(AtModifier::At(time)) => {
                let since = time.duration_since(SystemTime::UNIX_EPOCH);
                let since = since
                    .map_err(|_| PromError::BadData("@: expected a time after 1970".to_owned()))?;
                Some(millis(since))
            }
        };
        Ok(When { offset, at })
    }

    /// The metrics that a selector means.
    async fn select(&self, selector: &VectorSelector) -> Result<Vec<Metric>, PromError> {
        let (directory, deadline) = (self.lake.directory(), self.deadline);
        let matchers = matchers(selector);
        let found = run_blocking(deadline, move || {
            select(&directory, |metric| means(&matchers, metric), deadline)
        });
        found.await?
    }

    async fn read(
        &mut self,
        selector: &VectorSelector,
        when: When,
        back: i64,
        bounds: Bounds,
    ) -> Result<Arc<Vec<Series>>, PromError> {
        let shifted = moved(bounds, when);
        let span = Span {
            from: minute(shifted.from - back),
            to: minute(shifted.to),
        };
        let metrics = self.select(selector).await?;
        if metrics.len() > MAX_SERIES {
            let problem = format!(
                "expected at most {MAX_SERIES} series, got {}",
                metrics.len()
            );
            return Err(PromError::Execution(problem));
        }
        let key = (metrics, span.from, span.to);
        if let Some(known) = self.known.get(&key) {
            return Ok(Arc::clone(known));
        }
        let metrics = &key.0;
        let minutes = usize::try_from(span.to.number() - span.from.number() + 1).unwrap_or(0);
        self.samples = self
            .samples
            .saturating_add(minutes.saturating_mul(metrics.len()));
        if self.samples > MAX_SAMPLES {
            let problem = format!(
                "expected at most {MAX_SAMPLES} samples to be read, got {}",
                self.samples
            );
            return Err(PromError::Execution(problem));
        }
        add_points(minutes.saturating_mul(metrics.len()) / SAMPLES_PER_POINT);
        let read = self.lake.engine().series(metrics, span).await;
        let read = read.map_err(|error| {
            tracing::error!(%error, "a PromQL query cannot read the lake");
            PromError::Unavailable
        })?;
        let all = metrics
            .iter()
            .zip(read)
            .filter(|(_, points)| !points.is_empty());
        let series = all.map(|(metric, points)| {
            let samples = points.iter().map(|p| (p.ts.start().0, p.value.to_f64()));
            Series {
                labels: Labels::of(metric),
                samples: Arc::new(samples.collect()),
            }
        });
        let series: Arc<Vec<Series>> = Arc::new(series.collect());
        self.known.insert(key, Arc::clone(&series));
        Ok(series)
    }
}

fn moved(bounds: Bounds, when: When) -> Bounds {
    Bounds {
        from: when.at.unwrap_or(bounds.from) - when.offset,
        to: when.at.unwrap_or(bounds.to) - when.offset,
    }
}

fn millis(time: Duration) -> i64 {
    // A hundred thousand years are enough.
    i64::try_from(time.as_millis())
        .unwrap_or(i64::MAX)
        .min(1 << 51)
}

/// The labels that a selector demands by `=`: what its absence is said with.
fn absent(expression: Option<&Expr>) -> Labels {
    let selector = match expression {
        Some(Expr::VectorSelector(selector)) => selector,
        Some(Expr::MatrixSelector(selector)) => &selector.vs,
        Some(Expr::Paren(paren)) => return absent(Some(&paren.expr)),
        _ => return Labels::default(),
    };
    let all = &selector.matchers.matchers;
    let wanted = all.iter().filter(|m| {
        let once = all.iter().filter(|other| other.name == m.name).count() == 1;
        let is_equal = matches!(m.op, promql_parser::label::MatchOp::Equal);
        once && is_equal && m.name != super::labels::NAME
    });
    wanted.map(|m| (m.name.clone(), m.value.clone())).collect()
}
