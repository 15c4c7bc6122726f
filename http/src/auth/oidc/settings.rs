//! Settings of an identity provider.

/// The identity provider whose tokens are taken.
#[derive(Clone, Debug)]
pub struct OidcSettings {
    /// The provider, as its tokens name it.
    pub issuer: String,
    /// For whom tokens must be made.
    pub audience: String,
    /// Where its keys are; found by discovery where nothing is said.
    pub jwks_url: Option<String>,
}
