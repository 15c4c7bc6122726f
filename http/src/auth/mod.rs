//! Authentication and scopes.
//!
//! A request comes with an API key ([`key`]), with a token of an identity provider ([`oidc`]), or
//! with neither, which decides its [`permissions`]. Its address grants nothing: a reverse proxy is
//! on loopback too. Streams and sockets end with their key ([`sessions`]).

pub mod authenticator;
pub mod error;
pub mod key;
pub mod oidc;
pub mod operator;
pub mod options;
pub mod permissions;
pub mod scope;
pub mod sessions;
mod verified;
