//! Mail templates: built in, each replaceable by a file of the same name.

use std::path::Path;

use minijinja::value::Serde;
use minijinja::{AutoEscape, Environment, UndefinedBehavior, Value};
use serde::Serialize;

use crate::error::AlertError;

macro_rules! built_in {
    ($($name:literal),* $(,)?) => {
        [$(($name, include_str!(concat!("../../../templates/", $name)))),*]
    };
}

const BUILT_IN: [(&str, &str); 17] = built_in![
    "layout.html",
    "alert.subject.txt",
    "alert.txt",
    "alert.html",
    "digest.subject.txt",
    "digest.txt",
    "digest.html",
    "confirmation.subject.txt",
    "confirmation.txt",
    "confirmation.html",
    "manage.subject.txt",
    "manage.txt",
    "manage.html",
    "incident.subject.txt",
    "incident.txt",
    "incident.html",
    "slack.txt",
];
/// Longer subjects are cut by what shows them.
const MAX_SUBJECT_LEN: usize = 120;

/// A mail's words.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct RenderedMail {
    pub(super) subject: String,
    pub(super) text: String,
    pub(super) html: String,
}

/// All templates.
#[derive(Clone, Debug)]
pub struct Templates(Environment<'static>);

impl Templates {
    /// The templates that are built in, and in their place those that lie in a folder under the
    /// same names.
    ///
    /// # Errors
    /// [`AlertError::Template`] where one cannot be read or parsed.
    pub fn new(folder: Option<&Path>) -> Result<Self, AlertError> {
        let mut environment = Environment::new();
        // An undefined name is an error, not an empty word in a mail.
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        environment.set_auto_escape_callback(|name| {
            if name.ends_with(".html") {
                AutoEscape::Html
            } else {
                AutoEscape::None
            }
        });
        for (name, built_in) in BUILT_IN {
            let source = match folder.map(|folder| folder.join(name)) {
                Some(path) if path.exists() => std::fs::read_to_string(&path)
                    .map_err(|error| wrong(name, &format!("{}: {error}", path.display())))?,
                _ => built_in.to_owned(),
            };
            environment
                .add_template_owned(name, source)
                .map_err(|error| wrong(name, &error_text(&error)))?;
        }
        Ok(Self(environment))
    }

    /// Subject, text and page of a kind of mail.
    pub(super) fn render(
        &self,
        kind: &str,
        context: &impl Serialize,
    ) -> Result<RenderedMail, AlertError> {
        let value = Value::from(Serde(context));
        let subject = self.render_template(&format!("{kind}.subject.txt"), &value)?;
        Ok(RenderedMail {
            subject: one_line(&subject),
            text: self.render_template(&format!("{kind}.txt"), &value)?,
            html: self.render_template(&format!("{kind}.html"), &value)?,
        })
    }

    /// One template.
    pub(super) fn text(&self, name: &str, context: &impl Serialize) -> Result<String, AlertError> {
        self.render_template(name, &Value::from(Serde(context)))
    }

    fn render_template(&self, name: &str, context: &Value) -> Result<String, AlertError> {
        let template = self
            .0
            .get_template(name)
            .map_err(|error| wrong(name, &error_text(&error)))?;
        template
            .render(context.clone())
            .map_err(|error| wrong(name, &error_text(&error)))
    }
}

fn wrong(name: &str, reason: &str) -> AlertError {
    AlertError::Template {
        name: name.to_owned(),
        reason: reason.into(),
    }
}

fn error_text(error: &minijinja::Error) -> String {
    match error.line() {
        Some(line) => format!("line {line}: {error}"),
        None => error.to_string(),
    }
}

/// A subject without line breaks and other control characters, not too long.
fn one_line(text: &str) -> String {
    let plain = text
        .trim()
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c });
    plain.take(MAX_SUBJECT_LEN).collect()
}
