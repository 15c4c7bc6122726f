//! `/unsubscribe/TOKEN`: one click ends it (RFC 8058). The POST needs nothing but its address: no
//! cookie, no field, no second step.

use axum::extract::{Path, State};
use marketlake_alerts::{Purpose, subscriptions};
use marketlake_http::state::AppState;

use super::html::{Page, PageError};
use super::token;

pub(super) async fn get(
    State(state): State<AppState>,
    Path(token): Path<String>,
) -> Result<Page, PageError> {
    let now = token::now(&state).await?;
    let subject = token::verify(&state, Purpose::Unsubscribe, &token, now).await?;
    let text = if subject.starts_with("d:") {
        "Ends all subscriptions that this digest lists."
    } else {
        "This subscription ends at once."
    };
    Ok(Page::confirmation("Unsubscribe", text, "Unsubscribe"))
}

pub(super) async fn post(
    State(state): State<AppState>,
    Path(token): Path<String>,
) -> Result<Page, PageError> {
    let now = token::now(&state).await?;
    let subject = token::verify(&state, Purpose::Unsubscribe, &token, now).await?;
    subscriptions::unsubscribe(state.lake.database(), &subject, now).await?;
    Ok(Page::message(
        "You are unsubscribed",
        "It sends no further mail.",
    ))
}
