//! Loading of settings from their sources.

use std::fmt;
use std::path::{Path, PathBuf};

use figment::error::{Actual, Kind};
use figment::providers::{Env, Format, Serialized, Toml};
use figment::util::nest;
use figment::value::{Dict, Tag, Value};
use figment::{Figment, Metadata, Profile};
use marketlake_common::{excerpt, excerpt_message, redact_url};

use super::{LogFormat, Settings, types};

/// Default settings file, read if it exists.
const DEFAULT_FILE: &str = "marketlake.toml";
/// Prefix of environment variables that are settings.
const PREFIX: &str = "MARKETLAKE_";
/// Prefixes of the tests' own variables, after `MARKETLAKE_`.
const NOT_SETTINGS: [&str; 2] = ["recordings", "test_"];

/// Invalid setting, or a setting whose target cannot be reached.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConfigError {
    /// Sources that cannot be parsed.
    #[error("configuration: {}", shown(.0))]
    Unreadable(Box<figment::Error>),
    /// Settings file that cannot be opened.
    #[error("--config {}: {reason}", .path.display())]
    NoFile { path: PathBuf, reason: String },
    /// Invalid value of a setting.
    #[error("setting {name} = {value:?}: {problem}")]
    Setting {
        name: String,
        value: String,
        problem: String,
    },
    /// Setting of another type. Its value is not shown: it may be a secret.
    #[error("setting {name}: expected {expected}, got {got}")]
    Type {
        name: String,
        expected: String,
        got: String,
    },
}

impl ConfigError {
    /// Creates an error about a setting; credentials in URLs are not shown.
    pub(crate) fn setting(name: &str, value: &str, problem: impl fmt::Display) -> Self {
        Self::Setting {
            name: name.to_owned(),
            value: types::shown(name, value),
            problem: problem.to_string(),
        }
    }

    /// Creates an error of loading: of a value that its type refuses, by the setting's name.
    fn loading(error: figment::Error, figment: &Figment) -> Self {
        let name = error.path.join(".");
        let root: Option<Value> = figment.extract().ok();
        let value = root.as_ref().and_then(|root| find(root, &error.path));
        match (&error.kind, value) {
            (Kind::Message(problem), Some(value)) if !name.is_empty() => Self::Setting {
                value: types::shown(&name, &raw_text(value)),
                problem: problem.clone(),
                name,
            },
            (Kind::InvalidType(got, expected) | Kind::InvalidValue(got, expected), Some(_)) => {
                Self::Type {
                    expected: plain_type(expected),
                    got: type_of(got).to_string(),
                    name,
                }
            }
            _ => Self::Unreadable(Box::new(error)),
        }
    }
}

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
    for (index, feed) in settings.feeds.iter().enumerate() {
        if feed.kind.0.is_none() {
            let problem = types::expected_kind();
            return Err(ConfigError::setting(
                &format!("feeds.{index}.kind"),
                "",
                problem,
            ));
        }
    }
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
    if !is_typed || plain_type(expected) != "a text" {
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

/// Formats a value.
pub(super) fn text(value: &Value) -> String {
    match value {
        Value::String(_, text) => redact_url(text),
        Value::Bool(_, it) => it.to_string(),
        Value::Char(_, it) => it.to_string(),
        Value::Num(_, it) => {
            let whole = it.to_i128().map(|number| number.to_string());
            let whole = whole.or_else(|| it.to_u128().map(|number| number.to_string()));
            let number = whole.or_else(|| it.to_f64().map(|number| number.to_string()));
            number.unwrap_or_default()
        }
        Value::Array(..) => "[]".to_owned(),
        Value::Empty(..) | Value::Dict(..) => String::new(),
    }
}

/// Value at a path of names and indices.
fn find<'a>(root: &'a Value, path: &[String]) -> Option<&'a Value> {
    path.iter().try_fold(root, |value, key| match value {
        Value::Dict(_, dict) => dict.get(key),
        Value::Array(_, items) => items.get(key.parse::<usize>().ok()?),
        _ => None,
    })
}

/// The text of a value as it was written; anything else as [`text`] has it.
fn raw_text(value: &Value) -> String {
    match value {
        Value::String(_, text) => text.clone(),
        value => text(value),
    }
}

/// Formats errors without their values, which may be secrets.
fn shown(error: &figment::Error) -> String {
    let all = error.clone().into_iter().map(|mut error| {
        error.kind = match error.kind {
            Kind::InvalidType(actual, expected) => Kind::InvalidType(type_of(&actual), expected),
            Kind::InvalidValue(actual, expected) => Kind::InvalidValue(type_of(&actual), expected),
            Kind::Message(message) => Kind::Message(without_excerpt(&message)),
            Kind::UnknownVariant(found, all) => Kind::UnknownVariant(safe(&found), all),
            Kind::UnknownField(found, all) => Kind::UnknownField(safe(&found), all),
            kind => kind,
        };
        error.to_string()
    });
    all.collect::<Vec<_>>().join("\n")
}

/// Formats a name.
fn safe(found: &str) -> String {
    excerpt(&redact_url(found)).into_owned()
}

/// Names a type of Rust in the words of a settings file.
fn plain_type(expected: &str) -> String {
    let name = match expected {
        "u8" | "u16" | "u32" | "u64" | "usize" => "a whole number of 0 or more",
        "i64" | "i128" => "a whole number",
        "f64" => "a number",
        "a string" | "path string" | "string" => "a text",
        "a boolean" => "true or false",
        "a sequence" => "a list",
        expected if expected.starts_with("struct ") => "a table",
        expected => expected,
    };
    name.to_owned()
}

fn type_of(actual: &Actual) -> Actual {
    let name = match actual {
        Actual::Str(_) | Actual::Char(_) => "a text",
        Actual::Bytes(_) => "bytes",
        Actual::Unsigned(_) | Actual::Signed(_) | Actual::Float(_) => "a number",
        Actual::Other(_) => "something else",
        other => return other.clone(),
    };
    Actual::Other(name.to_owned())
}

/// Removes the excerpt of the file from a TOML error.
fn without_excerpt(message: &str) -> String {
    let lines = message.lines().filter(|line| {
        let margin = line.trim_start_matches(|c: char| c.is_ascii_digit() || c == ' ');
        !margin.starts_with('|')
    });
    let message = redact_url(&lines.collect::<Vec<_>>().join(", "));
    excerpt_message(&message).into_owned()
}
