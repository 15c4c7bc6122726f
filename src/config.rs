//! Settings: `marketlake.toml`, then `MARKETLAKE_*` from the environment, then flags. Nothing is required.

use std::fmt;
use std::path::{Path, PathBuf};

use figment::providers::{Env, Format, Serialized, Toml};
use figment::value::{Dict, Tag, Value};
use figment::{Figment, Metadata, Profile};
use serde::{Deserialize, Serialize};

/// Read where no `--config` is given and the file is there.
const DEFAULT_FILE: &str = "marketlake.toml";
/// What the tests' own variables begin with, after `MARKETLAKE_`.
const NOT_SETTINGS: [&str; 2] = ["recordings", "test_"];
const SECRETS: [&str; 2] = ["api_key", "secret_access_key"];

/// Every setting.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Settings {
    /// The folder below which everything lies that is not said to lie elsewhere.
    pub(crate) data: PathBuf,
    pub(crate) server: Server,
    pub(crate) database: Database,
    pub(crate) store: Store,
    pub(crate) mail: Mail,
    pub(crate) feeds: Vec<Feed>,
    pub(crate) jobs: Jobs,
    pub(crate) log: Log,
}

/// Where the HTTP face listens.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Server {
    pub(crate) listen: String,
}

/// The catalog and the records.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Database {
    /// `sqlite://FILE` or `postgres://..`; below `data` where there is none.
    pub(crate) url: Option<String>,
}

/// The objects.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Store {
    /// `file:///folder` or `s3://bucket/prefix`; below `data` where there is none.
    pub(crate) url: Option<String>,
    pub(crate) endpoint: Option<String>,
    pub(crate) region: Option<String>,
    pub(crate) access_key_id: Option<String>,
    pub(crate) secret_access_key: Option<String>,
}

/// How mails leave.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Mail {
    /// `smtp://`, `smtps://` or `file:///folder`; below `data` where there is none.
    pub(crate) url: Option<String>,
    pub(crate) from: String,
}

/// Where prices come from.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Feed {
    pub(crate) kind: FeedKind,
    /// Exchanges to keep, in the order in which they own short names (`cryptowatch`).
    #[serde(default)]
    pub(crate) markets: Vec<String>,
    /// Address of the exchange, where it is not the usual one.
    pub(crate) base_url: Option<String>,
    pub(crate) api_key: Option<String>,
    /// Which made-up market (`simulated`).
    #[serde(default)]
    pub(crate) seed: u64,
    /// History to play (`replay`).
    #[serde(default)]
    pub(crate) files: Vec<PathBuf>,
    /// Market of candles and pairs in `files` (`replay`).
    pub(crate) market: Option<String>,
    /// First and last minute to play (`replay`).
    pub(crate) from: Option<String>,
    pub(crate) to: Option<String>,
    /// Recorded minutes a minute (`replay`).
    pub(crate) speed: Option<f64>,
}

/// The kinds of feeds.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum FeedKind {
    Binance,
    Cryptowatch,
    Replay,
    Simulated,
}

impl Feed {
    /// A feed of a kind, with nothing said about it.
    pub(crate) fn of(kind: FeedKind) -> Self {
        Self {
            kind,
            markets: Vec::new(),
            base_url: None,
            api_key: None,
            seed: 0,
            files: Vec::new(),
            market: None,
            from: None,
            to: None,
            speed: None,
        }
    }
}

/// How jobs behave.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Jobs {
    /// How long `vacuum` leaves alone what was replaced.
    pub(crate) vacuum_grace: String,
}

/// How logs look.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Log {
    pub(crate) format: LogFormat,
}

/// The forms of a log line.
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
            database: Database::default(),
            store: Store::default(),
            mail: Mail::default(),
            feeds: vec![Feed::of(FeedKind::Binance)],
            jobs: Jobs::default(),
            log: Log::default(),
        }
    }
}

impl Default for Server {
    fn default() -> Self {
        Self {
            listen: "127.0.0.1:8080".to_owned(),
        }
    }
}

impl Default for Mail {
    fn default() -> Self {
        Self {
            url: None,
            from: "marketlake <marketlake@localhost>".to_owned(),
        }
    }
}

impl Default for Jobs {
    fn default() -> Self {
        Self {
            vacuum_grace: "1h".to_owned(),
        }
    }
}

/// A setting that cannot be used, or what it names cannot be reached.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConfigError {
    /// The sources do not make settings.
    #[error("configuration: {0}")]
    Unreadable(Box<figment::Error>),
    /// A file that was named is not there.
    #[error("--config {}: {reason}", .path.display())]
    NoFile { path: PathBuf, reason: String },
    /// One setting.
    #[error("setting {name} = {value:?}: {problem}")]
    Setting {
        name: String,
        value: String,
        problem: String,
    },
}

impl ConfigError {
    /// What is wrong with one setting; a password in an address is not shown.
    pub(crate) fn setting(name: &str, value: &str, problem: impl fmt::Display) -> Self {
        Self::Setting {
            name: name.to_owned(),
            value: without_password(value),
            problem: problem.to_string(),
        }
    }
}

/// The settings, and where each comes from.
pub(crate) struct Loaded {
    pub(crate) settings: Settings,
    figment: Figment,
}

/// Reads all sources.
pub(crate) fn load(file: Option<&Path>, data: Option<&Path>) -> Result<Loaded, ConfigError> {
    if let Some(path) = file {
        std::fs::File::open(path).map_err(|error| ConfigError::NoFile {
            path: path.to_owned(),
            reason: error.to_string(),
        })?;
    }
    let environment = Env::prefixed("MARKETLAKE_")
        .filter(|key| !NOT_SETTINGS.iter().any(|other| key.as_str().to_lowercase().starts_with(other)))
        .split("__");
    let mut figment = Figment::from(Serialized::defaults(Settings::default()));
    let file = file.unwrap_or(Path::new(DEFAULT_FILE));
    if file.exists() {
        figment = figment.merge(Toml::file_exact(file));
    }
    figment = figment.merge(environment);
    if let Some(data) = data {
        figment = figment.merge(Flag("data", data.display().to_string()));
    }
    let settings = figment.extract().map_err(|error| ConfigError::Unreadable(Box::new(error)))?;
    Ok(Loaded { settings, figment })
}

/// A setting given as a flag.
struct Flag(&'static str, String);

impl figment::Provider for Flag {
    fn metadata(&self) -> Metadata {
        Metadata::named(format!("flag --{}", self.0))
    }

    fn data(&self) -> figment::Result<figment::value::Map<Profile, Dict>> {
        let dict = Dict::from([(self.0.to_owned(), Value::from(self.1.clone()))]);
        Ok(figment::value::Map::from([(Profile::Default, dict)]))
    }
}

/// One effective setting.
#[derive(Debug)]
pub(crate) struct Effective {
    pub(crate) name: String,
    pub(crate) value: String,
    pub(crate) source: String,
}

impl Loaded {
    /// Every setting with its value and its source; secrets are not shown.
    pub(crate) fn effective(&self) -> Result<Vec<Effective>, ConfigError> {
        let root: Value = self.figment.extract().map_err(|error| ConfigError::Unreadable(Box::new(error)))?;
        let mut all = Vec::new();
        self.walk("", &root, &mut all);
        let derived = [
            ("database.url", self.settings.database_url()),
            ("mail.url", self.settings.mail_url()),
            ("store.url", self.settings.store_url()),
        ];
        for (name, value) in derived {
            if let Some(effective) = all.iter_mut().find(|e| e.name == name && e.value.is_empty()) {
                effective.value = without_password(&value);
                "default, below data".clone_into(&mut effective.source);
            }
        }
        Ok(all)
    }

    fn walk(&self, name: &str, value: &Value, all: &mut Vec<Effective>) {
        let below = |key: &str| if name.is_empty() { key.to_owned() } else { format!("{name}.{key}") };
        match value {
            Value::Dict(_, dict) => dict.iter().for_each(|(key, value)| self.walk(&below(key), value, all)),
            Value::Array(tag, items) if items.is_empty() => all.push(self.leaf(name, *tag, "[]".to_owned())),
            Value::Array(_, items) => {
                for (index, item) in items.iter().enumerate() {
                    self.walk(&below(&index.to_string()), item, all);
                }
            }
            Value::Empty(tag, _) => all.push(self.leaf(name, *tag, String::new())),
            Value::String(tag, text) => all.push(self.leaf(name, *tag, text.clone())),
            Value::Bool(tag, it) => all.push(self.leaf(name, *tag, it.to_string())),
            Value::Char(tag, it) => all.push(self.leaf(name, *tag, it.to_string())),
            Value::Num(tag, it) => {
                let text = it
                    .to_i128()
                    .map(|n| n.to_string())
                    .or_else(|| it.to_u128().map(|n| n.to_string()))
                    .or_else(|| it.to_f64().map(|n| n.to_string()));
                all.push(self.leaf(name, *tag, text.unwrap_or_default()));
            }
        }
    }

    fn leaf(&self, name: &str, tag: Tag, value: String) -> Effective {
        let metadata = self.figment.get_metadata(tag);
        let source = match metadata {
            Some(metadata) if metadata.name.starts_with("marketlake::") => "default".to_owned(),
            Some(metadata) => match &metadata.source {
                Some(figment::Source::File(path)) => path.display().to_string(),
                _ => metadata.name.trim_matches('`').to_owned(),
            },
            None => "default".to_owned(),
        };
        let secret = SECRETS.iter().any(|secret| name.ends_with(secret));
        Effective {
            name: name.to_owned(),
            value: if secret && !value.is_empty() { "***".to_owned() } else { without_password(&value) },
            source,
        }
    }
}

impl Settings {
    /// The catalog's address.
    pub(crate) fn database_url(&self) -> String {
        let below = || format!("sqlite://{}", self.data.join("marketlake.db").display());
        self.database.url.clone().unwrap_or_else(below)
    }

    /// The store's address.
    pub(crate) fn store_url(&self) -> String {
        self.store.url.clone().unwrap_or_else(|| self.file_url("lake"))
    }

    /// The mail server's address, or a folder.
    pub(crate) fn mail_url(&self) -> String {
        self.mail.url.clone().unwrap_or_else(|| self.file_url("outbox"))
    }

    fn file_url(&self, folder: &str) -> String {
        let path = self.data.join(folder);
        let absolute = std::path::absolute(&path).unwrap_or(path);
        format!("file://{}", absolute.display())
    }

    /// How long vacuum waits.
    pub(crate) fn vacuum_grace(&self) -> Result<std::time::Duration, ConfigError> {
        let text = &self.jobs.vacuum_grace;
        humantime::parse_duration(text)
            .map_err(|_| ConfigError::setting("jobs.vacuum_grace", text, "expected a time like 1h or 90m"))
    }

    /// Markets in the order in which they own short names.
    pub(crate) fn market_order(&self) -> Vec<String> {
        let of = |feed: &Feed| match feed.kind {
            FeedKind::Binance => vec!["binance".to_owned()],
            FeedKind::Simulated => vec![marketlake_entities::SIMULATED.to_owned()],
            FeedKind::Cryptowatch => feed.markets.clone(),
            FeedKind::Replay => feed.market.iter().cloned().collect(),
        };
        self.feeds.iter().flat_map(of).collect()
    }
}

/// The same text with the password of an address blotted out.
fn without_password(text: &str) -> String {
    if let Ok(mut url) = url::Url::parse(text)
        && url.password().is_some()
        && url.set_password(Some("***")).is_ok()
    {
        return url.to_string();
    }
    text.to_owned()
}
