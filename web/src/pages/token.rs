//! Verification of the tokens in the pages' addresses.

use marketlake_alerts::{Keyring, Purpose};
use marketlake_http::state::AppState;
use marketlake_model::Millis;

use super::html::PageError;

/// The database's time.
pub(super) async fn now(state: &AppState) -> Result<Millis, PageError> {
    Ok(state.now().await?)
}

/// The subject of a token that is valid for a purpose now.
pub(super) async fn verify(
    state: &AppState,
    purpose: Purpose,
    token: &str,
    now: Millis,
) -> Result<String, PageError> {
    let keys = Keyring::load(state.lake.database(), now).await?;
    Ok(keys.verify(purpose, token, now)?)
}
