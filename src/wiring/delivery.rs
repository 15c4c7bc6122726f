//! Delivery of alerts: mail and webhook channels, and the writer of mails.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use marketlake_alerts::Channels;
use marketlake_alerts::delivery::channels::{
    Channel, FileChannel, Guard, SmtpChannel, WebhookChannel,
};
use marketlake_alerts::delivery::mail::{Dkim, Templates, Writer, WriterOptions};
use marketlake_alerts::delivery::outbox::{SendRate, Sender};
use marketlake_common::excerpt;
use sea_orm::DatabaseConnection;
use url::Url;

use crate::config::{ConfigError, Settings};

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
    let rate = SendRate {
        lines: settings.mail.max_connections.get(),
        per_second: settings.mail.rate_limit_per_second.get_u32(),
        webhooks: settings.webhooks.max_connections.get(),
        webhooks_per_host: settings.webhooks.max_connections_per_host.get(),
        retry_for: settings.alerts.retry_for.get(),
    };
    Ok(Sender::new(database.clone(), channels, writer, rate))
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
        from: (*settings.mail.from).clone(),
        public_url: settings.public_url(),
        bounce_domain: settings.mail.bounce_domain.clone(),
        templates: templates
            .map_err(|error| ConfigError::setting("mail.templates", &shown, error))?,
        dkim: dkim(settings)?,
    }))
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
    let ehlo_name = settings
        .mail
        .ehlo_name
        .as_deref()
        .unwrap_or_else(|| settings.mail.from.email.domain());
    let timeout = settings.mail.timeout.get();
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
    let networks = settings.webhooks.allow_networks.iter();
    let allowed = networks.map(|network| **network).collect();
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
