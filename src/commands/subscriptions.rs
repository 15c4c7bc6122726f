//! `marketlake subscriptions`.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use marketlake_alerts::subscriptions::{ChannelKind, check_matches};
use marketlake_alerts::{Subscription, SubscriptionSpec};
use marketlake_entities::database;

use super::portable::{self, Content};
use super::rule_args::{RuleArgs, usage};
use crate::config::Settings;
use crate::output::{self, Cell, Format};
use crate::wiring;

/// Manages subscriptions, as the operator.
#[derive(Args)]
pub(super) struct Subscriptions {
    #[command(subcommand)]
    command: SubscriptionsCommand,
}

#[derive(Subcommand)]
enum SubscriptionsCommand {
    /// Creates a subscription that is active at once, without a confirmation mail.
    ///
    /// Example: marketlake subscriptions create --metric hottry:volume --address me@example.com
    Create {
        #[command(flatten)]
        rule: Box<RuleArgs>,
        /// Owner's mail address.
        #[arg(long)]
        address: String,
        /// Recipient's time zone.
        #[arg(long, value_name = "ZONE")]
        time_zone: Option<String>,
        /// Channel of its alerts; by default mail.
        #[arg(long)]
        channel: Option<ChannelKind>,
        /// Webhook URL, https.
        #[arg(long, value_name = "URL")]
        endpoint: Option<String>,
    },
    /// Lists subscriptions that are active or paused.
    ///
    /// Example: marketlake subscriptions list --format json
    List {
        /// Output format.
        #[arg(long, value_enum, default_value_t)]
        format: Format,
    },
    /// Exports all subscriptions to a file, with the signing keys of their links and the
    /// suppression list. Only the file's owner can read it.
    ///
    /// Example: marketlake subscriptions export subscriptions.jsonl
    Export {
        /// File to write; an existing one is replaced.
        file: PathBuf,
    },
    /// Imports an exported file. Existing rows stay as they are.
    ///
    /// Example: marketlake subscriptions import subscriptions.jsonl
    Import {
        /// Exported file.
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
                let new = SubscriptionSpec {
                    address,
                    time_zone,
                    channel: channel.map(|kind| kind.to_string()),
                    endpoint,
                    ..rule.into_spec()?
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

async fn create(settings: &Settings, new: &SubscriptionSpec) -> anyhow::Result<()> {
    let wanted = new.check().map_err(usage)?;
    let lake = wiring::lake::open(settings).await?;
    let max = settings.alerts.max_metrics;
    let metrics = check_matches(&wanted.pattern, lake.directory().metrics(), max)
        .map_err(|error| usage(vec![error]))?;
    let now = database::clock(lake.database()).await?;
    let made = Subscription::create(lake.database(), new, now)
        .await?
        .map_err(usage)?;
    output::line(&format!(
        "subscription {}: {} ({metrics} metrics so far), {}, to {}",
        made.id,
        made.scoped_rule.pattern,
        made.rule().in_words(),
        made.target()
    ))?;
    if let Some(secret) = made.secret {
        output::line(&format!("its webhooks are signed with {secret}"))?;
    }
    Ok(())
}

async fn list(settings: &Settings, format: Format) -> anyhow::Result<()> {
    let database = wiring::database::open(settings).await?;
    let rows: Vec<Vec<Cell>> = Subscription::all(&database)
        .await?
        .into_iter()
        .map(|subscription| {
            vec![
                Cell::text(&subscription.id),
                Cell::text(&subscription.scoped_rule.pattern),
                Cell::text(subscription.rule().in_words()),
                Cell::text(subscription.target()),
                Cell::text(subscription.created_at),
            ]
        })
        .collect();
    output::print(format, &["id", "metric", "rule", "to", "created"], &rows)
}
