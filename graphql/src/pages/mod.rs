//! The few pages that mails lead to. GET shows, POST acts: mail scanners open every link.
//!
//! No script, nothing from elsewhere; the token in the address is all that is needed, so no page tells it to another.

mod confirm;
mod html;
mod manage;
mod snooze;
mod subscribe;
mod unsubscribe;

use std::sync::Arc;

use axum::Router;
use axum::routing::get;
use marketlake_alerts::subscriptions::SignupLimits;
use marketlake_alerts::{Keyring, Purpose};
use marketlake_entities::database::outage::with_cause;
use marketlake_lake::Lake;
use marketlake_model::Millis;

use html::PageError;

/// What the pages work with.
#[derive(Clone)]
pub(crate) struct Desk {
    pub(crate) lake: Arc<Lake>,
    pub(crate) caps: SignupLimits,
    /// The most metrics that one subscription may mean.
    pub(crate) most_metrics: usize,
}

impl Desk {
    async fn now(&self) -> Result<Millis, PageError> {
        let clock = self.lake.now().await;
        clock.map_err(|error| PageError::Unavailable(with_cause(&error)))
    }

    /// The subject of a token that is good for a purpose now.
    async fn verify(
        &self,
        purpose: Purpose,
        token: &str,
        now: Millis,
    ) -> Result<String, PageError> {
        let keys = Keyring::load(self.lake.database(), now).await?;
        Ok(keys.verify(purpose, token, now)?)
    }
}

/// The pages' routes.
pub(crate) fn router(desk: Desk) -> Router {
    Router::new()
        .route("/subscribe", get(subscribe::get).post(subscribe::post))
        .route("/confirm/{token}", get(confirm::get).post(confirm::post))
        .route(
            "/unsubscribe/{token}",
            get(unsubscribe::get).post(unsubscribe::post),
        )
        .route("/snooze/{token}", get(snooze::get).post(snooze::post))
        .route("/manage", get(manage::ask).post(manage::send))
        .route("/manage/{token}", get(manage::get).post(manage::post))
        .with_state(desk)
}
