//! HTML pages: templates, headers, errors.

use std::sync::LazyLock;

use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use marketlake_alerts::subscriptions::LifecycleError;
use marketlake_alerts::{AlertError, TokenError};
use marketlake_entities::database::outage::with_cause;
use marketlake_lake::LakeError;
use minijinja::value::Serde;
use minijinja::{AutoEscape, Environment, UndefinedBehavior, Value};
use serde::Serialize;

const TEMPLATES: [(&str, &str); 7] = [
    ("layout.html", include_str!("../../templates/layout.html")),
    (
        "confirmation.html",
        include_str!("../../templates/confirmation.html"),
    ),
    ("message.html", include_str!("../../templates/message.html")),
    ("link.html", include_str!("../../templates/link.html")),
    ("manage.html", include_str!("../../templates/manage.html")),
    (
        "subscribe.html",
        include_str!("../../templates/subscribe.html"),
    ),
    ("fields.html", include_str!("../../templates/fields.html")),
];

static ENVIRONMENT: LazyLock<Environment<'static>> = LazyLock::new(|| {
    environment().unwrap_or_else(|error| {
        // A test parses them: they are built in.
        tracing::error!(%error, "a page's template cannot be parsed");
        Environment::new()
    })
});

fn environment() -> Result<Environment<'static>, minijinja::Error> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_auto_escape_callback(|_| AutoEscape::Html);
    for (name, source) in TEMPLATES {
        environment.add_template(name, source)?;
    }
    Ok(environment)
}

const HEADERS: [(HeaderName, &str); 5] = [
    (
        header::CONTENT_SECURITY_POLICY,
        "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; frame-ancestors \
         'none'; base-uri 'none'",
    ),
    // Not no-referrer: browsers would send this page's own forms with the origin null.
    (header::REFERRER_POLICY, "same-origin"),
    (header::CACHE_CONTROL, "no-store"),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (HeaderName::from_static("x-robots-tag"), "noindex"),
];

/// A page.
pub(super) struct Page {
    status: StatusCode,
    template: &'static str,
    context: Value,
}

impl Page {
    pub(super) fn new(template: &'static str, context: &impl Serialize) -> Self {
        Self {
            status: StatusCode::OK,
            template,
            context: Value::from(Serde(context)),
        }
    }

    pub(super) fn with_status(self, status: StatusCode) -> Self {
        Self { status, ..self }
    }

    /// A page with a title and a sentence.
    pub(super) fn message(title: &str, text: &str) -> Self {
        #[derive(Serialize)]
        struct Message<'a> {
            title: &'a str,
            text: &'a str,
        }
        Self::new("message.html", &Message { title, text })
    }

    /// A page with a title, a sentence and the one button that acts.
    pub(super) fn confirmation(title: &str, text: &str, button: &str) -> Self {
        #[derive(Serialize)]
        struct Confirmation<'a> {
            title: &'a str,
            text: &'a str,
            button: &'a str,
        }
        Self::new(
            "confirmation.html",
            &Confirmation {
                title,
                text,
                button,
            },
        )
    }
}

impl IntoResponse for Page {
    fn into_response(self) -> Response {
        let rendered = ENVIRONMENT
            .get_template(self.template)
            .and_then(|template| template.render(self.context));
        let (status, text) = match rendered {
            Ok(text) => (self.status, text),
            Err(error) => {
                tracing::error!(%error, template = self.template, "a page cannot be rendered");
                let text = "internal error; see the server's log".to_owned();
                (StatusCode::INTERNAL_SERVER_ERROR, text)
            }
        };
        let mut response = (status, Html(text)).into_response();
        for (name, value) in HEADERS {
            response
                .headers_mut()
                .insert(name, HeaderValue::from_static(value));
        }
        response
    }
}

/// Error of a page.
pub(super) enum PageError {
    Token(TokenError),
    Life(LifecycleError),
    /// As much is computed at once as may be.
    Busy,
    Unavailable(String),
}

impl From<TokenError> for PageError {
    fn from(error: TokenError) -> Self {
        Self::Token(error)
    }
}

impl From<LifecycleError> for PageError {
    fn from(error: LifecycleError) -> Self {
        Self::Life(error)
    }
}

impl From<AlertError> for PageError {
    fn from(error: AlertError) -> Self {
        match error {
            AlertError::Samples(LakeError::Busy) => Self::Busy,
            error => Self::Unavailable(with_cause(&error)),
        }
    }
}

impl IntoResponse for PageError {
    fn into_response(self) -> Response {
        let (status, title, text) = match self {
            Self::Token(error @ TokenError::Expired(_)) => {
                (StatusCode::GONE, "This link has expired", error.to_string())
            }
            Self::Token(error) => (
                StatusCode::BAD_REQUEST,
                "This link is invalid",
                error.to_string(),
            ),
            Self::Life(error @ LifecycleError::Unknown(_)) => {
                let text = "It has ended, or was never confirmed in time.".to_owned();
                tracing::debug!(%error, "a link to nothing");
                (StatusCode::GONE, "This subscription no longer exists", text)
            }
            Self::Life(error) => (
                StatusCode::CONFLICT,
                "That cannot be done",
                error.to_string(),
            ),
            Self::Busy => (
                StatusCode::SERVICE_UNAVAILABLE,
                "This is not possible at the moment",
                "The machine is busy with other requests. Please try again in a second.".to_owned(),
            ),
            Self::Unavailable(error) => {
                tracing::error!(%error, "page failed");
                let text = "The cause is in the server's log. Please try again.".to_owned();
                (
                    StatusCode::SERVICE_UNAVAILABLE,
                    "This is not possible at the moment",
                    text,
                )
            }
        };
        Page::message(title, &text)
            .with_status(status)
            .into_response()
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_page_has_a_template_that_can_be_parsed() {
        let environment = super::environment().expect("templates");
        assert_eq!(environment.templates().count(), super::TEMPLATES.len());
    }
}
