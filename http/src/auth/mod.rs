//! Authentication and scopes.
//!
//! A request comes with an API key ([`key`]), with a token of an identity provider ([`oidc`]), or
//! with neither. What it may do is its [`permissions`]. Where it comes from grants nothing: a
//! reverse proxy is on loopback too. What is opened for long ends with its key ([`sessions`]).

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
