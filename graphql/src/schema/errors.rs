//! Errors with a stable code in `extensions.code`.

use std::sync::Arc;

use async_graphql::{Context, Error, ErrorExtensions, Result};
use marketlake_common::excerpt;
use marketlake_entities::database::outage::with_cause;
use marketlake_http::request_id::RequestId;
use marketlake_http::state::AppState;
use marketlake_lake::{AthenaError, LakeError};
use marketlake_model::Millis;

/// No metric of that name was ever recorded.
pub(super) fn unknown_metric(name: &str) -> Error {
    let shown = excerpt(name);
    Error::new(format!("no metric {shown:?} was ever recorded")).extend_with(|_, extensions| {
        extensions.set("code", "UNKNOWN_METRIC");
        extensions.set("metric", shown.as_ref());
    })
}

/// An argument that cannot be used.
pub(super) fn bad_argument(name: &str, reason: &str) -> Error {
    Error::new(format!("{name}: {reason}")).extend_with(|_, extensions| {
        extensions.set("code", "BAD_ARGUMENT");
        extensions.set("argument", name);
    })
}

/// Time of the request.
pub(super) async fn now(context: &Context<'_>) -> Result<Millis> {
    let now = context.data::<AppState>()?.now().await;
    now.map_err(|error| unavailable(&error))
}

/// Name of an input field in GraphQL: `window_minutes` is `windowMinutes`.
pub(super) fn field_name(name: &str) -> String {
    let mut words = name.split('_');
    let first = words.next().unwrap_or_default().to_owned();
    words.fold(first, |name, word| {
        let (head, tail) = word.split_at(word.len().min(1));
        name + &head.to_ascii_uppercase() + tail
    })
}

/// The lake or its records cannot be read; the cause is in the log.
pub(super) fn unavailable(error: &(dyn std::error::Error + 'static)) -> Error {
    if is_busy(error) {
        let busy = LakeError::Busy.to_string();
        return Error::new(busy).extend_with(|_, e| e.set("code", "OVERLOADED"));
    }
    let (id, error) = (RequestId::current(), with_cause(error));
    let id = id.as_str();
    tracing::error!(id, error, "request failed");
    let message = format!("the lake cannot be read at the moment; see the server's log for {id}");
    Error::new(message).extend_with(|_, extensions| {
        extensions.set("code", "UNAVAILABLE");
        extensions.set("id", id);
    })
}

fn is_busy(error: &(dyn std::error::Error + 'static)) -> bool {
    std::iter::successors(Some(error), |error| error.source())
        .any(|error| matches!(error.downcast_ref(), Some(LakeError::Busy)))
}

/// The same, for what a loader could not load.
#[expect(
    clippy::needless_pass_by_value,
    reason = "it is what map_err hands over"
)]
pub(super) fn loading(error: Arc<LakeError>) -> Error {
    unavailable(error.as_ref())
}

/// The same, for the lake's errors.
pub(super) fn lake(error: LakeError) -> Error {
    match error {
        LakeError::Athena(error @ AthenaError::TooLarge { .. }) => {
            bad_argument("from", &error.to_string())
        }
        error => unavailable(&error),
    }
}
