//! `marketlake mail`.

use std::path::PathBuf;

use chrono_tz::Tz;
use clap::{Args, Subcommand};
use marketlake_alerts::Keyring;
use marketlake_alerts::delivery::mail::preview;
use marketlake_common::private_file;
use marketlake_entities::database;

use crate::config::Settings;
use crate::{output, wiring};

/// Previews mails.
#[derive(Args)]
pub(super) struct Mail {
    #[command(subcommand)]
    command: MailCommand,
}

#[derive(Subcommand)]
enum MailCommand {
    /// Writes a sample mail of every kind, rendered with the configured templates.
    ///
    /// Example: marketlake mail preview --out previews --zone Europe/Istanbul
    Preview {
        /// Folder to write to.
        #[arg(long, default_value = "mail-preview", value_name = "DIR")]
        out: PathBuf,
        /// Recipient's time zone.
        #[arg(long, default_value_t = Tz::UTC)]
        zone: Tz,
    },
}

impl Mail {
    pub(super) async fn execute(self, settings: &Settings) -> anyhow::Result<()> {
        let MailCommand::Preview { out, zone } = self.command;
        let writer = wiring::delivery::writer(settings)?;
        let database = wiring::database::open(settings).await?;
        let now = database::clock(&database).await?;
        let keys = Keyring::load(&database, now).await?;
        let previews = preview(&writer, &keys, zone, now)?;
        private_file::create_folder(&out)?;
        for mail in &previews {
            let file = out.join(format!("{}.eml", mail.name));
            private_file::write(&file, &mail.bytes)?;
            output::line(&format!("{} ({} bytes)", file.display(), mail.bytes.len()))?;
        }
        Ok(())
    }
}
