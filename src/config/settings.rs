//! All settings with their defaults.

use std::path::{Path, PathBuf};
use std::time::Duration;

use marketlake_common::{Secret, SecretUrl, redact_url};
use marketlake_entities::database;
use marketlake_lake::{ParseEncryptionError, StoreOptions};
use serde::{Deserialize, Serialize};
use url::Url;

use super::ConfigError;
use super::alerts::{Alerts, Mail, Webhooks};
use super::athena::Athena;
use super::auth::Auth;
use super::database::Database;
use super::operations::Operations;
use super::server::Server;
use super::times::{AGES, GRACES, duration};

/// Minimum retention: the last 24 hours, and segments that are not merged yet, are always kept.
const MIN_RETENTION: Duration = Duration::from_secs(2 * 86_400);

/// All settings.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Settings {
    /// Base folder for everything without a path of its own.
    pub(crate) data: PathBuf,
    pub(crate) server: Server,
    pub(crate) operations: Operations,
    pub(crate) auth: Auth,
    pub(crate) database: Database,
    pub(crate) store: Store,
    pub(crate) athena: Athena,
    pub(crate) mail: Mail,
    pub(crate) alerts: Alerts,
    pub(crate) webhooks: Webhooks,
    pub(crate) feeds: Vec<Feed>,
    pub(crate) jobs: Jobs,
    pub(crate) log: Log,
    /// Whether the command runs until it is stopped: depends on the command, not on a setting.
    #[serde(skip)]
    pub(crate) runs_long: bool,
}

/// Object store.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Store {
    /// `file:///folder` or `s3://bucket/prefix`; below `data` by default.
    pub(crate) url: Option<String>,
    pub(crate) endpoint: Option<String>,
    pub(crate) region: Option<String>,
    pub(crate) access_key_id: Option<String>,
    pub(crate) secret_access_key: Option<Secret>,
    /// Whether the bucket's name is part of the path instead of the host; by default only with an
    /// endpoint.
    pub(crate) path_style: Option<bool>,
    /// Server-side encryption: bucket (the bucket's default), sse-s3, sse-kms, sse-kms:KEY.
    pub(crate) encryption: Option<String>,
    pub(crate) retention: Retention,
}

/// Retention of samples by tier; for ever by default.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Retention {
    /// Minutes that are not merged into an hour.
    pub(crate) raw: Option<String>,
    /// Hours that are not merged into a day.
    pub(crate) hour: Option<String>,
    /// Days: everything older than yesterday.
    pub(crate) day: Option<String>,
}

/// A source of prices.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Feed {
    pub(crate) kind: FeedKind,
    /// Number of shards in which its metrics are ingested; each is a slot that any process may
    /// claim.
    pub(crate) shards: Option<i64>,
    /// Exchanges to record, by priority: the first owns the short name of a pair (`cryptowatch`).
    #[serde(default)]
    pub(crate) markets: Vec<String>,
    /// Base URL of the exchange's API; the public one by default.
    pub(crate) base_url: Option<SecretUrl>,
    pub(crate) api_key: Option<Secret>,
    /// Seed of the generated market (`simulated`).
    #[serde(default)]
    pub(crate) seed: u64,
    /// History to play (`replay`).
    #[serde(default)]
    pub(crate) files: Vec<PathBuf>,
    /// Data folder of another lake whose history is played (`replay`).
    pub(crate) lake: Option<PathBuf>,
    /// Market of candles and pairs in `files` (`replay`).
    pub(crate) market: Option<String>,
    /// First and last minute to play (`replay`).
    pub(crate) from: Option<String>,
    pub(crate) to: Option<String>,
    /// Recorded minutes per minute (`replay`).
    pub(crate) speed: Option<f64>,
}

/// Kinds of feeds.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum FeedKind {
    Binance,
    Cryptowatch,
    Replay,
    Simulated,
}

impl Feed {
    /// Creates a feed with default settings.
    pub(crate) fn new(kind: FeedKind) -> Self {
        Self {
            kind,
            shards: None,
            markets: Vec::new(),
            base_url: None,
            api_key: None,
            seed: 0,
            files: Vec::new(),
            lake: None,
            market: None,
            from: None,
            to: None,
            speed: None,
        }
    }
}

/// Settings of jobs.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Jobs {
    /// Time for which `vacuum` keeps replaced objects.
    pub(crate) vacuum_grace_period: String,
}

/// Settings of logs.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Log {
    pub(crate) format: LogFormat,
}

/// Formats of a log line.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum LogFormat {
    #[default]
    Text,
    Json,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            data: "data".into(),
            server: Server::default(),
            operations: Operations::default(),
            auth: Auth::default(),
            database: Database::default(),
            store: Store::default(),
            athena: Athena::default(),
            mail: Mail::default(),
            alerts: Alerts::default(),
            webhooks: Webhooks::default(),
            feeds: vec![Feed::new(FeedKind::Binance)],
            jobs: Jobs::default(),
            log: Log::default(),
            runs_long: false,
        }
    }
}

impl Default for Jobs {
    fn default() -> Self {
        Self {
            vacuum_grace_period: "1h".to_owned(),
        }
    }
}

impl Settings {
    /// URL of the database.
    pub(crate) fn database_url(&self) -> SecretUrl {
        let below = || database::sqlite_url(&self.data.join("marketlake.db")).into();
        self.database.url.clone().unwrap_or_else(below)
    }

    /// Options of the object store.
    pub(crate) fn store(&self) -> Result<StoreOptions, ConfigError> {
        let store = &self.store;
        let encryption = store.encryption.as_deref().map(|text| {
            let parsed = text.parse();
            parsed.map_err(|error: ParseEncryptionError| {
                ConfigError::setting("store.encryption", text, error)
            })
        });
        no_credentials("store.url", store.url.as_deref())?;
        no_credentials("store.endpoint", store.endpoint.as_deref())?;
        if store.access_key_id.is_some() != store.secret_access_key.is_some() {
            let (given, missing) = match store.access_key_id {
                Some(_) => ("store.access_key_id", "store.secret_access_key"),
                None => ("store.secret_access_key", "store.access_key_id"),
            };
            let problem = format!("expected {missing} beside it");
            return Err(ConfigError::setting(given, "given", problem));
        }
        Ok(StoreOptions {
            url: self.store_url(),
            endpoint: store.endpoint.clone(),
            region: store.region.clone(),
            access_key_id: store.access_key_id.clone(),
            secret_access_key: store
                .secret_access_key
                .as_ref()
                .map(|key| key.expose().to_owned()),
            path_style: store.path_style,
            encryption: encryption.transpose()?.unwrap_or_default(),
        })
    }

    /// URL of the object store.
    pub(crate) fn store_url(&self) -> String {
        self.store.url.clone().unwrap_or_else(|| self.below("lake"))
    }

    /// URL of the mail server, or of a folder.
    pub(crate) fn mail_url(&self) -> SecretUrl {
        let below = || self.below("outbox").into();
        self.mail.url.clone().unwrap_or_else(below)
    }

    fn below(&self, folder: &str) -> String {
        let path = self.data.join(folder);
        file_url(&path)
    }

    /// Grace period of vacuum.
    pub(crate) fn vacuum_grace_period(&self) -> Result<Duration, ConfigError> {
        let text = &self.jobs.vacuum_grace_period;
        duration("jobs.vacuum_grace_period", text, &GRACES)
    }

    /// Retention of samples by tier.
    pub(crate) fn retention(&self) -> Result<marketlake_lake::Retention, ConfigError> {
        let age = |name: &str, text: &Option<String>| match text {
            None => Ok(None),
            Some(text) => match duration(name, text, &AGES) {
                Ok(age) if age >= MIN_RETENTION => Ok(Some(age)),
                _ => Err(ConfigError::setting(
                    &format!("store.retention.{name}"),
                    text,
                    "expected a time of two days or more, like 400d",
                )),
            },
        };
        let Retention { raw, hour, day } = &self.store.retention;
        Ok(marketlake_lake::Retention {
            raw: age("raw", raw)?,
            hour: age("hour", hour)?,
            day: age("day", day)?,
        })
    }

    /// Markets by priority: the first owns the short name of a pair.
    pub(crate) fn market_order(&self) -> Vec<String> {
        self.feeds.iter().flat_map(Feed::ingested_markets).collect()
    }
}

impl Feed {
    /// Markets that it ingests, as far as the settings name them.
    pub(crate) fn ingested_markets(&self) -> Vec<String> {
        match self.kind {
            FeedKind::Binance => vec!["binance".to_owned()],
            FeedKind::Simulated => vec![marketlake_model::SIMULATED.to_owned()],
            FeedKind::Cryptowatch => self.markets.clone(),
            FeedKind::Replay => self.market.iter().cloned().collect(),
        }
    }

    /// Whether it returns minutes of the past.
    pub(crate) fn has_history(&self) -> bool {
        matches!(self.kind, FeedKind::Simulated | FeedKind::Replay)
    }
}

/// Converts a folder's path to a `file:` URL.
pub(crate) fn file_url(folder: &Path) -> String {
    let absolute = std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned());
    match Url::from_file_path(&absolute) {
        Ok(url) => url.to_string(),
        Err(()) => format!("file://{}", absolute.display()),
    }
}

/// Checks that a URL contains no credentials or parameters: it is shown in errors.
pub(super) fn no_credentials(name: &str, text: Option<&str>) -> Result<(), ConfigError> {
    let Some(text) = text.filter(|text| !text.starts_with("file:")) else {
        return Ok(());
    };
    if redact_url(text) == text && !text.contains(['@', '?']) {
        return Ok(());
    }
    let problem = "expected an address without user, password and parameters";
    Err(ConfigError::setting(name, text, problem))
}
