//! Reference of all settings in Markdown, from their documentation and defaults.

use std::fmt::Write as _;

use figment::value::Value;
use marketlake_feeds::{EXCHANGES, Exchange};

use super::alerts::{Alerts, Dkim, Mail, Webhooks};
use super::athena::{Athena, AthenaRoute};
use super::auth::{Auth, OidcProvider};
use super::database::Database;
use super::feeds::Feed;
use super::operations::Operations;
use super::server::Server;
use super::settings::{Jobs, Log, Settings, Store, StoreRetention};
use super::value_text::text;

/// Heading, path in the settings, documentation, and the fields with theirs.
type Table = (
    &'static str,
    &'static str,
    &'static str,
    &'static [(&'static str, &'static str)],
);

/// The tables in their order.
const TABLES: &[Table] = &[
    ("[server]", "server", Server::ABOUT, Server::FIELDS),
    (
        "[operations]",
        "operations",
        Operations::ABOUT,
        Operations::FIELDS,
    ),
    ("[auth]", "auth", Auth::ABOUT, Auth::FIELDS),
    (
        "[auth.oidc]",
        "auth.oidc",
        OidcProvider::ABOUT,
        OidcProvider::FIELDS,
    ),
    ("[database]", "database", Database::ABOUT, Database::FIELDS),
    ("[store]", "store", Store::ABOUT, Store::FIELDS),
    (
        "[store.retention]",
        "store.retention",
        StoreRetention::ABOUT,
        StoreRetention::FIELDS,
    ),
    ("[athena]", "athena", Athena::ABOUT, Athena::FIELDS),
    (
        "[athena.route]",
        "athena.route",
        AthenaRoute::ABOUT,
        AthenaRoute::FIELDS,
    ),
    ("[mail]", "mail", Mail::ABOUT, Mail::FIELDS),
    ("[mail.dkim]", "mail.dkim", Dkim::ABOUT, Dkim::FIELDS),
    ("[alerts]", "alerts", Alerts::ABOUT, Alerts::FIELDS),
    ("[webhooks]", "webhooks", Webhooks::ABOUT, Webhooks::FIELDS),
    ("[[feeds]]", "feeds", Feed::ABOUT, Feed::FIELDS),
    ("[jobs]", "jobs", Jobs::ABOUT, Jobs::FIELDS),
    ("[log]", "log", Log::ABOUT, Log::FIELDS),
];

/// Returns the reference.
pub(crate) fn reference() -> Result<String, Box<figment::Error>> {
    let defaults = Value::serialize(Settings::default()).map_err(Box::new)?;
    let feed = Value::serialize(Feed::default()).map_err(Box::new)?;
    let mut page = include_str!("reference.md").to_owned();
    let general: &[(&str, &str)] = &[(
        "data",
        "Base folder for everything without a path of its own.",
    )];
    page += "\n## General\n";
    table(&mut page, "", general, &defaults);
    for (heading, path, about, fields) in TABLES {
        let _ = write!(page, "\n## {heading}\n\n{}\n", lines(about));
        match *path {
            "feeds" => table(&mut page, "", fields, &feed),
            path => table(&mut page, &format!("{path}."), fields, &defaults),
        }
    }
    Ok(page
        .replace("{exchanges}", &exchanges(|_| true))
        .replace("{polled}", &exchanges(Exchange::is_polled))
        .replace("{streamed}", &exchanges(Exchange::has_stream)))
}

/// Lists the exchanges that `wanted` accepts.
fn exchanges(wanted: fn(&Exchange) -> bool) -> String {
    let exchanges = EXCHANGES.iter().filter(|exchange| wanted(exchange));
    let names: Vec<String> = exchanges
        .map(|exchange| format!("`{}`", exchange.name))
        .collect();
    names.join(", ")
}

/// Writes the rows of a table, without the fields that are tables of their own.
fn table(page: &mut String, prefix: &str, fields: &[(&str, &str)], defaults: &Value) {
    *page += "\n| name | default | meaning |\n|---|---|---|\n";
    for (field, about) in fields {
        let name = format!("{prefix}{field}");
        if TABLES.iter().any(|(_, path, ..)| *path == name) {
            continue;
        }
        let default = match defaults.find_ref(&name) {
            None | Some(Value::Empty(..)) => String::new(),
            Some(value) => format!("`{}`", text(value)),
        };
        let about = about.split_whitespace().collect::<Vec<_>>().join(" ");
        let about = about.strip_suffix('.').unwrap_or(&about);
        let _ = writeln!(page, "| `{name}` | {default} | {} |", lower(about));
    }
}

/// Begins with a small letter, unless the first word is an abbreviation.
fn lower(text: &str) -> String {
    let word = text.split(' ').next().unwrap_or_default();
    let is_plain = word.chars().skip(1).all(|letter| !letter.is_uppercase());
    match text.chars().next() {
        Some(first) if is_plain && word.len() > 1 => {
            format!("{}{}", first.to_lowercase(), &text[first.len_utf8()..])
        }
        _ => text.to_owned(),
    }
}

/// Wraps a paragraph at 100 characters.
fn lines(about: &str) -> String {
    let mut lines = vec![String::new()];
    for word in about.split_whitespace() {
        let last = lines.len() - 1;
        if lines[last].is_empty() {
            lines[last] += word;
        } else if lines[last].chars().count() + 1 + word.chars().count() > 100 {
            lines.push(word.to_owned());
        } else {
            lines[last] = format!("{} {word}", lines[last]);
        }
    }
    lines.join("\n")
}
