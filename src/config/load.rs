//! Loading of settings from their sources.

use std::path::Path;

use figment::error::{Actual, Kind};
use figment::providers::{Env, Format, Serialized, Toml};
use figment::util::nest;
use figment::value::{Dict, Tag, Value};
use figment::{Figment, Metadata, Profile};
use marketlake_common::redact_url;

use super::error::{ConfigError, PREFIX, in_words};
use super::feeds::check_all;
use super::value_text::text;
use super::{LogFormat, Settings};

/// Default settings file, read if it exists.
const DEFAULT_FILE: &str = "marketlake.toml";
/// Prefixes of the tests' own variables, after `MARKETLAKE_`.
const NOT_SETTINGS: [&str; 2] = ["recordings", "test_"];

/// Settings with their sources.
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
    let mut figment = sources(file, data);
    let settings: Settings = loop {
        match figment.extract() {
            Ok(settings) => break settings,
            Err(error) => match variable_as_text(&error, &figment) {
                Some(text) => figment = figment.merge(text),
                None => return Err(ConfigError::loading(error, &figment)),
            },
        }
    };
    check_all(&settings.feeds)?;
    Ok(Loaded { settings, figment })
}

/// Format of the log, where other settings may be wrong.
pub(crate) fn log_format(file: Option<&Path>) -> LogFormat {
    let format = sources(file, None).extract_inner("log.format");
    format.unwrap_or_default()
}

fn sources(file: Option<&Path>, data: Option<&Path>) -> Figment {
    let mut figment = Figment::from(Serialized::defaults(Settings::default()));
    let file = file.unwrap_or(Path::new(DEFAULT_FILE));
    if file.exists() {
        figment = figment.merge(Toml::file_exact(file));
    }
    figment = figment.merge(environment());
    if let Some(data) = data {
        figment = figment.merge(TextSetting {
            source: "flag --data".to_owned(),
            path: "data".to_owned(),
            text: data.display().to_string(),
        });
    }
    figment
}

fn environment() -> Env {
    Env::prefixed(PREFIX)
        .filter(|key| {
            !NOT_SETTINGS
                .iter()
                .any(|other| key.as_str().to_lowercase().starts_with(other))
        })
        .split("__")
}

/// The text of a variable that was read as a number or as true or false, where its setting is a
/// text: a password of digits.
fn variable_as_text(error: &figment::Error, figment: &Figment) -> Option<TextSetting> {
    let Kind::InvalidType(got, expected) = &error.kind else {
        return None;
    };
    let is_typed = matches!(
        got,
        Actual::Bool(_) | Actual::Unsigned(_) | Actual::Signed(_) | Actual::Float(_)
    );
    if !is_typed || in_words(expected) != "a text" {
        return None;
    }
    let path = error.path.join(".");
    let source = figment.find_metadata(&path)?.name.to_string();
    let (_, text) = std::env::vars().find(|(name, _)| {
        let name = name.to_lowercase().replace("__", ".");
        name.strip_prefix(&PREFIX.to_lowercase()) == Some(path.as_str())
    })?;
    Some(TextSetting { source, path, text })
}

/// A setting whose value is a text.
struct TextSetting {
    source: String,
    path: String,
    text: String,
}

impl figment::Provider for TextSetting {
    fn metadata(&self) -> Metadata {
        Metadata::named(self.source.clone())
    }

    fn data(&self) -> figment::Result<figment::value::Map<Profile, Dict>> {
        let value = Value::from(self.text.clone());
        let dict = nest(&self.path, value).into_dict().unwrap_or_default();
        Ok(figment::value::Map::from([(Profile::Default, dict)]))
    }
}

/// One effective setting.
#[derive(Debug)]
pub(crate) struct EffectiveSetting {
    pub(crate) name: String,
    pub(crate) value: String,
    pub(crate) source: String,
}

impl Loaded {
    /// Every setting with its value and its source; secrets are not shown.
    pub(crate) fn effective(&self) -> Result<Vec<EffectiveSetting>, ConfigError> {
        let root: Value = self
            .figment
            .extract()
            .map_err(|error| ConfigError::Unreadable(Box::new(error)))?;
        // The settings' own types know which of them are secrets.
        let safe = Value::serialize(&self.settings)
            .map_err(|error| ConfigError::Unreadable(Box::new(error)))?;
        let mut all = Vec::new();
        self.walk("", &root, Some(&safe), &mut all);
        let derived = [
            ("database.url", self.settings.database_url().to_string()),
            ("mail.url", self.settings.mail_url().to_string()),
            ("store.url", redact_url(&self.settings.store_url())),
        ];
        for (name, value) in derived {
            if let Some(effective) = all
                .iter_mut()
                .find(|e| e.name == name && e.value.is_empty())
            {
                effective.value = value;
                "default, below data".clone_into(&mut effective.source);
            }
        }
        Ok(all)
    }

    /// Collects the settings below `value`; `safe` is the same value with secrets redacted.
    fn walk(
        &self,
        name: &str,
        value: &Value,
        safe: Option<&Value>,
        all: &mut Vec<EffectiveSetting>,
    ) {
        let below = |key: &str| {
            if name.is_empty() {
                key.to_owned()
            } else {
                format!("{name}.{key}")
            }
        };
        match value {
            Value::Dict(_, dict) => {
                for (key, value) in dict {
                    let safe = safe.and_then(Value::as_dict).and_then(|dict| dict.get(key));
                    self.walk(&below(key), value, safe, all);
                }
            }
            Value::Array(_, items) if !items.is_empty() => {
                for (index, item) in items.iter().enumerate() {
                    let safe = safe.and_then(Value::as_array);
                    let safe = safe.and_then(|items| items.get(index));
                    self.walk(&below(&index.to_string()), item, safe, all);
                }
            }
            value => all.push(EffectiveSetting {
                name: name.to_owned(),
                value: text(safe.unwrap_or(value)),
                source: self.source(value.tag()),
            }),
        }
    }

    fn source(&self, tag: Tag) -> String {
        match self.figment.get_metadata(tag) {
            Some(metadata) if metadata.name.starts_with("marketlake::") => "default".to_owned(),
            Some(metadata) => match &metadata.source {
                Some(figment::Source::File(path)) => path.display().to_string(),
                _ => metadata.name.trim_matches('`').to_owned(),
            },
            None => "default".to_owned(),
        }
    }
}
