//! Guard of fields that need a scope.

use async_graphql::{Context, ErrorExtensions, Guard, Result};
use marketlake_http::auth::scope::Scope;
use marketlake_http::caller::Caller;

/// Scope that a field needs: `guard = "RequireScope(Scope::Read)"`.
pub(super) struct RequireScope(pub(super) Scope);

impl Guard for RequireScope {
    async fn check(&self, context: &Context<'_>) -> Result<()> {
        let caller = context.data::<Caller>()?;
        match caller.permissions.denial(self.0) {
            None => Ok(()),
            Some((code, message)) => {
                let error = async_graphql::Error::new(message);
                Err(error.extend_with(|_, extensions| extensions.set("code", code)))
            }
        }
    }
}
