//! `/v1/subscriptions`: subscriptions, for clients whose key has the scope `alerts`.

mod body;
mod types;

use axum::extract::rejection::JsonRejection;
use axum::extract::{Path, State};
use axum::http::header::LOCATION;
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use marketlake_alerts::subscriptions::{Access, LifecycleError, SignupRequester, Transition};
use marketlake_alerts::{FieldError, Subscription, subscriptions};
use marketlake_common::excerpt;
use marketlake_http::auth::permissions::AccessDenied;
use marketlake_http::auth::scope::Scope;
use marketlake_http::caller::Caller;
use marketlake_http::idempotency::check_key;
use marketlake_http::state::AppState;
use marketlake_http::subscription_requests;
use marketlake_model::{Millis, parse_time};

use body::read;
use marketlake_http::problem::Problem;
use types::{Queued, SubscriptionAnswer, SubscriptionChange, SubscriptionInput, SubscriptionRows};

/// The owner's subscriptions, oldest first.
#[utoipa::path(
    get,
    operation_id = "list_subscriptions",
    path = "/v1/subscriptions",
    tag = "subscriptions",
    security(("key" = [])),
    responses((status = 200, description = "All subscriptions.", body = SubscriptionRows),
        crate::schemas::SubscriptionErrorResponses),
)]
pub(super) async fn list(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
) -> Result<Response, Problem> {
    let whose = whose(&caller)?;
    let all = Subscription::of(state.lake.database(), whose).await?;
    let data = all.into_iter().map(SubscriptionAnswer::from).collect();
    Ok(Json(SubscriptionRows { data, next: None }).into_response())
}

/// Subscribes a mail address to jumps; its owner gets a mail to confirm it.
#[utoipa::path(
    post,
    operation_id = "create_subscription",
    path = "/v1/subscriptions",
    tag = "subscriptions",
    security(("key" = []), ()),
    request_body = SubscriptionInput,
    params(("Idempotency-Key" = Option<String>, Header, min_length = 1, max_length = 255,
        pattern = "^[!-~]+$", description = "Key of the request: a repetition with the same key \
        creates nothing.")),
    responses((status = 201, description = "The subscription, pending until its owner confirms \
        it.", body = SubscriptionAnswer), crate::schemas::SubscriptionErrorResponses),
)]
pub(super) async fn create(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
    input: Result<Json<SubscriptionInput>, JsonRejection>,
) -> Result<Response, Problem> {
    caller.permissions.require(Scope::Subscribe)?;
    let key = headers.get("idempotency-key").map(|value| {
        check_key(value.as_bytes()).ok_or_else(|| {
            Problem::bad_parameter(
                "Idempotency-Key",
                "expected 1 to 255 visible characters of ASCII",
            )
        })
    });
    let key = key.transpose()?;
    let new = read(input)?.into_spec()?;
    let now = state.now().await?;
    let requester = SignupRequester {
        idempotency_key: key.as_deref(),
        ..caller.subscription_requester()
    };
    let made = subscription_requests::request_subscription(&state, &new, &requester, now)
        .await?
        .map_err(fields)?;
    let place = format!("/v1/subscriptions/{}", made.id);
    let secret = made.secret.clone();
    let mut answer = SubscriptionAnswer::from(made);
    answer.secret = secret;
    let mut response = (StatusCode::CREATED, Json(answer)).into_response();
    if let Ok(place) = HeaderValue::from_str(&place) {
        response.headers_mut().insert(LOCATION, place);
    }
    Ok(response)
}

/// One of the owner's subscriptions.
#[utoipa::path(
    get,
    operation_id = "get_subscription",
    path = "/v1/subscriptions/{id}",
    tag = "subscriptions",
    security(("key" = [])),
    params(("id" = String, Path, description = "Id of the subscription.")),
    responses((status = 200, description = "The subscription.", body = SubscriptionAnswer),
        crate::schemas::SubscriptionErrorResponses),
)]
pub(super) async fn get(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    let found = Subscription::find_of(state.lake.database(), &id, whose(&caller)?).await?;
    let found = found.ok_or_else(|| unknown(&id))?;
    Ok(Json(SubscriptionAnswer::from(found)).into_response())
}

/// Replaces a subscription's rule, all of it.
#[utoipa::path(
    put,
    operation_id = "edit_subscription",
    path = "/v1/subscriptions/{id}",
    tag = "subscriptions",
    security(("key" = [])),
    request_body = SubscriptionInput,
    params(("id" = String, Path, description = "Id of the subscription.")),
    responses(
        (status = 200, description = "The subscription as it is now.", body = SubscriptionAnswer),
        crate::schemas::SubscriptionErrorResponses),
)]
pub(super) async fn edit(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    input: Result<Json<SubscriptionInput>, JsonRejection>,
) -> Result<Response, Problem> {
    let whose = whose(&caller)?;
    let new = read(input)?.into_spec()?;
    subscription_requests::check_matches(&state, &new).map_err(|error| fields(vec![error]))?;
    step(&state, &id, whose, &Transition::Edit(Box::new(new))).await
}

/// Pauses, resumes or snoozes a subscription.
#[utoipa::path(
    patch,
    operation_id = "change_subscription",
    path = "/v1/subscriptions/{id}",
    tag = "subscriptions",
    security(("key" = [])),
    request_body = SubscriptionChange,
    params(("id" = String, Path, description = "Id of the subscription.")),
    responses(
        (status = 200, description = "The subscription as it is now.", body = SubscriptionAnswer),
        crate::schemas::SubscriptionErrorResponses),
)]
pub(super) async fn change(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    input: Result<Json<SubscriptionChange>, JsonRejection>,
) -> Result<Response, Problem> {
    let whose = whose(&caller)?;
    let wanted = read(input)?;
    let change = match (wanted.state.as_deref(), &wanted.snoozed_until) {
        (Some("active"), None) => Transition::Resume,
        (Some("paused"), None) => Transition::Pause,
        (None, Some(until)) => Transition::Snooze(time("snoozed_until", until)?),
        (Some(other), None) => {
            let shown = excerpt(other);
            let problem = format!("expected active or paused, got {shown:?}");
            return Err(field("state", problem));
        }
        _ => {
            let problem = "expected either state or snoozed_until";
            return Err(field("state", problem.to_owned()));
        }
    };
    step(&state, &id, whose, &change).await
}

/// Deletes a subscription; it sends no further mail.
#[utoipa::path(
    delete,
    operation_id = "delete_subscription",
    path = "/v1/subscriptions/{id}",
    tag = "subscriptions",
    security(("key" = [])),
    params(("id" = String, Path, description = "Id of the subscription.")),
    responses((status = 204, description = "The subscription has ended."),
        crate::schemas::SubscriptionErrorResponses),
)]
pub(super) async fn delete(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    let end = Transition::Unsubscribe("by its owner");
    step(&state, &id, whose(&caller)?, &end).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// Sends a test message through a subscription's channel, at most one a minute.
#[utoipa::path(
    post,
    operation_id = "test_subscription",
    path = "/v1/subscriptions/{id}/test",
    tag = "subscriptions",
    security(("key" = [])),
    params(("id" = String, Path, description = "Id of the subscription.")),
    responses((status = 202, description = "Whether a test message is queued: if the subscription \
        is active and none was sent within the \
        minute.", body = Queued), crate::schemas::SubscriptionErrorResponses),
)]
pub(super) async fn test(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    let (whose, database) = (whose(&caller)?, state.lake.database());
    if Subscription::find_of(database, &id, whose).await?.is_none() {
        return Err(unknown(&id));
    }
    let queued = subscriptions::test(database, &id, whose, state.now().await?).await?;
    Ok((StatusCode::ACCEPTED, Json(Queued { queued })).into_response())
}

async fn step(
    state: &AppState,
    id: &str,
    whose: Access<'_>,
    change: &Transition,
) -> Result<Response, Problem> {
    let now = state.now().await?;
    let changed = Subscription::change(state.lake.database(), id, whose, change, now).await?;
    match changed {
        Ok(record) => Ok(Json(SubscriptionAnswer::from(record)).into_response()),
        Err(LifecycleError::Unknown(id)) => Err(unknown(&id)),
        Err(LifecycleError::Fields(errors)) => Err(fields(errors)),
        Err(error) => Err(Problem::new(
            StatusCode::CONFLICT,
            "Not in this state",
            error.to_string(),
        )),
    }
}

fn whose(caller: &Caller) -> Result<Access<'_>, Problem> {
    caller.permissions.require(Scope::Alerts)?;
    let nobody = || AccessDenied {
        code: "UNAUTHENTICATED",
        message: "expected an API key with an owner".to_owned(),
    };
    Ok(caller.subscription_access().ok_or_else(nobody)?)
}

fn time(name: &'static str, text: &str) -> Result<Millis, Problem> {
    parse_time(text).map_err(|error| field(name, error.to_string()))
}

fn field(name: &'static str, message: String) -> Problem {
    Problem::fields(vec![(name.to_owned(), message, "INVALID")])
}

fn fields(errors: Vec<FieldError>) -> Problem {
    let errors = errors.into_iter();
    let errors = errors.map(|error| (error.field.to_owned(), error.message, error.code));
    Problem::fields(errors.collect())
}

fn unknown(id: &str) -> Problem {
    let shown = excerpt(id);
    let detail = format!("no subscription {shown:?} is in force");
    Problem::new(StatusCode::NOT_FOUND, "Unknown subscription", detail)
}
