//! Settings of an identity provider.

/// The identity provider whose tokens are taken.
#[derive(Clone, Debug)]
pub struct OidcSettings {
    /// The provider, as its tokens name it.
    pub issuer: String,
    /// Audience that tokens must be issued for.
    pub audience: String,
    /// URL of the provider's JWKS; `None` finds it by discovery.
    pub jwks_url: Option<String>,
}
