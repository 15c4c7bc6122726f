//! Guard of fields that need a scope.

use async_graphql::{Context, ErrorExtensions, Guard, Result};
use marketlake_http::auth::scope::Scope;
use marketlake_http::caller::Caller;

/// Scope that a field needs: `guard = "RequireScope(Scope::Read)"`.
pub(super) struct RequireScope(pub(super) Scope);

impl Guard for RequireScope {
    async fn check(&self, context: &Context<'_>) -> Result<()> {
        let caller = context.data::<Caller>()?;
        caller.permissions.require(self.0).map_err(|denied| {
            let error = async_graphql::Error::new(denied.message);
            error.extend_with(|_, extensions| extensions.set("code", denied.code))
        })
    }
}
