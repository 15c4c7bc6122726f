//! `/subscribe`: form of a rule, with its backtest, and the request of a subscription.

use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::{Extension, Form};
use marketlake_alerts::{
    Backtest, FieldError, Subscription, SubscriptionSpec, backtest_days_within,
};
use marketlake_common::excerpt;
use marketlake_http::auth::scope::Scope;
use marketlake_http::caller::Caller;
use marketlake_http::state::AppState;
use marketlake_http::subscription_requests::run_backtest;
use marketlake_model::{Millis, parse_time, with_rule_fields};
use serde::{Deserialize, Serialize};

use super::html::{Page, PageError};
use super::token;

const DAYS: u32 = 90;
/// Maximum number of metric-days of a preview: all days of five metrics, fewer days of more.
const PREVIEW_METRIC_DAYS: usize = 450;
/// Alerts that a preview lists.
const LISTED: usize = 20;

/// Converts a field of the form to its form in a [`SubscriptionSpec`].
macro_rules! to_spec {
    (decimal $name:expr, $value:expr) => {
        text(&$value)
    };
    (text $name:expr, $value:expr) => {
        text(&$value)
    };
    (count $name:expr, $value:expr) => {
        count($name, &$value)?
    };
    (time $name:expr, $value:expr) => {
        time($name, &$value)?
    };
}

/// Converts a field of a [`SubscriptionSpec`] to the form.
macro_rules! from_spec {
    (decimal $value:expr) => {
        $value.unwrap_or_default()
    };
    (text $value:expr) => {
        $value.unwrap_or_default()
    };
    ($kind:ident $value:expr) => {
        $value.map(|value| value.to_string()).unwrap_or_default()
    };
}

macro_rules! define_form {
    (
        jump { $($(#[$jump_doc:meta])* $jump:ident: $jump_kind:ident $jump_type:ident,)* }
        alerting { $($(#[$doc:meta])* $field:ident: $kind:ident $type:ident,)* }
        lifetime { $($(#[$end_doc:meta])* $end:ident: $end_kind:ident $end_type:ident,)* }
    ) => {
        /// Fields of the form, as typed; an empty one is absent.
        #[derive(Clone, Debug, Default, Deserialize, Serialize)]
        #[serde(default)]
        pub(super) struct SubscriptionForm {
            metric: String,
            $($jump: $jump_type,)*
            $($field: $type,)*
            $($end: $end_type,)*
            time_zone: String,
            address: String,
        }

        impl SubscriptionForm {
            /// Form of an existing subscription.
            pub(super) fn new(subscription: &Subscription) -> Self {
                let spec = subscription.spec();
                Self {
                    metric: spec.metric,
                    $($jump: from_spec!($jump_kind spec.$jump),)*
                    $($field: from_spec!($kind spec.$field),)*
                    $($end: from_spec!($end_kind spec.$end),)*
                    time_zone: spec.time_zone.unwrap_or_default(),
                    address: String::new(),
                }
            }

            pub(super) fn into_spec(self) -> Result<SubscriptionSpec, FieldError> {
                Ok(SubscriptionSpec {
                    metric: self.metric.trim().to_owned(),
                    $($jump: to_spec!($jump_kind stringify!($jump), self.$jump),)*
                    $($field: to_spec!($kind stringify!($field), self.$field),)*
                    $($end: to_spec!($end_kind stringify!($end), self.$end),)*
                    time_zone: text(&self.time_zone),
                    address: self.address,
                    channel: None,
                    endpoint: None,
                })
            }
        }
    };
}

with_rule_fields!(
    define_form,
    decimal: String,
    text: String,
    count: String,
    time: String
);

fn text(typed: &str) -> Option<String> {
    Some(typed.trim().to_owned()).filter(|text| !text.is_empty())
}

fn count(field: &'static str, typed: &str) -> Result<Option<i64>, FieldError> {
    let parsed = text(typed).map(|text| text.parse());
    parsed.transpose().map_err(|_| {
        let shown = excerpt(typed.trim());
        wrong(field, format!("expected a whole number, got {shown:?}"))
    })
}

fn time(field: &'static str, typed: &str) -> Result<Option<Millis>, FieldError> {
    let parsed = text(typed).map(|text| parse_time(&text));
    parsed
        .transpose()
        .map_err(|error| wrong(field, error.to_string()))
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
    days: i64,
    utc_days: usize,
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
            days: found.span_days(),
            utc_days: found.days.len(),
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
    if let Err(denied) = caller.permissions.require(Scope::Read) {
        form.errors.push(denied.message);
        return Ok(Page::new("subscribe.html", &form).with_status(StatusCode::FORBIDDEN));
    }
    match preview(&state, typed).await? {
        Ok(preview) => form.preview = Some(preview),
        Err(errors) => form.errors = error_lines(&errors),
    }
    Ok(Page::new("subscribe.html", &form))
}

async fn preview(
    state: &AppState,
    typed: SubscriptionForm,
) -> Result<Result<Preview, Vec<FieldError>>, PageError> {
    let new = match typed.into_spec() {
        Ok(new) => new,
        Err(error) => return Ok(Err(vec![error])),
    };
    // An invalid pattern is named by the backtest.
    let most = new.metric.parse().ok();
    let most = most.map_or(DAYS, |pattern| {
        backtest_days_within(&state.lake, &pattern, PREVIEW_METRIC_DAYS)
    });
    let found = run_backtest(state, new, DAYS.min(most), None).await?;
    let nothing = || vec![wrong("metric", "nothing has been recorded yet".to_owned())];
    Ok(found.and_then(|found| found.map(Preview::from).ok_or_else(nothing)))
}

fn error_lines(errors: &[FieldError]) -> Vec<String> {
    errors.iter().map(FieldError::to_string).collect()
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
    let requested = match typed.into_spec() {
        Err(error) => Err(vec![error]),
        Ok(new) => match caller.permissions.require(Scope::Subscribe) {
            Err(denied) => Err(vec![wrong("address", denied.message)]),
            Ok(()) => {
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
            form.errors = error_lines(&errors);
            Page::new("subscribe.html", &form).with_status(StatusCode::UNPROCESSABLE_ENTITY)
        }
    };
    Ok(page)
}
