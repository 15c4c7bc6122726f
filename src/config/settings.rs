//! All settings with their defaults.

use std::path::{Path, PathBuf};

use marketlake_common::{Secret, SecretUrl};
use marketlake_entities::database;
use marketlake_lake::StoreOptions;
use serde::{Deserialize, Serialize};
use url::Url;

use super::ConfigError;
use super::alerts::{Alerts, Mail, Webhooks};
use super::athena::Athena;
use super::auth::Auth;
use super::database::Database;
use super::feeds::{Feed, FeedKind};
use super::operations::Operations;
use super::section::section;
use super::server::Server;
use super::types::{Checked, EncryptionMode, Period, PlainUrl};

/// Retention of a tier: the last 24 hours, and segments that are not merged yet, are always kept.
type RetentionPeriod = Period<{ 2 * 86_400_000 }, { 100 * 366 * 86_400_000 }>;
/// Time for which vacuum keeps replaced objects.
type GracePeriod = Period<0, { 366 * 86_400_000 }>;

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

section! {
    /// Object store of the lake's files. S3: [aws.md](aws.md#a-lake-in-s3).
    Store {
        /// `file:///folder` or `s3://bucket/prefix`; the folder `lake` in `data` by default.
        url: Option<Checked<PlainUrl>> = None,
        /// URL of an S3-compatible server; AWS by default.
        endpoint: Option<Checked<PlainUrl>> = None,
        /// Region; by AWS' standard chain by default.
        region: Option<String> = None,
        /// Access key, with `secret_access_key`; by AWS' standard chain by default.
        access_key_id: Option<String> = None,
        /// Secret key; by AWS' standard chain by default.
        secret_access_key: Option<Secret> = None,
        /// Whether the bucket's name is part of the path instead of the host; by default only with
        /// an endpoint.
        path_style: Option<bool> = None,
        /// Server-side encryption: `bucket` (the bucket's default), `sse-s3`, `sse-kms`,
        /// `sse-kms:KEY`; `bucket` by default.
        encryption: Option<Checked<EncryptionMode>> = None,
        /// Retention of samples.
        retention: StoreRetention = StoreRetention::default(),
    }
}

section! {
    /// Retention of samples by tier, like `400d`; two days or more, for ever by default.
    StoreRetention {
        /// Minutes that are not merged into an hour.
        raw: Option<RetentionPeriod> = None,
        /// Hours that are not merged into a day.
        hour: Option<RetentionPeriod> = None,
        /// Days: everything older than yesterday.
        day: Option<RetentionPeriod> = None,
    }
}

section! {
    /// Jobs of the scheduler.
    Jobs {
        /// Time for which vacuum keeps replaced objects.
        vacuum_grace_period: GracePeriod = GracePeriod::secs(3_600),
    }
}

section! {
    /// Logs, on stderr.
    Log {
        /// Format of a line: `text` or `json`.
        format: LogFormat = LogFormat::default(),
    }
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
            feeds: vec![Feed::new(FeedKind::DEFAULT)],
            jobs: Jobs::default(),
            log: Log::default(),
            runs_long: false,
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
        if store.access_key_id.is_some() != store.secret_access_key.is_some() {
            let (given, missing) = match store.access_key_id {
                Some(_) => ("store.access_key_id", "store.secret_access_key"),
                None => ("store.secret_access_key", "store.access_key_id"),
            };
            let problem = format!("expected {missing} to be set, too");
            return Err(ConfigError::setting(given, "given", problem));
        }
        Ok(StoreOptions {
            url: self.store_url(),
            endpoint: store.endpoint.as_deref().cloned(),
            region: store.region.clone(),
            access_key_id: store.access_key_id.clone(),
            secret_access_key: store
                .secret_access_key
                .as_ref()
                .map(|key| key.expose().to_owned()),
            path_style: store.path_style,
            encryption: store.encryption.as_deref().cloned().unwrap_or_default(),
        })
    }

    /// URL of the object store.
    pub(crate) fn store_url(&self) -> String {
        let url = self.store.url.as_deref().cloned();
        url.unwrap_or_else(|| self.below("lake"))
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

    /// Retention of samples by tier.
    pub(crate) fn retention(&self) -> marketlake_lake::Retention {
        let StoreRetention { raw, hour, day } = self.store.retention;
        marketlake_lake::Retention {
            raw: raw.map(RetentionPeriod::get),
            hour: hour.map(RetentionPeriod::get),
            day: day.map(RetentionPeriod::get),
        }
    }

    /// Markets by priority: the first owns the short name of a pair.
    pub(crate) fn market_order(&self) -> Vec<String> {
        self.feeds.iter().flat_map(Feed::ingested_markets).collect()
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
