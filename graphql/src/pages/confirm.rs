//! `/confirm/TOKEN`: the owner of an address says yes.

use axum::extract::{Path, State};
use marketlake_alerts::subscriptions::{Access, State as LifeState, Transition};
use marketlake_alerts::{Purpose, Subscription};

use super::Desk;
use super::html::{Page, PageError};

pub(super) async fn get(
    State(desk): State<Desk>,
    Path(token): Path<String>,
) -> Result<Page, PageError> {
    let now = desk.now().await?;
    let id = desk.verify(Purpose::Confirm, &token, now).await?;
    let found = Subscription::find(desk.lake.database(), &id).await?;
    Ok(match found.filter(|s| s.state != LifeState::Deleted) {
        None => Page::told(
            "There is no such subscription any more",
            "It has ended, or was not confirmed in time.",
        ),
        Some(s) if s.state == LifeState::Active => {
            Page::told("This subscription is confirmed", &said(&s))
        }
        Some(s) => Page::ask("Confirm your subscription", &said(&s), "Confirm"),
    })
}

pub(super) async fn post(
    State(desk): State<Desk>,
    Path(token): Path<String>,
) -> Result<Page, PageError> {
    let now = desk.now().await?;
    let id = desk.verify(Purpose::Confirm, &token, now).await?;
    let (database, confirm) = (desk.lake.database(), Transition::Confirm);
    let changed = Subscription::change(database, &id, Access::All, &confirm, now).await??;
    Ok(Page::told(
        "Your subscription is confirmed",
        &said(&changed),
    ))
}

fn said(subscription: &Subscription) -> String {
    let pattern = &subscription.scoped_rule.pattern;
    format!("{pattern}: {}.", subscription.rule().in_words())
}
