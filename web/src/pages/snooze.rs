//! `/snooze/TOKEN`: pauses alerts for a while.

use std::time::Duration;

use axum::Form;
use axum::extract::rejection::FormRejection;
use axum::extract::{Path, State};
use marketlake_alerts::subscriptions::{Access, Transition};
use marketlake_alerts::{Purpose, Subscription};
use marketlake_http::state::AppState;
use serde::Deserialize;

use super::html::{Page, PageError};
use super::token;

/// Form field of a snooze: its length in hours.
#[derive(Deserialize)]
pub(super) struct Quiet {
    hours: Option<u64>,
}

/// The longest quiet, in hours: a month.
const MAX_HOURS: u64 = 744;

impl Quiet {
    pub(super) fn time(&self) -> Duration {
        Duration::from_secs(self.hours.unwrap_or(24).clamp(1, MAX_HOURS) * 3_600)
    }
}

pub(super) async fn get(
    State(state): State<AppState>,
    Path(token): Path<String>,
) -> Result<Page, PageError> {
    let now = token::now(&state).await?;
    token::verify(&state, Purpose::Snooze, &token, now).await?;
    Ok(Page::confirmation(
        "Snooze for a day",
        "This subscription sends no mail for 24 hours.",
        "Snooze alerts",
    ))
}

pub(super) async fn post(
    State(state): State<AppState>,
    Path(token): Path<String>,
    quiet: Result<Form<Quiet>, FormRejection>,
) -> Result<Page, PageError> {
    let now = token::now(&state).await?;
    let id = token::verify(&state, Purpose::Snooze, &token, now).await?;
    let time = quiet
        .map_or(Quiet { hours: None }, |Form(quiet)| quiet)
        .time();
    let until = now.plus(time);
    let (database, snooze) = (state.lake.database(), Transition::Snooze(until));
    Subscription::change(database, &id, Access::All, &snooze, now).await??;
    Ok(Page::message(
        "Quiet",
        &format!("This subscription sends no mail until {until}."),
    ))
}
