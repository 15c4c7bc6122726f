//! `POST /bounces`: bounces and complaints from mail servers, as a mail (`message/rfc822`,
//! `multipart/report`) or as an SES notification (JSON, which SNS posts as `text/plain`).

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use marketlake_alerts::delivery::bounces::{self, BounceError, BounceOutcome};
use serde_json::json;

use crate::state::AppState;

/// Records a bounce or complaint.
pub async fn post(State(state): State<AppState>, headers: HeaderMap, body: Bytes) -> Response {
    let database = state.lake.database();
    let now = match state.now().await {
        Ok(now) => now,
        Err(error) => return failed(&error),
    };
    let media_type = headers.get(CONTENT_TYPE).and_then(|v| v.to_str().ok());
    let is_mail =
        media_type.is_some_and(|t| t.starts_with("message/") || t.starts_with("multipart/"));
    let taken = if is_mail {
        bounces::process_mail(database, &body, now).await
    } else {
        bounces::process_ses(database, &body, now).await
    };
    match taken {
        Ok(Ok(BounceOutcome::Recorded(subscriptions))) => {
            Json(json!({"subscriptions": subscriptions})).into_response()
        }
        Ok(Ok(BounceOutcome::Nothing)) => Json(json!({"subscriptions": 0})).into_response(),
        Ok(Err(error @ BounceError::Unreadable(_))) => refused(StatusCode::BAD_REQUEST, &error),
        Ok(Err(error @ BounceError::NotOurs(_))) => refused(StatusCode::FORBIDDEN, &error),
        Err(error) => failed(&error),
    }
}

fn refused(status: StatusCode, error: &BounceError) -> Response {
    (status, Json(json!({"error": error.to_string()}))).into_response()
}

fn failed(error: &dyn std::error::Error) -> Response {
    tracing::error!(%error, "a notice cannot be recorded");
    StatusCode::SERVICE_UNAVAILABLE.into_response()
}
