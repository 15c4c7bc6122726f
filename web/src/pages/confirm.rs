//! `/confirm/TOKEN`: confirmation of a subscription by the owner of its address.

use axum::extract::{Path, State};
use marketlake_alerts::subscriptions::{Access, SubscriptionState, Transition};
use marketlake_alerts::{Purpose, Subscription};
use marketlake_http::state::AppState;

use super::html::{Page, PageError};
use super::token;

pub(super) async fn get(
    State(state): State<AppState>,
    Path(token): Path<String>,
) -> Result<Page, PageError> {
    let now = token::now(&state).await?;
    let id = token::verify(&state, Purpose::Confirm, &token, now).await?;
    let found = Subscription::find(state.lake.database(), &id).await?;
    Ok(
        match found.filter(|s| s.state != SubscriptionState::Deleted) {
            None => Page::message(
                "This subscription no longer exists",
                "It has ended, or was not confirmed in time.",
            ),
            Some(s) if s.state == SubscriptionState::Active => {
                Page::message("This subscription is confirmed", &description(&s))
            }
            Some(s) => Page::confirmation("Confirm your subscription", &description(&s), "Confirm"),
        },
    )
}

pub(super) async fn post(
    State(state): State<AppState>,
    Path(token): Path<String>,
) -> Result<Page, PageError> {
    let now = token::now(&state).await?;
    let id = token::verify(&state, Purpose::Confirm, &token, now).await?;
    let (database, confirm) = (state.lake.database(), Transition::Confirm);
    let changed = Subscription::change(database, &id, Access::All, &confirm, now).await??;
    Ok(Page::message(
        "Your subscription is confirmed",
        &description(&changed),
    ))
}

fn description(subscription: &Subscription) -> String {
    let pattern = &subscription.scoped_rule.pattern;
    format!("{pattern}: {}.", subscription.rule().in_words())
}
