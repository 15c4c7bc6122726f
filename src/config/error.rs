//! Errors of settings: the setting's name, its value, and what was expected.

use std::fmt;
use std::path::PathBuf;

use figment::Figment;
use figment::error::{Actual, Kind};
use figment::value::Value;
use marketlake_common::{excerpt, excerpt_message, one_of, plain_type, redact_url};

use super::types;
use super::value_text::text;

/// Prefix of environment variables that are settings.
pub(super) const PREFIX: &str = "MARKETLAKE_";

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
    /// Name that is no setting.
    #[error("setting {name}: unknown, expected {expected}{hint}")]
    Unknown {
        name: String,
        expected: String,
        hint: String,
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
    pub(super) fn loading(error: figment::Error, figment: &Figment) -> Self {
        let name = error.path.join(".");
        let root: Option<Value> = figment.extract().ok();
        let value = root.as_ref().and_then(|root| find(root, &error.path));
        match (&error.kind, value) {
            (Kind::Message(problem), Some(value)) if !name.is_empty() => Self::Setting {
                value: types::shown(&name, &raw_text(value)),
                problem: problem.clone(),
                name,
            },
            (Kind::UnknownVariant(found, all), _) if !name.is_empty() => Self::Setting {
                value: types::shown(&name, found),
                problem: format!("expected {}", one_of(all)),
                name,
            },
            (Kind::UnknownField(found, all), _) => Self::unknown(&error.path, found, all),
            (Kind::InvalidType(got, expected) | Kind::InvalidValue(got, expected), Some(_)) => {
                Self::Type {
                    expected: in_words(expected).to_owned(),
                    got: type_of(got).to_string(),
                    name,
                }
            }
            _ => Self::Unreadable(Box::new(error)),
        }
    }
}

impl ConfigError {
    /// A name that is no setting, in a table whose settings are `all`.
    fn unknown(table: &[String], found: &str, all: &[&str]) -> Self {
        let is_table = |name: &&&str| {
            let rest = found.strip_prefix(**name);
            rest.is_some_and(|rest| rest.starts_with('_') && !rest.starts_with("__"))
        };
        let hint = match all.iter().find(is_table).filter(|_| table.is_empty()) {
            Some(name) => format!(
                "; in the environment {PREFIX}{}__{}",
                name.to_uppercase(),
                found[name.len() + 1..].to_uppercase()
            ),
            None => String::new(),
        };
        let name = match table.last().map(String::as_str) {
            Some(last) if last == found => table.join("."),
            _ => [table, &[found.to_owned()]].concat().join("."),
        };
        Self::Unknown {
            name: safe(&name),
            expected: one_of(all),
            hint: safe(&hint),
        }
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
pub(super) fn in_words(expected: &str) -> &str {
    plain_type(expected, "a table")
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
