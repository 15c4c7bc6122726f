//! Queries of subscriptions, and backtests.

use async_graphql::{Context, Error, ErrorExtensions, Object, Result, SimpleObject};
use marketlake_alerts::Subscription as Record;
use marketlake_http::auth::scope::Scope;
use marketlake_http::state::AppState;
use marketlake_http::subscription_requests::run_backtest;

use super::super::errors;
use super::super::guard::RequireScope;
use super::super::rule_input::RuleInput;
use super::super::scalars::{DateTime, Decimal};
use super::mutations::subscription_owner;
use super::types::{Subscription, UserError};

const DEFAULT_DAYS: i32 = 90;

/// Alerts that a rule would have sent over past days.
#[derive(SimpleObject)]
struct Backtest {
    /// The first minute that was evaluated.
    from: DateTime,
    /// The last minute that was evaluated.
    to: DateTime,
    /// Number of metrics that match the pattern.
    metrics: usize,
    /// Number of samples evaluated.
    samples: u64,
    /// Number of mails; several jumps at one minute are one mail.
    mails: usize,
    /// Jumps that the mails would report, by time.
    jumps: Vec<BacktestJump>,
    /// Number of jumps without a mail, because of the cooldown or another limit.
    suppressed: usize,
    /// The sample farthest from its mean, whether or not it jumped; null where there was none to
    /// compare.
    farthest: Option<BacktestJump>,
    /// Mails by UTC day.
    days: Vec<BacktestDay>,
    /// Number of days without a mail.
    quiet_days: usize,
    /// Number of days with more than five mails.
    noisy_days: usize,
    /// Warning about the rule: no mail at all, or more than five a day; null otherwise.
    warning: Option<&'static str>,
}

/// Jump that a mail would have reported.
#[derive(SimpleObject)]
struct BacktestJump {
    /// The metric's id.
    metric: String,
    /// The minute.
    timestamp: DateTime,
    /// The value.
    value: Decimal,
    /// Mean of the samples before it.
    mean: f64,
    /// Value over mean.
    ratio: f64,
    /// Number of samples in the mean.
    samples: i64,
}

/// Number of mails of a day.
#[derive(SimpleObject)]
struct BacktestDay {
    /// The UTC day, YYYY-MM-DD.
    date: String,
    /// Number of mails.
    mails: usize,
}

/// Backtest, or errors.
#[derive(SimpleObject)]
pub(in crate::schema) struct BacktestPayload {
    /// Null where there are errors, and where the lake is empty.
    backtest: Option<Backtest>,
    /// Errors in the input; empty where it is valid.
    user_errors: Vec<UserError>,
}

impl From<marketlake_model::Jump> for BacktestJump {
    fn from(jump: marketlake_model::Jump) -> Self {
        Self {
            metric: jump.metric.to_string(),
            timestamp: jump.ts.into(),
            value: Decimal(jump.value),
            mean: jump.mean,
            ratio: jump.ratio,
            samples: jump.samples.into(),
        }
    }
}

impl From<marketlake_alerts::Backtest> for Backtest {
    fn from(found: marketlake_alerts::Backtest) -> Self {
        Self {
            from: found.span.from.into(),
            to: found.span.to.into(),
            metrics: found.metrics,
            samples: found.samples,
            mails: found.mails,
            suppressed: found.suppressed,
            quiet_days: found.quiet_days(),
            noisy_days: found.noisy_days(),
            warning: found.warning().map(marketlake_alerts::Warning::in_words),
            farthest: found.farthest.map(BacktestJump::from),
            jumps: found.alerts.into_iter().map(BacktestJump::from).collect(),
            days: found
                .days
                .into_iter()
                .map(|(date, mails)| BacktestDay { date, mails })
                .collect(),
        }
    }
}

#[derive(Default)]
pub(in crate::schema) struct SubscriptionsQuery;

#[Object]
impl SubscriptionsQuery {
    /// Backtests a subscription over the last days, with the detector that evaluates it live.
    #[graphql(
        guard = "RequireScope(Scope::Read)",
        complexity = "1_000 + child_complexity"
    )]
    async fn backtest(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "The rule, and the metrics.")] input: RuleInput,
        #[graphql(desc = "Number of days, 1 to 366; default 90.")] days: Option<i32>,
        #[graphql(desc = "Last minute that is evaluated; the newest by default.")] at: Option<
            DateTime,
        >,
    ) -> Result<BacktestPayload> {
        let state = context.data::<AppState>()?;
        let at = at.map(|at| at.0.minute());
        let days = u32::try_from(days.unwrap_or(DEFAULT_DAYS)).unwrap_or(0);
        let found = run_backtest(state, input.spec(), days, at).await;
        Ok(match found.map_err(|error| errors::unavailable(&error))? {
            Ok(found) => BacktestPayload {
                backtest: found.map(Into::into),
                user_errors: Vec::new(),
            },
            Err(errors) => BacktestPayload {
                backtest: None,
                user_errors: errors.into_iter().map(UserError::from).collect(),
            },
        })
    }

    /// The caller's subscriptions, oldest first: those of the address to which the link with the
    /// token was mailed; or those made with the request's API key; all of them for an operator.
    async fn subscriptions(
        &self,
        context: &Context<'_>,
        #[graphql(
            desc = "Token from the link to the owner's subscriptions; not needed with an API key."
        )]
        token: Option<String>,
    ) -> Result<Vec<Subscription>> {
        let state = context.data::<AppState>()?;
        let database = state.lake.database();
        let now = errors::now(context).await?;
        let own = subscription_owner(context, token.as_deref(), now)
            .await?
            .map_err(|error| {
                let UserError { message, code, .. } = error;
                let error = Error::new(format!("token: {message}"));
                error.extend_with(|_, extensions| extensions.set("code", code.as_str()))
            })?;
        let all = Record::of(database, own.access()).await;
        let all = all.map_err(|error| errors::unavailable(&error))?;
        Ok(all.into_iter().map(Subscription::from).collect())
    }
}
