//! Delivery of alerts: mail and webhook channels, and the writer of mails.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use lettre::message::Mailbox;
use marketlake_alerts::Channels;
use marketlake_alerts::delivery::channels::{
    Channel, FileChannel, Guard, SmtpChannel, WebhookChannel,
};
use marketlake_alerts::delivery::mail::{Dkim, Templates, Writer, WriterOptions};
use marketlake_alerts::delivery::outbox::{SendRate, Sender};
use marketlake_common::excerpt;
use sea_orm::DatabaseConnection;
use url::Url;

use crate::config::{ConfigError, Settings, within};

/// Bounds of `mail.timeout`; a worker's lease of a delivery lasts 90 seconds a step.
const MIN_MAIL_TIMEOUT: Duration = Duration::from_secs(1);
const MAX_MAIL_TIMEOUT: Duration = Duration::from_secs(75);

/// Creates the sender of deliveries.
pub(crate) fn sender(
    settings: &Settings,
    database: &DatabaseConnection,
) -> Result<Sender, ConfigError> {
    let writer = Arc::new(writer(settings)?);
    let channels = Channels {
        mail: mail(settings)?,
        webhook: webhook(settings)?,
    };
    let pace = SendRate {
        lines: max_connections("mail.max_connections", settings.mail.max_connections)?,
        per_second: settings.mail.rate_limit_per_second,
        webhooks: max_connections(
            "webhooks.max_connections",
            settings.webhooks.max_connections,
        )?,
        webhooks_per_host: max_connections(
            "webhooks.max_connections_per_host",
            settings.webhooks.max_connections_per_host,
        )?,
        retry_for: settings.alerts.retry_for()?,
    };
    if pace.per_second == 0 {
        return Err(ConfigError::setting(
            "mail.rate_limit_per_second",
            "0",
            "expected a number above 0",
        ));
    }
    Ok(Sender::new(database.clone(), channels, writer, pace))
}

/// Checks a maximum number of connections.
fn max_connections(name: &str, number: usize) -> Result<usize, ConfigError> {
    if (1..=256).contains(&number) {
        return Ok(number);
    }
    let text = number.to_string();
    Err(ConfigError::setting(
        name,
        &text,
        "expected a number from 1 to 256",
    ))
}

/// Creates the writer of mails.
pub(crate) fn writer(settings: &Settings) -> Result<Writer, ConfigError> {
    let folder = settings.mail.templates.as_deref();
    let templates = match folder {
        Some(folder) if !folder.is_dir() => Err("expected a folder".to_owned()),
        folder => Templates::new(folder).map_err(|error| error.to_string()),
    };
    let shown = folder
        .map(|folder| folder.display().to_string())
        .unwrap_or_default();
    Ok(Writer::new(WriterOptions {
        from: from(settings)?,
        public_url: settings.public_url()?,
        bounce_domain: settings.mail.bounce_domain.clone(),
        templates: templates
            .map_err(|error| ConfigError::setting("mail.templates", &shown, error))?,
        dkim: dkim(settings)?,
    }))
}

fn from(settings: &Settings) -> Result<Mailbox, ConfigError> {
    let text = &settings.mail.from;
    text.parse().map_err(|_| {
        let expected = "expected an address like marketlake <alerts@example.com>";
        ConfigError::setting("mail.from", text, expected)
    })
}

fn dkim(settings: &Settings) -> Result<Option<Dkim>, ConfigError> {
    let dkim = &settings.mail.dkim;
    match (&dkim.domain, &dkim.selector, &dkim.key_file) {
        (None, None, None) => Ok(None),
        (Some(domain), Some(selector), Some(file)) => {
            let unusable = |error: String| {
                ConfigError::setting("mail.dkim.key_file", &file.display().to_string(), error)
            };
            let key = std::fs::read_to_string(file).map_err(|error| unusable(error.to_string()))?;
            let dkim = Dkim::new(domain, selector, &key);
            Ok(Some(dkim.map_err(|error| unusable(error.to_string()))?))
        }
        (domain, ..) => {
            let shown = domain.as_deref().unwrap_or_default();
            let expected = "expected domain, selector and key_file, or none of them";
            Err(ConfigError::setting("mail.dkim", shown, expected))
        }
    }
}

fn mail(settings: &Settings) -> Result<Arc<dyn Channel>, ConfigError> {
    let address = settings.mail_url();
    let text = address.expose();
    let unusable = |problem: &dyn std::fmt::Display| {
        ConfigError::setting("mail.url", &address.to_string(), problem)
    };
    let url = Url::parse(text).map_err(|error| unusable(&error))?;
    let from = from(settings)?;
    let ehlo_name = settings
        .mail
        .ehlo_name
        .as_deref()
        .unwrap_or_else(|| from.email.domain());
    let timeout = within(
        "mail.timeout",
        &settings.mail.timeout,
        MIN_MAIL_TIMEOUT,
        MAX_MAIL_TIMEOUT,
    )?;
    match url.scheme() {
        "file" => {
            let folder: PathBuf = url
                .to_file_path()
                .map_err(|()| unusable(&"expected file:///folder"))?;
            let channel = FileChannel::new(folder).map_err(|error| unusable(&error))?;
            Ok(Arc::new(channel))
        }
        "smtp" | "smtps" => {
            let channel = SmtpChannel::new(text, ehlo_name, Some(timeout));
            Ok(Arc::new(channel.map_err(|error| unusable(&error))?))
        }
        other => Err(unusable(&format!(
            "expected smtp://, smtps:// or file://, got {}://",
            excerpt(other)
        ))),
    }
}

fn webhook(settings: &Settings) -> Result<Arc<dyn Channel>, ConfigError> {
    let mut allowed = Vec::new();
    for text in &settings.webhooks.allow_networks {
        let network = text.parse().map_err(|_| {
            ConfigError::setting(
                "webhooks.allow_networks",
                text,
                "expected a network like 10.0.0.0/8",
            )
        })?;
        allowed.push(network);
    }
    let file = settings.webhooks.ca_file.as_deref();
    let unusable = |file: &Path, error: &dyn std::fmt::Display| {
        ConfigError::setting("webhooks.ca_file", &file.display().to_string(), error)
    };
    let certificates = match file {
        None => Vec::new(),
        Some(file) => vec![std::fs::read(file).map_err(|error| unusable(file, &error))?],
    };
    let channel = WebhookChannel::new(Guard { allowed }, &certificates, None);
    let channel = channel.map_err(|error| unusable(file.unwrap_or(Path::new("")), &error))?;
    Ok(Arc::new(channel))
}
