//! The few pages that mails lead to. GET shows, POST acts: mail scanners open every link.
//!
//! Pages have no scripts and load nothing from other hosts. The token in the URL alone grants
//! access, so the referrer policy keeps it from other sites.

mod confirm;
mod html;
mod manage;
mod snooze;
mod subscribe;
mod token;
mod unsubscribe;

use axum::Router;
use axum::routing::get;
use marketlake_http::state::AppState;

/// Routes of the pages.
pub(crate) fn router(state: AppState) -> Router {
    Router::new()
        .route("/subscribe", get(subscribe::get).post(subscribe::post))
        .route("/confirm/{token}", get(confirm::get).post(confirm::post))
        .route(
            "/unsubscribe/{token}",
            get(unsubscribe::get).post(unsubscribe::post),
        )
        .route("/snooze/{token}", get(snooze::get).post(snooze::post))
        .route("/manage", get(manage::get_form).post(manage::send_link))
        .route("/manage/{token}", get(manage::get).post(manage::post))
        .with_state(state)
}
