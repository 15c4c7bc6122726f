//! `marketlake subscriptions`.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use marketlake_alerts::subscription::check_matches;
use marketlake_alerts::{NewSubscription, Subscription};
use marketlake_entities::database;

use super::portable::{self, Content};
use super::rule::{RuleFlags, usage};
use crate::app;
use crate::config::Settings;
use crate::output::{self, Cell, Format};

/// Works with subscriptions, as the operator.
#[derive(Args)]
pub(super) struct Subscriptions {
    #[command(subcommand)]
    command: SubscriptionsCommand,
}

#[derive(Subcommand)]
enum SubscriptionsCommand {
    /// Makes a subscription that is active at once: who may do this knows whose address it is.
    ///
    /// Example: marketlake subscriptions create --metric hottry:volume --address me@example.com
    Create {
        #[command(flatten)]
        rule: Box<RuleFlags>,
        /// Mail address of its owner.
        #[arg(long)]
        address: String,
        /// The reader's time zone.
        #[arg(long, value_name = "ZONE")]
        time_zone: Option<String>,
        /// mail, webhook or slack.
        #[arg(long)]
        channel: Option<String>,
        /// Where webhooks go: an https address.
        #[arg(long, value_name = "URL")]
        endpoint: Option<String>,
    },
    /// Lists the subscriptions in force.
    ///
    /// Example: marketlake subscriptions list --format json
    List {
        /// How the answer looks.
        #[arg(long, value_enum, default_value_t)]
        format: Format,
    },
    /// Writes all subscriptions to a file, with the keys that sign the links in their mails, and the addresses that are not to be
    /// written to. Only its owner can read it.
    ///
    /// Example: marketlake subscriptions export subscriptions.jsonl
    Export {
        /// Where to; an older file is replaced.
        file: PathBuf,
    },
    /// Takes in what an export wrote. What is there already stays as it is.
    ///
    /// Example: marketlake subscriptions import subscriptions.jsonl
    Import {
        /// What an export wrote.
        file: PathBuf,
    },
}

impl Subscriptions {
    pub(super) async fn execute(self, settings: &Settings) -> anyhow::Result<()> {
        match self.command {
            SubscriptionsCommand::Create {
                rule,
                address,
                time_zone,
                channel,
                endpoint,
            } => {
                let new = NewSubscription {
                    address,
                    time_zone,
                    channel,
                    endpoint,
                    ..rule.into_new()?
                };
                create(settings, &new).await
            }
            SubscriptionsCommand::List { format } => list(settings, format).await,
            SubscriptionsCommand::Export { file } => {
                portable::export(settings, Content::Subscriptions, &file).await
            }
            SubscriptionsCommand::Import { file } => {
                portable::import(settings, Content::Subscriptions, &file).await
            }
        }
    }
}

async fn create(settings: &Settings, new: &NewSubscription) -> anyhow::Result<()> {
    let wanted = new.check().map_err(usage)?;
    let lake = app::open_lake(settings).await?;
    let most = settings.alerts.max_metrics;
    let metrics = check_matches(&wanted.pattern, lake.directory().metrics(), most)
        .map_err(|error| usage(vec![error]))?;
    let now = database::clock(lake.database()).await?;
    let made = Subscription::create(lake.database(), new, now)
        .await?
        .map_err(usage)?;
    output::line(&format!(
        "subscription {}: {} ({metrics} metrics so far), {}, to {}",
        made.id,
        made.judged.pattern,
        made.rule().in_words(),
        made.target()
    ))?;
    if let Some(secret) = made.secret {
        output::line(&format!("its webhooks are signed with {secret}"))?;
    }
    Ok(())
}

async fn list(settings: &Settings, format: Format) -> anyhow::Result<()> {
    let database = app::open_database(settings).await?;
    let rows: Vec<Vec<Cell>> = Subscription::all(&database)
        .await?
        .into_iter()
        .map(|subscription| {
            vec![
                Cell::text(&subscription.id),
                Cell::text(&subscription.judged.pattern),
                Cell::text(subscription.rule().in_words()),
                Cell::text(subscription.target()),
                Cell::text(subscription.created_at),
            ]
        })
        .collect();
    output::print(format, &["id", "metric", "rule", "to", "created"], &rows)
}
