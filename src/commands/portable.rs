//! Export and import of records that cannot be rebuilt from the lake, as JSON lines: a header, then
//! one row a line.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;

use anyhow::Context;
use marketlake_common::{excerpt, excerpt_message, private_file};
use marketlake_entities::database;
use marketlake_entities::portable::{self, Row};
use marketlake_entities::records::{api_keys, signing_keys, subscriptions, suppressions};
use marketlake_http::auth::scope::Scopes;
use marketlake_model::Millis;
use sea_orm::{DatabaseTransaction, EntityTrait};
use serde::{Deserialize, Serialize};

use super::Usage;
use crate::config::Settings;
use crate::{output, wiring};

const FORMAT: u32 = 1;
const MAX_LINE_BYTES: u64 = 1 << 20;
const MAX_LINES: usize = 10_000_000;

/// Content of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Content {
    /// Subscriptions, the signing keys of their links, and the suppression list.
    Subscriptions,
    /// API keys, as hashes.
    Keys,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Head {
    marketlake: Content,
    format: u32,
    exported_at: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    table: String,
    row: Row,
}

impl Content {
    /// Warning about what the file reveals.
    fn warning(self) -> &'static str {
        match self {
            Self::Subscriptions => {
                "it holds mail addresses, the secrets that webhooks are signed with, and the keys \
                 that sign the links of mails: whoever has it can act for every subscriber"
            }
            Self::Keys => {
                "it holds the keys' names, scopes and SHA-256 hashes: nobody can derive or \
                 use a key from it, but a database that imports it accepts the same keys"
            }
        }
    }

    fn tables(self) -> &'static [&'static str] {
        match self {
            Self::Subscriptions => &["signing_keys", "suppressions", "subscriptions"],
            Self::Keys => &["api_keys"],
        }
    }
}

/// Exports to a file that only its owner can read; replaces an existing one.
pub(super) async fn export(
    settings: &Settings,
    content: Content,
    path: &Path,
) -> anyhow::Result<()> {
    let database = wiring::database::open(settings).await?;
    let exported_at = database::clock(&database).await?;
    let mut lines = Vec::new();
    for &table in content.tables() {
        let rows = match table {
            "signing_keys" => portable::export::<signing_keys::Entity>(&database).await?,
            "suppressions" => portable::export::<suppressions::Entity>(&database).await?,
            "subscriptions" => portable::export::<subscriptions::Entity>(&database).await?,
            _ => portable::export::<api_keys::Entity>(&database).await?,
        };
        let table = table.to_owned();
        lines.extend(rows.into_iter().map(|row| Line {
            table: table.clone(),
            row,
        }));
    }
    write(path, content, exported_at, &lines).map_err(|error| unusable(path, error))?;
    output::line(&format!(
        "export: {} rows in {}; {}",
        lines.len(),
        path.display(),
        content.warning()
    ))
}

fn write(path: &Path, content: Content, exported_at: Millis, lines: &[Line]) -> anyhow::Result<()> {
    let mut out = Vec::new();
    let head = Head {
        marketlake: content,
        format: FORMAT,
        exported_at: exported_at.to_string(),
    };
    writeln!(out, "{}", serde_json::to_string(&head)?)?;
    for line in lines {
        writeln!(out, "{}", serde_json::to_string(line)?)?;
    }
    Ok(private_file::write(path, &out)?)
}

/// Imports a file in one transaction; existing rows stay as they are.
pub(super) async fn import(
    settings: &Settings,
    content: Content,
    path: &Path,
) -> anyhow::Result<()> {
    let file = File::open(path).map_err(|error| unusable(path, error.into()))?;
    let mut lines = Lines {
        reader: BufReader::new(file),
        number: 0,
    };
    let refused = |number: usize, error: anyhow::Error| {
        anyhow::Error::from(Usage(format!(
            "{}: line {number}: {}",
            path.display(),
            excerpt_message(&format!("{error:#}"))
        )))
    };
    let head = lines.next_as::<Head>();
    let head = head.and_then(|head| head.context("the file is empty"));
    let head = head.map_err(|error| refused(1, error))?;
    if head.marketlake != content || head.format != FORMAT {
        let expected = format!("expected {content:?} in format {FORMAT}");
        let got = format!("got {:?} in format {}", head.marketlake, head.format);
        return Err(refused(1, anyhow::anyhow!("{expected}, {got}")));
    }
    let database = wiring::database::open(settings).await?;
    let transaction = database::begin_write(&database).await?;
    let (mut all, mut new) = (0, 0);
    loop {
        let line = lines.next_as::<Line>();
        let number = lines.number;
        let Some(line) = line.map_err(|error| refused(number, error))? else {
            break;
        };
        let taken = import_row(&transaction, content, &line).await;
        all += 1;
        new += usize::from(taken.map_err(|error| refused(number, error))?);
    }
    transaction.commit().await?;
    output::line(&format!(
        "import: {all} rows, {new} of them new; existing rows are unchanged"
    ))
}

/// Inserts a row and checks that it reads back as a record.
async fn import_row(
    transaction: &DatabaseTransaction,
    content: Content,
    line: &Line,
) -> anyhow::Result<bool> {
    let table = content.tables().iter().find(|table| **table == line.table);
    let table = table.with_context(|| {
        let table = excerpt(&line.table);
        format!("{table:?}: expected a table of this kind of export")
    })?;
    let id = |name: &str| {
        let value = line.row.get(name).and_then(|value| value.as_str());
        value.unwrap_or_default().to_owned()
    };
    let row = &line.row;
    Ok(match *table {
        "signing_keys" => {
            let new = portable::import::<signing_keys::Entity>(transaction, table, row).await?;
            let found = signing_keys::Entity::find_by_id(id("id"));
            found.one(transaction).await?;
            new
        }
        "suppressions" => {
            let new = portable::import::<suppressions::Entity>(transaction, table, row).await?;
            let found = suppressions::Entity::find_by_id(id("address"));
            found.one(transaction).await?;
            new
        }
        "subscriptions" => {
            let new = portable::import::<subscriptions::Entity>(transaction, table, row).await?;
            marketlake_alerts::Subscription::find(transaction, &id("id")).await?;
            new
        }
        _ => {
            let scopes = id("scopes");
            let parsed: Result<Scopes, _> = scopes.parse();
            if let Err(error) = parsed {
                anyhow::bail!("scopes: {error}");
            }
            let new = portable::import::<api_keys::Entity>(transaction, table, row).await?;
            api_keys::find(transaction, &id("id")).await?;
            new
        }
    })
}

struct Lines {
    reader: BufReader<File>,
    number: usize,
}

impl Lines {
    fn next_as<T: for<'a> Deserialize<'a>>(&mut self) -> anyhow::Result<Option<T>> {
        self.number += 1;
        let mut line = Vec::new();
        let read = (&mut self.reader)
            .take(MAX_LINE_BYTES)
            .read_until(b'\n', &mut line)?;
        if read == 0 {
            return Ok(None);
        }
        if line.last() != Some(&b'\n') {
            anyhow::bail!("expected a line feed after at most {MAX_LINE_BYTES} bytes");
        }
        if self.number > MAX_LINES {
            anyhow::bail!("expected at most {MAX_LINES} lines");
        }
        Ok(Some(serde_json::from_slice(&line)?))
    }
}

fn unusable(path: &Path, error: anyhow::Error) -> anyhow::Error {
    Usage(format!("{}: {error:#}", path.display())).into()
}
