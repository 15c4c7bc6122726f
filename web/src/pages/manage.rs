//! `/manage`: form that mails the owner a link; `/manage/TOKEN`: the subscriptions, their
//! history, and what can be done with them.

use std::time::Duration;

use axum::Form;
use axum::extract::{Path, State};
use axum::response::Redirect;
use marketlake_alerts::subscriptions::{self, Access, LifecycleError, Transition, history};
use marketlake_alerts::{Purpose, Subscription, SubscriptionSpec};
use marketlake_common::excerpt;
use marketlake_http::state::AppState;
use serde::{Deserialize, Serialize};

use super::html::{Page, PageError};
use super::subscribe::SubscriptionForm;
use super::token;

const PAST: u64 = 20;
const DAY: Duration = Duration::from_secs(86_400);

#[derive(Serialize)]
struct Link {
    sent: bool,
    error: Option<String>,
}

pub(super) async fn get_form() -> Page {
    let link = Link {
        sent: false,
        error: None,
    };
    Page::new("link.html", &link)
}

#[derive(Deserialize)]
pub(super) struct Address {
    address: String,
}

pub(super) async fn send_link(
    State(state): State<AppState>,
    Form(typed): Form<Address>,
) -> Result<Page, PageError> {
    let now = token::now(&state).await?;
    let requested = subscriptions::request_manage_link(
        state.lake.database(),
        &typed.address,
        &state.signup_limits,
        now,
    )
    .await?;
    let link = Link {
        sent: requested.is_ok(),
        error: requested.err().map(|error| error.message),
    };
    Ok(Page::new("link.html", &link))
}

#[derive(Serialize)]
struct Shown {
    address: String,
    subscriptions: Vec<ShownSubscription>,
}

#[derive(Serialize)]
struct ShownSubscription {
    id: String,
    pattern: String,
    rule: String,
    state: &'static str,
    snoozed_until: Option<String>,
    reason: Option<String>,
    channel: String,
    typed: SubscriptionForm,
    alerts: Vec<ShownLine>,
    whys: Vec<ShownLine>,
    notes: Vec<ShownLine>,
    events: Vec<ShownLine>,
}

#[derive(Serialize)]
struct ShownLine {
    at: String,
    text: String,
}

pub(super) async fn get(
    State(state): State<AppState>,
    Path(token): Path<String>,
) -> Result<Page, PageError> {
    let now = token::now(&state).await?;
    let address = token::verify(&state, Purpose::Manage, &token, now).await?;
    let database = state.lake.database();
    let mut subscriptions = Vec::new();
    for subscription in Subscription::of(database, Access::Address(&address)).await? {
        subscriptions.push(shown(&state, subscription).await?);
    }
    let shown = Shown {
        address,
        subscriptions,
    };
    Ok(Page::new("manage.html", &shown))
}

async fn shown(
    state: &AppState,
    subscription: Subscription,
) -> Result<ShownSubscription, PageError> {
    let database = state.lake.database();
    let id = &subscription.id;
    let alerts = history::alerts(database, id, PAST)
        .await?
        .into_iter()
        .map(|alert| ShownLine {
            at: alert.ts.to_string(),
            text: format!(
                "{}: {} is {:.2}x its mean",
                alert.metric, alert.value, alert.ratio
            ),
        });
    let whys = history::whys(database, id, PAST)
        .await?
        .into_iter()
        .map(|why| ShownLine {
            at: why.ts.to_string(),
            text: format!("{}: {}", why.metric, why.reason),
        });
    let notes = history::notes(database, id, PAST)
        .await?
        .into_iter()
        .map(|note| ShownLine {
            at: note.ts.to_string(),
            text: format!(
                "{}: by the samples known now, it {}",
                note.metric, note.verdict
            ),
        });
    let events = Subscription::history(database, id)
        .await?
        .into_iter()
        .rev()
        .map(|(kind, detail, at)| ShownLine {
            at: at.to_string(),
            text: format!("{kind} {detail}"),
        });
    Ok(ShownSubscription {
        alerts: alerts.collect(),
        whys: whys.collect(),
        notes: notes.collect(),
        events: events.collect(),
        pattern: subscription.scoped_rule.pattern.to_string(),
        rule: subscription.rule().in_words(),
        state: subscriptions::in_words(subscription.state),
        snoozed_until: subscription
            .scoped_rule
            .muted_until
            .map(|until| until.to_string()),
        reason: subscription.reason.clone(),
        channel: subscription.channel.to_string(),
        typed: SubscriptionForm::new(&subscription),
        id: subscription.id,
    })
}

/// Action of a form on the page.
#[derive(Deserialize)]
pub(super) struct Act {
    id: String,
    action: String,
    #[serde(flatten)]
    typed: SubscriptionForm,
}

pub(super) async fn post(
    State(state): State<AppState>,
    Path(token): Path<String>,
    Form(act): Form<Act>,
) -> Result<Redirect, PageError> {
    let now = token::now(&state).await?;
    let address = token::verify(&state, Purpose::Manage, &token, now).await?;
    let database = state.lake.database();
    let own = Access::Address(&address);
    let change = match act.action.as_str() {
        "pause" => Transition::Pause,
        "resume" => Transition::Resume,
        "snooze" => Transition::Snooze(now.plus(DAY)),
        "unsubscribe" => Transition::Unsubscribe("on the page of subscriptions"),
        "edit" => {
            let new: SubscriptionSpec = act
                .typed
                .into_spec()
                .map_err(|error| LifecycleError::Fields(vec![error]))?;
            marketlake_http::subscription_requests::check_matches(&state, &new)
                .map_err(|error| LifecycleError::Fields(vec![error]))?;
            Transition::Edit(Box::new(new))
        }
        "test" => {
            subscriptions::test(database, &act.id, own, now).await?;
            return Ok(Redirect::to(&format!("/manage/{token}")));
        }
        other => {
            let shown = excerpt(other);
            let error = marketlake_alerts::FieldError {
                field: "action",
                message: format!(
                    "expected pause, resume, snooze, edit, test or unsubscribe, got {shown:?}"
                ),
                code: "INVALID",
            };
            return Err(LifecycleError::Fields(vec![error]).into());
        }
    };
    Subscription::change(database, &act.id, own, &change, now).await??;
    Ok(Redirect::to(&format!("/manage/{token}")))
}
