//! Where settings come from.

use std::fmt;
use std::path::{Path, PathBuf};

use figment::providers::{Env, Format, Serialized, Toml};
use figment::value::{Dict, Tag, Value};
use figment::{Figment, Metadata, Profile};

use super::Settings;

/// Read where no `--config` is given and the file is there.
const DEFAULT_FILE: &str = "marketlake.toml";
/// What the tests' own variables begin with, after `MARKETLAKE_`.
const NOT_SETTINGS: [&str; 2] = ["recordings", "test_"];
const SECRETS: [&str; 2] = ["api_key", "secret_access_key"];

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
        .filter(|key| {
            !NOT_SETTINGS
                .iter()
                .any(|other| key.as_str().to_lowercase().starts_with(other))
        })
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
    let settings = figment
        .extract()
        .map_err(|error| ConfigError::Unreadable(Box::new(error)))?;
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
        let root: Value = self
            .figment
            .extract()
            .map_err(|error| ConfigError::Unreadable(Box::new(error)))?;
        let mut all = Vec::new();
        self.walk("", &root, &mut all);
        let derived = [
            ("database.url", self.settings.database_url()),
            ("mail.url", self.settings.mail_url()),
            ("store.url", self.settings.store_url()),
        ];
        for (name, value) in derived {
            if let Some(effective) = all
                .iter_mut()
                .find(|e| e.name == name && e.value.is_empty())
            {
                effective.value = without_password(&value);
                "default, below data".clone_into(&mut effective.source);
            }
        }
        Ok(all)
    }

    fn walk(&self, name: &str, value: &Value, all: &mut Vec<Effective>) {
        let below = |key: &str| {
            if name.is_empty() {
                key.to_owned()
            } else {
                format!("{name}.{key}")
            }
        };
        match value {
            Value::Dict(_, dict) => dict
                .iter()
                .for_each(|(key, value)| self.walk(&below(key), value, all)),
            Value::Array(tag, items) if items.is_empty() => {
                all.push(self.leaf(name, *tag, "[]".to_owned()));
            }
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
            value: if secret && !value.is_empty() {
                "***".to_owned()
            } else {
                without_password(&value)
            },
            source,
        }
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
