//! `/subscribe`: form of a rule, with its backtest, and the request of a subscription.

use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::{Extension, Form};
use marketlake_alerts::{Backtest, FieldError, NewSubscription, Subscription};
use marketlake_common::excerpt;
use marketlake_http::auth::scope::Scope;
use marketlake_http::caller::Caller;
use marketlake_http::state::AppState;
use marketlake_http::subscription_requests::run_backtest;
use marketlake_model::parse_time;
use serde::{Deserialize, Serialize};

use super::html::{Page, PageError};
use super::token;

const DAYS: u32 = 90;
/// Alerts that a preview lists.
const LISTED: usize = 20;

/// The fields of the form, as typed; an empty one is none.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default)]
pub(super) struct SubscriptionForm {
    metric: String,
    factor: String,
    window_minutes: String,
    min_samples: String,
    direction: String,
    for_minutes: String,
    resolve_factor: String,
    cooldown_minutes: String,
    max_per_day: String,
    max_alerts: String,
    expires_at: String,
    time_zone: String,
    address: String,
}

impl SubscriptionForm {
    /// The form of a subscription that is there.
    pub(super) fn of(subscription: &Subscription) -> Self {
        let rule = subscription.rule();
        let some = |number: Option<u32>| number.map(|n| n.to_string()).unwrap_or_default();
        Self {
            metric: subscription.scoped_rule.pattern.to_string(),
            factor: rule.jump.factor.to_string(),
            window_minutes: rule.jump.window.to_string(),
            min_samples: rule.jump.min_samples.to_string(),
            direction: rule.jump.direction.to_string(),
            for_minutes: rule.for_minutes.to_string(),
            resolve_factor: rule
                .resolve_factor
                .map(|resolve_factor| resolve_factor.to_string())
                .unwrap_or_default(),
            cooldown_minutes: rule.cooldown.to_string(),
            max_per_day: some(rule.max_per_day),
            max_alerts: some(rule.max_alerts),
            expires_at: rule.expires_at.map(|at| at.to_string()).unwrap_or_default(),
            time_zone: subscription.time_zone.name().to_owned(),
            address: String::new(),
        }
    }

    pub(super) fn into_new(self) -> Result<NewSubscription, FieldError> {
        let text = |text: String| Some(text.trim().to_owned()).filter(|text| !text.is_empty());
        let number = |field: &'static str, typed: &str| match typed.trim() {
            "" => Ok(None),
            typed => typed.parse::<i64>().map(Some).map_err(|_| {
                let shown = excerpt(typed);
                wrong(field, format!("expected a whole number, got {shown:?}"))
            }),
        };
        let expires_at = match text(self.expires_at) {
            None => None,
            Some(typed) => {
                let at =
                    parse_time(&typed).map_err(|error| wrong("expiresAt", error.to_string()))?;
                Some(at)
            }
        };
        Ok(NewSubscription {
            window_minutes: number("windowMinutes", &self.window_minutes)?,
            min_samples: number("minSamples", &self.min_samples)?,
            for_minutes: number("forMinutes", &self.for_minutes)?,
            cooldown_minutes: number("cooldownMinutes", &self.cooldown_minutes)?,
            max_per_day: number("maxPerDay", &self.max_per_day)?,
            max_alerts: number("maxAlerts", &self.max_alerts)?,
            metric: self.metric.trim().to_owned(),
            factor: text(self.factor),
            direction: text(self.direction),
            resolve_factor: text(self.resolve_factor),
            expires_at,
            address: self.address,
            time_zone: text(self.time_zone),
            channel: None,
            endpoint: None,
        })
    }
}

fn wrong(field: &'static str, message: String) -> FieldError {
    FieldError {
        field,
        message,
        code: "INVALID",
    }
}

#[derive(Default, Serialize)]
struct Shown {
    typed: SubscriptionForm,
    errors: Vec<String>,
    preview: Option<Preview>,
    requested: bool,
}

#[derive(Serialize)]
struct Preview {
    days: usize,
    metrics: usize,
    samples: u64,
    mails: usize,
    suppressed: usize,
    quiet: usize,
    noisy: usize,
    farthest: Option<String>,
    warning: Option<&'static str>,
    listed: Vec<String>,
    more: usize,
}

impl From<Backtest> for Preview {
    fn from(found: Backtest) -> Self {
        let listed: Vec<String> = found
            .alerts
            .iter()
            .rev()
            .take(LISTED)
            .map(|jump| {
                format!(
                    "{} {}: {} is {:.2}x its mean",
                    jump.ts, jump.metric, jump.value, jump.ratio
                )
            })
            .collect();
        let farthest = found.farthest.as_ref().map(|jump| {
            format!(
                "{:.2}x the mean, {} at {}",
                jump.ratio, jump.metric, jump.ts
            )
        });
        Self {
            days: found.days.len(),
            metrics: found.metrics,
            samples: found.samples,
            mails: found.mails,
            suppressed: found.suppressed,
            quiet: found.quiet_days(),
            noisy: found.noisy_days(),
            warning: found.warning().map(marketlake_alerts::Warning::in_words),
            more: found.alerts.len() - listed.len(),
            farthest,
            listed,
        }
    }
}

pub(super) async fn get(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
    Query(typed): Query<SubscriptionForm>,
) -> Result<Page, PageError> {
    let mut form = Shown {
        typed: typed.clone(),
        ..Shown::default()
    };
    if typed.metric.is_empty() {
        return Ok(Page::new("subscribe.html", &form));
    }
    // The alerts of a backtest reveal prices.
    if let Some((_, message)) = caller.permissions.denial(Scope::Read) {
        form.errors.push(message);
        return Ok(Page::new("subscribe.html", &form).with_status(StatusCode::FORBIDDEN));
    }
    match preview(&state, typed).await? {
        Ok(preview) => form.preview = Some(preview),
        Err(errors) => form.errors = said(errors),
    }
    Ok(Page::new("subscribe.html", &form))
}

async fn preview(
    state: &AppState,
    typed: SubscriptionForm,
) -> Result<Result<Preview, Vec<FieldError>>, PageError> {
    let new = match typed.into_new() {
        Ok(new) => new,
        Err(error) => return Ok(Err(vec![error])),
    };
    let found = run_backtest(state, new, DAYS, None).await?;
    let nothing = || vec![wrong("metric", "nothing has been recorded yet".to_owned())];
    Ok(found.and_then(|found| found.map(Preview::from).ok_or_else(nothing)))
}

fn said(errors: Vec<FieldError>) -> Vec<String> {
    let said = errors
        .into_iter()
        .map(|e| format!("{}: {}", e.field, e.message));
    said.collect()
}

pub(super) async fn post(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
    Form(typed): Form<SubscriptionForm>,
) -> Result<Page, PageError> {
    let now = token::now(&state).await?;
    let mut form = Shown {
        typed: typed.clone(),
        ..Shown::default()
    };
    let requested = match typed.into_new() {
        Err(error) => Err(vec![error]),
        Ok(new) => match caller.permissions.denial(Scope::Subscribe) {
            Some((_, message)) => Err(vec![wrong("address", message)]),
            None => {
                marketlake_http::subscription_requests::request_subscription(
                    &state,
                    &new,
                    &caller.subscription_requester(),
                    now,
                )
                .await?
            }
        },
    };
    let page = match requested {
        Ok(_) => {
            form.requested = true;
            Page::new("subscribe.html", &form)
        }
        Err(errors) => {
            form.errors = said(errors);
            Page::new("subscribe.html", &form).with_status(StatusCode::UNPROCESSABLE_ENTITY)
        }
    };
    Ok(page)
}
