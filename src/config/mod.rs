//! Settings: `marketlake.toml`, then `MARKETLAKE_*` from the environment, then flags. All are
//! optional.

mod alerts;
mod athena;
mod auth;
mod database;
mod error;
mod feeds;
mod load;
mod operations;
mod proxy;
mod reference;
mod section;
mod server;
mod settings;
pub(crate) mod times;
mod types;
mod value_text;

pub(crate) use database::Pool;
pub(crate) use error::ConfigError;
pub(crate) use feeds::{Feed, FeedKind, FeedMode};
pub(crate) use load::{Loaded, load, log_format};
pub(crate) use reference::reference;
pub(crate) use settings::{LogFormat, Settings, file_url};
